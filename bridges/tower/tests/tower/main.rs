//! The bridge, in process and over real sockets.

mod background;
mod extensions;
mod grpc;
mod http;
mod http2;
mod injection;
mod layered;
mod service;
mod service_websocket;
mod service_websocket_deflate;
mod service_websocket_shutdown;
mod sockets;
mod support;
mod websocket;
