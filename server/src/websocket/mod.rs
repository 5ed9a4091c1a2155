//! WebSockets: the handshake, which is an HTTP exchange, and the session that follows it.

mod handshake;
mod session;

pub(crate) use handshake::Handshake;
pub(crate) use session::{AcceptedWebSocket, run_over_http1};
