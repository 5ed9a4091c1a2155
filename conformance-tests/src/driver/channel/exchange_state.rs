//! The state of one exchange: the position in the client's script, and the events of the
//! application.

use std::io;
use std::iter::Peekable;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Sender as Reporter;
use std::task::{Context, Poll, Waker};

use callgate::transcript::Entry;
use callgate::{
    AppError, ReceiveEvent, Scope, SendError, SendEvent, Violation, WebSocketDisconnect, rule,
};

use super::exchange_log::{ExchangeLog, received_entry, received_length, sent_entry};
use crate::call_end::CallEnd;
use crate::driver::app_output::AppOutput;
use crate::driver::client_script::{ClientScript, ScriptedEvent, is_disconnect};
use crate::driver::memory_budget::MemoryBudget;
use crate::driver::observation::Observation;
use crate::model::{ExchangePhase, Model};
use crate::scope_kind::ScopeKind;

/// A client disconnects after this many events in any case.
const MAX_EVENTS: usize = 10_000;
/// The most sends of one exchange that may wait at a time.
const MAX_PENDING_SENDS: usize = 1024;
/// The channel lets other tasks run at each multiple of this many polls of one direction. An application that never
/// has to wait would keep its thread otherwise.
const POLLS_PER_YIELD: usize = 64;

pub(super) struct ExchangeState {
    pub(super) model: Model,
    pub(super) kind: ScopeKind,
    pub(super) events: Peekable<Box<dyn Iterator<Item = ScriptedEvent> + Send>>,
    disconnects_after: Option<usize>,
    stops_reading_after: Option<usize>,
    pauses_after: Option<usize>,
    disconnect_event: ReceiveEvent,
    interleaves: bool,
    pub(super) holds_shutdown: bool,
    memory: Option<MemoryBudget>,
    /// Receives the lifespan events that the application sends.
    pub(super) reporter: Option<Reporter<SendEvent>>,

    pub(super) is_disconnected: bool,
    /// Whether the client disconnected because the application did nothing for too long.
    pub(super) has_timed_out: bool,
    /// Whether the next event of the script comes although the application has not sent the number
    /// of events that the script says.
    pub(super) is_next_event_due: bool,
    event_count: usize,
    pub(super) send_count: usize,
    receive_polls: usize,
    send_polls: usize,
    pub(super) call_polls: usize,
    activity: usize,
    pub(super) receive_waker: Option<Waker>,
    pub(super) send_wakers: Vec<Waker>,
    activity_waker: Option<Waker>,
    /// The value of `send_count` when the time budget was last exhausted.
    pub(super) send_count_at_timeout: usize,
    /// The value of `send_count` when the application received `http.shutdown`, if it did.
    pub(super) send_count_at_shutdown: Option<usize>,

    pub(super) log: ExchangeLog,
    output: AppOutput,
    end: Option<CallEnd>,
    /// The error or the panic that the call ended with.
    error: Option<String>,
    /// Whether the application had sent its last event when the call ended.
    is_complete: bool,
}

impl ExchangeState {
    /// Creates the state at the beginning of this script, and returns the scope of the call.
    pub(super) fn new(script: ClientScript) -> (Self, Scope) {
        let scope = script.scope;
        let mut state = Self {
            model: Model::new(&scope),
            kind: ScopeKind::of(&scope),
            events: script.events.peekable(),
            disconnects_after: script.disconnects_after,
            stops_reading_after: script.stops_reading_after,
            pauses_after: script.pauses_after,
            disconnect_event: script.disconnect_event,
            interleaves: script.interleaves,
            holds_shutdown: script.holds_shutdown,
            log: ExchangeLog::new(script.memory.is_some()),
            memory: script.memory,
            reporter: None,
            is_disconnected: false,
            has_timed_out: false,
            is_next_event_due: false,
            event_count: 0,
            send_count: 0,
            receive_polls: 0,
            send_polls: 0,
            call_polls: 0,
            activity: 0,
            receive_waker: None,
            send_wakers: Vec::new(),
            activity_waker: None,
            send_count_at_timeout: 0,
            send_count_at_shutdown: None,
            output: AppOutput::default(),
            end: None,
            error: None,
            is_complete: false,
        };
        state.log.push(Entry::Called(scope.clone()), Vec::new());
        state.disconnect_if_due();
        (state, scope)
    }

