//! Subscriptions.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use futures_util::Stream;

use crate::backend::{Opened, Reader, Start, Taken, Topic};
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
    /// Whether the subscription ends after the next event.
    is_ending: bool,
    is_ended: bool,
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
            is_ending: false,
            is_ended: false,
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
        if self.is_ended {
            return Poll::Ready(None);
        }
        if self.batch.is_empty() {
            let reader = self.reader.as_mut().expect("the subscription is alive");
            match reader.poll_take(&mut self.batch, cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Taken::Closed) => {
                    self.is_ended = true;
                    return Poll::Ready(None);
                }
                Poll::Ready(Taken::AfterOverrun) if self.slow_consumer == SlowConsumer::Close => {
                    self.batch.truncate(1);
                    self.is_ending = true;
                }
                Poll::Ready(_) => {}
            }
            self.count_batch();
        }
        let event = self.batch.pop_front();
        if let Some(event) = &event {
            self.sequence = event.sequence();
        }
        self.is_ended = self.is_ending;
        Poll::Ready(event)
    }

    fn count_batch(&self) {
        let is_gap = |event: &&GroupEvent| matches!(event, GroupEvent::Missed(_));
        let gaps = self.batch.iter().filter(is_gap).count();
        if let Some(last) = self.batch.back() {
            let events = self.batch.len() - gaps;
            self.layer
                .counters()
                .count_read(events as u64, gaps as u64, last.sequence());
        }
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
