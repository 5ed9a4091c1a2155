//! What happened in an exchange.

use callgate::rule::Rule;
use callgate::{AppError, Violation};

use super::Answer;
use crate::Failure;
use callgate::transcript::{Entry, Transcript};

/// An exchange that is over.
#[derive(Clone, Debug)]
pub(crate) struct Played {
    pub(crate) transcript: Transcript,
    pub(crate) broken: Vec<Broken>,
    pub(crate) outcome: Outcome,
    pub(crate) answer: Answer,
    /// Whether the application has sent its last event.
    pub(crate) is_complete: bool,
    /// Events received and sent.
    pub(crate) interactions: usize,
    /// Events that the client has taken.
    pub(crate) sends: usize,
    /// Whether the client went away because nothing happened for too long.
    pub(crate) is_slow: bool,
}

/// A rule, and where in the transcript it was broken.
#[derive(Clone, Debug)]
pub(crate) struct Broken {
    pub(crate) violation: Violation,
    /// Entries of the transcript up to the break.
    pub(crate) at: usize,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Returned,
    Declined,
    /// With the error of a client that is gone.
    Disconnected,
    Failed(String),
    Panicked(String),
    /// It did not end, and was dropped.
    Dropped,
    /// It did not give its thread back.
    Blocked,
}

impl From<&Result<(), AppError>> for Outcome {
    fn from(result: &Result<(), AppError>) -> Self {
        match result {
            Ok(()) => Self::Returned,
            Err(AppError::Unsupported) => Self::Declined,
            Err(error) if error.is_disconnected() => Self::Disconnected,
            Err(error) => Self::Failed(error.to_string()),
        }
    }
}

impl Played {
    /// How `rule` was broken here, if it was.
    pub(crate) fn failure(&self, rule: &Rule) -> Option<Failure> {
        let broken = self.broken.iter().find(|it| it.violation.rule == rule)?;
        Some(Failure::new(broken.violation.detail.clone()).after(self.transcript_up_to(broken.at)))
    }

    fn transcript_up_to(&self, at: usize) -> Transcript {
        let entries = self.transcript.entries();
        entries[..at.min(entries.len())].iter().cloned().collect()
    }

    /// A failure with all that happened.
    pub(crate) fn fail(&self, seen: impl Into<String>) -> Failure {
        Failure::new(seen).after(self.transcript.clone())
    }

    /// A failure that shows another exchange as well, which this one is compared with.
    pub(crate) fn fail_beside(&self, other: &Self, seen: impl Into<String>) -> Failure {
        let heading = |text: &str| Entry::Note(text.to_owned());
        let entries = [heading("the one:")]
            .into_iter()
            .chain(other.transcript.entries().iter().cloned())
            .chain([heading("the other:")])
            .chain(self.transcript.entries().iter().cloned());
        Failure::new(seen).after(entries.collect())
    }

    /// Whether the call did all that it owed.
    pub(crate) fn is_well(&self) -> bool {
        self.is_complete && self.outcome == Outcome::Returned && self.broken.is_empty()
    }

    /// How the call ended, in words.
    pub(crate) fn ending(&self) -> String {
        let how = match &self.outcome {
            Outcome::Returned => "returned".to_owned(),
            Outcome::Declined => "declined".to_owned(),
            Outcome::Disconnected => "returned that the client was gone".to_owned(),
            Outcome::Failed(error) => format!("failed ({error})"),
            Outcome::Panicked(message) => format!("panicked ({message})"),
            Outcome::Dropped => "did not end".to_owned(),
            Outcome::Blocked => "blocked its thread".to_owned(),
        };
        match self.broken.first() {
            Some(broken) => format!("{how} and broke {}", broken.violation.rule.id),
            None if self.is_complete => format!("{how} with its answer complete"),
            None => format!("{how} without a complete answer"),
        }
    }

    /// Whether the call did not end.
    pub(crate) fn is_dropped(&self) -> bool {
        matches!(self.outcome, Outcome::Dropped | Outcome::Blocked) && !self.broken.is_empty()
    }

    pub(crate) fn is_declined(&self) -> bool {
        self.outcome == Outcome::Declined
    }
}
