use super::foreign;
use crate::rule::{self, Rule};
use crate::{SendError, SendEvent, Violation};

/// The state of one lifespan, which determines the events that the application may send next.
#[derive(Clone, Debug, Default)]
pub struct LifespanConversation {
    phase: LifespanPhase,
}

/// The phase of a lifespan.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum LifespanPhase {
    /// The application has not replied to `lifespan.startup`.
    #[default]
    Starting,
    /// Start-up is complete.
    Started,
    /// Start-up has failed. This phase is final.
    StartupFailed,
    /// The application has received `lifespan.shutdown` and has not replied.
    ShuttingDown,
    /// The application has replied to `lifespan.shutdown`. This phase is final.
    ShutDown,
    /// The application has broken a rule. Every later send fails.
    Broken(Violation),
    /// The call has returned. Every later send fails.
    Returned,
}

impl LifespanConversation {
    /// Creates a conversation in the phase [`Starting`](LifespanPhase::Starting).
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the current phase.
    #[must_use]
    pub fn phase(&self) -> &LifespanPhase {
        &self.phase
    }

    /// Records that the application has received `lifespan.shutdown`.
    pub fn shutdown_received(&mut self) {
        if self.phase == LifespanPhase::Started {
            self.phase = LifespanPhase::ShuttingDown;
        }
    }

    /// Checks an event that the application sends, and advances the phase.
    ///
    /// # Errors
    ///
    /// Returns the reason for which the event must not be delivered. After a violation, every later
    /// event fails with the same violation.
    pub fn send(&mut self, event: &SendEvent) -> Result<(), SendError> {
        match &self.phase {
            LifespanPhase::Returned => return Err(SendError::Disconnected),
            LifespanPhase::Broken(violation) => {
                return Err(SendError::Violation(violation.clone()));
            }
            _ => {}
        }
        match self.next(event) {
            Ok(phase) => {
                self.phase = phase;
                Ok(())
            }
            Err(violation) => {
                self.phase = LifespanPhase::Broken(violation.clone());
                Err(violation.into())
            }
        }
    }

    fn next(&self, event: &SendEvent) -> Result<LifespanPhase, Violation> {
        match event {
            SendEvent::LifespanStartupComplete(_) => {
                self.answer_startup().map(|()| LifespanPhase::Started)
            }
            SendEvent::LifespanStartupFailed(_) => {
                self.answer_startup().map(|()| LifespanPhase::StartupFailed)
            }
            SendEvent::LifespanShutdownComplete(_) | SendEvent::LifespanShutdownFailed(_) => {
                self.answer_shutdown().map(|()| LifespanPhase::ShutDown)
            }
            other => Err(foreign(other, "a lifespan")),
        }
    }

    fn answer_startup(&self) -> Result<(), Violation> {
        match self.phase {
            LifespanPhase::Starting => Ok(()),
            _ => Err(Violation::new(
                rule::STARTUP_IS_ANSWERED,
                "start-up was answered more than once",
            )),
        }
    }

    fn answer_shutdown(&self) -> Result<(), Violation> {
        let (rule, detail): (&'static Rule, _) = match self.phase {
            LifespanPhase::ShuttingDown => return Ok(()),
            LifespanPhase::ShutDown => (
                rule::SHUTDOWN_IS_ANSWERED,
                "shutdown was answered more than once",
            ),
            _ => (
                rule::ANSWER_IN_TURN,
                "shutdown was answered before `lifespan.shutdown` was received",
            ),
        };
        Err(Violation::new(rule, detail))
    }

    /// Records that the call has returned successfully. A return between start-up and shutdown is
    /// permitted, although rule `LIFE-14` advises against it.
    ///
    /// # Errors
    ///
    /// Returns the rule that the call has broken: by returning without a reply, or by an earlier
    /// send.
    pub fn returned(&mut self) -> Result<(), Violation> {
        let phase = std::mem::replace(&mut self.phase, LifespanPhase::Returned);
        match phase {
            LifespanPhase::Starting => Err(Violation::new(
                rule::STARTUP_IS_ANSWERED,
                "the application returned without answering `lifespan.startup`",
            )),
            LifespanPhase::ShuttingDown => Err(Violation::new(
                rule::SHUTDOWN_IS_ANSWERED,
                "the application returned without answering `lifespan.shutdown`",
            )),
            LifespanPhase::Broken(violation) => Err(violation),
            _ => Ok(()),
        }
    }
}
