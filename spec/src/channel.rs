use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use crate::{ReceiveEvent, SendError, SendEvent};

/// The server's end of one exchange. Servers, test clients and middleware implement this trait.
///
/// One shared allocation serves both directions, so every method takes `&self`. Sending has two
/// steps, as in `futures::Sink`: [`poll_ready`](Self::poll_ready) waits for room, and
/// [`start_send`](Self::start_send) takes the event. Every layer of middleware therefore processes
/// each event exactly once, regardless of back-pressure.
///
/// A middleware that uses events implements this trait over the channel of its own receiver and
/// sender ([`Receiver::into_channel`], [`Sender::into_channel`]), and passes a new receiver and
/// sender on:
///
/// ```
/// use std::sync::Arc;
/// use std::task::{Context, Poll};
/// use callgate::{App, AppError, Channel, ReceiveEvent, Receiver, Scope, Sender};
/// use callgate::{SendError, SendEvent, SendProgress};
///
/// /// Adds a header to each response of the application inside.
/// struct PoweredBy<A>(A);
///
/// struct AddHeader {
///     receiving: Arc<dyn Channel>,
///     sending: Arc<dyn Channel>,
/// }
///
/// impl Channel for AddHeader {
///     fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
///         self.receiving.poll_receive(cx)
///     }
///
///     fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
///         self.sending.poll_ready(cx)
///     }
///
///     fn start_send(&self, mut event: SendEvent) -> Result<SendProgress, SendError> {
///         if let SendEvent::HttpResponseStart(start) = &mut event {
///             start.headers.insert("x-powered-by", "callgate".parse().unwrap());
///         }
///         self.sending.start_send(event)
///     }
/// }
///
/// impl<A: App> App for PoweredBy<A> {
///     async fn call(&self, scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
///         let channel = Arc::new(AddHeader {
///             receiving: receiver.into_channel(),
///             sending: sender.into_channel(),
///         });
///         self.0.call(scope, Receiver::new(channel.clone()), Sender::new(channel)).await
///     }
/// }
/// ```
pub trait Channel: Send + Sync + 'static {
    /// Polls for the next event for the application. Registers the waker if there is no event yet.
    ///
    /// Receiving never fails, because the end of an exchange is an event too. After the disconnect
    /// event, every poll yields the disconnect event again (rule `CORE-12`).
    fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<ReceiveEvent>;

    /// Returns ready if there is room for an event, or if the next send fails at once. Otherwise
    /// registers the waker. Several tasks may wait at the same time, and the channel wakes each of
    /// them.
    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()>;

    /// Takes `event` from the application. The caller must call this method right after
    /// [`poll_ready`](Self::poll_ready) has returned ready, in the same poll.
    ///
    /// Two threads may observe the same readiness. The channel then takes the events of both, so
    /// its buffer exceeds its bound by at most one event for each further thread.
    ///
    /// # Errors
    ///
    /// Fails as [`Sender::send`] does. The event is then dropped.
    fn start_send(&self, event: SendEvent) -> Result<SendProgress, SendError>;

    /// Takes the event out of `event` when there is room: [`poll_ready`](Self::poll_ready) and then
    /// [`start_send`](Self::start_send). A channel overrides this method only to do both under one
    /// lock, with the same effect.
    ///
    /// # Errors
    ///
    /// Fails as [`Sender::send`] does. The event is then dropped.
    ///
    /// # Panics
    ///
    /// Panics if `event` is `None`.
    fn poll_start_send(
        &self,
        cx: &mut Context<'_>,
        event: &mut Option<SendEvent>,
    ) -> Poll<Result<SendProgress, SendError>> {
        ready!(self.poll_ready(cx));
        Poll::Ready(self.start_send(event.take().expect("an event to send")))
    }
}

/// The progress of a send after the channel has taken the event.
pub enum SendProgress {
    /// The channel has the event in its buffer, and the send has succeeded.
    Sent,
    /// The channel still prepares the event: the file of a path send is being opened. The future
    /// resolves to the result of the send. If the future is dropped before the file is open, the
    /// event is not sent.
    Pending(PendingSend),
}

/// The remainder of a send that the channel still prepares.
pub type PendingSend = Pin<Box<dyn Future<Output = Result<(), SendError>> + Send>>;

impl fmt::Debug for SendProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sent => "Sent",
            Self::Pending(_) => "Pending",
        })
    }
}

/// The source of the events for an application. Each exchange has one receiver.
pub struct Receiver(Arc<dyn Channel>);

impl Receiver {
    /// Creates a receiver that takes its events from `channel`.
    #[must_use]
    pub fn new(channel: Arc<dyn Channel>) -> Self {
        Self(channel)
    }

