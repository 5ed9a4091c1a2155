//! The lifespan of an events application: variables are fetched at start-up, and until shutdown the
//! schedule and the retries of jobs run.

use std::pin::pin;

use callgate::{
    AppError, LifespanShutdownComplete, LifespanStartupComplete, ReceiveEvent, Receiver, Sender,
    State,
};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};

use super::app::EventsApp;
use super::job::{Job, RetryQueue, Trigger};

/// The number of jobs that wait for their next attempt at a time.
const MAX_WAITING: usize = 1000;

impl EventsApp {
    /// Serves the lifespan.
    pub(super) async fn run_lifespan(
        &self,
        mut receiver: Receiver,
        sender: Sender,
    ) -> Result<(), AppError> {
        while receiver.receive().await != ReceiveEvent::LifespanStartup {}
        let variables = &self.context.variables;
        // If Connect is down, events are handled all the same, and the variables are fetched later.
        let failure = variables.synchronise().await.err();
        let mut is_synchronised = failure.is_none();
        let mut synchronising = pin!(variables.keep_synchronising(failure));

        let (retries, mut queued) = RetryQueue::new(MAX_WAITING);
        let mut state = State::new();
        state.insert(retries.clone());
        let complete = LifespanStartupComplete::with_state(state);
        sender.send(complete).await?;

        let mut schedule = interval_at(Instant::now() + self.period, self.period);
        schedule.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut waiting = FuturesUnordered::new();
        let mut running = JoinSet::new();
        let start = |running: &mut JoinSet<()>, job| {
            let (app, retries) = (self.clone(), retries.clone());
            running.spawn(async move { app.run_job(job, Some(&retries)).await });
        };
        loop {
            tokio::select! {
                event = receiver.receive() => {
                    if event == ReceiveEvent::LifespanShutdown {
                        break;
                    }
                }
                _ = schedule.tick() => {
                    for method in self.registry.schedulables() {
                        let name = format!("Schedule {method}");
                        start(&mut running, Job::new(name, Trigger::Schedulable(method)));
                    }
                }
                Some((countdown, job)) = queued.recv(), if waiting.len() < MAX_WAITING => {
                    waiting.push(async move {
                        sleep(countdown).await;
                        job
                    });
                }
                Some(job) = waiting.next() => start(&mut running, job),
                Some(_) = running.join_next() => {}
                () = &mut synchronising, if !is_synchronised => is_synchronised = true,
            }
        }
        // Shutdown waits for jobs that run, and not for jobs that wait for their next attempt.
        if !waiting.is_empty() {
            tracing::warn!(
                "{} jobs that waited for another attempt are dropped",
                waiting.len()
            );
        }
        while running.join_next().await.is_some() {}
        Ok(sender.send(LifespanShutdownComplete::new()).await?)
    }
}
