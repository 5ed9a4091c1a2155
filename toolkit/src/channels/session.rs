//! WebSockets that are in a group.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use callgate::{
    AppError, Message, SendError, WebSocketAccept, WebSocketClose, WebSocketDisconnect,
};
use callgate_channels::{
    Error, Group, GroupEvent, Member, Membership, Payload, Sequence, Subscription,
};
use futures_util::Stream;
use http::header::RETRY_AFTER;

use super::{close_frame, is_outage, message, reason, status};
use crate::respond;
use crate::websocket::{Incoming, Outgoing, WebSocket, WebSocketUpgrade};

/// The number of queued messages at which a session receives nothing from its client.
const MAX_QUEUED: usize = 16;

/// A WebSocket that is in a group: its messages, the events of the group and the messages to the member, in one
/// loop. An example is at the top of this [module](super).
///
/// - **A client that does not read** blocks nothing. [`send`](Self::send) queues a message, and
///   [`next`](Self::next) passes it on when there is room. While a message waits, the session takes no events of
///   the group, goes on receiving from its client, and notices its end. What the group publishes meanwhile is
///   kept, or missed, by the [policy](callgate_channels::SlowConsumer) of the subscription.
/// - **A client that sends and does not read the replies** is not received from while 16 messages wait.
/// - **The member leaves** when the session ends or is dropped, however the call ends.
/// - **When the subscription ends**, because the layer is closed or the policy of a slow consumer says so, the
///   session closes the WebSocket with 1013, "try again later", and ends. At the shutdown of the server it
///   ends with its client.
#[derive(Debug)]
pub struct GroupSession {
    incoming: Incoming,
    outgoing: Outgoing,
    /// The messages to the client for which there has been no room.
    queue: VecDeque<Message>,
    subscription: Option<Subscription>,
    membership: Option<Membership>,
    phase: Phase,
    /// The source that is polled first.
    turn: Source,
    /// Whether the last event of the group was a gap.
    is_after_gap: bool,
}

/// What [`GroupSession::next`] yields.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum SessionEvent {
    /// The client has sent a message.
    Client(Message),
    /// The group has an event: a message, a join, a leave, or a gap.
    Group(GroupEvent),
    /// The member has got a message, or there is a gap in its inbox.
    Inbox(GroupEvent),
}

#[derive(Clone, Debug, PartialEq)]
enum Phase {
    Open,
    /// The WebSocket is being closed by the session.
    Closing(WebSocketClose),
    Over,
}

/// Where events come from.
#[derive(Clone, Copy, Debug)]
enum Source {
    Client,
    Group,
    Inbox,
}

impl Source {
    const ALL: usize = 3;

    fn next(self) -> Self {
        match self {
            Self::Client => Self::Group,
            Self::Group => Self::Inbox,
            Self::Inbox => Self::Client,
        }
    }
}

impl GroupSession {
    /// Subscribes to a group, joins it as a member with this data, and accepts the WebSocket.
    ///
    /// The subscription begins before the join, with the default policy for slow consumers. For other choices, and
    /// for a subprotocol, [`new`](Self::new) puts the parts together.
    ///
    /// # Errors
    ///
    /// When the layer fails, the handshake is denied: with 503 when the layer cannot be reached. The error is that of
    /// the layer, for the log. Otherwise as [`WebSocketUpgrade::accept`].
    pub async fn join(
        upgrade: WebSocketUpgrade,
        group: &Group,
        data: impl Into<Payload> + Send,
    ) -> Result<Self, AppError> {
        let joined = async {
            let subscription = group.subscribe().await?;
            Ok((subscription, group.join(data).await?))
        };
        match joined.await {
            Ok((subscription, membership)) => {
                let socket = upgrade.accept(WebSocketAccept::new()).await?;
                Ok(Self::new(socket, subscription).member(membership))
            }
            Err(error) => {
                deny(upgrade, &error).await?;
                Err(error.into())
            }
        }
    }

