//! Where an application lives while it is checked.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, channel};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use callgate::{BoxApp, LifespanScope, ReceiveEvent, SendEvent, State};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Barrier;

use super::drive::drive;
use super::growth::{Growth, MOST};
use super::{Link, Patience, Plan, Played, Waiting};

/// How often a thread shows that it is free.
const BEAT: Duration = Duration::from_millis(20);

/// A runtime with one application in it, whose lifespan goes on.
///
/// There is one worker, so that what runs at the same time takes turns in the same order each time.
pub(crate) struct House {
    runtime: Option<Runtime>,
    app: BoxApp,
    /// The lifespan that goes on, and what it answers.
    lifespan: Option<(Arc<Link>, Receiver<SendEvent>)>,
    beat: Arc<Beat>,
    patience: Patience,
    /// What the memory of the process may grow by in a call, in bytes.
    most: usize,
    abandoned: Option<Abandoned>,
}

/// Why an application is left to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Abandoned {
    /// It has kept its thread.
    Blocks,
    /// It takes more and more memory.
    Hoards,
}

/// How start-up went.
#[derive(Debug)]
pub(crate) enum StartUp {
    /// With this state; an empty one where lifespan is declined.
    Complete(State),
    /// It did not, for this reason.
    Failed(String),
}

/// When the worker was free last, in milliseconds.
struct Beat {
    since: Instant,
    at: AtomicU64,
}

