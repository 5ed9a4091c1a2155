//! What an application saw and did in one call, as the transcript and the model of the protocol
//! are shown it.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use callgate::rule::Role;
use callgate::{Feature, Scope, SendError, SendEvent, Violation, rule};
use http::HeaderValue;

use super::bench::Log;
use crate::probe::{End, PROBE_FIELD, SentOutcome, Step, Told};
use crate::{Model, scope_violations};
use callgate::transcript::Entry;

/// Follows one call of the probe by what it was told to do and what it tells.
#[derive(Debug)]
pub(super) struct Witness {
    /// None once something happened of which nobody can tell when.
    model: Option<Model>,
    /// What the request brought along is sent in order.
    brought: VecDeque<SendEvent>,
    /// What the commands send, until it is told what came of it.
    sending: HashMap<u64, SendEvent>,
    log: Log,
}

impl Witness {
    pub(super) fn new(scope: &Scope, log: Log) -> Self {
        let witness = Self {
            model: Some(Model::new(scope)),
            brought: brought(scope).into(),
            sending: HashMap::new(),
            log,
        };
        witness.blame(scope_violations(scope));
        witness
    }

    /// The probe is commanded to take this step.
    pub(super) fn commanded(&mut self, step: u64, what: &Step) {
        if let Some(event) = what.event() {
            self.sending.insert(step, event);
        }
        // They are told in any order.
        if matches!(what, Step::SendAtOnce(_)) {
            self.model = None;
        }
    }

    /// The probe tells this.
    pub(super) fn told(&mut self, told: &Told) {
        match told {
            Told::Received { event, .. } => {
                self.log.push(Entry::Received(event.clone()));
                let broken = self.model.as_mut().map(|model| model.received(event));
                self.blame(broken.unwrap_or_default());
            }
            Told::Sent { step, outcome, .. } => {
                let event = match step {
                    Some(step) => self.sending.remove(step),
                    None => self.brought.pop_front(),
                };
                self.sent(event, outcome);
            }
            Told::Ended { how, .. } => {
                self.log.note(format!("the call ended: {how:?}"));
                let broken = self.model.as_mut().map(|model| match how {
                    End::AsTold => model.returned(&Ok(())),
                    End::Dropped => model.dropped(),
                });
                self.blame(broken.unwrap_or_default());
            }
            Told::Hello { .. } | Told::Called { .. } | Told::Done { .. } => {}
        }
    }

    fn sent(&mut self, event: Option<SendEvent>, outcome: &SentOutcome) {
        let broken = match (&mut self.model, &event, result(outcome)) {
            (Some(model), Some(event), Some(result)) => model.sent(event, &result),
            _ => {
                self.model = None;
                Vec::new()
            }
        };
        self.log.push(match (event, outcome) {
            (Some(event), SentOutcome::Delivered) => Entry::Sent(event, Ok(())),
            (event, outcome) => {
                let name = event.map_or("an event".into(), |event| {
                    format!("`{}`", event.type_name())
                });
                Entry::Note(format!("sending {name} came to {outcome:?}"))
            }
        });
        self.blame(broken);
    }

    /// Notes what the server has broken; the application does what the case says.
    fn blame(&self, broken: Vec<Violation>) {
        for violation in broken {
            if violation.rule.role == Role::Server {
                self.log.blame(violation);
            }
        }
    }
}

/// The events of the steps that the request brought along.
fn brought(scope: &Scope) -> Vec<SendEvent> {
    let field = scope.headers().and_then(|fields| fields.get(PROBE_FIELD));
    let steps = field.map(HeaderValue::as_bytes).unwrap_or_default();
    let steps: Vec<Step> = serde_json::from_slice(steps).unwrap_or_default();
    steps.iter().filter_map(Step::event).collect()
}

/// What a send came to, where that can be said in the protocol's own words.
fn result(outcome: &SentOutcome) -> Option<Result<(), SendError>> {
    let error = match outcome {
        SentOutcome::Delivered => return Some(Ok(())),
        SentOutcome::Disconnected => SendError::Disconnected,
        SentOutcome::Violation(id) => SendError::Violation(Violation::new(rule::by_id(id)?, "")),
        SentOutcome::NotOffered(name) => {
            let mut all = Feature::ALL.into_iter();
            SendError::NotOffered(all.find(|feature| feature.name() == name)?)
        }
        SentOutcome::File => SendError::File {
            path: PathBuf::new(),
            reason: Arc::new(io::ErrorKind::NotFound.into()),
        },
        SentOutcome::Failed(_) => return None,
    };
    Some(Err(error))
}