    /// Creates the session of an open WebSocket and a subscription: one with a policy for slow consumers, or one
    /// that continues from a number.
    ///
    /// ```
    /// # use callgate::{AppError, WebSocketAccept};
    /// # use callgate_channels::{Group, SlowConsumer};
    /// # use callgate_toolkit::channels::GroupSession;
    /// # use callgate_toolkit::websocket::WebSocketUpgrade;
    /// # async fn open(upgrade: WebSocketUpgrade, group: &Group) -> Result<GroupSession, AppError> {
    /// let subscription = group.subscribe().slow_consumer(SlowConsumer::Close).await?;
    /// let membership = group.join("Ada").await?;
    /// let socket = upgrade.accept(WebSocketAccept::new().subprotocol("room.v1")).await?;
    /// let session = GroupSession::new(socket, subscription).member(membership);
    /// # Ok(session)
    /// # }
    /// ```
    #[must_use]
    pub fn new(socket: WebSocket, subscription: Subscription) -> Self {
        let (incoming, outgoing) = socket.split();
        Self {
            incoming,
            outgoing,
            queue: VecDeque::new(),
            subscription: Some(subscription),
            membership: None,
            phase: Phase::Open,
            turn: Source::Client,
            is_after_gap: false,
        }
    }

    /// Adds the membership of the client, whose inbox the session reads and which it ends.
    #[must_use]
    pub fn member(mut self, membership: Membership) -> Self {
        self.membership = Some(membership);
        self
    }

    /// Returns the member, until the session has ended.
    #[must_use]
    pub fn as_member(&self) -> Option<&Member> {
        self.membership.as_ref().map(Membership::member)
    }

    /// Returns the number of the last event of the group that was yielded, from which
    /// [`subscribe_from`](Group::subscribe_from) continues, until the session has ended.
    #[must_use]
    pub fn sequence(&self) -> Option<Sequence> {
        self.subscription.as_ref().map(Subscription::sequence)
    }

    /// Returns the next event, or `None` when the session has ended. The sources have the same share. All messages
    /// that the client has sent are yielded before the end.
    ///
    /// Cancel safe.
    pub async fn next(&mut self) -> Option<SessionEvent> {
        poll_fn(|cx| self.poll_event(cx)).await
    }

    /// Queues a message to the client, which [`next`](Self::next) and [`close`](Self::close) pass on. A message to
    /// a client that is gone is dropped.
    pub fn send(&mut self, message: Message) {
        if self.phase == Phase::Open {
            self.queue.push_back(message);
        }
    }

    /// Queues the content of a message of the group, or of the inbox, as [`send`](Self::send) does.
    pub fn forward(&mut self, content: Payload) {
        self.send(message(content));
    }

    /// Leaves the group, passes on what is queued, and closes the WebSocket.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::close`].
    pub async fn close(mut self, close: WebSocketClose) -> Result<(), SendError> {
        self.leave();
        poll_fn(|cx| {
            self.flush(cx);
            if self.queue.is_empty() {
                self.poll_close(cx, &close)
            } else {
                Poll::Pending
            }
        })
        .await
    }

    /// Leaves the group, closes the WebSocket with the [close frame](close_frame) for an error of the layer, and
    /// returns the error, with which the call ends: the server logs it.
    pub async fn fail(mut self, error: Error) -> AppError {
        self.leave();
        self.queue.clear();
        let close = close_frame(&error);
        // A client that is gone needs no close frame.
        let _ = poll_fn(|cx| self.poll_close(cx, &close)).await;
        error.into()
    }

