//! Shows the events of an exchange, in both directions, to an observer between the server and the application.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use callgate::{
    App, AppError, Channel, ReceiveEvent, Receiver, Scope, SendError, SendEvent, SendProgress,
    Sender,
};

use crate::call_end::panic_message;

/// Sees the events of one exchange, each event once, in the order in which they pass.
///
/// [`Lint`](crate::Lint) and [`Recorder`](crate::Recorder) are observers. A middleware that only looks is
/// an observer and a call of [`call_observed`]:
///
/// ```
/// use callgate::{App, AppError, ReceiveEvent, Receiver, Scope, SendError, SendEvent, Sender};
/// use callgate_conformance::{ExchangeObserver, ObservedEnd, call_observed};
///
/// /// Prints the types of all events.
/// struct Printed<A>(A);
///
/// struct Printer;
///
/// impl ExchangeObserver for Printer {
///     type Attempt = &'static str;
///
///     fn received(&mut self, event: &ReceiveEvent) {
///         println!("received {}", event.type_name());
///     }
///
///     fn sending(&mut self, event: &SendEvent) -> &'static str {
///         event.type_name()
///     }
///
///     fn sent(&mut self, event: &'static str, result: &Result<(), SendError>) {
///         println!("sent {event}: {result:?}");
///     }
///
///     fn ended(&mut self, end: ObservedEnd<'_>) {
///         println!("{end:?}");
///     }
/// }
///
/// impl<A: App> App for Printed<A> {
///     async fn call(&self, scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
///         call_observed(&self.0, scope, receiver, sender, Printer).await
///     }
/// }
/// ```
pub trait ExchangeObserver: Send + 'static {
    /// What the observer keeps of a send until its result is known.
    type Attempt: Send + 'static;

    /// The application has received this event.
    fn received(&mut self, event: &ReceiveEvent);

    /// The application wants to send, and there is no room: the send waits. This is called each time that
    /// a waiting send is polled. The default does nothing.
    fn blocked(&mut self) {}

    /// The application sends this event. There is room for it.
    fn sending(&mut self, event: &SendEvent) -> Self::Attempt;

    /// The send has ended with this result. A send that the application gives up has no result.
    fn sent(&mut self, attempt: Self::Attempt, result: &Result<(), SendError>);

    /// The call has ended.
    fn ended(&mut self, end: ObservedEnd<'_>);

    /// Returns the error that ends the call now, and otherwise keeps the waker of `cx` to be woken for it. The
    /// default never ends the call.
    fn poll_failure(&mut self, cx: &mut Context<'_>) -> Poll<AppError> {
        let _ = cx;
        Poll::Pending
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug)]
pub enum ObservedEnd<'a> {
    /// The application returned this.
    Returned(&'a Result<(), AppError>),
    /// The application panicked with this message.
    Panicked(&'a str),
    /// The server dropped the call before it ended.
    Dropped,
}

/// Calls `app`, and shows the exchange to `observer`, which is not called by two tasks at once.
///
/// # Errors
///
/// The error of the application, or that of [`ExchangeObserver::poll_failure`].
pub async fn call_observed<A: App, O: ExchangeObserver>(
    app: &A,
    scope: Scope,
    receiver: Receiver,
    sender: Sender,
    observer: O,
) -> Result<(), AppError> {
    let observer = SharedObserver(Arc::new(Mutex::new(observer)));
    let channel = Arc::new(ObservedChannel {
        receive_channel: receiver.into_channel(),
        send_channel: sender.into_channel(),
        observer: observer.clone(),
    });
    // Dropped after the call, so that the observer sees what the call sends while it is dropped.
    let mut drop_guard = DropGuard(Some(&observer));
    let call = app.call(scope, Receiver::new(channel.clone()), Sender::new(channel));
    let mut call = pin!(call);
    poll_fn(|cx| {
        if let Poll::Ready(error) = observer.lock().poll_failure(cx) {
            return Poll::Ready(Err(error));
        }
        let polled = catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(cx)));
        let mut state = observer.lock();
        let result = match polled {
            Ok(Poll::Pending) => return state.poll_failure(cx).map(Err),
            Ok(Poll::Ready(result)) => result,
            Err(panic) => {
                drop_guard.0 = None;
                state.ended(ObservedEnd::Panicked(&panic_message(&*panic)));
                drop(state);
                resume_unwind(panic);
            }
        };
        drop_guard.0 = None;
        state.ended(ObservedEnd::Returned(&result));
        Poll::Ready(match state.poll_failure(cx) {
            // An error of the application takes precedence over the error of the observer.
            Poll::Ready(error) if result.is_ok() => Err(error),
            _ => result,
        })
    })
    .await
}

/// Tells the observer that the call was dropped before it ended.
struct DropGuard<'a, O: ExchangeObserver>(Option<&'a SharedObserver<O>>);

impl<O: ExchangeObserver> Drop for DropGuard<'_, O> {
    fn drop(&mut self) {
        if let Some(observer) = self.0 {
            observer.lock().ended(ObservedEnd::Dropped);
        }
    }
}

/// The observer of an exchange. It is locked while an event passes, so that it sees events in the order in which they pass.
struct SharedObserver<O>(Arc<Mutex<O>>);

impl<O> Clone for SharedObserver<O> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<O> SharedObserver<O> {
    fn lock(&self) -> MutexGuard<'_, O> {
        // An observer that panics leaves its state valid.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The channel of an application that is observed.
struct ObservedChannel<O> {
    receive_channel: Arc<dyn Channel>,
    send_channel: Arc<dyn Channel>,
    observer: SharedObserver<O>,
}

impl<O: ExchangeObserver> Channel for ObservedChannel<O> {
    fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
        let mut observer = self.observer.lock();
        let event = ready!(self.receive_channel.poll_receive(cx));
        observer.received(&event);
        Poll::Ready(event)
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        let ready = self.send_channel.poll_ready(cx);
        if ready.is_pending() {
            self.observer.lock().blocked();
        }
        ready
    }

    fn start_send(&self, event: SendEvent) -> Result<SendProgress, SendError> {
        let mut observer = self.observer.lock();
        let attempt = observer.sending(&event);
        match self.send_channel.start_send(event) {
            Ok(SendProgress::Sent) => {
                observer.sent(attempt, &Ok(()));
                Ok(SendProgress::Sent)
            }
            Ok(SendProgress::Pending(rest)) => {
                let observer = self.observer.clone();
                Ok(SendProgress::Pending(Box::pin(async move {
                    let result = rest.await;
                    observer.lock().sent(attempt, &result);
                    result
                })))
            }
            Err(error) => {
                let result = Err(error);
                observer.sent(attempt, &result);
                result.map(|()| SendProgress::Sent)
            }
        }
    }
}
