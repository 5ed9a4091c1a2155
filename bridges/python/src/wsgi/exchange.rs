//! A request and its response, between the server and the thread that serves it.

use std::collections::VecDeque;
use std::future::Future as _;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use callgate::{
    AppError, Channel, HttpScope, PendingSend, ReceiveEvent, Receiver, SendError, SendEvent,
    SendProgress, Sender,
};

use pyo3::Python;

use super::pool::Pool;
use crate::tolerance::Tolerance;

/// The most octets of a response that a thread is ahead of the server, but for one part.
const MOST_OUTPUT: usize = 64 << 10;

/// The most octets of content that the server is ahead of the application, but for one part.
const MOST_INPUT: usize = 256 << 10;

/// An exchange. Both sides have it.
#[derive(Debug)]
pub(super) struct Exchange {
    pool: Arc<Pool>,
    state: Mutex<State>,
    /// Tells the thread, while it waits, that something has changed.
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    /// `None` once the thread has it.
    scope: Option<Box<HttpScope>>,
    input: Input,
    output: VecDeque<SendEvent>,
    /// The octets of the output, with the part that the server is sending.
    output_size: usize,
    /// How the file of the output could be sent.
    file: Option<Result<(), SendError>>,
    /// Whether the response is complete, for the thread.
    is_complete: bool,
    /// How the call has failed.
    end: Option<AppError>,
    /// Whether the server has no more use for the exchange.
    is_over: bool,
    /// Whether the thread has nothing more to do with the exchange.
    is_served: bool,
    /// Whether the server has given the exchange up while a thread serves it.
    is_given_up: bool,
    /// Whether the thread waits.
    is_awaited: bool,
    /// Wakes the server.
    waker: Option<Waker>,
}

/// The content of the request.
#[derive(Debug, Default)]
struct Input {
    parts: VecDeque<Bytes>,
    size: usize,
    /// Whether the application reads. Content is not asked for before, as a client may wait for that.
    is_wanted: bool,
    has_ended: bool,
}

/// The client is gone, or the server has given the request up.
#[derive(Debug)]
pub(super) struct ClientGone;

impl Exchange {
    /// Returns what the application may break.
    pub(super) fn tolerance(&self) -> &Tolerance {
        &self.pool.tolerance
    }

    pub(super) fn new(scope: Box<HttpScope>, pool: Arc<Pool>) -> Self {
        Self {
            pool,
            state: Mutex::new(State {
                scope: Some(scope),
                input: Input::default(),
                output: VecDeque::new(),
                output_size: 0,
                file: None,
                is_complete: false,
                end: None,
                is_over: false,
                is_served: false,
                is_given_up: false,
                is_awaited: false,
                waker: None,
            }),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic under this lock")
    }

    /// Waits while `must_wait` says so. Python is detached.
    fn wait_while(&self, must_wait: impl Fn(&State) -> bool) {
        let mut state = self.lock();
        while must_wait(&state) {
            state.is_awaited = true;
            state = self.changed.wait(state).expect("no panic under this lock");
        }
        state.is_awaited = false;
    }

    /// Changes the state, on the side of the server, and tells the thread if it waits.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let result = change(&mut state);
        if state.is_awaited {
            self.changed.notify_one();
        }
        result
    }

    /// Changes the state, on the side of the thread, and wakes the server if it waits.
    fn change_and_wake<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let result = change(&mut state);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        result
    }
}

/// The side of the thread.
impl Exchange {
    /// Returns the scope, to begin; `None` when the server has no more use for the exchange.
    pub(super) fn begin(&self) -> Option<Box<HttpScope>> {
        let mut state = self.lock();
        let scope = state.scope.take();
        scope.filter(|_| !state.is_over)
    }

    /// Returns whether the server has no more use for the exchange.
    pub(super) fn is_over(&self) -> bool {
        self.lock().is_over
    }

