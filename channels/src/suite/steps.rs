//! Steps that cases share.

use std::time::Duration;

use tokio::time::timeout;

use crate::{ChannelLayer, GroupEvent, Message, Missed, Sequence, Settings, Subscription};

use super::Harness;

/// How long an event may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Waits for a future that must be ready soon.
pub(super) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("{what} takes longer than {PATIENCE:?}"))
}

pub(super) async fn layer(harness: &impl Harness) -> ChannelLayer {
    harness.process(Settings::default()).await
}

/// Returns settings with a history of this many events.
pub(super) fn kept(messages: usize) -> Settings {
    Settings::default().history_messages(messages)
}

pub(super) async fn next(subscription: &mut Subscription) -> GroupEvent {
    soon("the next event", subscription.next())
        .await
        .expect("the subscription has not ended")
}

pub(super) async fn next_message(subscription: &mut Subscription) -> Message {
    match next(subscription).await {
        GroupEvent::Message(message) => message,
        other => panic!("a message was expected, and not {other:?}"),
    }
}

pub(super) async fn next_missed(subscription: &mut Subscription) -> Missed {
    match next(subscription).await {
        GroupEvent::Missed(missed) => missed,
        other => panic!("a gap was expected, and not {other:?}"),
    }
}

/// Reads until an event with this number.
pub(super) async fn read_to(subscription: &mut Subscription, sequence: Sequence) {
    while next(subscription).await.sequence() < sequence {}
}

/// Publishes messages with the texts `0`, `1` and so on, and returns their numbers.
pub(super) async fn publish(group: &crate::Group, messages: usize) -> Vec<Sequence> {
    let mut numbers = Vec::new();
    for index in 0..messages {
        numbers.push(group.publish(index.to_string()).await.expect("published"));
    }
    numbers
}

/// Reads as many messages, and returns their numbers.
pub(super) async fn read(subscription: &mut Subscription, messages: usize) -> Vec<Sequence> {
    let mut numbers = Vec::new();
    for _ in 0..messages {
        numbers.push(next_message(subscription).await.sequence);
    }
    numbers
}
