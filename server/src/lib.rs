//! # Callgate: the reference server
//!
//! HTTP/1.1, HTTP/2 and WebSocket on one port, for any [`callgate::App`].
//!
//! A program of your own gets the whole command line from one call:
//!
//! ```no_run
//! use callgate::{AppError, HttpResponseBody, HttpResponseStart, Receiver, Scope, Sender};
//!
//! async fn hello(scope: Scope, _receiver: Receiver, sender: Sender) -> Result<(), AppError> {
//!     let Scope::Http(_) = scope else {
//!         return Err(AppError::Unsupported);
//!     };
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
//! A program that has a runtime already calls [`serve`], or [`Listening`] to decide itself when to
//! stop. How an exchange goes through the server is told in `ARCHITECTURE.md` of the repository.

#[cfg(feature = "cli")]
pub mod cli;
mod config;
mod connection;
mod exchange;
mod lifespan;
mod link;
mod rejection;
mod report;
mod request;
mod request_body;
mod response_body;
mod serve;
mod server;
mod service;
mod socket;
mod stage;
mod watchdog;
mod websocket;

pub use config::{Config, HttpVersions, Lifespan};
pub use serve::{Listening, ServeError, serve};
