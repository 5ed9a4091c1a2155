//! WebSockets: the handshake, which is an HTTP exchange, and the session that follows it.

mod handshake;
mod session;

pub(crate) use handshake::{Handshake, Response};
#[cfg(feature = "http2")]
pub(crate) use session::run;
pub(crate) use session::{AcceptedWebSocket, run_over_http1};
