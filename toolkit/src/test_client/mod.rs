//! Driving any application in process, without a socket.
//!
//! A [`TestClient`] is a server and its client in one. The application is driven by `callgate-drive`, as
//! the reference server and the bridge to tower drive it: each send is checked, sends wait for a slow
//! reader, the application learns that its client has disconnected, and the server responds in place
//! of an application that fails. Requests and responses are those of the [`http`] crate.
//!
//! ```
//! use callgate::{AppError, HttpResponseBody, HttpResponseStart, Receiver, Scope, Sender};
//! use callgate_toolkit::test_client::{TestExchange, ResponseExt, TestClient};
//!
//! async fn greet(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
//!     let scope = scope.into_http()?;
//!     sender.send(HttpResponseStart::ok()).await?;
//!     sender.send(HttpResponseBody::last(format!("Hello from {}", scope.path()))).await?;
//!     Ok(())
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let client = TestClient::new(greet);
//! let response = client.get("/there").send().await?;
//! assert_eq!(response.status(), 200);
//! assert_eq!(response.text(), "Hello from /there");
//!
//! // The events, and the end of the call.
//! let exchange = TestExchange::of(&response);
//! exchange.ended().await?;
//! assert_eq!(
//!     exchange.transcript().to_string(),
//!     r#"called    http GET /there HTTP/1.1 {host: localhost}
//! sent      http.response.start 200
//! sent      http.response.body "Hello from /there" last
//! returned"#
//! );
//! # Ok(())
//! # }
//! ```
//!
//! An application that breaks a rule fails the call of the client with [`Error::Violation`], which has the rule and the
//! transcript. A test of what a real client gets then [allows it](TestClient::allow_violations).
//!
//! A client keeps [cookies](TestClient::cookies), as a browser does. It sends its own
//! [fields](TestClient::header) with each request, and [follows redirects](TestClient::follow_redirects)
//! when a test asks for that.
//!
//! A client does not add `date` and `server` (`HTTP-38`), and shows no transfer coding.

mod body;
mod channel;
mod client;
mod cookies;
mod error;
mod exchange;
mod failure;
mod handshake;
mod jar;
mod record;
mod redirect;
mod request;
mod response;
mod scope;
mod server;
mod settings;
mod websocket;

pub use self::body::{Body, BodySender};
pub use self::client::TestClient;
pub use self::cookies::Cookies;
pub use self::error::Error;
pub use self::exchange::TestExchange;
pub use self::failure::{Failure, TimedOut};
pub use self::handshake::{Connecting, WebSocketBuilder};
pub use self::request::{Pending, RequestBuilder};
pub use self::response::{ResponseExt, Streaming};
pub use self::websocket::TestWebSocket;
