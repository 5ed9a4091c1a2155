//! WebSocket sessions over a connection in memory, with a client of another library.

mod deflate;
mod liveness;
mod messages;
mod support;
