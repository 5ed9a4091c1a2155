//! A runtime that holds one application while it is checked.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, channel};
use std::time::Instant;

use callgate::{BoxApp, LifespanScope, ReceiveEvent, SendEvent, State};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Barrier;

use super::call_driver::drive_call;
use super::channel::DriverChannel;
use super::client_script::ClientScript;
use super::observation::Observation;
use super::process_memory::{MIN_GROWTH_LIMIT, MemoryGrowth};
use super::stall_detector::{HEARTBEAT_INTERVAL, Heartbeat, StallDetector};
use super::time_budget::{Awaited, TimeBudget};

/// A runtime with one application in it, and the lifespan call of that application.
///
/// The runtime has one worker thread, so that concurrent calls take turns in the same order each
/// time.
pub(crate) struct AppSandbox {
    runtime: Option<Runtime>,
    app: BoxApp,
    lifespan: Option<RunningLifespan>,
    heartbeat: Arc<Heartbeat>,
    time_budget: TimeBudget,
    /// The most by which the memory of the process may grow in one call, in bytes.
    growth_limit: usize,
    abandoned: Option<Abandoned>,
}

/// A lifespan call that has started up, and the events that the application sends in it.
struct RunningLifespan {
    channel: Arc<DriverChannel>,
    sent: Receiver<SendEvent>,
}

/// The reason for which an application was abandoned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Abandoned {
    /// A call blocks its thread.
    ThreadBlocked,
    /// The memory of the process grew beyond the limit in one call.
    MemoryExceeded,
    /// The application has ended its process.
    ProcessEnded,
}

/// The result of start-up.
#[derive(Debug)]
pub(crate) enum Startup {
    /// The application has started up with this state. The state is empty if the application
    /// declines lifespan.
    Complete(State),
    /// The application has not started up, for this reason.
    Failed(String),
}

