//! A channel that a middleware can close before the application has completed its response.

use std::future::{Future, poll_fn};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use callgate::{
    Channel, PendingSend, ReceiveEvent, Receiver, Scope, SendError, SendEvent, SendProgress,
    Sender, WebSocketDisconnect,
};

/// A channel between a server and an application. Once it is [closed](Self::close), the application
/// receives a disconnect, and its sends fail as those to a client that is gone.
pub(super) struct Gate {
    receiving: Arc<dyn Channel>,
    sending: Arc<dyn Channel>,
    is_websocket: bool,
    /// Shared with the rest of each path send that is pending.
    state: Arc<Mutex<State>>,
    /// Held while an event passes, so that an event either passes before the gate is closed or fails.
    /// Nothing that the inner channel wakes may send on this channel before the wake returns.
    order: Mutex<()>,
}

/// How far the response of the application has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The application has not started a response.
    Waiting,
    Started,
    /// The response is complete, or the handshake of a WebSocket has been answered.
    Complete,
}

struct State {
    progress: Progress,
    has_trailers: bool,
    is_closed: bool,
    receiver: Option<Waker>,
    senders: Vec<Waker>,
}

impl Gate {
    pub(super) fn new(scope: &Scope, receiver: Receiver, sender: Sender) -> Arc<Self> {
        Arc::new(Self {
            receiving: receiver.into_channel(),
            sending: sender.into_channel(),
            is_websocket: matches!(scope, Scope::WebSocket(_)),
            state: Arc::new(Mutex::new(State {
                progress: Progress::Waiting,
                has_trailers: false,
                is_closed: false,
                receiver: None,
                senders: Vec::new(),
            })),
            order: Mutex::new(()),
        })
    }

    /// Closes the gate, unless the response is complete. Returns how far the response has come.
    pub(super) fn close(&self) -> Progress {
        let order = self.order.lock().unwrap();
        let mut state = self.state.lock().unwrap();
        let progress = state.progress;
        if progress == Progress::Complete {
            return progress;
        }
        state.is_closed = true;
        let mut wakers = std::mem::take(&mut state.senders);
        wakers.extend(state.receiver.take());
        drop(state);
        drop(order);
        wakers.into_iter().for_each(Waker::wake);
        progress
    }

    fn disconnect(&self) -> ReceiveEvent {
        match self.is_websocket {
            true => ReceiveEvent::WebSocketDisconnect(WebSocketDisconnect::new(1006)),
            false => ReceiveEvent::HttpDisconnect,
        }
    }
}

impl Channel for Gate {
    fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
        let mut state = self.state.lock().unwrap();
        if state.is_closed {
            return Poll::Ready(self.disconnect());
        }
        state.receiver = Some(cx.waker().clone());
        drop(state);
        self.receiving.poll_receive(cx)
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.state.lock().unwrap().poll_closed(cx).is_ready() {
            return Poll::Ready(());
        }
        let polled = self.sending.poll_ready(cx);
        if polled.is_ready() {
            // The inner channel wakes all senders when there is room: each of them comes back.
            self.state.lock().unwrap().senders.clear();
        }
        polled
    }

    fn start_send(&self, event: SendEvent) -> Result<SendProgress, SendError> {
        let _order = self.order.lock().unwrap();
        if self.state.lock().unwrap().is_closed {
            return Err(SendError::Disconnected);
        }
        let step = Step::of(&event);
        match self.sending.start_send(event)? {
            SendProgress::Sent => {
                self.state.lock().unwrap().advance(step);
                Ok(SendProgress::Sent)
            }
            SendProgress::Pending(rest) => {
                let rest = pending_send(self.state.clone(), step, rest);
                Ok(SendProgress::Pending(Box::pin(rest)))
            }
        }
    }
}

/// Waits for a path send, and drops it when the gate is closed.
async fn pending_send(
    state: Arc<Mutex<State>>,
    step: Step,
    mut rest: PendingSend,
) -> Result<(), SendError> {
    poll_fn(|cx| {
        if state.lock().unwrap().poll_closed(cx).is_ready() {
            return Poll::Ready(Err(SendError::Disconnected));
        }
        rest.as_mut().poll(cx)
    })
    .await?;
    state.lock().unwrap().advance(step);
    Ok(())
}

impl State {
    /// Returns ready if the gate is closed. Otherwise registers the waker.
    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_closed {
            return Poll::Ready(());
        }
        if !self.senders.iter().any(|waker| waker.will_wake(cx.waker())) {
            self.senders.push(cx.waker().clone());
        }
        Poll::Pending
    }

    fn advance(&mut self, step: Step) {
        match step {
            Step::Other => {}
            Step::Start { has_trailers } => {
                self.progress = Progress::Started;
                self.has_trailers = has_trailers;
            }
            Step::EndOfContent if self.has_trailers => {}
            Step::EndOfContent | Step::End => self.progress = Progress::Complete,
        }
    }
}

/// What an event means for the progress of a response.
#[derive(Clone, Copy)]
enum Step {
    Start { has_trailers: bool },
    EndOfContent,
    End,
    Other,
}

impl Step {
    fn of(event: &SendEvent) -> Self {
        match event {
            SendEvent::HttpResponseStart(start) | SendEvent::DenialResponseStart(start) => {
                let has_trailers = start.trailers;
                Self::Start { has_trailers }
            }
            SendEvent::HttpResponseBody(body) | SendEvent::DenialResponseBody(body)
                if !body.more_body =>
            {
                Self::EndOfContent
            }
            SendEvent::HttpResponsePathSend(_) => Self::EndOfContent,
            SendEvent::HttpResponseTrailers(trailers) if !trailers.more_trailers => Self::End,
            SendEvent::WebSocketAccept(_) | SendEvent::WebSocketClose(_) => Self::End,
            _ => Self::Other,
        }
    }
}

/// Waits until a call behind a closed gate has ended, for at most the grace period. After that the call
/// is to be dropped.
pub(super) async fn end_call<T>(call: impl Future<Output = T>, grace_period: Duration) {
    // What the call returns follows from the disconnect.
    let _ = tokio::time::timeout(grace_period, call).await;
}
