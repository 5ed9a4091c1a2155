//! The order in which events may come: one state machine for each kind of scope.
//!
//! A conversation is pure: it is shown each event that the application sends and answers whether it
//! may go out, and with which rule it breaks if not. Servers, test clients and the lint use the
//! same ones, so that they cannot disagree on what is allowed.

mod http;
mod lifespan;
mod websocket;

pub use http::{HttpConversation, HttpPhase};
pub use lifespan::{LifespanConversation, LifespanPhase};
pub use websocket::{WebSocketConversation, WebSocketPhase};

use crate::{SendEvent, Violation, rule};

/// An event that belongs to another kind of scope.
fn foreign(event: &SendEvent, scope: &str) -> Violation {
    Violation::new(
        rule::FOREIGN_EVENT,
        format!("`{}` was sent in {scope} scope", event.type_name()),
    )
}
