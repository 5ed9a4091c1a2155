//! The observation of one exchange.

use callgate::Violation;
use callgate::rule::Rule;
use callgate::transcript::{Entry, Transcript};

use super::app_output::AppOutput;
use crate::call_end::CallEnd;
use crate::check::Failure;

/// An exchange that has ended, as the driver saw it.
#[derive(Clone, Debug)]
pub(crate) struct Observation {
    pub(crate) transcript: Transcript,
    pub(crate) violations: Vec<LocatedViolation>,
    pub(crate) end: CallEnd,
    /// The error or the panic that the call ended with.
    pub(crate) error: Option<String>,
    pub(crate) output: AppOutput,
    /// Whether the application has sent its last event.
    pub(crate) is_complete: bool,
    /// The number of events received and sent.
    pub(crate) event_count: usize,
    /// The number of sent events that the client has taken.
    pub(crate) send_count: usize,
    /// Whether the client disconnected because the application did nothing for too long.
    pub(crate) has_timed_out: bool,
}

/// A broken rule, and its place in the transcript.
#[derive(Clone, Debug)]
pub(crate) struct LocatedViolation {
    pub(crate) violation: Violation,
    /// The number of transcript entries up to the violation.
    pub(crate) entry_count: usize,
}

impl Observation {
    /// Returns how `rule` was broken, if it was, with the transcript up to the violation.
    pub(crate) fn failure(&self, rule: &Rule) -> Option<Failure> {
        let located = self
            .violations
            .iter()
            .find(|it| it.violation.rule == rule)?;
        let entries = self.transcript.entries();
        let entries = &entries[..located.entry_count.min(entries.len())];
        let failure = Failure::new(located.violation.detail.clone());
        Some(failure.after(entries.iter().cloned().collect()))
    }

    /// Returns a failure with the whole transcript.
    pub(crate) fn fail(&self, seen: impl Into<String>) -> Failure {
        Failure::new(seen).after(self.transcript.clone())
    }

    /// Returns a failure with the transcripts of `first` and of this exchange, which were compared.
    pub(crate) fn fail_beside(&self, first: &Self, seen: impl Into<String>) -> Failure {
        let heading = |text: &str| Entry::Note(text.to_owned());
        let entries = [heading("the first exchange:")]
            .into_iter()
            .chain(first.transcript.entries().iter().cloned())
            .chain([heading("the second exchange:")])
            .chain(self.transcript.entries().iter().cloned());
        Failure::new(seen).after(entries.collect())
    }

    /// Returns whether the call completed its response, returned `Ok` and broke no rule.
    pub(crate) fn is_successful(&self) -> bool {
        self.is_complete && self.end == CallEnd::Returned && self.violations.is_empty()
    }

    /// Returns whether the call declined the scope.
    pub(crate) fn is_declined(&self) -> bool {
        self.end == CallEnd::Declined
    }

    /// Returns whether the call broke a rule by not ending.
    pub(crate) fn is_hanging(&self) -> bool {
        matches!(self.end, CallEnd::Dropped | CallEnd::Blocked) && !self.violations.is_empty()
    }

    /// Describes how the call ended, as the predicate of a sentence.
    pub(crate) fn end_description(&self) -> String {
        let error = self.error.as_deref().unwrap_or_default();
        let end = match self.end {
            CallEnd::Returned => "returned".to_owned(),
            CallEnd::Declined => "declined".to_owned(),
            CallEnd::Disconnected => "returned that the client had disconnected".to_owned(),
            CallEnd::Failed => format!("failed ({error})"),
            CallEnd::Panicked => format!("panicked ({error})"),
            CallEnd::ProcessEnded => "ended its process".to_owned(),
            CallEnd::Dropped => "did not end".to_owned(),
            CallEnd::Blocked => "blocked its thread".to_owned(),
        };
        match self.violations.first() {
            Some(located) => format!("{end} and broke {}", located.violation.rule.id),
            None if self.is_complete => format!("{end} with a complete response"),
            None => format!("{end} without a complete response"),
        }
    }
}
