//! What the application holds the other ends of.

mod channel;
mod log;
mod stillness;

use std::io;
use std::iter::Peekable;
use std::path::Path;
use std::sync::mpsc::Sender as Reporter;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use callgate::{
    AppError, ReceiveEvent, Scope, SendError, SendEvent, Violation, WebSocketDisconnect, rule,
};

use super::{Answer, Cue, Memory, Outcome, Plan, Played};
use crate::Model;
use crate::model::Standing;
use callgate::transcript::Entry;
use log::Log;
pub(super) use stillness::Next;

/// A client that has taken this many events has had enough.
const ENOUGH: usize = 10_000;
/// Sends of one exchange that may wait at a time.
const PENDING_SENDS: usize = 1024;
/// An application that is never kept waiting lets others run all the same.
const BREATH: usize = 64;

/// One exchange: both ends share it.
pub(crate) struct Link(Mutex<Inner>);

struct Inner {
    model: Model,
    kind: Kind,
    script: Peekable<Box<dyn Iterator<Item = Cue> + Send>>,
    gone_after: Option<usize>,
    stalls_after: Option<usize>,
    freezes_after: Option<usize>,
    disconnect: ReceiveEvent,
    is_hesitant: bool,
    holds_shutdown: bool,
    memory: Option<Memory>,
    /// Where the answers to lifespan events go.
    answers: Option<Reporter<SendEvent>>,

    is_gone: bool,
    /// Whether it went away because nothing happened.
    is_slow: bool,
    /// Whether a cue comes although the application has sent less than it waits for.
    is_prompted: bool,
    interactions: usize,
    sends: usize,
    /// Sends when patience was at its end last.
    sends_before: usize,
    polls: usize,
    turns: usize,
    /// Counts what is new, so that it can be seen when nothing is.
    activity: usize,
    receiver: Option<Waker>,
    senders: Vec<Waker>,
    watcher: Option<Waker>,

    log: Log,
    answer: Answer,
    outcome: Option<Outcome>,
    is_complete: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Http,
    WebSocket,
    Lifespan,
    Unknown,
}