    pub(super) fn activity(&self) -> usize {
        self.activity
    }

    pub(super) fn poll_active(&mut self, cx: &mut Context<'_>, seen: usize) -> Poll<()> {
        if self.activity != seen {
            return Poll::Ready(());
        }
        self.activity_waker = Some(cx.waker().clone());
        Poll::Pending
    }

    pub(super) fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
        self.receive_polls += 1;
        if self.should_yield(self.receive_polls, cx) {
            return Poll::Pending;
        }
        let Some(event) = self.next_event() else {
            if self.receive_waker.is_none() {
                self.note_activity();
            }
            self.receive_waker = Some(cx.waker().clone());
            return Poll::Pending;
        };
        self.receive_waker = None;
        self.activity += 1;
        let violations = self.model.received(&event);
        // The positions of a script do not count unknown events and disconnects.
        if !matches!(event, ReceiveEvent::Unknown(_)) && !is_disconnect(&event) {
            self.event_count += 1;
        }
        if let ReceiveEvent::HttpShutdown = event {
            self.send_count_at_shutdown = Some(self.send_count);
        }
        self.log.push(received_entry(&event), violations);
        self.disconnect_if_due();
        if !self.is_disconnected {
            self.check_memory(received_length(&event));
        }
        Poll::Ready(event)
    }

    /// Waits until the client takes an event, or until a send fails at once.
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.send_polls += 1;
        if self.should_yield(self.send_polls, cx) {
            return Poll::Pending;
        }
        let is_open = self.model.phase() == ExchangePhase::Open;
        if !is_open || !self.has_stopped_reading() && !self.is_paused() {
            return Poll::Ready(());
        }
        let is_waiting = |waker: &Waker| waker.will_wake(cx.waker());
        if !self.send_wakers.iter().any(is_waiting) {
            self.send_wakers.push(cx.waker().clone());
            self.note_activity();
            self.check_memory(0);
        }
        Poll::Pending
    }

    /// Sends an event; returns the result that a server returns.
    pub(super) fn send(&mut self, event: SendEvent) -> Result<(), SendError> {
        let result = self.expected_result(&event);
        let violations = self.model.sent(&event, &result);
        if result.is_ok() {
            self.event_count += 1;
            self.on_delivered(&event);
        } else if self.kind == ScopeKind::WebSocket
            && violations.iter().any(|it| it.rule != rule::NOT_OFFERED)
        {
            self.disconnect_event = websocket_disconnect(1011);
        }
        self.log.push(sent_entry(event, result.clone()), violations);
        self.disconnect_if_due();
        // The next received event may depend on the sent one.
        self.wake();
        result
    }

    fn expected_result(&self, event: &SendEvent) -> Result<(), SendError> {
        self.model.expected_result(event)?;
        if let SendEvent::HttpResponsePathSend(file) = event {
            let length = file_length(&file.path).map_err(|reason| SendError::File {
                path: file.path.clone(),
                reason: Arc::new(reason),
            })?;
            self.model.expected_file_result(length)?;
        }
        Ok(())
    }

    fn on_delivered(&mut self, event: &SendEvent) {
        self.send_count += 1;
        if self.memory.is_none() {
            self.output.push(event);
        }
        if let (ScopeKind::Lifespan, Some(reporter)) = (self.kind, &self.reporter) {
            // The receiver of the reports may have been dropped.
            let _ = reporter.send(event.clone());
        }
        match event {
            SendEvent::WebSocketClose(close) => {
                let disconnect = WebSocketDisconnect::new(close.code).reason(close.reason.clone());
                self.disconnect_event = ReceiveEvent::WebSocketDisconnect(disconnect);
            }
            SendEvent::DenialResponseBody(_) => self.disconnect_event = websocket_disconnect(1006),
            _ => {}
        }
    }

    fn next_event(&mut self) -> Option<ReceiveEvent> {
        match self.model.phase() {
            ExchangePhase::Ended | ExchangePhase::Broken if self.kind == ScopeKind::Lifespan => {
                return None;
            }
            ExchangePhase::Open if self.is_paused() => return None,
            ExchangePhase::Open if !self.is_disconnected => {}
            _ if matches!(self.kind, ScopeKind::Unknown | ScopeKind::Lifespan) => return None,
            _ => return Some(self.disconnect_event.clone()),
        }
        let next = self.events.peek()?;
        let may_come = match &next.event {
            ReceiveEvent::WebSocketReceive(_) => self.model.is_open(),
            ReceiveEvent::LifespanShutdown => self.model.is_serving() && !self.holds_shutdown,
            _ => true,
        };
        if !may_come || next.after_sends > self.send_count && !self.is_next_event_due {
            return None;
        }
        self.is_next_event_due = false;
        let event = self.events.next()?.event;
        if is_disconnect(&event) {
            self.disconnect_event = event.clone();
            self.is_disconnected = true;
        }
        Some(event)
    }

    /// Returns whether the exchange is paused, as its script says.
    pub(super) fn is_paused(&self) -> bool {
        let is_due = |after| self.event_count >= after;
        !self.is_disconnected && self.pauses_after.is_some_and(is_due)
    }

    /// Returns whether the client has stopped reading, as its script says.
    pub(super) fn has_stopped_reading(&self) -> bool {
        let is_due = |after| self.send_count >= after;
        !self.is_disconnected && self.stops_reading_after.is_some_and(is_due)
    }

    /// Disconnects the client.
    pub(super) fn disconnect(&mut self) {
        self.is_disconnected = true;
        self.model.client_disconnected();
        self.wake();
    }

    fn disconnect_if_due(&mut self) {
        let is_due = |after| self.event_count >= after;
        let is_due = self.disconnects_after.is_some_and(is_due) || is_due(MAX_EVENTS);
        if !self.is_disconnected && is_due {
            self.disconnect();
        }
    }

    pub(super) fn release_shutdown(&mut self) {
        self.holds_shutdown = false;
        self.wake();
    }

    /// Wakes everything that waits: the exchange has changed.
    pub(super) fn wake(&mut self) {
        for waker in self
            .receive_waker
            .take()
            .into_iter()
            .chain(self.send_wakers.drain(..))
        {
            waker.wake();
        }
        self.note_activity();
    }

    fn note_activity(&mut self) {
        self.activity += 1;
        if let Some(waker) = self.activity_waker.take() {
            waker.wake();
        }
    }

    /// Returns whether the poll of this number has to let other tasks run first. The waker has been called then.
    ///
    /// Each direction has its own numbers: an application that polls both each time would otherwise be held up in the
    /// same one for ever.
    fn should_yield(&self, poll: usize, cx: &Context<'_>) -> bool {
        let interval = if self.interleaves { 2 } else { POLLS_PER_YIELD };
        let yields = poll.is_multiple_of(interval);
        if yields {
            cx.waker().wake_by_ref();
        }
        yields
    }

    /// Checks whether the application holds more than it may, after `length` more bytes were
    /// delivered. The client disconnects at the first violation.
    fn check_memory(&mut self, length: usize) {
        let Some(memory) = &mut self.memory else {
            return;
        };
        let live = memory.live_bytes.count();
        let detail = if live > memory.limit {
            format!("the application held {live} bytes of the client's content")
        } else if self.send_wakers.len() > MAX_PENDING_SENDS {
            format!("{} sends were waiting at once", self.send_wakers.len())
        } else if memory.is_exceeded_by_copies(length) {
            format!(
                "the memory of the process grew with the {} bytes that the client sent",
                memory.limit * 4
            )
        } else {
            return;
        };
        self.log
            .push_violations([Violation::new(rule::BOUNDED_MEMORY, detail)]);
        self.disconnect();
    }

    pub(super) fn call_returned(&mut self, result: &Result<(), AppError>) {
        self.is_complete |= self.model.phase() == ExchangePhase::Ended;
        let mut violations = self.model.returned(result);
        violations.extend(self.violation_of_result(result));
        let end = CallEnd::from(result);
        let error = result.as_ref().err().map(ToString::to_string);
        let returned = error.clone().map_or(Ok(()), Err);
        self.log.push(Entry::Returned(returned), violations);
        self.end_call(end, error.filter(|_| end == CallEnd::Failed));
    }

    /// Returns the violation that the call returns, unless a send has reported it: an application in another process
    /// can break a rule without an event.
    fn violation_of_result(&self, result: &Result<(), AppError>) -> Option<Violation> {
        match result {
            Err(AppError::Send(SendError::Violation(violation))) if !self.log.has(violation) => {
                Some(violation.clone())
            }
            _ => None,
        }
    }

    pub(super) fn call_panicked(&mut self, message: String) {
        self.is_complete |= self.model.phase() == ExchangePhase::Ended;
        let violations = self.model.panicked(&message);
        self.log.push(Entry::Panicked(message.clone()), violations);
        self.end_call(CallEnd::Panicked, Some(message));
    }

    pub(super) fn process_ended(&mut self, how: &str) {
        self.is_complete |= self.model.phase() == ExchangePhase::Ended;
        // Nothing that the call has not sent is missed.
        let _ = self.model.panicked(how);
        let detail = format!("the application ended its process {how}");
        self.log
            .push_violations([Violation::new(rule::NO_PANIC, detail.clone())]);
        self.end_call(CallEnd::ProcessEnded, Some(detail));
    }

    pub(super) fn has_ended_process(&self) -> bool {
        self.end == Some(CallEnd::ProcessEnded)
    }

    pub(super) fn call_dropped(&mut self) {
        self.end_call(CallEnd::Dropped, None);
    }

    pub(super) fn thread_blocked(&mut self) {
        self.log.push_violations([Violation::new(
            rule::END_AFTER_DISCONNECT,
            "the application blocks its thread, so that it cannot receive a disconnect",
        )]);
        self.end_call(CallEnd::Blocked, None);
    }

    pub(super) fn memory_exceeded(&mut self) {
        self.log.push_violations([Violation::new(
            rule::BOUNDED_MEMORY,
            "the memory of the process grew and grew in one call, and the application was abandoned",
        )]);
        self.end_call(CallEnd::Dropped, None);
    }

    fn end_call(&mut self, end: CallEnd, error: Option<String>) {
        if self.end.is_none() {
            self.end = Some(end);
            self.error = error;
        }
        self.reporter = None;
        self.wake();
    }

    pub(super) fn observation(&mut self) -> Observation {
        let (transcript, violations) = self.log.contents();
        Observation {
            transcript,
            violations,
            end: self.end.unwrap_or(CallEnd::Dropped),
            error: self.error.clone(),
            output: self.output.clone(),
            is_complete: self.is_complete || self.model.phase() == ExchangePhase::Ended,
            event_count: self.event_count,
            send_count: self.send_count,
            has_timed_out: self.has_timed_out,
        }
    }
}

fn websocket_disconnect(code: u16) -> ReceiveEvent {
    ReceiveEvent::WebSocketDisconnect(WebSocketDisconnect::new(code))
}

fn file_length(path: &Path) -> io::Result<u64> {
    // The type is checked before the file is opened: opening a pipe might never return.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    Ok(std::fs::File::open(path)?.metadata()?.len())
}
