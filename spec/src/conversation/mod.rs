//! The permitted order of events: one state machine for each kind of scope.
//!
//! A conversation does no I/O. A conversation checks each event that the application sends, and
//! returns the rule that the event breaks, if any. Servers, test clients and the lint use the same
//! conversations, so they agree on the permitted events.

mod http;
mod lifespan;
mod websocket;

pub use http::{HttpConversation, HttpPhase};
pub use lifespan::{LifespanConversation, LifespanPhase};
pub use websocket::{WebSocketConversation, WebSocketPhase};

use crate::{SendEvent, Violation, rule};

/// Returns the violation for an event that belongs to another kind of scope.
fn foreign(event: &SendEvent, scope: &str) -> Violation {
    Violation::new(
        rule::FOREIGN_EVENT,
        format!("`{}` was sent in {scope} scope", event.type_name()),
    )
}
