//! WebSockets: the handshake, which is an HTTP exchange, and the session that follows it.

mod handshake;
mod session;

pub(crate) use handshake::{Handshake, Response};
pub(crate) use session::{AcceptedWebSocket, run, run_over_http1};
