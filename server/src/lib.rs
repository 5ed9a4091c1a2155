//! # Callgate: the reference server
//!
//! HTTP/1.1, HTTP/2 and WebSocket on one port, for any [`callgate::App`].
//!
//! [`cli::main`] gives a program the whole command line:
//!
//! ```no_run
//! use callgate::{AppError, HttpResponseBody, HttpResponseStart, Receiver, Scope, Sender};
//!
//! async fn hello(scope: Scope, _receiver: Receiver, sender: Sender) -> Result<(), AppError> {
//!     scope.into_http()?;
//!     sender.send(HttpResponseStart::ok().header("content-type", "text/plain")).await?;
//!     sender.send(HttpResponseBody::last("Hello, world!\n")).await?;
//!     Ok(())
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     callgate_server::cli::main(hello)
//! }
//! ```
//!
//! A program that has a Tokio runtime calls [`serve`], or builds a [`Server`] to choose its
//! listeners and to decide when it stops. `ARCHITECTURE.md` of the repository describes how an
//! exchange passes through the server.
//!
//! # Cargo features
//!
//! - `cli` (default): the command line, [`cli`]. It has all other features.
//! - `http2`: HTTP/2, on hyper and h2. A server without it speaks HTTP/1.0 and HTTP/1.1.
//! - `tls`: TLS, on rustls with the cryptography of ring.
//! - `reload`: certificates are reloaded when their files change, and not only at SIGHUP.
//! - `metrics`: metrics for Prometheus, at `/metrics` of the admin listener.

mod accept;
mod access_log;
mod admin;
mod alarm;
mod buffers;
#[cfg(feature = "cli")]
pub mod cli;
mod concurrency;
pub mod config;
mod connection;
mod context;
mod deadline;
mod error;
mod exchange;
#[cfg(test)]
mod faults;
#[cfg(feature = "reload")]
mod file_watch;
mod http1;
#[cfg(feature = "http2")]
mod http2;
mod lifespan;
mod limit;
mod line_writer;
mod listener;
mod log_file;
#[cfg(feature = "metrics")]
mod metrics;
mod monitoring;
mod proxy;
mod random;
mod readiness;
mod record;
#[cfg(feature = "tls")]
mod redirect;
mod registry;
mod rejection;
mod report;
mod request;
mod request_id;
mod retirement;
mod server;
mod shutdown;
mod signals;
mod socket;
mod stage;
mod stream;
#[cfg(all(unix, feature = "cli"))]
mod succession;
#[cfg(not(all(unix, feature = "cli")))]
#[path = "no_succession.rs"]
mod succession;
#[cfg(test)]
mod test_app;
#[cfg(feature = "tls")]
mod tls;
pub mod trace;
mod websocket;

pub use access_log::ACCESS_LOG_TARGET;
pub use callgate_drive::websocket::PerMessageDeflate;
pub use config::{BindAddress, Config, HttpVersions, LifespanMode};
pub use error::ServeError;
pub use listener::{IntoListener, ListenAddr};
pub use monitoring::Monitoring;
#[cfg(feature = "metrics")]
pub use prometheus_client;
pub use proxy::{InvalidTrustedPeers, ProxyHeaderFamily, ProxyProtocol, TrustedPeers};
pub use server::{Server, serve};
pub use shutdown::ServerHandle;
#[cfg(feature = "tls")]
pub use tls::TlsError;

/// The examples of the README are compiled and run as doctests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