    /// Takes the content that is there. `None` when there is none yet; no part at its end.
    pub(super) fn take_input(&self) -> Result<Option<VecDeque<Bytes>>, ClientGone> {
        let mut state = self.lock();
        if state.input.parts.is_empty() {
            return match (state.input.has_ended, state.is_over) {
                (true, _) => Ok(Some(VecDeque::new())),
                (false, true) => Err(ClientGone),
                (false, false) => Ok(None),
            };
        }
        let parts = mem::take(&mut state.input.parts);
        let was_full = state.input.size >= MOST_INPUT;
        state.input.size = 0;
        let waker = match was_full {
            true => state.waker.take(),
            false => None,
        };
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(Some(parts))
    }

    /// Has the server receive content, and waits for some, or for its end. Python is detached.
    pub(super) fn wait_for_input(&self) {
        self.change_and_wake(|state| state.input.is_wanted = true);
        self.wait_while(|state| {
            state.input.parts.is_empty() && !state.input.has_ended && !state.is_over
        });
    }

    /// Hands a part of the response over. Returns whether the thread is to wait for room.
    pub(super) fn send(
        &self,
        events: impl IntoIterator<Item = SendEvent>,
    ) -> Result<bool, ClientGone> {
        let mut state = self.lock();
        if state.is_over {
            return Err(ClientGone);
        }
        for event in events {
            state.output_size += size_of(&event);
            state.is_complete |= is_last(&event);
            state.output.push_back(event);
        }
        let must_wait = state.output_size > MOST_OUTPUT;
        let is_complete = state.is_complete;
        let waker = state.waker.take();
        drop(state);
        match waker {
            Some(waker) if is_complete => self.pool.relay.complete(waker),
            Some(waker) => waker.wake(),
            None => {}
        }
        Ok(must_wait)
    }

    /// Waits for room. Python is detached.
    pub(super) fn wait_for_room(&self) {
        self.wait_while(|state| state.output_size > MOST_OUTPUT && !state.is_over);
    }

    /// Waits until the file that was handed over is sent, or cannot be. Returns whether it could be. Python is detached.
    pub(super) fn wait_for_file(&self) -> Result<(), SendError> {
        self.wait_while(|state| state.file.is_none() && !state.is_over);
        let mut state = self.lock();
        let file = state.file.take();
        state.is_complete = matches!(file, Some(Ok(())));
        file.unwrap_or(Err(SendError::Disconnected))
    }

    /// Ends the call by a failure. Returns the failure if it ends nothing: the response is complete, or nobody waits for it.
    pub(super) fn end(&self, failure: AppError) -> Option<AppError> {
        self.change_and_wake(|state| {
            if state.is_complete || state.is_over {
                return Some(failure);
            }
            state.end = Some(failure);
            None
        })
    }

    /// Records that the thread has nothing more to do. Returns whether it was waited for.
    pub(super) fn finish(&self) -> bool {
        let mut state = self.lock();
        state.is_served = true;
        !state.is_given_up
    }
}

/// What the server has of an exchange.
///
/// When it is dropped, the exchange is over.
pub(super) struct ServerSide {
    pub(super) exchange: Arc<Exchange>,
    receiver: Receiver,
    sender: Arc<dyn Channel>,
    /// The event that there is no room for yet.
    next: Option<SendEvent>,
    /// The file that is being opened.
    file: Option<PendingSend>,
    /// Whether the response is complete.
    is_complete: bool,
}

impl ServerSide {
    pub(super) fn new(exchange: Exchange, receiver: Receiver, sender: Sender) -> Self {
        Self {
            exchange: Arc::new(exchange),
            receiver,
            sender: sender.into_channel(),
            next: None,
            file: None,
            is_complete: false,
        }
    }

