//! # Callgate: driving applications
//!
//! Everything of a server that has nothing to do with sockets: this crate stands between a transport
//! and an application. The reference server (`callgate-server`), the bridge to tower
//! (`callgate-tower`) and the toolkit's test client are built on it; other servers can be, too.
//!
//! The application is polled *in place*, by the task that waits for its response: the common case
//! needs no channel, no task and no wake. The application's receiver and sender share a mailbox with
//! the server: a [`Channel`](callgate::Channel) on the application's side, and on the server's side an
//! [`http::Exchange`] or a [`websocket::Handshake`], which polls the call and then the mailbox. A call
//! that outlives its response, or its client, goes on in a task: [`Call::run`].
//!
//! ```
//! use std::future::poll_fn;
//!
//! use bytes::Bytes;
//! use callgate::{AppError, BoxApp, HttpResponseBody, HttpResponseStart, HttpScope};
//! use callgate::{Receiver, Scope, Sender};
//! use callgate_drive::ShutdownSignal;
//! use callgate_drive::http::{Exchange, Response};
//! use http::Method;
//! use http_body_util::{BodyExt as _, Empty};
//!
//! async fn hello(_: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
//!     sender.send(HttpResponseStart::ok()).await?;
//!     Ok(sender.send(HttpResponseBody::last("Hello, world!\n")).await?)
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let app = BoxApp::new(hello);
//! let scope = HttpScope::new(Method::GET, "/".parse().unwrap());
//! let content = Empty::<Bytes>::new();
//! let shutdown = ShutdownSignal::new();
//! let mut exchange = Exchange::new(&app, scope.into(), content, |_| None, &shutdown);
//! let Response::Started(head, content) = poll_fn(|cx| exchange.poll(cx)).await else {
//!     panic!("the application has sent a response");
//! };
//! // A server runs the rest of a call that goes on after its response; this call has ended.
//! assert!(exchange.detach().is_none());
//! assert_eq!(head.status, 200);
//! assert_eq!(content.collect().await.unwrap().to_bytes(), "Hello, world!\n");
//! # }
//! ```

mod call;
mod escape;
mod file;
pub mod head;
pub mod http;
pub mod lifespan;
pub mod linger;
mod output;
mod report;
mod request_body;
mod response_body;
mod shutdown;
mod sync;
#[cfg(test)]
mod test_log;
pub mod timer;
mod trailers;
pub mod websocket;

pub use call::{Call, CallResult, EndReport, ServerEnd, panic_message};
pub use escape::Escaped;
pub use output::Incomplete;
pub use report::RequestLine;
pub use response_body::ResponseBody;
pub use shutdown::ShutdownSignal;