impl AppSandbox {
    /// Creates a sandbox with the application that `make` returns. The application has not been
    /// called.
    pub(crate) fn new(make: &dyn Fn() -> BoxApp, time_budget: TimeBudget) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("callgate-conformance")
            // A busy call does not delay the timers.
            .event_interval(1)
            // A local queue that never empties does not delay tasks in the global queue.
            .global_queue_interval(2)
            .enable_all()
            .build()
            .expect("a thread can be started");
        let app = {
            let _entered = runtime.enter();
            make()
        };
        let heartbeat = Heartbeat::new();
        runtime.spawn(Heartbeat::keep_up(Arc::downgrade(&heartbeat)));
        Self {
            runtime: Some(runtime),
            app,
            lifespan: None,
            heartbeat,
            time_budget,
            growth_limit: MIN_GROWTH_LIMIT,
            abandoned: None,
        }
    }

    /// Sets how much one exchange may hold, in bytes. The memory of the process may grow by eight
    /// times as much in one call.
    pub(crate) fn memory_limit(mut self, bytes: usize) -> Self {
        self.growth_limit = MIN_GROWTH_LIMIT.max(bytes.saturating_mul(8));
        self
    }

    /// Starts the application up. The sandbox shuts the application down when it is dropped.
    pub(crate) fn start_up(&mut self) -> Startup {
        let events = [
            ReceiveEvent::LifespanStartup,
            ReceiveEvent::LifespanShutdown,
        ];
        let mut script = ClientScript::new(LifespanScope::new(), events);
        script.holds_shutdown = true;
        let (driver_channel, scope) = DriverChannel::new(script);
        let (reporter, sent) = channel();
        driver_channel.report_sent_events(reporter);
        self.runtime().spawn(drive_call(
            self.app.clone(),
            scope,
            driver_channel.clone(),
            self.time_budget.clone(),
        ));
        match self.first_sent_event(&sent) {
            Ok(SendEvent::LifespanStartupComplete(complete)) => {
                self.lifespan = Some(RunningLifespan {
                    channel: driver_channel,
                    sent,
                });
                Startup::Complete(complete.state)
            }
            Ok(SendEvent::LifespanStartupFailed(failed)) => Startup::Failed(failed.message),
            Ok(other) => Startup::Failed(format!("it sent `{}`", other.type_name())),
            Err(RecvTimeoutError::Disconnected) => {
                let observation = driver_channel.observation();
                if driver_channel.has_ended_process() {
                    self.abandoned = Some(Abandoned::ProcessEnded);
                }
                match observation.is_declined() {
                    true => Startup::Complete(State::new()),
                    false => Startup::Failed(match observation.error {
                        Some(error) => format!("it did not answer: {error}"),
                        None => "it did not answer".to_owned(),
                    }),
                }
            }
            Err(RecvTimeoutError::Timeout) => Startup::Failed(match self.abandoned {
                Some(Abandoned::MemoryExceeded) => "it took more and more memory".to_owned(),
                _ => {
                    self.abandoned = Some(Abandoned::ThreadBlocked);
                    "it did not end".to_owned()
                }
            }),
        }
    }

    fn first_sent_event(
        &mut self,
        sent: &Receiver<SendEvent>,
    ) -> Result<SendEvent, RecvTimeoutError> {
        let deadline = Instant::now() + self.time_budget.limit(Awaited::Obligation) * 2;
        let mut growth = MemoryGrowth::with_limit(self.growth_limit);
        loop {
            match sent.recv_timeout(HEARTBEAT_INTERVAL) {
                Err(RecvTimeoutError::Timeout) if growth.exceeds_limit() => {
                    self.abandoned = Some(Abandoned::MemoryExceeded);
                    return Err(RecvTimeoutError::Timeout);
                }
                Err(RecvTimeoutError::Timeout) if Instant::now() < deadline => {}
                first => return first,
            }
        }
    }

    /// Makes one call.
    pub(crate) fn run(&mut self, script: ClientScript) -> Observation {
        let (channel, ended) = self.start(script, Arc::new(Barrier::new(1)));
        self.wait_for_end(&channel, &ended)
    }

    /// Makes these calls at the same time.
    pub(crate) fn run_concurrently(&mut self, scripts: Vec<ClientScript>) -> Vec<Observation> {
        // No call begins while the others are still being prepared.
        let barrier = Arc::new(Barrier::new(scripts.len()));
        let started: Vec<_> = scripts
            .into_iter()
            .map(|script| self.start(script, barrier.clone()))
            .collect();
        started
            .iter()
            .map(|(channel, ended)| self.wait_for_end(channel, ended))
            .collect()
    }

    /// Makes one call while another is paused, as the script `paused` says. Returns the observation
    /// of the call that is not paused.
    pub(crate) fn run_beside(&mut self, paused: ClientScript, script: ClientScript) -> Observation {
        let (paused, paused_ended) = self.start(paused, Arc::new(Barrier::new(1)));
        // The call is paused, or has ended before the place where it would pause.
        let mut stall_detector = StallDetector::new(&paused);
        while !paused.is_paused()
            && matches!(paused_ended.try_recv(), Err(TryRecvError::Empty))
            && !self.has_stalled(&mut stall_detector)
        {
            std::thread::yield_now();
        }
        let observation = self.run(script);
        paused.disconnect();
        self.wait_for_end(&paused, &paused_ended);
        observation
    }

    /// Returns why the application was abandoned, if it was. An abandoned application cannot be
    /// called again.
    pub(crate) fn abandoned(&self) -> Option<Abandoned> {
        self.abandoned
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("taken when dropped")
    }

    /// Starts a call that begins when all calls with this barrier have been started.
    fn start(
        &self,
        script: ClientScript,
        barrier: Arc<Barrier>,
    ) -> (Arc<DriverChannel>, Receiver<()>) {
        let (driver_channel, scope) = DriverChannel::new(script);
        let (end, ended) = channel();
        let call = drive_call(
            self.app.clone(),
            scope,
            driver_channel.clone(),
            self.time_budget.clone(),
        );
        self.runtime().spawn(async move {
            barrier.wait().await;
            call.await;
            let _ = end.send(());
        });
        (driver_channel, ended)
    }

    fn wait_for_end(&mut self, channel: &DriverChannel, ended: &Receiver<()>) -> Observation {
        let mut stall_detector = StallDetector::new(channel);
        let mut growth = MemoryGrowth::with_limit(self.growth_limit);
        while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(HEARTBEAT_INTERVAL) {
            if growth.exceeds_limit() {
                self.abandoned = Some(Abandoned::MemoryExceeded);
                channel.memory_exceeded();
                break;
            }
            if self.has_stalled(&mut stall_detector) {
                self.abandoned = Some(Abandoned::ThreadBlocked);
                self.time_budget.exhaust(Awaited::Obligation);
                channel.thread_blocked();
                break;
            }
        }
        if channel.has_ended_process() {
            self.abandoned = Some(Abandoned::ProcessEnded);
        }
        channel.observation()
    }

    fn has_stalled(&self, stall_detector: &mut StallDetector<'_>) -> bool {
        let limit = self.time_budget.limit(Awaited::Obligation);
        stall_detector.has_stalled(&self.heartbeat, limit)
    }
}

impl Drop for AppSandbox {
    fn drop(&mut self) {
        if let Some(lifespan) = self.lifespan.take()
            && self.abandoned.is_none()
        {
            lifespan.channel.release_shutdown();
            // Another exchange checks whether shutdown is answered. The work of the application
            // after its answer, such as a log line, is not cut short.
            let limit = self.time_budget.limit(Awaited::Obligation);
            let is_answered = lifespan.sent.recv_timeout(limit).is_ok();
            let limit = self.time_budget.limit(Awaited::BackgroundWork);
            if is_answered && lifespan.sent.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                self.time_budget.exhaust(Awaited::BackgroundWork);
            }
        }
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
