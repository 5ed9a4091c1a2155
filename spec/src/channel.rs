use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use crate::{ReceiveEvent, SendError, SendEvent};

/// The server's end of one exchange: servers, test clients and middleware implement it.
///
/// One shared allocation serves both directions, which is why every method takes `&self`. Sending has
/// two steps, as in `futures::Sink`: [`poll_ready`](Self::poll_ready) waits for room, and
/// [`start_send`](Self::start_send) takes the event. So every layer of middleware sees each event
/// exactly once, however long it waits for room.
///
/// A middleware that looks at events implements this over the channel that it is given
/// ([`Receiver::into_channel`], [`Sender::into_channel`]) and hands its own pair on:
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
    /// Takes the next event for the application, or registers the waker for when there is one.
    ///
    /// Never fails: the end of an exchange is an event too, and is yielded again each time it is
    /// asked for (rule `CORE-12`).
    fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<ReceiveEvent>;

    /// Ready when there is room for an event, or when a send would fail at once; otherwise the waker
    /// is registered. Several tasks may wait at the same time, and each of them is woken.
    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()>;

    /// Takes `event` from the application. The caller has just seen
    /// [`poll_ready`](Self::poll_ready) ready, in the same poll.
    ///
    /// Two threads may see the same readiness. A channel takes the events of both then, so its
    /// buffer grows by one event for each further thread at most.
    ///
    /// # Errors
    ///
    /// As [`Sender::send`]. The event is dropped then.
    fn start_send(&self, event: SendEvent) -> Result<SendProgress, SendError>;
}

/// How far a send has come when the channel has taken its event.
pub enum SendProgress {
    /// The event is sent.
    Sent,
    /// The channel still prepares the event: a path send whose file is being opened. The future says
    /// what becomes of the send. When it is dropped before it is ready, the event is not sent.
    Pending(PendingSend),
}

/// The rest of a send that the channel still prepares.
pub type PendingSend = Pin<Box<dyn Future<Output = Result<(), SendError>> + Send>>;

impl fmt::Debug for SendProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sent => "Sent",
            Self::Pending(_) => "Pending",
        })
    }
}

/// The source of the events for an application. Each exchange has one.
pub struct Receiver(Arc<dyn Channel>);

impl Receiver {
    /// Creates a receiver that takes its events from `channel`.
    #[must_use]
    pub fn new(channel: Arc<dyn Channel>) -> Self {
        Self(channel)
    }

    /// Waits for the next event.
    ///
    /// After the last body event of a request this waits until the client is gone, the response
    /// is complete or a rule is broken, and then yields [`ReceiveEvent::HttpDisconnect`] (rule
    /// `HTTP-08`). Every further call yields the disconnect again, at once (rule `CORE-12`). Before
    /// that, [`ReceiveEvent::HttpShutdown`] is yielded when the server shuts down.
    ///
    /// Cancel safe: an event that was not returned stays in the channel.
    pub async fn receive(&mut self) -> ReceiveEvent {
        poll_fn(|cx| self.0.poll_receive(cx)).await
    }

    /// Polls for the next event, as [`receive`](Self::receive).
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

/// The destination of the events of an application. Clones share the exchange, so that another task
/// can send on it; each event goes out whole (rule `CORE-07`).
#[derive(Clone)]
pub struct Sender(Arc<dyn Channel>);

impl Sender {
    /// Creates a sender that gives its events to `channel`.
    #[must_use]
    pub fn new(channel: Arc<dyn Channel>) -> Self {
        Self(channel)
    }

    /// Sends one event. Resolves when the server has taken the event into its buffer, which it does
    /// when there is room: that is how a slow client slows the application down (rule `CORE-08`).
    ///
    /// Cancel safe: when the future is dropped before it has resolved, the event is not sent.
    ///
    /// # Errors
    ///
    /// - [`SendError::Disconnected`]: the client is gone, or the call of the application has
    ///   returned (rules `CORE-03`, `CORE-11`).
    /// - [`SendError::Violation`]: the event breaks a rule, which the error names (`CORE-04`).
    /// - [`SendError::NotOffered`]: the event needs a feature that the scope does not offer
    ///   (`EXT-01`); the exchange goes on as if it had not been sent.
    /// - [`SendError::File`]: the file of a path send cannot be opened (`EXT-08`); likewise.
    /// - [`SendError::TrailersTooLarge`]: the trailer fields take more than the server holds;
    ///   likewise.
    pub fn send(&self, event: impl Into<SendEvent>) -> Sending<'_> {
        Sending {
            sender: self,
            step: Step::Waiting(Some(event.into())),
        }
    }

    /// Ready when there is room for an event, as [`Channel::poll_ready`].
    pub fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll_ready(cx)
    }

    /// Sends an event without waiting, right after [`poll_ready`](Self::poll_ready) was ready, as
    /// [`Channel::start_send`].
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
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

/// What a send waits for.
enum Step {
    /// Room for the event, which is present until the channel has taken it.
    Waiting(Option<SendEvent>),
    /// The channel, which prepares the event.
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

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Step::Waiting(event) = &mut this.step {
            ready!(this.sender.poll_ready(cx));
            let event = event.take().expect("not polled after it was ready");
            match this.sender.0.start_send(event) {
                Ok(SendProgress::Sent) => return Poll::Ready(Ok(())),
                Ok(SendProgress::Pending(rest)) => this.step = Step::Pending(rest),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        match &mut this.step {
            Step::Pending(rest) => rest.as_mut().poll(cx),
            Step::Waiting(_) => Poll::Pending,
        }
    }
}
