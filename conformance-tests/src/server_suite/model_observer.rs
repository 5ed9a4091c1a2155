//! Shows one call of the probe to the transcript and to the model of the protocol.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use callgate::rule::Role;
use callgate::{Feature, Scope, SendError, SendEvent, Violation, rule};
use http::HeaderValue;

use super::case_log::CaseLog;
use crate::probe::{PROBE_FIELD, ProbeCallEnd, ProbeMessage, SendOutcome, Step};
use crate::{Model, scope_violations};
use callgate::transcript::Entry;

/// Follows one call of the probe by its commands and its messages.
#[derive(Debug)]
pub(super) struct ModelObserver {
    /// None once the order of events is unknown.
    model: Option<Model>,
    /// The events of the steps that the request brought along, which are sent in order.
    brought: VecDeque<SendEvent>,
    /// The events that commands send, by step, until their outcome is known.
    sending: HashMap<u64, SendEvent>,
    log: CaseLog,
}

impl ModelObserver {
    pub(super) fn new(scope: &Scope, log: CaseLog) -> Self {
        let observer = Self {
            model: Some(Model::new(scope)),
            brought: brought(scope).into(),
            sending: HashMap::new(),
            log,
        };
        observer.record(scope_violations(scope));
        observer
    }

    /// Takes notice of a command.
    pub(super) fn command(&mut self, step: u64, what: &Step) {
        if let Some(event) = what.event() {
            self.sending.insert(step, event);
        }
        // The messages of concurrent sends come in any order.
        if matches!(what, Step::SendAtOnce(_)) {
            self.model = None;
        }
    }

    /// Takes notice of a message.
    pub(super) fn observe(&mut self, message: &ProbeMessage) {
        match message {
            ProbeMessage::Received { event, .. } => {
                self.log.push(Entry::Received(event.clone()));
                let violations = self.model.as_mut().map(|model| model.received(event));
                self.record(violations.unwrap_or_default());
            }
            ProbeMessage::Sent { step, outcome, .. } => {
                let event = match step {
                    Some(step) => self.sending.remove(step),
                    None => self.brought.pop_front(),
                };
                self.sent(event, outcome);
            }
            ProbeMessage::Ended { how, .. } => {
                self.log.note(format!("the call ended: {how:?}"));
                let violations = self.model.as_mut().map(|model| match how {
                    ProbeCallEnd::AsCommanded => model.returned(&Ok(())),
                    ProbeCallEnd::Dropped => model.dropped(),
                });
                self.record(violations.unwrap_or_default());
            }
            ProbeMessage::Hello { .. }
            | ProbeMessage::Called { .. }
            | ProbeMessage::Done { .. } => {}
        }
    }

    fn sent(&mut self, event: Option<SendEvent>, outcome: &SendOutcome) {
        let violations = match (&mut self.model, &event, result(outcome)) {
            (Some(model), Some(event), Some(result)) => model.sent(event, &result),
            _ => {
                self.model = None;
                Vec::new()
            }
        };
        self.log.push(match (event, outcome) {
            (Some(event), SendOutcome::Delivered) => Entry::Sent(event, Ok(())),
            (event, outcome) => {
                let name = event.map_or("an event".into(), |event| {
                    format!("`{}`", event.type_name())
                });
                Entry::Note(format!("sending {name} resulted in {outcome:?}"))
            }
        });
        self.record(violations);
    }

    /// Records the violations of the server. A case intends the violations of the application.
    fn record(&self, violations: Vec<Violation>) {
        for violation in violations {
            if violation.rule.role == Role::Server {
                self.log.record_violation(violation);
            }
        }
    }
}

/// Returns the events of the steps that the request brought along.
fn brought(scope: &Scope) -> Vec<SendEvent> {
    let field = scope.headers().and_then(|fields| fields.get(PROBE_FIELD));
    let steps = field.map(HeaderValue::as_bytes).unwrap_or_default();
    let steps: Vec<Step> = serde_json::from_slice(steps).unwrap_or_default();
    steps.iter().filter_map(Step::event).collect()
}

/// Returns the outcome of a send as the protocol has it, where the protocol has it.
fn result(outcome: &SendOutcome) -> Option<Result<(), SendError>> {
    let error = match outcome {
        SendOutcome::Delivered => return Some(Ok(())),
        SendOutcome::Disconnected => SendError::Disconnected,
        SendOutcome::Violation(id) => SendError::Violation(Violation::new(rule::by_id(id)?, "")),
        SendOutcome::NotOffered(name) => {
            let mut all = Feature::ALL.into_iter();
            SendError::NotOffered(all.find(|feature| feature.name() == name)?)
        }
        SendOutcome::File => SendError::File {
            path: PathBuf::new(),
            reason: Arc::new(io::ErrorKind::NotFound.into()),
        },
        SendOutcome::Failed(_) => return None,
    };
    Some(Err(error))
}
