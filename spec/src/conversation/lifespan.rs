use super::foreign;
use crate::rule::{self, Rule};
use crate::{SendError, SendEvent, Violation};

/// What an application has answered to lifespan events, and so what it may send next.
#[derive(Clone, Debug, Default)]
pub struct LifespanConversation {
    phase: LifespanPhase,
}

/// How far a server's life has come.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum LifespanPhase {
    /// Start-up has not been answered.
    #[default]
    Starting,
    /// Start-up is complete.
    Started,
    /// Start-up has failed. The end.
    StartupFailed,
    /// `lifespan.shutdown` has been received and not been answered.
    ShuttingDown,
    /// Shutdown has been answered. The end.
    ShutDown,
    /// A rule has been broken; nothing can be sent any more.
    Broken(Violation),
    /// The call has returned.
    Returned,
}

impl LifespanConversation {
    /// The conversation at its beginning.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Where it stands.
    #[must_use]
    pub fn phase(&self) -> &LifespanPhase {
        &self.phase
    }

    /// Notes that the application has received `lifespan.shutdown`.
    pub fn shutdown_received(&mut self) {
        if self.phase == LifespanPhase::Started {
            self.phase = LifespanPhase::ShuttingDown;
        }
    }

    /// Shows the conversation an event that the application sends.
    ///
    /// # Errors
    ///
    /// The reason why it may not go out. After a violation every later event fails with the same.
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

    /// Shows the conversation that the application returned successfully. Returning after start-up
    /// is allowed, if unwise (rule `LIFE-14`).
    ///
    /// # Errors
    ///
    /// When an answer is owed.
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
