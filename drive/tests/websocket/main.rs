//! WebSocket sessions over a connection in memory, with a client of another library.

mod bounds;
mod deflate;
mod liveness;
mod messages;
mod polls;
mod support;
