//! A channel that a test controls by hand.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use callgate::{Channel, ReceiveEvent, Receiver, SendError, SendEvent, SendProgress, Sender};

/// Yields the events that a test pushes, and keeps those that an application sends.
#[derive(Default)]
pub(crate) struct Scripted {
    state: Mutex<ScriptedState>,
    /// The number of times that a sender finds no room before each event.
    waits: AtomicUsize,
}

#[derive(Default)]
struct ScriptedState {
    events: VecDeque<ReceiveEvent>,
    sent: Vec<SendEvent>,
    waited: usize,
    wakers: Vec<Waker>,
}

impl Scripted {
    /// Creates a channel on which each send waits `waits` times for room.
    pub(crate) fn new(waits: usize) -> Arc<Self> {
        let scripted = Self::default();
        scripted.waits.store(waits, Ordering::Relaxed);
        Arc::new(scripted)
    }

    pub(crate) fn pair(self: &Arc<Self>) -> (Receiver, Sender) {
        (Receiver::new(self.clone()), Sender::new(self.clone()))
    }

    /// Yields `event` next.
    pub(crate) fn push(&self, event: ReceiveEvent) {
        let mut state = self.state.lock().unwrap();
        state.events.push_back(event);
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Returns the number of events that have not been received.
    pub(crate) fn unreceived(&self) -> usize {
        self.state.lock().unwrap().events.len()
    }

    pub(crate) fn sent(&self) -> Vec<SendEvent> {
        self.state.lock().unwrap().sent.clone()
    }

    /// Returns the content that has been sent, and whether it has ended.
    pub(crate) fn content(&self) -> (String, bool) {
        let mut content = Vec::new();
        let mut is_ended = false;
        for event in self.sent() {
            if let SendEvent::HttpResponseBody(part) = event {
                content.extend_from_slice(&part.body);
                is_ended = !part.more_body;
            }
        }
        (String::from_utf8(content).unwrap(), is_ended)
    }
}

impl Channel for Scripted {
    fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
        let mut state = self.state.lock().unwrap();
        match state.events.pop_front() {
            Some(event) => Poll::Ready(event),
            None => {
                state.wakers.push(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.lock().unwrap();
        if state.waited < self.waits.load(Ordering::Relaxed) {
            state.waited += 1;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    fn start_send(&self, event: SendEvent) -> Result<SendProgress, SendError> {
        // Another thread may come in between.
        std::thread::yield_now();
        let is_path_send = matches!(event, SendEvent::HttpResponsePathSend(_));
        let mut state = self.state.lock().unwrap();
        state.waited = 0;
        state.sent.push(event);
        if is_path_send {
            return Ok(SendProgress::Pending(Box::pin(async {
                tokio::task::yield_now().await;
                Err(SendError::Disconnected)
            })));
        }
        Ok(SendProgress::Sent)
    }
}