    /// Waits for the next event.
    ///
    /// After the last body event of a request, `receive` waits until the client is gone, the
    /// response is complete, or the application has broken a rule. `receive` then returns
    /// [`ReceiveEvent::HttpDisconnect`] (rule `HTTP-08`). Every further call returns the disconnect
    /// event again, at once (rule `CORE-12`). If the server shuts down while `receive` waits,
    /// `receive` first returns [`ReceiveEvent::HttpShutdown`], where the server offers this
    /// feature.
    ///
    /// This method is cancel safe: an event that was not returned stays in the channel.
    pub async fn receive(&mut self) -> ReceiveEvent {
        poll_fn(|cx| self.0.poll_receive(cx)).await
    }

    /// Polls for the next event, like [`receive`](Self::receive).
    pub fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
        self.0.poll_receive(cx)
    }

    /// Returns the channel of this receiver, for a middleware to build on.
    #[must_use]
    pub fn into_channel(self) -> Arc<dyn Channel> {
        self.0
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receiver")
    }
}

/// The destination of the events of an application. Clones send on the same exchange, so several
/// tasks can send. The server never interleaves two events (rule `CORE-07`).
#[derive(Clone)]
pub struct Sender(Arc<dyn Channel>);

impl Sender {
    /// Creates a sender that sends its events to `channel`.
    #[must_use]
    pub fn new(channel: Arc<dyn Channel>) -> Self {
        Self(channel)
    }

    /// Sends one event.
    ///
    /// The future resolves when the server has taken the event into its buffer, which the server
    /// does when there is room. A slow client therefore delays the application (rule `CORE-08`). A
    /// path send resolves when the server has opened the file.
    ///
    /// The future is cancel safe: if the future is dropped before it resolves, the event is not
    /// sent. A path send is not sent if the future is dropped before the file is open.
    ///
    /// # Errors
    ///
    /// - [`SendError::Disconnected`]: the client is gone, or the call of the application has
    ///   returned (rules `CORE-03`, `CORE-11`).
    /// - [`SendError::Violation`]: the event breaks a rule, which the error names (`CORE-04`).
    /// - [`SendError::NotOffered`]: the event needs a feature that the scope does not offer
    ///   (`EXT-01`). The exchange goes on as if the event had not been sent.
    /// - [`SendError::File`]: the file of a path send cannot be opened (`EXT-08`). The exchange goes on
    ///   as if the event had not been sent.
    /// - [`SendError::TrailersTooLarge`]: the trailer fields exceed the server's limit. The exchange
    ///   goes on as if the event had not been sent.
    pub fn send(&self, event: impl Into<SendEvent>) -> Sending<'_> {
        Sending {
            sender: self,
            step: Step::Waiting(Some(event.into())),
        }
    }

    /// Returns ready if there is room for an event, like [`Channel::poll_ready`].
    pub fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll_ready(cx)
    }

    /// Sends an event without waiting, like [`Channel::start_send`]. The caller must call this
    /// method right after [`poll_ready`](Self::poll_ready) has returned ready, in the same poll.
    ///
    /// # Errors
    ///
    /// Fails as [`send`](Self::send) does.
    pub fn start_send(&self, event: impl Into<SendEvent>) -> Result<SendProgress, SendError> {
        self.0.start_send(event.into())
    }

    /// Returns the channel of this sender, for a middleware to build on.
    #[must_use]
    pub fn into_channel(self) -> Arc<dyn Channel> {
        self.0
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sender")
    }
}

/// The future of [`Sender::send`].
#[derive(Debug)]
#[must_use = "an event is sent when this is awaited"]
pub struct Sending<'a> {
    sender: &'a Sender,
    step: Step,
}

/// The step of a send.
enum Step {
    /// The send waits for room. The event is present until the channel has taken it.
    Waiting(Option<SendEvent>),
    /// The channel prepares the event.
    Pending(PendingSend),
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting(event) => f.debug_tuple("Waiting").field(event).finish(),
            Self::Pending(_) => f.write_str("Pending"),
        }
    }
}

impl Future for Sending<'_> {
    type Output = Result<(), SendError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Step::Waiting(event) = &mut this.step {
            match ready!(this.sender.0.poll_start_send(cx, event))? {
                SendProgress::Sent => return Poll::Ready(Ok(())),
                SendProgress::Pending(rest) => this.step = Step::Pending(rest),
            }
        }
        match &mut this.step {
            Step::Pending(rest) => rest.as_mut().poll(cx),
            Step::Waiting(_) => Poll::Pending,
        }
    }
}
