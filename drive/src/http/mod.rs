//! HTTP exchanges: an [`Exchange`] polls the application and returns the response.
//!
//! An application and its server share a mailbox. The application uses it as a
//! [`Channel`](callgate::Channel). The server uses it through the exchange until the response
//! starts, and through the [`ResponseBody`](crate::ResponseBody) while the response is streamed.

mod content;
mod exchange;
#[cfg(all(test, callgate_loom))]
mod loom_tests;
mod mailbox;
mod response;
mod state;
#[cfg(all(test, not(callgate_loom)))]
mod tests;

pub use content::{Content, ErrorStatus};
pub use exchange::Exchange;
pub use response::Response;