    /// Receives content before a thread is taken: what is there, or all of it.
    pub(super) fn poll_first(
        &mut self,
        cx: &mut Context<'_>,
        is_whole: bool,
    ) -> Poll<Result<(), AppError>> {
        loop {
            match self.receiver.poll_receive(cx) {
                Poll::Pending if is_whole => return Poll::Pending,
                Poll::Pending => return Poll::Ready(Ok(())),
                Poll::Ready(event) => {
                    if self.take(event)? {
                        return Poll::Ready(Ok(()));
                    }
                }
            }
            if !is_whole && self.exchange.lock().input.size >= MOST_INPUT {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Takes an event of the client. Returns whether it was the last part of the content.
    fn take(&self, event: ReceiveEvent) -> Result<bool, AppError> {
        match event {
            ReceiveEvent::HttpRequestBody(part) => {
                self.exchange.change(|state| {
                    if !part.body.is_empty() {
                        state.input.size += part.body.len();
                        state.input.parts.push_back(part.body);
                    }
                    state.input.has_ended = !part.more_body;
                });
                Ok(!part.more_body)
            }
            ReceiveEvent::HttpDisconnect => Err(SendError::Disconnected.into()),
            _ => Ok(false),
        }
    }

    /// Passes on what there is. Ready once the response is complete, or once it cannot be.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), AppError>> {
        loop {
            if let Poll::Ready(ended) = self.poll_send(cx) {
                self.is_complete = ended.is_ok();
                return Poll::Ready(ended);
            }
            if let Poll::Ready(ended) = self.poll_receive(cx) {
                return Poll::Ready(ended);
            }
            let mut state = self.exchange.lock();
            let is_sending = self.next.is_some() || self.file.is_some();
            if is_sending || (state.output.is_empty() && state.end.is_none()) {
                state.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
        }
    }

    /// Sends the output, as far as there is room. Pending when there is nothing more, or no room.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), AppError>> {
        loop {
            if let Some(file) = &mut self.file {
                let Poll::Ready(result) = Pin::new(file).poll(cx) else {
                    return Poll::Pending;
                };
                self.file = None;
                let is_sent = result.is_ok();
                self.exchange.change(|state| state.file = Some(result));
                if is_sent {
                    return Poll::Ready(Ok(()));
                }
            }
            if self.next.is_none() {
                let mut state = self.exchange.lock();
                self.next = state.output.pop_front();
                if self.next.is_none() {
                    return match state.end.take() {
                        Some(failure) => Poll::Ready(Err(failure)),
                        None => Poll::Pending,
                    };
                }
            }
            let Some(event) = &self.next else { continue };
            let (size, is_last) = (size_of(event), is_last(event));
            let is_file = matches!(event, SendEvent::HttpResponsePathSend(_));
            match self.sender.poll_start_send(cx, &mut self.next) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(SendProgress::Pending(file))) => {
                    self.next = None;
                    self.file = Some(file);
                }
                Poll::Ready(result) => {
                    self.next = None;
                    let result = result.map(drop);
                    if is_file {
                        let is_sent = result.is_ok();
                        self.exchange.change(|state| state.file = Some(result));
                        if is_sent {
                            return Poll::Ready(Ok(()));
                        }
                        continue;
                    }
                    result?;
                    if is_last {
                        return Poll::Ready(Ok(()));
                    }
                    self.exchange.change(|state| state.output_size -= size);
                }
            }
        }
    }

    /// Receives content while the application wants some. After the last part, it waits for the disconnect of the client.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), AppError>> {
        loop {
            let is_wanted = {
                let input = &self.exchange.lock().input;
                input.has_ended || (input.is_wanted && input.size < MOST_INPUT)
            };
            if !is_wanted {
                return Poll::Pending;
            }
            let Poll::Ready(event) = self.receiver.poll_receive(cx) else {
                return Poll::Pending;
            };
            if let Err(gone) = self.take(event) {
                return Poll::Ready(Err(gone));
            }
        }
    }
}

impl Drop for ServerSide {
    fn drop(&mut self) {
        let (is_given_up, end) = self.exchange.change(|state| {
            state.is_over = true;
            state.waker = None;
            state.output.clear();
            state.is_given_up = !self.is_complete && state.scope.is_none() && !state.is_served;
            (state.is_given_up, state.end.take())
        });
        if is_given_up {
            self.exchange.pool.release();
        }
        if let Some(AppError::Failed(error)) = end {
            Python::attach(|py| self.exchange.pool.log_end(py, error));
        }
    }
}

fn size_of(event: &SendEvent) -> usize {
    match event {
        SendEvent::HttpResponseBody(part) => part.body.len(),
        _ => 0,
    }
}

fn is_last(event: &SendEvent) -> bool {
    matches!(event, SendEvent::HttpResponseBody(part) if !part.more_body)
}
