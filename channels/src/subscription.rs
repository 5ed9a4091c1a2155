//! Subscriptions.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use futures_util::Stream;

use crate::backend::{Opened, Reader, Start, Topic};
use crate::{ChannelLayer, GroupEvent, Sequence};

/// What happens to a subscriber that has not read the oldest event when there is no room for the newest.
/// The room is [`Settings::history_messages`](crate::Settings::history_messages) and
/// [`Settings::history_octets`](crate::Settings::history_octets).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum SlowConsumer {
    /// The oldest events are dropped, and the subscription yields a [`Missed`](crate::Missed) in their place.
    #[default]
    DropOldest,
    /// The subscription yields a [`Missed`](crate::Missed), and ends.
    Close,
    /// Publishers wait until the subscriber has read. Only the memory backend can do this. Joins and leaves
    /// do not wait, and exceed the bounds.
    Wait,
}

/// A subscription: a `Stream` of the events of a group, in the order of their numbers.
///
/// A subscription ends when the layer is closed, and after an overrun if it was made with
/// [`SlowConsumer::Close`]. It does not end when the backend is lost: it goes on when the backend is back, with
/// a [`Missed`](crate::Missed) if the store has not kept all events.
///
/// Dropping the subscription unsubscribes.
#[derive(Debug)]
pub struct Subscription {
    layer: ChannelLayer,
    topic: Topic,
    slow_consumer: SlowConsumer,
    /// Is `None` when the subscription is being dropped.
    reader: Option<Reader>,
    /// The events that were taken from the log, or come before it.
    batch: VecDeque<GroupEvent>,
    /// The number of the last event that was yielded.
    sequence: Sequence,
}

impl Subscription {
    pub(crate) fn new(
        layer: ChannelLayer,
        topic: Topic,
        slow_consumer: SlowConsumer,
        start: Start,
        opened: Opened,
    ) -> Self {
        layer.counters().subscribers.fetch_add(1, Ordering::Relaxed);
        let sequence = match start {
            Start::After(sequence) if sequence > Sequence::ZERO => sequence,
            _ => opened
                .backlog
                .first()
                .map_or(opened.reader.seen(), |event| event.sequence().previous()),
        };
        Self {
            layer,
            topic,
            slow_consumer,
            sequence,
            reader: Some(opened.reader),
            batch: opened.backlog.into(),
        }
    }

    /// Returns the number of the last event that was yielded, or the number after which the subscription
    /// began. [`Group::subscribe_from`](crate::Group::subscribe_from) continues from there.
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        self.sequence
    }

    /// Returns the next event, or `None` when the subscription has ended. The future can be dropped without
    /// loss.
    pub async fn next(&mut self) -> Option<GroupEvent> {
        poll_fn(|cx| self.poll_event(cx)).await
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<GroupEvent>> {
        let reader = self.reader.as_mut().expect("the subscription is alive");
        if reader.has_overrun() && self.slow_consumer == SlowConsumer::Close {
            return Poll::Ready(None);
        }
        let counters = self.layer.counters();
        let mut note = |event: &GroupEvent| {
            self.sequence = event.sequence();
            let is_gap = matches!(event, GroupEvent::Missed(_));
            counters.count_yielded(is_gap, self.sequence);
        };
        if let Some(event) = self.batch.pop_front() {
            note(&event);
            return Poll::Ready(Some(event));
        }
        reader.poll_take(&mut self.batch, note, cx)
    }
}

impl Stream for Subscription {
    type Item = GroupEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_event(cx)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.reader = None;
        self.layer.backend().release(&self.topic);
        self.layer
            .counters()
            .subscribers
            .fetch_sub(1, Ordering::Relaxed);
    }
}
