//! HTTP exchanges: an [`Exchange`] polls the application and says what to respond with.
//!
//! Between an application and its server is a mailbox, which both share. The application's end is the
//! [`Channel`](callgate::Channel). The server's end is the exchange until the response starts, and
//! the [`ResponseBody`](crate::ResponseBody) while it is streamed.

mod exchange;
#[cfg(all(test, callgate_loom))]
mod loom_tests;
mod mailbox;
mod state;
#[cfg(all(test, not(callgate_loom)))]
mod tests;

pub use exchange::{Content, ErrorStatus, Exchange, Response};
