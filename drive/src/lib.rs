//! # Callgate: driving applications
//!
//! This crate is the part of a server between the transport and the application. It has no sockets.
//! The reference server (`callgate-server`), the bridge to tower (`callgate-tower`) and the
//! toolkit's test client are built on it, and so can other servers be.
//!
//! The application is polled *in place*, by the task that waits for its response: the common case
//! needs no channel, no task and no wake. The application and the server share a mailbox. The
//! application's receiver and sender use the mailbox as a [`Channel`](callgate::Channel). The
//! server uses it through an [`http::Exchange`] or a [`websocket::Handshake`], which polls the call
//! and then the mailbox. A call that goes on after its response, or after its client is gone, runs
//! on a task of its own: [`Call::run`].
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
mod replacement;
mod report;
mod request_body;
mod response_body;
mod shutdown;
mod sync;
pub mod task;
#[cfg(test)]
mod test_log;
#[cfg(test)]
mod test_task;
pub mod timer;
mod trailers;
pub mod turn;
pub mod websocket;

pub use call::{Call, CallResult, EndReport, ServerEnd, panic_message};
pub use escape::{Escaped, EscapedInQuotes, is_deceptive};
pub use file::FileBody;
pub use output::Incomplete;
pub use replacement::replacement;
pub use report::{RequestLine, violations};
pub use response_body::{CutSignal, ResponseBody};
pub use shutdown::ShutdownSignal;

/// The examples of the README are compiled and run as doctests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
