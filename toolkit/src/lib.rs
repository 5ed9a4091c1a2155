//! # Callgate: the toolkit
//!
//! What authors of applications reach for, beyond scope, receiver and sender. Each part stands alone,
//! and all of them work on any server:
//!
//! | Module | What it has | Feature |
//! | --- | --- | --- |
//! | [`read`] | The content of a request: whole with a limit, as JSON, as a form | `json`, `form` |
//! | [`respond`] | Bytes, text, HTML, JSON, redirects; any stream | `json` |
//! | [`file`](mod@file) | Files, whole or in ranges, sent by the server where it offers that | `file` |
//! | [`sse`] | Server-sent events, with keep-alive | |
//! | [`websocket`] | A WebSocket as a `Stream` and a `Sink` | |
//! | [`mount`] | Several applications as one, by path prefix | |
//! | [`middleware`] | Seeing and changing what passes | |
//! | [`errors`] | Failed calls answered with JSON | `json` |
//! | [`blocking`] | Blocking functions, on a bounded pool of threads | `blocking` |
//! | [`lifespan`] | Something opened at start-up and closed at shutdown; start-up and shutdown driven from inside a program | |
//! | [`test_client`] | Any application driven in process, without a socket, with a transcript | `test-client` |
//!
//! The features `file`, `form` and `json` are on by default. It is not a framework: routing beyond
//! prefixes, extractors and validation are those of other crates.
//!
//! ```
//! use callgate::{AppError, Receiver, Scope, Sender};
//! use callgate_toolkit::{read, respond};
//!
//! async fn app(scope: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
//!     let Scope::Http(scope) = scope else {
//!         return Err(AppError::Unsupported);
//!     };
//!     let name = read::read_body(&mut receiver, 1024).await?;
//!     let greeting = format!("Hello, {}!\n", String::from_utf8_lossy(&name));
//!     respond::text(greeting).header("cache-control", "no-store").send(&sender).await?;
//!
//!     // Work after the response. The client has it all and does not wait; a server that shuts
//!     // down does (rules `HTTP-35` and `HTTP-36`).
//!     println!("{} was greeted", scope.path());
//!     Ok(())
//! }
//! ```
//!
//! # Work after the response
//!
//! It needs no helper: it is what stands after the last send, as above. Its errors are reported
//! like any other, and shutdown waits for it. What is spawned onto a task of its own instead is
//! neither reported nor waited for.

mod call;

#[cfg(feature = "blocking")]
pub mod blocking;
#[cfg(feature = "json")]
pub mod errors;
#[cfg(feature = "file")]
pub mod file;
pub mod lifespan;
pub mod middleware;
pub mod mount;
pub mod read;
pub mod respond;
pub mod sse;
#[cfg(feature = "test-client")]
pub mod test_client;
pub mod websocket;
