//! Replaying an exchange to the application as it runs now.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use callgate::{App, AppError, BoxApp, Receiver, Scope, Sender};
use callgate_conformance::{
    ReplayDifference, ReplayError, ReplayOptions, call_observed, replay_running,
};

use crate::exchange::{Exchange, ExchangeKind};
use crate::export;
use crate::inspected::Observer;
use crate::inspector::Inspector;
use crate::shared::Shared;
use crate::subject::{Running, Subject};

/// The longest time that a replay may take.
const REPLAY_LIMIT: Duration = Duration::from_secs(30);

/// The result of a replay.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Replayed {
    /// The number of the exchange that replays the other one, if it is still kept.
    pub exchange: Option<u64>,
    /// The first difference between the two, if there is one.
    pub difference: Option<ReplayDifference>,
    /// Whether the request was sent with masked credentials, which the application may have refused.
    pub is_masked: bool,
}

/// The reason for which an exchange cannot be replayed.
#[derive(Debug)]
#[non_exhaustive]
pub enum CannotReplay {
    /// The exchange is no longer kept.
    Gone,
    /// The exchange is a lifespan: a running application is not started up again.
    Lifespan,
    /// The exchange has not ended.
    Running,
    /// Not everything of the exchange is kept, so that a difference would mean nothing.
    NotWhole,
    /// The application does not run any more, or there has been no exchange since it started.
    NoApplication,
    /// The replay has failed.
    Failed(ReplayError),
    /// The replay took longer than 30 seconds.
    TimedOut,
}

impl fmt::Display for CannotReplay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gone => "the exchange is no longer kept",
            Self::Lifespan => "a running application is not started up again",
            Self::Running => "the exchange has not ended",
            Self::NotWhole => {
                "a part of the exchange was left out or shortened, so it cannot be compared"
            }
            Self::NoApplication => "the application does not run",
            Self::Failed(error) => return write!(f, "{error}"),
            Self::TimedOut => "the replay took longer than 30 seconds",
        })
    }
}

impl Error for CannotReplay {}

impl Inspector {
    /// Returns whether an exchange can be replayed.
    ///
    /// # Errors
    ///
    /// Why it cannot.
    pub fn can_replay(&self, number: u64) -> Result<(), CannotReplay> {
        let exchange = self.exchange(number).ok_or(CannotReplay::Gone)?;
        self.replay_subject(&exchange).map(drop)
    }

    /// Returns the application of an exchange that can be replayed, and what the application runs with.
    pub(crate) fn replay_subject(
        &self,
        exchange: &Exchange,
    ) -> Result<(Arc<Subject>, Running), CannotReplay> {
        if exchange.summary.kind == ExchangeKind::Lifespan {
            return Err(CannotReplay::Lifespan);
        }
        if exchange.summary.end.is_none() {
            return Err(CannotReplay::Running);
        }
        if !exchange.is_whole() {
            return Err(CannotReplay::NotWhole);
        }
        let subject = self.subject(exchange.summary.number);
        let subject = subject.ok_or(CannotReplay::NoApplication)?;
        let running = subject.running().ok_or(CannotReplay::NoApplication)?;
        Ok((subject, running))
    }

    /// Replays an exchange to its application as it runs now, with its state and on its runtime, and compares the
    /// two, as [`callgate_conformance::replay()`] does. The application does again what it does for this request.
    ///
    /// The replay is an exchange of its own, which is kept even if nobody looks.
    ///
    /// # Errors
    ///
    /// When the exchange [cannot be replayed](Self::can_replay), or the replay fails.
    pub async fn replay(
        &self,
        number: u64,
        options: ReplayOptions,
    ) -> Result<Replayed, CannotReplay> {
        let exchange = self.exchange(number).ok_or(CannotReplay::Gone)?;
        let (subject, running) = self.replay_subject(&exchange)?;
        let recording = export::recording(&exchange);
        let replayed_as = Arc::new(Mutex::new(None));
        let app = BoxApp::new(ReplayedApp {
            subject,
            shared: self.shared().clone(),
            replay_of: number,
            replayed_as: replayed_as.clone(),
        });
        let task = running.runtime.spawn(async move {
            replay_running(recording.as_bytes(), &app, &running.state, options).await
        });
        let abort = AbortOnDrop(task.abort_handle());
        let replay = match tokio::time::timeout(REPLAY_LIMIT, task).await {
            Ok(Ok(result)) => result.map_err(CannotReplay::Failed)?,
            // The runtime of the application has ended.
            Ok(Err(_)) => return Err(CannotReplay::NoApplication),
            Err(_) => return Err(CannotReplay::TimedOut),
        };
        drop(abort);
        let exchange = *replayed_as.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Replayed {
            exchange,
            difference: replay.differences.into_iter().next(),
            is_masked: replay.masked_requests > 0,
        })
    }
}

struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The application of a replay, which is inspected.
struct ReplayedApp {
    subject: Arc<Subject>,
    shared: Arc<Shared>,
    replay_of: u64,
    /// The number of the exchange that is the replay.
    replayed_as: Arc<Mutex<Option<u64>>>,
}

impl App for ReplayedApp {
    async fn call(&self, scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        let observer = Observer::begin(&self.shared, &self.subject, &scope, Some(self.replay_of));
        *self
            .replayed_as
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(observer.number());
        call_observed(&self.subject.app, scope, receiver, sender, observer).await
    }
}
