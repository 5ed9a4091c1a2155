//! An application of WSGI (PEP 3333) as an application of the protocol.
//!
//! The server runs on threads without Python, and the application on a bounded number of threads of Python
//! ([`pool`]). Each request is an [`exchange`]: the server puts it into a queue, and passes content and responses on for the
//! thread that serves it. The server never waits for Python, and a thread never does what the server does. A response that is
//! there at once crosses over once, under load with those of other exchanges ([`relay`]).

mod app;
mod environ;
mod exchange;
mod file;
mod input;
mod pool;
mod relay;
mod response;
mod run;

pub(crate) use self::app::WsgiApp;
pub(crate) use self::pool::Parts;
