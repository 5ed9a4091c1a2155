//! The channel between the application and the test client: what a server holds of an exchange.

use std::future::{pending, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use callgate::{
    AppError, BoxApp, Channel, ReceiveEvent, Receiver, Scope, SendError, SendEvent, SendProgress,
    Sender, Violation,
};
use futures_util::future::{Either, select};
use http::StatusCode;
use tokio::task::coop::{self, unconstrained};

use super::body::RequestBody;
use super::error::Failure;
use super::http_state::HttpState;
use super::websocket_state::WebSocketState;
use crate::call::{Ended, poll_caught};
use callgate::transcript::{Entry, Transcript};

/// One exchange, shared by the application, the task that polls it, and the client.
pub(super) struct Link {
    state: Mutex<State>,
    /// Apart from the state, as polling it may run the test's own code.
    body: Mutex<RequestBody>,
}

/// All that can change in an exchange.
pub(super) struct State {
    pub(super) protocol: Protocol,
    pub(super) transcript: Transcript,
    /// How the call has ended.
    pub(super) outcome: Option<Result<(), Failure>>,
    pub(super) violation: Option<Violation>,
    /// Whoever waits for something: each looks again after each change.
    wakers: Vec<Waker>,
}

/// What depends on the kind of scope.
pub(super) enum Protocol {
    Http(HttpState),
    WebSocket(WebSocketState),
}

/// What an application that receives gets.
pub(super) enum Incoming {
    Event(ReceiveEvent),
    /// The next of the request's content.
    Content,
    /// Nothing until something changes.
    Nothing,
}

impl Link {
    pub(super) fn new(protocol: Protocol, body: RequestBody) -> Self {
        Self {
            state: Mutex::new(State {
                protocol,
                transcript: Transcript::default(),
                outcome: None,
                violation: None,
                wakers: Vec::new(),
            }),
            body: Mutex::new(body),
        }
    }

    /// Changes the state, and has everyone look at it.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let result = change(&mut state);
        state.changed();
        result
    }

    /// Looks at the state.
    pub(super) fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.lock())
    }

    /// Takes something out of the state once it is there.
    pub(super) fn poll_take<T>(
        &self,
        cx: &mut Context<'_>,
        take: impl FnOnce(&mut State) -> Option<T>,
    ) -> Poll<T> {
        let mut state = self.lock();
        match take(&mut state) {
            Some(taken) => {
                state.changed();
                Poll::Ready(taken)
            }
            None => state.pending(cx),
        }
    }

    /// Calls the application, on a task of its own, with this grace period. One that goes on for as
    /// long as `unheard` with content that goes nowhere learns that nobody is there.
    pub(super) fn call(
        self: &Arc<Self>,
        app: &BoxApp,
        scope: Scope,
        grace: Duration,
        unheard: Duration,
    ) {
        self.look_mut(|state| state.transcript.push(Entry::Called(scope.clone())));
        let mut call = app.call_boxed(
            scope,
            Receiver::new(self.clone()),
            Sender::new(self.clone()),
        );
        let link = self.clone();
        tokio::spawn(async move {
            // Goes off even if the call uses up all that a task may do at a time.
            let timer = |time| unconstrained(tokio::time::sleep(time));
            let ended = poll_fn(|cx| poll_caught(&mut call, cx));
            let out_of_grace = pin!(async {
                let told = poll_fn(|cx| link.poll_told(cx));
                let disconnect_unheard = pin!(async {
                    poll_fn(|cx| link.poll_unheard(cx)).await;
                    timer(unheard).await;
                    link.disconnect_unheard();
                    pending::<()>().await;
                });
                select(told, disconnect_unheard).await;
                timer(grace).await;
            });
            let ended = match select(ended, out_of_grace).await {
                Either::Left((ended, _)) => Some(ended),
                Either::Right(_) => None,
            };
            // Put away before anyone is told that it has ended.
            drop(call);
            link.end(ended);
        });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn look_mut<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.lock())
    }

    /// Ready once the grace period begins.
    fn poll_told(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        let is_told = match &state.protocol {
            Protocol::Http(http) => http.is_told(),
            Protocol::WebSocket(websocket) => websocket.is_told(),
        };
        if is_told {
            return Poll::Ready(());
        }
        state.pending(cx)
    }

    /// Ready once the client has all that it will get, while the application was not through.
    fn poll_unheard(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.http().is_some_and(|http| http.is_unheard()) {
            return Poll::Ready(());
        }
        state.pending(cx)
    }

    /// Takes the client for gone, if the application still goes on.
    fn disconnect_unheard(&self) {
        self.change(|state| {
            let unheard = state.http().filter(|http| http.is_unheard());
            if let Some(http) = unheard {
                http.disconnect();
                let note = "the client has all that it will get: it is taken for gone";
                state.transcript.push(Entry::Note(note.into()));
            }
        });
    }

    /// Notes how the call has ended; none when its grace period has passed.
    fn end(&self, ended: Option<Ended>) {
        const FAILED: StatusCode = StatusCode::INTERNAL_SERVER_ERROR;
        self.drop_content();
        self.change(|state| {
            state.transcript.push(match &ended {
                Some(ended) => ended.entry(),
                None => Entry::Note("the grace period has passed: the call is dropped".into()),
            });
            state.outcome = Some(match ended {
                Some(Ended::Returned(Ok(()))) => match state.close(None) {
                    Some(violation) => Err(Failure::Violation(violation)),
                    None => Ok(()),
                },
                Some(Ended::Returned(Err(AppError::Unsupported))) if state.is_declinable() => {
                    state.close(Some(StatusCode::NOT_IMPLEMENTED));
                    Err(Failure::Declined)
                }
                Some(Ended::Returned(Err(error))) => {
                    state.close(Some(FAILED));
                    if error.is_disconnected() {
                        Ok(())
                    } else {
                        Err(Failure::Error(Arc::new(error)))
                    }
                }
                Some(Ended::Panicked(message)) => {
                    state.close(Some(FAILED));
                    Err(Failure::Panicked(message))
                }
                None => {
                    state.close(Some(FAILED));
                    Err(Failure::OutOfGrace)
                }
            });
        });
    }

    /// Drops content that has not been received, so that whoever sends it does not wait for ever.
    fn drop_content(&self) {
        // Not while it is locked, as it may be the test's own.
        let rest = self.body.lock().unwrap().take();
        drop(rest);
    }

    /// The next of the request's content, as the application asks for it.
    fn poll_content(&self, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
        let polled = self.body.lock().unwrap().poll_next(cx);
        let mut state = self.lock();
        let Protocol::Http(http) = &mut state.protocol else {
            return Poll::Pending;
        };
        let event = match polled {
            // What is gone while the body was polled is gone.
            _ if http.is_over() => ReceiveEvent::HttpDisconnect,
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Some(request)) => ReceiveEvent::HttpRequestBody(request),
            Poll::Ready(None) => {
                http.disconnect();
                ReceiveEvent::HttpDisconnect
            }
        };
        Poll::Ready(state.received(event))
    }
}

