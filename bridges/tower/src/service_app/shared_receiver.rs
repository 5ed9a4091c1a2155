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

    /// Returns ready once the client is known to be gone. Content that arrives meanwhile is kept for
    /// the body.
    fn poll_disconnected(&self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let mut borrowed = {
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
                ready!(self.borrow(&mut reception))
            };
            let event = borrowed.poll_receive(cx);
            let is_pending = event.is_pending();
            let wakers = {
                let mut reception = self.lock();
                let mut wakers = reception.put_back(borrowed, &event, cx);
                if let Poll::Ready(event) = event {
                    // A disconnect leaves the content that the body has not read.
                    if event.is_some() {
                        reception.looked_ahead = event;
                    }
                    wakers[1] = reception.body.take();
                }
                wakers
            };
            wakers.into_iter().flatten().for_each(Waker::wake);
            if is_pending {
                return Poll::Pending;
            }
        }
    }

    /// Takes the next part of the content for the body; `None` when the client is gone.
    fn poll_content(&self, cx: &mut Context<'_>) -> Poll<Option<HttpRequestBody>> {
        let mut borrowed = {
            let mut reception = self.lock();
            register(&mut reception.body, cx);
            if let Some(event) = reception.looked_ahead.take() {
                return Poll::Ready(Some(event));
            }
            ready!(self.borrow(&mut reception))
        };
        let event = borrowed.poll_receive(cx);
        let wakers = {
            let mut reception = self.lock();
            let mut wakers = reception.put_back(borrowed, &event, cx);
            // From now on the call receives. The call is woken for that, unless its task polls the
            // body and polls the call afterwards.
            let is_calls_turn = reception.is_received || reception.is_disconnected;
            if let Some(call) = reception
                .call
                .take_if(|call| is_calls_turn && !call.will_wake(cx.waker()))
            {
                wakers[1] = Some(call);
            }
            wakers
        };
        wakers.into_iter().flatten().for_each(Waker::wake);
        event
    }

    /// Takes the receiver, to poll it without the lock. Pending while another task has it: that task
    /// wakes this one, which is registered.
    fn borrow(&self, reception: &mut Reception) -> Poll<BorrowedReceiver<'_>> {
        match reception.receiver.take() {
            Some(receiver) => Poll::Ready(BorrowedReceiver {
                shared: self,
                receiver: Some(receiver),
            }),
            None => {
                reception.was_contended = true;
                Poll::Pending
            }
        }
    }
}

impl Reception {
    /// Takes back the receiver, with what it has yielded. Returns the wakers of the tasks that found
    /// the receiver taken; the second place is free for the caller.
    fn put_back(
        &mut self,
        mut borrowed: BorrowedReceiver<'_>,
        event: &Poll<Option<HttpRequestBody>>,
        cx: &Context<'_>,
    ) -> [Option<Waker>; 3] {
        self.receiver = borrowed.receiver.take();
        match event {
            Poll::Ready(Some(event)) => self.is_received |= !event.more_body,
            Poll::Ready(None) => self.is_disconnected = true,
            Poll::Pending => {}
        }
        let was_contended = std::mem::take(&mut self.was_contended);
        let is_other = |waker: &mut Waker| was_contended && !waker.will_wake(cx.waker());
        let body = self.body.take_if(is_other);
        [body, None, self.call.take_if(is_other)]
    }
}

/// The receiver while a task polls it. Returned to its place also when polling panics.
struct BorrowedReceiver<'a> {
    shared: &'a SharedReceiver,
    receiver: Option<Receiver>,
}

impl BorrowedReceiver<'_> {
    /// Receives the next part of the content; `None` when the client is gone.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Option<HttpRequestBody>> {
        let receiver = self
            .receiver
            .as_mut()
            .expect("present until it is returned");
        loop {
            match ready!(receiver.poll_receive(cx)) {
                ReceiveEvent::HttpRequestBody(event) => return Poll::Ready(Some(event)),
                ReceiveEvent::HttpDisconnect => return Poll::Ready(None),
                ReceiveEvent::HttpShutdown => {
                    if let Some(shutdown) = self.shared.shutdown() {
                        shutdown.0.set();
                    }
                }
                _ => {}
            }
        }
    }
}

impl Drop for BorrowedReceiver<'_> {
    fn drop(&mut self) {
        if let Some(receiver) = self.receiver.take() {
            self.shared.lock().receiver = Some(receiver);
        }
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

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Weak;

    use callgate::{Channel, SendEvent, SendProgress};
    use http::{Method, Uri};

    use super::*;

    /// Yields these events, and lets the body look for content while the call receives.
    struct Scripted {
        events: Mutex<VecDeque<HttpRequestBody>>,
        shared: Mutex<Weak<SharedReceiver>>,
        panics: bool,
    }

    impl Channel for Scripted {
        fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
            assert!(!self.panics, "a middleware fails");
            let event = self.events.lock().unwrap().pop_front();
            let shared = self.shared.lock().unwrap().upgrade();
            if let Some(shared) = shared {
                // As the task of the body does on another thread.
                assert!(shared.poll_content(cx).is_pending());
            }
            event.map_or(Poll::Pending, |event| {
                Poll::Ready(ReceiveEvent::HttpRequestBody(event))
            })
        }

        fn poll_ready(&self, _: &mut Context<'_>) -> Poll<()> {
            Poll::Ready(())
        }

        fn start_send(&self, _: SendEvent) -> Result<SendProgress, SendError> {
            Ok(SendProgress::Sent)
        }
    }

    fn shared(panics: bool) -> (Arc<SharedReceiver>, Arc<Scripted>) {
        let scripted = Arc::new(Scripted {
            events: Mutex::new([HttpRequestBody::part("1"), HttpRequestBody::last("2")].into()),
            shared: Mutex::default(),
            panics,
        });
        let scope = HttpScope::new(Method::POST, Uri::from_static("/"));
        let shared = SharedReceiver::new(&scope, Receiver::new(scripted.clone()));
        (shared, scripted)
    }

    #[test]
    fn content_that_the_call_receives_comes_before_content_that_the_body_receives() {
        let (shared, scripted) = shared(false);
        *scripted.shared.lock().unwrap() = Arc::downgrade(&shared);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(SharedReceiver::poll_disconnected(&shared, &mut cx).is_pending());
        *scripted.shared.lock().unwrap() = Weak::new();
        for expected in ["1", "2"] {
            let Poll::Ready(Some(part)) = shared.poll_content(&mut cx) else {
                panic!("`{expected}` is lost");
            };
            assert_eq!(part.body, expected);
        }
    }

    #[test]
    fn a_receiver_that_panics_is_put_back() {
        let (shared, _scripted) = shared(true);
        let mut cx = Context::from_waker(Waker::noop());
        let polled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _ = shared.poll_content(&mut cx);
        }));
        assert!(polled.is_err());
        assert!(shared.lock().receiver.is_some());
    }
}
