//! An application of ASGI as an application of the protocol.

mod app;
mod awaitable;
mod call;
mod callables;
mod cancelled;
mod channel;
mod event;
mod exception;
mod progress;
mod scope;
mod steps;
mod tasks;

pub(crate) use self::app::{Interpreter, LoopApp, Offer, Parts};
pub(crate) use self::call::ClientDisconnected;
pub(crate) use self::callables::{Receive, Send};
pub(crate) use self::event::octets;
pub(crate) use self::exception::Exception;
#[cfg(feature = "wheel")]
pub(crate) use self::exception::formatted_by;
pub(crate) use self::scope::{method, scheme};
pub(crate) use self::steps::Steps;
