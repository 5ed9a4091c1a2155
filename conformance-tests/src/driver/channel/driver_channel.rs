//! The state of an exchange as a channel, and as the driver sees it.

use std::sync::mpsc::Sender as Reporter;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use callgate::{AppError, Channel, ReceiveEvent, Scope, SendError, SendEvent, SendProgress};

use super::exchange_state::ExchangeState;
use super::idle_policy::NextStep;
use crate::driver::client_script::ClientScript;
use crate::driver::observation::Observation;
use crate::driver::time_budget::Awaited;

/// The channel of one exchange. The application has this as its receiver and its sender; the driver
/// watches and controls the exchange through it.
pub(in crate::driver) struct DriverChannel(Mutex<ExchangeState>);

impl DriverChannel {
    /// Creates the channel of this script, and returns the scope to call the application with.
    pub(in crate::driver) fn new(script: ClientScript) -> (Arc<Self>, Scope) {
        let (state, scope) = ExchangeState::new(script);
        (Arc::new(Self(Mutex::new(state))), scope)
    }

    fn lock(&self) -> MutexGuard<'_, ExchangeState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes on each lifespan event that the application sends. The reporter is dropped when the
    /// call ends.
    pub(in crate::driver) fn report_sent_events(&self, reporter: Reporter<SendEvent>) {
        self.lock().reporter = Some(reporter);
    }

    /// Delivers a `lifespan.shutdown` that the script holds back.
    pub(in crate::driver) fn release_shutdown(&self) {
        self.lock().release_shutdown();
    }

    /// Disconnects the client.
    pub(in crate::driver) fn disconnect(&self) {
        self.lock().disconnect();
    }

    /// Returns whether the exchange is paused, as its script says.
    pub(in crate::driver) fn is_paused(&self) -> bool {
        self.lock().is_paused()
    }

    /// Notes that the call is about to be polled.
    pub(in crate::driver) fn count_call_poll(&self) {
        self.lock().call_polls += 1;
    }

    /// Returns how many times the call has been polled.
    pub(in crate::driver) fn call_polls(&self) -> usize {
        self.lock().call_polls
    }

    /// Returns a number that grows with everything that happens in the exchange.
    pub(in crate::driver) fn activity(&self) -> usize {
        self.lock().activity()
    }

    /// Waits until the activity differs from `seen`.
    pub(in crate::driver) fn poll_active(&self, cx: &mut Context<'_>, seen: usize) -> Poll<()> {
        self.lock().poll_active(cx, seen)
    }

    /// Returns the event that the driver waits for.
    pub(in crate::driver) fn awaited(&self) -> Awaited {
        self.lock().awaited()
    }

    /// Chooses the next step when no task can make progress.
    pub(in crate::driver) fn on_quiescent(&self) -> NextStep {
        self.lock().on_quiescent()
    }

    /// Chooses the next step when the time budget is exhausted.
    pub(in crate::driver) fn on_timeout(&self) -> NextStep {
        self.lock().on_timeout()
    }

    /// Notes that the call has returned. Later sends fail.
    pub(in crate::driver) fn call_returned(&self, result: &Result<(), AppError>) {
        self.lock().call_returned(result);
    }

    /// Notes that the call has panicked.
    pub(in crate::driver) fn call_panicked(&self, message: String) {
        self.lock().call_panicked(message);
    }

    /// Notes that the application has ended its process.
    pub(in crate::driver) fn process_ended(&self, how: &str) {
        self.lock().process_ended(how);
    }

    /// Returns whether the application has ended its process.
    pub(in crate::driver) fn has_ended_process(&self) -> bool {
        self.lock().has_ended_process()
    }

    /// Notes that the call is dropped before it has ended.
    pub(in crate::driver) fn call_dropped(&self) {
        self.lock().call_dropped();
    }

    /// Notes that the call blocks its thread.
    pub(in crate::driver) fn thread_blocked(&self) {
        self.lock().thread_blocked();
    }

    /// Notes that the memory of the process grew beyond the limit.
    pub(in crate::driver) fn memory_exceeded(&self) {
        self.lock().memory_exceeded();
    }

    /// Returns the observation of the exchange.
    pub(in crate::driver) fn observation(&self) -> Observation {
        self.lock().observation()
    }
}

impl Channel for DriverChannel {
    fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
        self.lock().poll_receive(cx)
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.lock().poll_ready(cx)
    }

    fn start_send(&self, event: SendEvent) -> Result<SendProgress, SendError> {
        self.lock().send(event).map(|()| SendProgress::Sent)
    }
}
