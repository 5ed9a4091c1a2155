//! An application as a tower service.

mod detach;
mod http;
mod replacement;
mod scope;
mod service;
mod websocket;

pub use self::service::{AppService, ResponseFuture};
