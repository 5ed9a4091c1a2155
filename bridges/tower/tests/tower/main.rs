//! The bridge, in process and over real sockets.

mod http;
mod sockets;
mod support;
mod websocket;
