//! The `callgate-conformance` command from end to end.

mod app;
mod asgi;
mod http;
mod list;
mod replay;
mod server;
mod support;
mod usage;
