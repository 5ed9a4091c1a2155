//! # Callgate: the toolkit
//!
//! The library for authors of applications, on top of scope, receiver and sender. Each module stands alone
//! and works on any server:
//!
//! | Module | Purpose | Feature |
//! | --- | --- | --- |
//! | [`read`] | Reads a request: bytes, text, JSON, forms, the query, cookies | `json`, `form` |
//! | [`respond`] | Responds with bytes, text, HTML, JSON, redirects, streams | `json` |
//! | [`file`](mod@file) | Responds with files, whole or in ranges; serves directories | `file` |
//! | [`sse`] | Responds with server-sent events | |
//! | [`cookies`](mod@cookies) | Reads and sets cookies | `cookies` |
//! | [`multipart`](mod@multipart) | Reads multipart forms, such as uploaded files | `multipart` |
//! | [`websocket`] | Accepts WebSockets, each as a `Stream` and a `Sink` | |
//! | [`channels`] | WebSockets in groups, over one or many processes | `channels` |
//! | [`mount`] | Several applications as one, by path prefix | `lifespan` |
//! | [`middleware`] | Code between server and application: hosts, origins, limits, time-outs, CORS | |
//! | [`errors`] | Responds to errors with JSON | `json` |
//! | [`blocking`] | Blocking functions on a bounded pool of threads | `blocking` |
//! | [`lifespan`] | A resource that is opened at start-up and closed at shutdown | `lifespan` |
//! | [`test_client`] | Drives any application in process, without a socket, with a transcript | `test-client` |
//!
//! The features `file`, `form`, `json` and `lifespan` are on by default. The toolkit is not a framework:
//! routing beyond prefixes, extractors and validation are left to other crates.
//!
//! ```
//! use callgate::{AppError, Receiver, Scope, Sender};
//! use callgate_toolkit::{read, respond};
//!
//! async fn app(scope: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
//!     let scope = scope.into_http()?;
//!     let name = read::text(&mut receiver, 1024).await?;
//!     let response = respond::text(format!("Hello, {name}!\n"));
//!     response.header("cache-control", "no-store").send(&sender).await?;
//!
//!     // Work after the response. The client has the whole response and does not wait. A server that
//!     // shuts down waits (rules `HTTP-35` and `HTTP-36`).
//!     println!("{} was greeted at {}", name, scope.path());
//!     Ok(())
//! }
//! ```
//!
//! # Work after the response
//!
//! An application works after its response by statements after the last send, as above. An error of that
//! work is reported like any other, and a shutdown waits for it. Work on a spawned task is neither
//! reported nor waited for.

mod interruption;
mod random;
mod response;
mod stream;
mod vary;

#[cfg(feature = "blocking")]
pub mod blocking;
#[cfg(feature = "channels")]
pub mod channels;
#[cfg(feature = "cookies")]
pub mod cookies;
#[cfg(feature = "json")]
pub mod errors;
#[cfg(feature = "file")]
pub mod file;
#[cfg(feature = "lifespan")]
pub mod lifespan;
pub mod middleware;
#[cfg(feature = "lifespan")]
pub mod mount;
#[cfg(feature = "multipart")]
pub mod multipart;
pub mod read;
pub mod respond;
pub mod sse;
#[cfg(feature = "test-client")]
pub mod test_client;
pub mod websocket;
