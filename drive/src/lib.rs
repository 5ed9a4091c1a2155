//! # Callgate: driving applications
//!
//! What stands between a transport and an application: everything of a server that has nothing to do
//! with sockets. The reference server (`callgate-server`) and the bridge to tower
//! (`callgate-tower`) are built on it; so can be any other server.
//!
//! An application is polled *in place*, by whoever waits for its response: no channel, no task and
//! no wake in the common case. A mailbox is between the two. Its one end is the
//! [`Channel`](callgate::Channel) that the application's receiver and sender hold; the other is the
//! server's, which polls the [`Call`] and then the mailbox. What outlives the response, or the
//! client, goes on as a task: [`Call::run`].
//!
//! ```
//! use std::future::poll_fn;
//! use std::sync::Arc;
//!
//! use bytes::Bytes;
//! use callgate::{AppError, BoxApp, HttpResponseBody, HttpResponseStart, HttpScope};
//! use callgate::{Receiver, Scope, Sender};
//! use callgate_drive::http::{Mailbox, Response};
//! use callgate_drive::{Call, RequestLine};
//! use http::Method;
//! use http_body_util::{BodyExt as _, Empty};
//!
//! async fn hello(_: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
//!     sender.send(HttpResponseStart::ok()).await?;
//!     sender.send(HttpResponseBody::last("Hello, world!\n")).await?;
//!     Ok(())
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let scope = HttpScope::new(Method::GET, "/".parse().unwrap());
//! let request = RequestLine::of_http(&scope);
//! let mut mailbox = Arc::new(Mailbox::new(&scope, Empty::<Bytes>::new(), |_| None));
//! let mut call = Call::new(&BoxApp::new(hello), scope.into(), &mailbox, request);
//! let response = poll_fn(|cx| {
//!     let _ = call.poll(cx, &mut mailbox);
//!     mailbox.poll_response(cx)
//! });
//! let Response::Whole(head, content) = response.await else {
//!     panic!("one that is sent in one piece");
//! };
//! assert_eq!(head.status, 200);
//! assert_eq!(content.collect().await.unwrap().to_bytes(), "Hello, world!\n");
//! # }
//! ```

mod call;
mod file;
pub mod head;
pub mod http;
pub mod lifespan;
mod report;
mod request_body;
mod response_body;
mod sync;
mod trailers;
pub mod websocket;

pub use call::{Call, ServerEnd};
pub use report::RequestLine;
pub use response_body::{Incomplete, ResponseBody};