    /// Returns how the WebSocket ended, if the client or the server has ended it.
    #[must_use]
    pub fn disconnect(&self) -> Option<&WebSocketDisconnect> {
        self.incoming.disconnect()
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<SessionEvent>> {
        if self.phase == Phase::Open {
            self.flush(cx);
            for _ in 0..Source::ALL {
                let source = self.turn;
                self.turn = source.next();
                let polled = match source {
                    Source::Client => self.poll_client(cx),
                    Source::Group => self.poll_group(cx),
                    Source::Inbox => self.poll_inbox(cx),
                };
                if let Poll::Ready(event) = polled {
                    return Poll::Ready(Some(event));
                }
                if self.phase != Phase::Open {
                    self.leave();
                    break;
                }
            }
        }
        match self.phase.clone() {
            Phase::Open => Poll::Pending,
            Phase::Closing(close) => {
                // A client that is gone needs no close frame.
                let _ = ready!(self.poll_close(cx, &close));
                Poll::Ready(None)
            }
            Phase::Over => Poll::Ready(None),
        }
    }

    fn poll_client(&mut self, cx: &mut Context<'_>) -> Poll<SessionEvent> {
        if self.queue.len() >= MAX_QUEUED {
            return Poll::Pending;
        }
        match ready!(Pin::new(&mut self.incoming).poll_next(cx)) {
            Some(message) => Poll::Ready(SessionEvent::Client(message)),
            None => {
                self.phase = Phase::Over;
                Poll::Pending
            }
        }
    }

    fn poll_group(&mut self, cx: &mut Context<'_>) -> Poll<SessionEvent> {
        let Some(subscription) = self.subscription.as_mut().filter(|_| self.queue.is_empty())
        else {
            return Poll::Pending;
        };
        let Some(event) = ready!(Pin::new(subscription).poll_next(cx)) else {
            let reason = match self.is_after_gap {
                true => "the client has read too slowly",
                false => "the channel layer is closed",
            };
            self.phase = Phase::Closing(WebSocketClose::new(1013).reason(reason));
            return Poll::Pending;
        };
        self.is_after_gap = matches!(event, GroupEvent::Missed(_));
        Poll::Ready(SessionEvent::Group(event))
    }

    fn poll_inbox(&mut self, cx: &mut Context<'_>) -> Poll<SessionEvent> {
        let Some(membership) = self.membership.as_mut().filter(|_| self.queue.is_empty()) else {
            return Poll::Pending;
        };
        match ready!(Pin::new(membership.inbox()).poll_next(cx)) {
            Some(event) => Poll::Ready(SessionEvent::Inbox(event)),
            // An inbox ends with its layer, as the subscription does.
            None => Poll::Pending,
        }
    }

    /// Passes on what is queued while there is room.
    fn flush(&mut self, cx: &mut Context<'_>) {
        let sender = self.outgoing.sender();
        while !self.queue.is_empty() && sender.poll_ready(cx).is_ready() {
            let message = self.queue.pop_front().expect("it is not empty");
            if sender.start_send(message).is_err() {
                // The client is gone, and what it has sent before is still received.
                self.queue.clear();
            }
        }
    }

    fn poll_close(
        &mut self,
        cx: &mut Context<'_>,
        close: &WebSocketClose,
    ) -> Poll<Result<(), SendError>> {
        ready!(self.outgoing.sender().poll_ready(cx));
        self.phase = Phase::Over;
        let closed = self.outgoing.sender().start_send(close.clone());
        Poll::Ready(closed.map(drop))
    }

    /// Leaves the group in the background, and drops what has not been yielded.
    fn leave(&mut self) {
        self.membership = None;
        self.subscription = None;
    }
}

impl Drop for GroupSession {
    /// Passes on what is queued where there is room.
    fn drop(&mut self) {
        if self.phase == Phase::Open {
            self.flush(&mut Context::from_waker(Waker::noop()));
        }
    }
}

/// Refuses a handshake because of an error of the layer.
async fn deny(upgrade: WebSocketUpgrade, error: &Error) -> Result<(), AppError> {
    let mut response = respond::text(format!("{}\n", reason(error))).status(status(error));
    if is_outage(error) {
        response = response.header(RETRY_AFTER, "1");
    }
    upgrade.deny(response).await
}
