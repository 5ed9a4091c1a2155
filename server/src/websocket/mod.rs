//! WebSockets: the handshake, which is an HTTP exchange, and the session that follows it.

mod handshake;
mod session;
mod watched;

pub(crate) use handshake::Handshake;
pub(crate) use session::Session;
