//! WebSocket sessions over a connection in memory, with a client of another library.

mod liveness;
mod messages;
mod support;
