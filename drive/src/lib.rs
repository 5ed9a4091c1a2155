//! # Callgate: driving applications
//!
//! What stands between a transport and an application: everything of a server that has nothing to do
//! with sockets. The reference server (`callgate-server`) and the bridge to tower
//! (`callgate-tower`) are built on it; so can be any other server.
//!
//! An application is polled *in place*, by whoever waits for its response: no channel, no task and
//! no wake in the common case. A mailbox is between the two. Its one end is the
//! [`Channel`](callgate::Channel) that the application's receiver and sender hold; the other is the
//! server's: an [`http::Exchange`] or a [`websocket::Handshake`] polls the call and then the mailbox.
//! What outlives the response, or the client, goes on as a task: [`Call::run`].
//!
//! ```
//! use std::future::poll_fn;
//!
//! use bytes::Bytes;
//! use callgate::{AppError, BoxApp, HttpResponseBody, HttpResponseStart, HttpScope};
//! use callgate::{Receiver, Scope, Sender};
//! use callgate_drive::http::{Exchange, Response};
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
//! let content = Empty::<Bytes>::new();
//! let mut exchange = Exchange::new(&BoxApp::new(hello), scope.into(), content, |_| None);
//! let Response::Begun(head, content) = poll_fn(|cx| exchange.poll(cx)).await else {
//!     panic!("the application has sent a response");
//! };
//! // A call that goes on after its response would be run on here; this one has ended.
//! assert!(exchange.leave().is_none());
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

/// The examples of the README are compiled and run as doctests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
