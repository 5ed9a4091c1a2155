//! An application of ASGI as an application of the protocol.

mod app;
mod awaitable;
mod call;
mod cancelled;
mod event;
mod resumer;
mod scope;

pub(crate) use self::app::{AsgiApp, Interpreter, Parts};
pub(crate) use self::call::{ClientDisconnected, Receive, Send};
pub(crate) use self::resumer::Resumer;
