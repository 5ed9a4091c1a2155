//! The lifespan of an events application: variables are fetched at start-up, and until shutdown
//! what is on the schedule runs, and what was put off comes again.

use std::pin::pin;
use std::time::Duration;

use callgate::{
    AppError, LifespanStartupComplete, ReceiveEvent, Receiver, SendEvent, Sender, State,
};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};

use super::service::{Service, What, Work};

/// How much can have been put off at a time.
const MAX_WAITING: usize = 1000;

/// The longest that something is put off.
const MAX_COUNTDOWN: Duration = Duration::from_secs(60 * 60);

/// Where work goes that has to be tried again later. Each scope has it in its state.
#[derive(Clone, Debug)]
pub(super) struct Later(mpsc::Sender<(Duration, Work)>);

impl Later {
    /// Whether it will be tried again; not when too much waits for that already.
    pub(super) fn accept(&self, countdown: Duration, work: Work) -> bool {
        self.0
            .try_send((countdown.min(MAX_COUNTDOWN), work))
            .is_ok()
    }
}

impl Service {
    /// Lives through the lifespan.
    pub(super) async fn live(
        &self,
        mut receiver: Receiver,
        sender: Sender,
    ) -> Result<(), AppError> {
        while receiver.receive().await != ReceiveEvent::LifespanStartup {}
        let variables = &self.context.variables;
        // Connect may be down for a while. Events are handled meanwhile.
        let failure = variables.synchronise().await.err();
        let mut is_synchronised = failure.is_none();
        let mut synchronising = pin!(variables.keep_synchronising(failure));

        let (later, mut put_off) = mpsc::channel(MAX_WAITING);
        let later = Later(later);
        let mut state = State::new();
        state.insert(later.clone());
        let complete = LifespanStartupComplete::with_state(state);
        sender.send(complete).await?;

        let mut schedule = interval_at(Instant::now() + self.period, self.period);
        schedule.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut waiting = FuturesUnordered::new();
        let mut running = JoinSet::new();
        let start = |running: &mut JoinSet<()>, work| {
            let (service, later) = (self.clone(), later.clone());
            running.spawn(async move { service.work(work, Some(&later)).await });
        };
        loop {
            tokio::select! {
                event = receiver.receive() => {
                    if event == ReceiveEvent::LifespanShutdown {
                        break;
                    }
                }
                _ = schedule.tick() => {
                    for method in self.application.schedulables() {
                        let name = format!("Schedule {method}");
                        start(&mut running, Work::new(name, What::Schedulable(method)));
                    }
                }
                Some((countdown, work)) = put_off.recv(), if waiting.len() < MAX_WAITING => {
                    waiting.push(async move {
                        sleep(countdown).await;
                        work
                    });
                }
                Some(work) = waiting.next() => start(&mut running, work),
                Some(_) = running.join_next() => {}
                () = &mut synchronising, if !is_synchronised => is_synchronised = true,
            }
        }
        // What runs is let finish; what waits would keep the server for as long as it waits.
        if !waiting.is_empty() {
            tracing::warn!("{} tasks that were put off are dropped", waiting.len());
        }
        while running.join_next().await.is_some() {}
        sender
            .send(SendEvent::LifespanShutdownComplete(
                LifespanShutdownComplete::new(),
            ))
            .await?;
        Ok(())
    }
}
