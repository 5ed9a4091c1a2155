//! The receiver of an HTTP exchange, shared by the body of the request and by whoever has to know
//! that the client is gone.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use callgate::{HttpRequestBody, HttpScope, ReceiveEvent, Receiver, SendError};
use http::header::{CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING};
use http_body::{Body, Frame, SizeHint};

use super::watch::Watch;

/// The receiver of one exchange.
///
/// Content that the head announces is received when the body is polled, and at no other time. A
/// disconnect can only be seen by receiving, too: that is done when no content is announced, or when
/// all of it has been received.
#[derive(Debug)]
pub(super) struct Intake(Mutex<State>);

#[derive(Debug)]
struct State {
    receiver: Receiver,
    /// Whether the head announces content, so that nothing is received before the body is polled.
    has_content: bool,
    /// Whether the last of the content has been received.
    is_received: bool,
    is_disconnected: bool,
    /// What was received while a disconnect was looked for.
    looked_ahead: Option<HttpRequestBody>,
    /// Whoever waits for the body.
    body: Option<Waker>,
    /// The call, which waits for a disconnect.
    call: Option<Waker>,
}

impl Intake {
    pub(super) fn new(scope: &HttpScope, receiver: Receiver) -> Arc<Self> {
        let headers = &scope.headers;
        let has_content = headers.contains_key(TRANSFER_ENCODING)
            || headers.contains_key(EXPECT)
            || content_length(scope).is_some_and(|length| length > 0);
        Arc::new(Self(Mutex::new(State {
            receiver,
            has_content,
            is_received: false,
            is_disconnected: false,
            looked_ahead: None,
            body: None,
            call: None,
        })))
    }

    /// The body of the request. Where the head announces no content, this looks whether there is any:
    /// a service may pass on a body that is known to be empty in another way than one that is not.
    pub(super) async fn body(self: &Arc<Self>, scope: &HttpScope) -> RequestBody {
        poll_fn(|cx| {
            // It has come at once, or is waited for later.
            let _ = self.lock().poll_disconnect(cx);
            Poll::Ready(())
        })
        .await;
        let is_empty = self
            .lock()
            .looked_ahead
            .take_if(|event| !event.more_body && event.body.is_empty() && event.trailers.is_none());
        if is_empty.is_some() {
            return RequestBody::default();
        }
        RequestBody {
            intake: Some(self.clone()),
            remaining: content_length(scope),
            trailers: None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nothing in here panics")
    }
}

impl Watch for Arc<Intake> {
    fn poll_disconnect(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.lock().poll_disconnect(cx)
    }
}

impl State {
    /// Ready once the client is known to be gone.
    fn poll_disconnect(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        register(&mut self.call, cx);
        while !self.is_disconnected {
            let may_receive = self.is_received || !self.has_content && self.looked_ahead.is_none();
            if !may_receive {
                return Poll::Pending;
            }
            if let Some(event) = ready!(self.poll_receive(cx)) {
                self.looked_ahead = Some(event);
            }
            wake(&mut self.body);
        }
        Poll::Ready(())
    }

    /// The next of the content for the body; `None` when the client is gone.
    fn poll_content(&mut self, cx: &mut Context<'_>) -> Poll<Option<HttpRequestBody>> {
        if let Some(event) = self.looked_ahead.take() {
            return Poll::Ready(Some(event));
        }
        let Poll::Ready(event) = self.poll_receive(cx) else {
            register(&mut self.body, cx);
            return Poll::Pending;
        };
        // From now on it is the call's turn to receive, unless it is what polls the body and will do
        // so anyway.
        if (self.is_received || self.is_disconnected)
            && let Some(call) = self.call.take_if(|call| !call.will_wake(cx.waker()))
        {
            call.wake();
        }
        Poll::Ready(event)
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Option<HttpRequestBody>> {
        loop {
            match ready!(self.receiver.poll_receive(cx)) {
                ReceiveEvent::HttpRequestBody(event) => {
                    self.is_received |= !event.more_body;
                    return Poll::Ready(Some(event));
                }
                ReceiveEvent::HttpDisconnect => {
                    self.is_disconnected = true;
                    return Poll::Ready(None);
                }
                _ => {}
            }
        }
    }
}

fn content_length(scope: &HttpScope) -> Option<u64> {
    scope
        .headers
        .get(CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

/// The content of a request, as a tower service reads it.
///
/// It is received from the server when it is polled, and not before: a service that does not read
/// makes the client wait. Its error is [`SendError::Disconnected`]: the client went away in the
/// middle, or sent what is no content. The default is no content.
#[derive(Debug, Default)]
pub struct RequestBody {
    /// None when there is no more.
    intake: Option<Arc<Intake>>,
    /// What is still to come, if the head says so.
    remaining: Option<u64>,
    trailers: Option<Box<http::HeaderMap>>,
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = SendError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, SendError>>> {
        let this = self.get_mut();
        while let Some(intake) = &this.intake {
            let Some(event) = ready!(intake.lock().poll_content(cx)) else {
                this.intake = None;
                return Poll::Ready(Some(Err(SendError::Disconnected)));
            };
            if !event.more_body {
                this.intake = None;
                this.trailers = event.trailers;
            }
            if !event.body.is_empty() {
                if let Some(remaining) = &mut this.remaining {
                    *remaining = remaining.saturating_sub(event.body.len() as u64);
                }
                return Poll::Ready(Some(Ok(Frame::data(event.body))));
            }
        }
        let trailers = this.trailers.take();
        Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(*trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.intake.is_none() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match self.remaining {
            _ if self.intake.is_none() => SizeHint::with_exact(0),
            Some(remaining) => SizeHint::with_exact(remaining),
            None => SizeHint::default(),
        }
    }
}

/// Remembers one task; it takes the place of the one before.
fn register(slot: &mut Option<Waker>, cx: &Context<'_>) {
    match slot {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *slot = Some(cx.waker().clone()),
    }
}

/// Wakes whoever has registered, once.
fn wake(slot: &mut Option<Waker>) {
    if let Some(waker) = slot.take() {
        waker.wake();
    }
}
