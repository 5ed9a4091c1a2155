use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::{ReceiveEvent, SendError, SendEvent};

/// The other end of one exchange: what a server, a test client or a middleware implements.
///
/// One shared allocation serves both directions, which is why both methods take `&self`.
///
/// A middleware that looks at events implements this over the channel it was given
/// ([`Receiver::into_channel`], [`Sender::into_channel`]) and hands its own pair on:
///
/// ```
/// use std::sync::Arc;
/// use std::task::{Context, Poll};
/// use callgate::{App, AppError, Channel, ReceiveEvent, Receiver, Scope, SendError, SendEvent, Sender};
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
///     fn poll_send(&self, cx: &mut Context<'_>, event: &mut Option<SendEvent>) -> Poll<Result<(), SendError>> {
///         if let Some(SendEvent::HttpResponseStart(start)) = event {
///             start.headers.insert("x-powered-by", "callgate".parse().unwrap());
///         }
///         self.sending.poll_send(cx, event)
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

    /// Takes `event` from the application, leaving `None`; or leaves it and registers the waker for
    /// when there is room. It may be called by several tasks at once, so each waker counts.
    ///
    /// # Errors
    ///
    /// As [`Sender::send`]. The event is not delivered then, whether or not it is left in place.
    ///
    /// # Panics
    ///
    /// May panic when `event` is `None`.
    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        event: &mut Option<SendEvent>,
    ) -> Poll<Result<(), SendError>>;
}

/// Where an application gets its events from. There is one for each exchange.
pub struct Receiver(Arc<dyn Channel>);

impl Receiver {
    /// A receiver that takes its events from `channel`.
    #[must_use]
    pub fn new(channel: Arc<dyn Channel>) -> Self {
        Self(channel)
    }

    /// Waits for the next event.
    ///
    /// After the last body event of a request this waits until the client is gone, the response
    /// is complete or a rule was broken, and then yields [`ReceiveEvent::HttpDisconnect`] (rule
    /// `HTTP-08`). Once a
    /// disconnect was yielded, each further call yields it again, at once (rule `CORE-12`).
    ///
    /// Cancel safe: an event that was not returned stays in the channel.
    pub async fn receive(&mut self) -> ReceiveEvent {
        poll_fn(|cx| self.0.poll_receive(cx)).await
    }

    /// [`receive`](Self::receive) for those who poll by hand.
    pub fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
        self.0.poll_receive(cx)
    }

    /// The channel behind this receiver, for a middleware to build on.
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

/// Where an application sends its events to. Clones share the exchange, so that another task can
/// send on it; each event goes out whole (rule `CORE-07`).
#[derive(Clone)]
pub struct Sender(Arc<dyn Channel>);

impl Sender {
    /// A sender that gives its events to `channel`.
    #[must_use]
    pub fn new(channel: Arc<dyn Channel>) -> Self {
        Self(channel)
    }

    /// Sends one event; resolves when the transport has taken it, which is how a slow client slows
    /// the application down (rule `CORE-08`).
    ///
    /// Cancel safe: when the future is dropped before it resolved, the event was not sent.
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
            event: Some(event.into()),
        }
    }

    /// [`send`](Self::send) for those who poll by hand. The event is taken when this is ready with
    /// `Ok`.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn poll_send(
        &self,
        cx: &mut Context<'_>,
        event: &mut Option<SendEvent>,
    ) -> Poll<Result<(), SendError>> {
        self.0.poll_send(cx, event)
    }

    /// The channel behind this sender, for a middleware to build on.
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

/// The future of [`Sender::send`]: it holds the event once, and nothing else.
#[derive(Debug)]
#[must_use = "an event is sent when this is awaited"]
pub struct Sending<'a> {
    sender: &'a Sender,
    event: Option<SendEvent>,
}

impl Future for Sending<'_> {
    type Output = Result<(), SendError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        this.sender.poll_send(cx, &mut this.event)
    }
}