impl State {
    fn changed(&mut self) {
        for waker in self.wakers.drain(..) {
            waker.wake();
        }
    }

    fn pending<T>(&mut self, cx: &Context<'_>) -> Poll<T> {
        if !self.wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
            self.wakers.push(cx.waker().clone());
        }
        Poll::Pending
    }

    fn received(&mut self, event: ReceiveEvent) -> ReceiveEvent {
        self.transcript.push(Entry::Received(event.clone()));
        self.changed();
        event
    }

    fn is_declinable(&self) -> bool {
        match &self.protocol {
            Protocol::Http(http) => http.is_declinable(),
            Protocol::WebSocket(websocket) => websocket.is_declinable(),
        }
    }

    /// Ends what the application has begun, as its call has ended: with success, or with this
    /// status where nothing has been sent. Returns the rule that it broke by that.
    fn close(&mut self, failure: Option<StatusCode>) -> Option<Violation> {
        let violation = match &mut self.protocol {
            Protocol::Http(http) => http.returned(failure),
            Protocol::WebSocket(websocket) => websocket.returned(failure),
        };
        if failure.is_none() && self.violation.is_none() {
            self.violation.clone_from(&violation);
        }
        violation
    }

    pub(super) fn http(&mut self) -> Option<&mut HttpState> {
        match &mut self.protocol {
            Protocol::Http(http) => Some(http),
            Protocol::WebSocket(_) => None,
        }
    }

    pub(super) fn websocket(&mut self) -> Option<&mut WebSocketState> {
        match &mut self.protocol {
            Protocol::Http(_) => None,
            Protocol::WebSocket(websocket) => Some(websocket),
        }
    }
}

impl Channel for Link {
    fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
        let mut state = self.lock();
        let incoming = match &mut state.protocol {
            Protocol::Http(http) => http.receive(),
            Protocol::WebSocket(websocket) => websocket.receive(),
        };
        match incoming {
            Incoming::Event(event) => Poll::Ready(state.received(event)),
            Incoming::Nothing => state.pending(cx),
            Incoming::Content => {
                if state.http().is_some_and(HttpState::ask) {
                    let note = Entry::Note("the server says 100 Continue".into());
                    state.transcript.push(note);
                    state.changed();
                }
                let _ = state.pending::<()>(cx);
                drop(state);
                self.poll_content(cx)
            }
        }
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        // Where nobody makes the application wait, its thread has other work, too.
        let progress = ready!(coop::poll_proceed(cx));
        let mut state = self.lock();
        let has_room = match &state.protocol {
            Protocol::Http(http) => http.has_room(),
            Protocol::WebSocket(websocket) => websocket.has_room(),
        };
        if !has_room {
            return state.pending(cx);
        }
        progress.made_progress();
        Poll::Ready(())
    }

    fn start_send(&self, event: SendEvent) -> Result<SendProgress, SendError> {
        let mut state = self.lock();
        let result = match &mut state.protocol {
            Protocol::Http(http) => http.send(&event),
            Protocol::WebSocket(websocket) => websocket.send(&event),
        };
        if let Err(SendError::Violation(violation)) = &result
            && state.violation.is_none()
        {
            state.violation = Some(violation.clone());
        }
        state.transcript.push(Entry::Sent(event, result.clone()));
        state.changed();
        result.map(|()| SendProgress::Sent)
    }
}
