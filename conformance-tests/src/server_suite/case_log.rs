//! The transcript of the case that runs, and the violations that the model found in it.

use std::sync::{Arc, Mutex, MutexGuard};

use callgate::Violation;
use callgate::rule::Rule;
use callgate::transcript::{Entry, Transcript};

use crate::Failure;

/// Collects what clients and probe see in the case that runs. Clones share one log.
#[derive(Clone, Debug, Default)]
pub(crate) struct CaseLog(Arc<Mutex<Observations>>);

#[derive(Debug, Default)]
pub(crate) struct Observations {
    pub(crate) transcript: Transcript,
    /// The rules that the server broke, by the model of the protocol.
    pub(crate) violations: Vec<(&'static Rule, Failure)>,
    /// Whether the server passed a scope that no scope can be.
    pub(crate) has_malformed_scope: bool,
}

impl CaseLog {
    pub(crate) fn push(&self, entry: Entry) {
        self.lock().transcript.push(entry);
    }

    pub(crate) fn note(&self, note: impl Into<String>) {
        self.push(Entry::Note(note.into()));
    }

    /// Records that the latest entry of the transcript breaks a rule.
    pub(crate) fn record_violation(&self, violation: Violation) {
        let mut observations = self.lock();
        let failure = Failure::new(violation.detail).after(observations.transcript.clone());
        observations.violations.push((violation.rule, failure));
    }

    pub(crate) fn record_malformed_scope(&self) {
        self.lock().has_malformed_scope = true;
    }

    /// Returns the collected entries, and empties the log.
    pub(crate) fn take(&self) -> Observations {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Observations> {
        self.0.lock().expect("never held across a panic")
    }
}
