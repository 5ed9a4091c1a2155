//! The `callgate-conformance` command from end to end.

mod app;
mod asgi;
mod asgi_app;
mod http;
mod list;
mod replay;
mod server;
mod support;
mod usage;