impl House {
    /// A house with the application that `make` makes, which has not been called.
    pub(crate) fn new(make: &dyn Fn() -> BoxApp, patience: Patience) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("callgate-conformance")
            // A call that is busy is no reason to be late.
            .event_interval(1)
            // Nor is a queue of its own that is never empty, to tasks that wait in the other one.
            .global_queue_interval(2)
            .enable_all()
            .build()
            .expect("a thread can be started");
        let app = {
            let _entered = runtime.enter();
            make()
        };
        let beat = Arc::new(Beat {
            since: Instant::now(),
            at: AtomicU64::new(0),
        });
        runtime.spawn(keep_beating(Arc::downgrade(&beat)));
        Self {
            runtime: Some(runtime),
            app,
            lifespan: None,
            beat,
            patience,
            most: MOST,
            abandoned: None,
        }
    }

    /// One exchange may hold this much, in bytes.
    pub(crate) fn holding(mut self, memory: usize) -> Self {
        self.most = MOST.max(memory.saturating_mul(8));
        self
    }

    /// Starts the application up, to be shut down when this is dropped.
    pub(crate) fn start_up(&mut self) -> StartUp {
        let events = [
            ReceiveEvent::LifespanStartup,
            ReceiveEvent::LifespanShutdown,
        ];
        let mut plan = Plan::new(LifespanScope::new(), events);
        plan.holds_shutdown = true;
        let (link, scope) = Link::new(plan);
        let (reporter, answers) = channel();
        link.report_answers(reporter);
        let call = drive(self.app.clone(), scope, link.clone(), self.patience.clone());
        self.runtime().spawn(call);
        match self.first_answer(&answers) {
            Ok(SendEvent::LifespanStartupComplete(complete)) => {
                self.lifespan = Some((link, answers));
                StartUp::Complete(complete.state)
            }
            Ok(SendEvent::LifespanStartupFailed(failed)) => StartUp::Failed(failed.message),
            Ok(other) => StartUp::Failed(format!("it sent `{}`", other.type_name())),
            Err(RecvTimeoutError::Disconnected) if link.played().is_declined() => {
                StartUp::Complete(State::new())
            }
            Err(RecvTimeoutError::Disconnected) => StartUp::Failed("it did not answer".to_owned()),
            Err(RecvTimeoutError::Timeout) if self.abandoned == Some(Abandoned::Hoards) => {
                StartUp::Failed("it took more and more memory".to_owned())
            }
            Err(RecvTimeoutError::Timeout) => {
                self.abandoned = Some(Abandoned::Blocks);
                StartUp::Failed("it did not end".to_owned())
            }
        }
    }

    fn first_answer(
        &mut self,
        answers: &Receiver<SendEvent>,
    ) -> Result<SendEvent, RecvTimeoutError> {
        let deadline = Instant::now() + self.patience.with(Waiting::Duty) * 2;
        let mut growth = Growth::up_to(self.most);
        loop {
            match answers.recv_timeout(BEAT) {
                Err(RecvTimeoutError::Timeout) if growth.is_too_much() => {
                    self.abandoned = Some(Abandoned::Hoards);
                    return Err(RecvTimeoutError::Timeout);
                }
                Err(RecvTimeoutError::Timeout) if Instant::now() < deadline => {}
                answer => return answer,
            }
        }
    }

    /// Makes one call.
    pub(crate) fn play(&mut self, plan: Plan) -> Played {
        let (link, ended) = self.begin(plan);
        self.see_to_the_end(&link, &ended)
    }

    /// Makes these calls at the same time.
    pub(crate) fn play_together(&mut self, plans: Vec<Plan>) -> Vec<Played> {
        // None runs ahead while the others are still being made.
        let start = Arc::new(Barrier::new(plans.len()));
        let begun: Vec<_> = plans
            .into_iter()
            .map(|plan| self.begin_at(plan, start.clone()))
            .collect();
        begun
            .iter()
            .map(|(link, ended)| self.see_to_the_end(link, ended))
            .collect()
    }

    /// Makes one call while another stands still where its plan says so; returns what happened in
    /// the one.
    pub(crate) fn play_beside(&mut self, frozen: Plan, plan: Plan) -> Played {
        let (neighbour, ended) = self.begin(frozen);
        // It stands still, or has ended before it got there.
        let mut vigil = Vigil::new(&neighbour);
        while !neighbour.is_frozen()
            && matches!(ended.try_recv(), Err(TryRecvError::Empty))
            && !self.is_kept(&mut vigil)
        {
            std::thread::yield_now();
        }
        let played = self.play(plan);
        neighbour.leave();
        self.see_to_the_end(&neighbour, &ended);
        played
    }

    /// Why nothing more can be played, if so.
    pub(crate) fn abandoned(&self) -> Option<Abandoned> {
        self.abandoned
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("taken when dropped")
    }

    fn begin(&self, plan: Plan) -> (Arc<Link>, Receiver<()>) {
        self.begin_at(plan, Arc::new(Barrier::new(1)))
    }

    /// Begins when all those that share `start` do.
    fn begin_at(&self, plan: Plan, start: Arc<Barrier>) -> (Arc<Link>, Receiver<()>) {
        let (link, scope) = Link::new(plan);
        let (end, ended) = channel();
        let call = drive(self.app.clone(), scope, link.clone(), self.patience.clone());
        self.runtime().spawn(async move {
            start.wait().await;
            call.await;
            let _ = end.send(());
        });
        (link, ended)
    }

    fn see_to_the_end(&mut self, link: &Link, ended: &Receiver<()>) -> Played {
        let mut vigil = Vigil::new(link);
        let mut growth = Growth::up_to(self.most);
        while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(BEAT) {
            if growth.is_too_much() {
                self.abandoned = Some(Abandoned::Hoards);
                link.hoards();
                break;
            }
            if self.is_kept(&mut vigil) {
                self.abandoned = Some(Abandoned::Blocks);
                self.patience.spend(Waiting::Duty);
                link.blocked();
                break;
            }
        }
        link.played()
    }

    /// Whether the call that is watched, or another, has kept the worker for too long.
    fn is_kept(&self, vigil: &mut Vigil<'_>) -> bool {
        let turns = vigil.link.turns();
        if turns != vigil.turns {
            vigil.turns = turns;
            vigil.since = Instant::now();
        }
        let at = Duration::from_millis(self.beat.at.load(Ordering::Relaxed));
        let silence = self.beat.since.elapsed().saturating_sub(at);
        // A machine that is busy is not an application that blocks.
        let limit = self.patience.with(Waiting::Duty).max(BEAT * 20);
        silence > limit && vigil.since.elapsed() > limit
    }
}

/// A call that is watched from another thread, and when it was last seen to be polled.
struct Vigil<'a> {
    link: &'a Link,
    turns: usize,
    since: Instant,
}

impl<'a> Vigil<'a> {
    fn new(link: &'a Link) -> Self {
        Self {
            link,
            turns: link.turns(),
            since: Instant::now(),
        }
    }
}

async fn keep_beating(beat: Weak<Beat>) {
    while let Some(beat) = beat.upgrade() {
        let now = beat.since.elapsed().as_millis();
        beat.at
            .store(u64::try_from(now).unwrap_or(u64::MAX), Ordering::Relaxed);
        drop(beat);
        tokio::time::sleep(BEAT).await;
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if let Some((lifespan, answers)) = self.lifespan.take()
            && self.abandoned.is_none()
        {
            lifespan.release_shutdown();
            // Whether it answers is the matter of another exchange; what it does after that, such as
            // to write down that it did, is not cut short.
            let answer = answers.recv_timeout(self.patience.with(Waiting::Duty));
            let background = self.patience.with(Waiting::Background);
            if answer.is_ok() && answers.recv_timeout(background) == Err(RecvTimeoutError::Timeout)
            {
                self.patience.spend(Waiting::Background);
            }
        }
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