impl Link {
    /// The exchange of this plan, and the scope to call the application with.
    pub(crate) fn new(plan: Plan) -> (Arc<Self>, Scope) {
        let scope = plan.scope;
        let mut inner = Inner {
            model: Model::new(&scope),
            kind: match &scope {
                Scope::Http(_) => Kind::Http,
                Scope::WebSocket(_) => Kind::WebSocket,
                Scope::Lifespan(_) => Kind::Lifespan,
                _ => Kind::Unknown,
            },
            script: plan.script.peekable(),
            gone_after: plan.gone_after,
            stalls_after: plan.stalls_after,
            freezes_after: plan.freezes_after,
            disconnect: plan.disconnect,
            is_hesitant: plan.is_hesitant,
            holds_shutdown: plan.holds_shutdown,
            log: Log::new(plan.memory.is_some()),
            memory: plan.memory,
            answers: None,
            is_gone: false,
            is_slow: false,
            is_prompted: false,
            interactions: 0,
            sends: 0,
            sends_before: 0,
            polls: 0,
            turns: 0,
            activity: 0,
            receiver: None,
            senders: Vec::new(),
            watcher: None,
            answer: Answer::default(),
            outcome: None,
            is_complete: false,
        };
        inner.log.push(Entry::Called(scope.clone()), Vec::new());
        inner.gone_yet();
        (Arc::new(Self(Mutex::new(inner))), scope)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes the answers to lifespan events on to `reporter`, which is dropped when the call ends.
    pub(super) fn report_answers(&self, reporter: Reporter<SendEvent>) {
        self.lock().answers = Some(reporter);
    }

    /// Lets a shutdown come that has been held.
    pub(crate) fn release_shutdown(&self) {
        let mut inner = self.lock();
        inner.holds_shutdown = false;
        inner.wake();
    }

    /// The client goes away.
    pub(crate) fn leave(&self) {
        self.lock().leave();
    }

    /// Notes that the call is about to be polled.
    pub(super) fn turn(&self) {
        self.lock().turns += 1;
    }

    /// How many times the call has been polled.
    pub(super) fn turns(&self) -> usize {
        self.lock().turns
    }

    pub(super) fn activity(&self) -> usize {
        self.lock().activity
    }

    /// Waits until something happens that had not when there was this much activity.
    pub(super) fn poll_active(&self, cx: &mut Context<'_>, seen: usize) -> Poll<()> {
        let mut inner = self.lock();
        if inner.activity != seen {
            return Poll::Ready(());
        }
        inner.watcher = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Whether the exchange stands still as planned.
    pub(crate) fn is_frozen(&self) -> bool {
        self.lock().is_frozen()
    }

    /// The call has ended, so that later sends fail.
    pub(super) fn returned(&self, result: &Result<(), AppError>) {
        let mut inner = self.lock();
        inner.is_complete |= inner.model.standing() == Standing::Ended;
        let broken = inner.model.returned(result);
        let outcome = Outcome::from(result);
        let told = match result {
            Ok(()) => Ok(()),
            Err(error) => Err(error.to_string()),
        };
        inner.log.push(Entry::Returned(told), broken);
        inner.end(outcome);
    }

    pub(super) fn panicked(&self, message: String) {
        let mut inner = self.lock();
        inner.is_complete |= inner.model.standing() == Standing::Ended;
        let broken = inner.model.panicked(&message);
        inner.log.push(Entry::Panicked(message.clone()), broken);
        inner.end(Outcome::Panicked(message));
    }

    /// The call is dropped before it has ended.
    pub(super) fn dropped(&self) {
        self.lock().end(Outcome::Dropped);
    }

    /// The application does not give its thread back.
    pub(super) fn blocked(&self) {
        let mut inner = self.lock();
        let violation = Violation::new(
            rule::END_AFTER_DISCONNECT,
            "the application does not give its thread back, so that it cannot be told of a disconnect",
        );
        inner.log.judge(vec![violation]);
        inner.end(Outcome::Blocked);
    }

    /// The application takes more and more memory.
    pub(super) fn hoards(&self) {
        let mut inner = self.lock();
        let violation = Violation::new(
            rule::BOUNDED_MEMORY,
            "the memory of the process grew and grew in one call, and the application was left",
        );
        inner.log.judge(vec![violation]);
        inner.end(Outcome::Dropped);
    }

    /// What happened.
    pub(super) fn played(&self) -> Played {
        let mut inner = self.lock();
        let (transcript, broken) = inner.log.read();
        Played {
            transcript,
            broken,
            outcome: inner.outcome.clone().unwrap_or(Outcome::Dropped),
            answer: inner.answer.clone(),
            is_complete: inner.is_complete || inner.model.standing() == Standing::Ended,
            interactions: inner.interactions,
            sends: inner.sends,
            is_slow: inner.is_slow,
        }
    }
}

impl Inner {
    fn wake(&mut self) {
        self.activity += 1;
        let wakers = self.receiver.take().into_iter();
        for waker in wakers
            .chain(self.senders.drain(..))
            .chain(self.watcher.take())
        {
            waker.wake();
        }
    }

    fn is_frozen(&self) -> bool {
        let is_due = |after| self.interactions >= after;
        !self.is_gone && self.freezes_after.is_some_and(is_due)
    }

    fn is_stalled(&self) -> bool {
        let is_due = |after| self.sends >= after;
        !self.is_gone && self.stalls_after.is_some_and(is_due)
    }

    fn leave(&mut self) {
        self.is_gone = true;
        self.model.client_gone();
        self.wake();
    }

    /// Lets the client go where the plan says so.
    fn gone_yet(&mut self) {
        let is_due = self
            .gone_after
            .is_some_and(|after| self.interactions >= after);
        if !self.is_gone && (is_due || self.interactions >= ENOUGH) {
            self.leave();
        }
    }

    fn end(&mut self, outcome: Outcome) {
        self.outcome.get_or_insert(outcome);
        self.answers = None;
        self.wake();
    }

    /// Whether to let others run first; the waker has been called then.
    fn breathes(&mut self, cx: &Context<'_>) -> bool {
        self.polls += 1;
        let every = if self.is_hesitant { 2 } else { BREATH };
        if self.polls.is_multiple_of(every) {
            cx.waker().wake_by_ref();
            return true;
        }
        false
    }

    fn next_event(&mut self) -> Option<ReceiveEvent> {
        match self.model.standing() {
            Standing::Ended | Standing::Broken if self.kind == Kind::Lifespan => return None,
            Standing::Open if self.is_frozen() => return None,
            Standing::Open if !self.is_gone => {}
            _ if self.kind == Kind::Unknown || self.kind == Kind::Lifespan => return None,
            _ => return Some(self.disconnect.clone()),
        }
        let cue = self.script.peek()?;
        let may_come = match &cue.event {
            ReceiveEvent::WebSocketReceive(_) => self.model.is_open(),
            ReceiveEvent::LifespanShutdown => self.model.is_serving() && !self.holds_shutdown,
            _ => true,
        };
        if !may_come || cue.after_sends > self.sends && !self.is_prompted {
            return None;
        }
        self.is_prompted = false;
        let event = self.script.next()?.event;
        if is_disconnect(&event) {
            self.disconnect = event.clone();
            self.is_gone = true;
        }
        Some(event)
    }

    /// What the send comes to, as a server answers it.
    fn answer(&mut self, event: &SendEvent) -> Result<(), SendError> {
        self.model.answer(event)?;
        if let SendEvent::HttpResponsePathSend(file) = event {
            let length = length_of(&file.path).map_err(|reason| SendError::File {
                path: file.path.clone(),
                reason: Arc::new(reason),
            })?;
            self.model.answer_file(length)?;
        }
        Ok(())
    }

    fn taken(&mut self, event: &SendEvent) {
        self.sends += 1;
        if self.memory.is_none() {
            self.answer.push(event);
        }
        if let (Kind::Lifespan, Some(reporter)) = (self.kind, &self.answers) {
            // Nobody listens who does not want to know.
            let _ = reporter.send(event.clone());
        }
        let disconnect = |code| ReceiveEvent::WebSocketDisconnect(WebSocketDisconnect::new(code));
        match event {
            SendEvent::WebSocketClose(close) => {
                let end = WebSocketDisconnect::new(close.code).reason(close.reason.clone());
                self.disconnect = ReceiveEvent::WebSocketDisconnect(end);
            }
            SendEvent::DenialResponseBody(_) => self.disconnect = disconnect(1006),
            _ => {}
        }
    }

    /// Whether the application holds more than it may, now that it has been given `length` bytes.
    fn weigh(&mut self, length: usize) {
        let Some(memory) = &mut self.memory else {
            return;
        };
        let alive = memory.ledger.alive();
        let detail = if alive > memory.limit {
            format!("the application held {alive} bytes of what the client had sent")
        } else if self.senders.len() > PENDING_SENDS {
            format!("{} sends were waiting at once", self.senders.len())
        } else if memory.delivered(length).is_some() {
            format!(
                "the memory of the process grew with the {} bytes that the client sent",
                memory.limit * 4
            )
        } else {
            return;
        };
        self.log
            .judge(vec![Violation::new(rule::BOUNDED_MEMORY, detail)]);
        // Once is enough.
        self.leave();
    }
}

fn length_of(path: &Path) -> io::Result<u64> {
    // Asked first, as opening what is no file (a pipe, say) might never return.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    Ok(std::fs::File::open(path)?.metadata()?.len())
}

fn is_disconnect(event: &ReceiveEvent) -> bool {
    matches!(
        event,
        ReceiveEvent::HttpDisconnect | ReceiveEvent::WebSocketDisconnect(_)
    )
}
