//! # Callgate: the protocol
//!
//! A web server calls an application with a [`Scope`], which describes the exchange, a [`Receiver`]
//! of events from the client, and a [`Sender`] of events to the client. Scopes and events are
//! plain, owned data.
//!
//! ```
//! use callgate::{AppError, HttpResponseBody, HttpResponseStart, Receiver, Scope, Sender};
//!
//! async fn hello(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
//!     scope.into_http()?; // no WebSocket, no start-up work
//!     sender.send(HttpResponseStart::ok().header("content-type", "text/plain")).await?;
//!     Ok(sender.send(HttpResponseBody::last("Hello, world!\n")).await?)
//! }
//! # fn assert_app(_: impl callgate::App) {}
//! # assert_app(hello);
//! ```
//!
//! Every such `async fn` is an [`App`], and so is every type that implements the trait. The
//! [documents] describe each event, and state the duties of each side as numbered [rules](rule). The module
//! [`rule`] lists the same rules in code, and errors name the rule that was broken.
//!
//! With the feature `serde`, every scope and event has a stable serialised form. Programs can log,
//! record and replay exchanges, or pass exchanges to another process.

mod app;
mod channel;
pub mod conversation;
pub mod documents;
mod error;
mod event;
mod feature;
mod header;
pub mod message;
mod path;
mod request_scope;
pub mod rule;
mod scope;
#[cfg(feature = "serde")]
mod serial;
mod state;
mod tls;
pub mod transcript;

pub use bytestring::ByteString;

pub use app::{App, AppFuture, BoxApp};
pub use channel::{Channel, PendingSend, Receiver, SendProgress, Sender, Sending};
pub use error::{AppError, SendError, Violation};
pub use event::{
    HttpRequestBody, HttpResponseBody, HttpResponseDebug, HttpResponseEarlyHint,
    HttpResponsePathSend, HttpResponseStart, HttpResponseTrailers, LifespanShutdownComplete,
    LifespanShutdownFailed, LifespanStartupComplete, LifespanStartupFailed, Message, ReceiveEvent,
    SendEvent, WebSocketAccept, WebSocketClose, WebSocketDisconnect,
};
pub use feature::{Feature, Features};
pub use header::{
    IntoHeaderName, IntoHeaderValue, InvalidHeaderField, header_value, try_header_value,
};
pub use request_scope::{RequestScope, Scheme};
pub use scope::{HttpScope, LifespanScope, Scope, WebSocketScope};
pub use state::State;
pub use tls::TlsInfo;

/// The version of the protocol that this crate describes: `major.minor`.
///
/// A new minor version only adds scopes, events, features or fields. Applications for an earlier
/// minor version continue to work.
pub const VERSION: &str = "1.0";

/// Compiles and runs the examples of the README as doctests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
