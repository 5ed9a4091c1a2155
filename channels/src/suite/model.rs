//! Interleavings of publish, subscribe, read and drop, checked against a model. The operations come from a
//! generator, such as proptest.

use std::collections::VecDeque;

use super::Harness;
use super::checker::{Observed, Published};
use super::steps::{kept, next};
use crate::{Group, GroupEvent, Payload, Sequence, Settings, Subscription};

/// The number of events that a history keeps in the model.
const KEPT_EVENTS: usize = 6;

/// The bytes that a history keeps in the model.
const KEPT_OCTETS: usize = 100;

/// An operation on one group.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Operation {
    /// Publishes a message of this many bytes, at least 4.
    Publish(usize),
    /// Subscribes to new events.
    Subscribe,
    /// Subscribes to the events after the published message with this index, modulo their number.
    SubscribeFrom(usize),
    /// Reads an event of the subscription with this index, modulo their number, if there is one.
    Read(usize),
    /// Drops the subscription with this index, and continues it with another.
    Reconnect(usize),
    /// Drops the subscription with this index, after it has read everything.
    Leave(usize),
}

/// A run of the model.
#[derive(Debug)]
struct Run {
    publisher: Group,
    subscriber: Group,
    published: Published,
    numbers: Vec<Sequence>,
    /// The numbers and lengths of the messages that are kept.
    kept: VecDeque<(Sequence, usize)>,
    subscriptions: Vec<(Subscription, Observed)>,
}

/// Runs the operations, and checks what each subscription yields.
///
/// # Panics
///
/// Panics when a subscription breaks a rule, or yields a gap in the place of an event that the history
/// keeps.
pub async fn check(harness: &impl Harness, operations: &[Operation]) {
    let settings: Settings = kept(KEPT_EVENTS).history_octets(KEPT_OCTETS);
    let publisher = harness.process(settings.clone()).await;
    let subscriber = harness.process(settings).await;
    let mut run = Run {
        publisher: publisher.group("model"),
        subscriber: subscriber.group("model"),
        published: Published::new(),
        numbers: Vec::new(),
        kept: VecDeque::new(),
        subscriptions: Vec::new(),
    };
    for operation in operations {
        run.step(*operation).await;
    }
    while !run.subscriptions.is_empty() {
        run.leave(0).await;
    }
}

impl Run {
    async fn step(&mut self, operation: Operation) {
        let index = |index: usize, length: usize| (length > 0).then(|| index % length);
        let subscription = |chosen| index(chosen, self.subscriptions.len());
        match operation {
            Operation::Publish(octets) => self.publish(octets).await,
            Operation::Subscribe => {
                let subscription = self.subscriber.subscribe().await.expect("subscribed");
                self.observe(subscription);
            }
            Operation::SubscribeFrom(chosen) => {
                let number = index(chosen, self.numbers.len())
                    .map_or(Sequence::ZERO, |index| self.numbers[index]);
                self.subscribe_from(number).await;
            }
            Operation::Read(chosen) => {
                if let Some(index) = subscription(chosen) {
                    self.read(index).await;
                }
            }
            Operation::Reconnect(chosen) => {
                if let Some(index) = subscription(chosen) {
                    let (old, observed) = self.subscriptions.swap_remove(index);
                    let number = old.sequence();
                    drop(old);
                    self.subscribe_from(number).await;
                    // The continued subscription is checked together with what the old one has yielded.
                    self.subscriptions.last_mut().expect("continued").1 = observed;
                }
            }
            Operation::Leave(chosen) => {
                if let Some(index) = subscription(chosen) {
                    self.leave(index).await;
                }
            }
        }
    }

    async fn publish(&mut self, octets: usize) {
        let text = format!("{:0octets$}", self.numbers.len());
        let payload = Payload::from(text);
        let octets = payload.len();
        let number = self.publisher.publish(payload.clone()).await;
        let number = number.expect("published");
        self.published.confirm(number, payload);
        self.numbers.push(number);
        self.kept.push_back((number, octets));
        let octets_of = |kept: &VecDeque<(Sequence, usize)>| -> usize {
            kept.iter().map(|(_, octets)| octets).sum()
        };
        while self.kept.len() > 1
            && (self.kept.len() > KEPT_EVENTS || octets_of(&self.kept) > KEPT_OCTETS)
        {
            self.kept.pop_front();
        }
    }

    async fn subscribe_from(&mut self, number: Sequence) {
        let subscribe = self.subscriber.subscribe_from(number);
        let subscription = subscribe.await.expect("subscribed");
        self.observe(subscription);
    }

    fn observe(&mut self, subscription: Subscription) {
        let start = subscription.sequence();
        let events = Vec::new();
        let observed = Observed { start, events };
        self.subscriptions.push((subscription, observed));
    }

    /// Reads an event, unless the subscription has read everything.
    async fn read(&mut self, index: usize) {
        let (subscription, observed) = &mut self.subscriptions[index];
        if self.published.last() <= Some(subscription.sequence()) {
            return;
        }
        let event = next(subscription).await;
        if let GroupEvent::Missed(missed) = &event
            && let Some((oldest, _)) = self.kept.front()
        {
            assert!(missed.to < *oldest, "{missed:?}, but {oldest} is kept");
        }
        observed.events.push(event);
    }

    /// Reads everything, checks it, and drops the subscription.
    async fn leave(&mut self, index: usize) {
        while self.published.last() > Some(self.subscriptions[index].0.sequence()) {
            self.read(index).await;
        }
        let (_, observed) = self.subscriptions.swap_remove(index);
        let checked = self.published.check(&observed);
        assert!(checked.is_ok(), "{checked:?} of {observed:?}");
    }
}
