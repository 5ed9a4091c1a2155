//! Jobs, and the queue of those that wait for another attempt.

use std::time::Duration;

use tokio::sync::mpsc;

use super::registry::Event;

/// Work whose result no client waits for.
#[derive(Clone, Debug)]
pub(super) struct Job {
    /// The name in the log.
    pub(super) name: String,
    pub(super) trigger: Trigger,
    /// The number of this attempt, from 1.
    pub(super) attempt: u32,
}

/// The cause of a job, which names the function that it runs.
#[derive(Clone, Debug)]
pub(super) enum Trigger {
    /// The handler of an event.
    Event(Event),
    /// A schedulable of this name.
    Schedulable(&'static str),
}

impl Job {
    /// Creates a job for its first attempt.
    pub(super) fn new(name: String, trigger: Trigger) -> Self {
        Self {
            name,
            trigger,
            attempt: 1,
        }
    }

    pub(super) fn next_attempt(&self) -> Self {
        Self {
            attempt: self.attempt + 1,
            ..self.clone()
        }
    }
}

/// The longest time before the next attempt of a job.
const MAX_COUNTDOWN: Duration = Duration::from_secs(60 * 60);

/// The queue of jobs that wait for their next attempt. It is in the state of each scope.
#[derive(Clone, Debug)]
pub(super) struct RetryQueue(mpsc::Sender<(Duration, Job)>);

impl RetryQueue {
    /// Creates a queue for this number of jobs. The receiver yields each job with its countdown.
    pub(super) fn new(capacity: usize) -> (Self, mpsc::Receiver<(Duration, Job)>) {
        let (sender, receiver) = mpsc::channel(capacity);
        (Self(sender), receiver)
    }

    /// Queues a job for another attempt after `countdown`. Returns `false` if too many jobs wait.
    pub(super) fn push(&self, countdown: Duration, job: Job) -> bool {
        self.0.try_send((countdown.min(MAX_COUNTDOWN), job)).is_ok()
    }
}
