//! The receiver of an HTTP exchange. The body of the request receives content through it, and the
//! call watches it for a disconnect.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use callgate::{Feature, HttpRequestBody, HttpScope, ReceiveEvent, Receiver, SendError};
use http::header::{CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING};
use http_body::{Body, Frame, SizeHint};

use super::disconnect::DisconnectWatch;
use crate::Shutdown;

/// The receiver of one exchange.
///
/// Content that the head announces is received only when the body is polled. A disconnect can only
/// be noticed by receiving. So the call receives when no content is announced, and after all
/// content has been received.
#[derive(Debug)]
pub(super) struct SharedReceiver(Mutex<Reception>);

#[derive(Debug)]
struct Reception {
    /// `None` while the body or the call polls the receiver: receiving may run foreign code, which
    /// must not run while the mutex is held.
    receiver: Option<Receiver>,
    /// Whether a task found the receiver taken, and waits to be woken.
    was_contended: bool,
    /// Whether the head announces content, so that nothing is received before the body is polled.
    has_content: bool,
    /// Whether the last of the content has been received.
    is_received: bool,
    is_disconnected: bool,
    /// Content that was received while the call watched for a disconnect.
    looked_ahead: Option<HttpRequestBody>,
    /// The extension that is set at the server's shutdown, where the server offers `http.shutdown`.
    shutdown: Option<Shutdown>,
    /// The task that polls the body.
    body: Option<Waker>,
    /// The task that polls the call.
    call: Option<Waker>,
}

impl SharedReceiver {
    pub(super) fn new(scope: &HttpScope, receiver: Receiver) -> Arc<Self> {
        let headers = &scope.headers;
        let has_content = headers.contains_key(TRANSFER_ENCODING)
            || headers.contains_key(EXPECT)
            || content_length(scope).is_some_and(|length| length > 0);
        let is_told = scope.features.contains(Feature::Shutdown);
        Arc::new(Self(Mutex::new(Reception {
            receiver: Some(receiver),
            was_contended: false,
            has_content,
            is_received: false,
            is_disconnected: false,
            looked_ahead: None,
            shutdown: is_told.then(Shutdown::default),
            body: None,
            call: None,
        })))
    }

    /// Returns the extension that is set at the server's shutdown.
    pub(super) fn shutdown(&self) -> Option<Shutdown> {
        self.lock().shutdown.clone()
    }

    /// Returns the body of the request. Where the head announces no content, this receives once,
    /// because a service may treat a body differently that is known to be empty.
    pub(super) async fn body(self: &Arc<Self>, scope: &HttpScope) -> RequestBody {
        poll_fn(|cx| {
            let _ = SharedReceiver::poll_disconnected(self, cx);
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
            receiver: Some(self.clone()),
            remaining: content_length(scope),
            trailers: None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Reception> {
        self.0.lock().expect("nothing panics while it is held")
    }

    /// Returns ready once the client is known to be gone.
    fn poll_disconnected(&self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            {
                let mut reception = self.lock();
                register(&mut reception.call, cx);
                if reception.is_disconnected {
                    return Poll::Ready(());
                }
                let may_receive = reception.is_received
                    || !reception.has_content && reception.looked_ahead.is_none();
                if !may_receive {
                    return Poll::Pending;
                }
            }
            let event = ready!(self.poll_receive(cx));
            let body = {
                let mut reception = self.lock();
                if event.is_some() {
                    reception.looked_ahead = event;
                }
                reception.body.take()
            };
            body.inspect(Waker::wake_by_ref);
        }
    }

    /// Takes the next part of the content for the body; `None` when the client is gone.
    fn poll_content(&self, cx: &mut Context<'_>) -> Poll<Option<HttpRequestBody>> {
        {
            let mut reception = self.lock();
            register(&mut reception.body, cx);
            if let Some(event) = reception.looked_ahead.take() {
                return Poll::Ready(Some(event));
            }
        }
        let event = ready!(self.poll_receive(cx));
        // From now on the call receives. The call is woken for that, unless its task polls the body
        // and polls the call afterwards.
        let call = {
            let mut reception = self.lock();
            let is_calls_turn = reception.is_received || reception.is_disconnected;
            reception
                .call
                .take_if(|call| is_calls_turn && !call.will_wake(cx.waker()))
        };
        call.inspect(Waker::wake_by_ref);
        Poll::Ready(event)
    }

    /// Receives the next part of the content; `None` when the client is gone.
    fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<Option<HttpRequestBody>> {
        let mut receiver = {
            let mut reception = self.lock();
            let Some(receiver) = reception.receiver.take() else {
                // Another task is receiving. That task wakes this one, which is registered.
                reception.was_contended = true;
                return Poll::Pending;
            };
            receiver
        };
        let event = loop {
            match receiver.poll_receive(cx) {
                Poll::Pending => break Poll::Pending,
                Poll::Ready(ReceiveEvent::HttpRequestBody(event)) => {
                    break Poll::Ready(Some(event));
                }
                Poll::Ready(ReceiveEvent::HttpDisconnect) => break Poll::Ready(None),
                Poll::Ready(ReceiveEvent::HttpShutdown) => {
                    if let Some(shutdown) = self.shutdown() {
                        shutdown.0.set();
                    }
                }
                Poll::Ready(_) => {}
            }
        };
        let others = {
            let mut reception = self.lock();
            reception.receiver = Some(receiver);
            match &event {
                Poll::Ready(Some(event)) => reception.is_received |= !event.more_body,
                Poll::Ready(None) => reception.is_disconnected = true,
                Poll::Pending => {}
            }
            let was_contended = std::mem::take(&mut reception.was_contended);
            let is_other = |waker: &mut Waker| was_contended && !waker.will_wake(cx.waker());
            [
                reception.body.take_if(is_other),
                reception.call.take_if(is_other),
            ]
        };
        others.into_iter().flatten().for_each(Waker::wake);
        event
    }
}

impl DisconnectWatch for Arc<SharedReceiver> {
    fn poll_disconnected(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        SharedReceiver::poll_disconnected(self, cx)
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
/// The content is received from the server only when the body is polled: a service that does not
/// read makes the client wait. The error is [`SendError::Disconnected`]: the client went away
/// before the end, or its content was malformed. The default is a body without content.
#[derive(Debug, Default)]
pub struct RequestBody {
    /// `None` when all of the content has been received.
    receiver: Option<Arc<SharedReceiver>>,
    /// The number of bytes that are to follow, if the head announces it.
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
        while let Some(receiver) = &this.receiver {
            let Some(event) = ready!(receiver.poll_content(cx)) else {
                this.receiver = None;
                return Poll::Ready(Some(Err(SendError::Disconnected)));
            };
            if !event.more_body {
                this.receiver = None;
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
        self.receiver.is_none() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match self.remaining {
            _ if self.receiver.is_none() => SizeHint::with_exact(0),
            Some(remaining) => SizeHint::with_exact(remaining),
            None => SizeHint::default(),
        }
    }
}

/// Registers the task that polls, in place of the task before.
fn register(slot: &mut Option<Waker>, cx: &Context<'_>) {
    match slot {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *slot = Some(cx.waker().clone()),
    }
}
