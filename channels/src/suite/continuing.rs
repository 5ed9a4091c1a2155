//! Where a subscriber left off: `CH-12` to `CH-17`.

use std::time::Duration;

use super::Harness;
use super::steps::{kept, layer, next_message, next_missed, publish, read};
use crate::{Error, Missed, Sequence, Settings};

/// `CH-12`: a subscription from a number yields all events after it that are kept, then new events.
pub async fn ch_12_a_subscription_continues_without_hole_or_repetition(harness: &impl Harness) {
    let (publisher, other) = (layer(harness).await, layer(harness).await);
    let group = publisher.group("g");
    let mut numbers = publish(&group, 20).await;
    let subscribe = other.group("g").subscribe_from(numbers[4]);
    let mut subscription = subscribe.await.expect("subscribed");
    let subscribe = group.subscribe_from(numbers[19]);
    let mut at_the_end = subscribe.await.expect("subscribed");
    let subscribe = group.subscribe_from(Sequence::ZERO);
    let mut from_the_oldest = subscribe.await.expect("subscribed");
    numbers.extend(publish(&group, 20).await);
    assert_eq!(read(&mut subscription, 35).await, numbers[5..]);
    assert_eq!(read(&mut at_the_end, 20).await, numbers[20..]);
    assert_eq!(read(&mut from_the_oldest, 40).await, numbers);
}

/// `CH-13`: a subscription from a number begins with a gap in the place of the events that are not kept. The gap
/// begins after the number, and ends with the last of these events.
pub async fn ch_13_what_is_not_kept_is_a_gap(harness: &impl Harness) {
    let (publisher, other) = (
        harness.process(kept(4)).await,
        harness.process(kept(4)).await,
    );
    let numbers = publish(&publisher.group("g"), 10).await;
    for group in [publisher.group("g"), other.group("g")] {
        for index in [0, 4] {
            let subscribe = group.subscribe_from(numbers[index]);
            let mut subscription = subscribe.await.expect("subscribed");
            assert_eq!(subscription.sequence(), numbers[index]);
            let missed = next_missed(&mut subscription).await;
            let (from, to) = (numbers[index].next(), numbers[5]);
            assert_eq!(missed, Missed { from, to });
            assert_eq!(read(&mut subscription, 4).await, numbers[6..]);
        }
        let subscribe = group.subscribe_from(numbers[5]);
        let mut subscription = subscribe.await.expect("subscribed");
        assert_eq!(read(&mut subscription, 4).await, numbers[6..]);
    }
}

/// `CH-14`: a number that the group has not reached is an error.
pub async fn ch_14_a_number_that_is_ahead_is_an_error(harness: &impl Harness) {
    let layer = layer(harness).await;
    let head = layer.group("g").publish("x").await.expect("published");
    for asked in [head.next(), Sequence::new(u64::MAX)] {
        let error = layer.group("g").subscribe_from(asked).await.map(drop);
        assert_eq!(error, Err(Error::SequenceAhead { asked, head }));
    }
    let next = layer.group("g").publish("x").await.expect("published");
    assert!(next.time() < head.time() + Duration::from_secs(60));
}

/// `CH-15`: the newest events are kept within both bounds, and the newest one always.
pub async fn ch_15_the_history_is_bounded_by_events_and_by_bytes(harness: &impl Harness) {
    let settings = kept(5).history_octets(1000);
    let layer = harness.process(settings).await;
    for (name, length, expected) in [("small", 10, 5), ("middle", 300, 3), ("large", 1001, 1)] {
        let group = layer.group(name);
        let mut numbers = Vec::new();
        for _ in 0..8 {
            let published = group.publish("x".repeat(length)).await;
            numbers.push(published.expect("published"));
        }
        let subscribe = group.subscribe_from(Sequence::ZERO);
        let mut subscription = subscribe.await.expect("subscribed");
        let kept = read(&mut subscription, expected).await;
        assert_eq!(kept, numbers[8 - expected..], "of the {name} messages");
    }
}

/// `CH-16`: a history without subscribers is forgotten after its time, which a subscriber that
/// continues is told.
pub async fn ch_16_an_old_history_is_forgotten_and_a_gap(harness: &impl Harness) {
    let time = Duration::from_millis(200);
    let layer = harness
        .process(Settings::default().history_time(time))
        .await;
    let group = layer.group("g");
    let old = publish(&group, 2).await;
    tokio::time::sleep(time * 2).await;
    let subscribe = group.subscribe_from(old[1]);
    let mut subscription = subscribe.await.expect("subscribed");
    let missed = next_missed(&mut subscription).await;
    assert_eq!(missed.from, old[1].next());
    let number = group.publish("new").await.expect("published");
    assert!(missed.to < number);
    assert_eq!(next_message(&mut subscription).await.sequence, number);
}

/// `CH-17`: the number of a subscription is where to continue, also before its first event.
pub async fn ch_17_a_subscription_knows_where_to_continue(harness: &impl Harness) {
    let (publisher, other) = (layer(harness).await, layer(harness).await);
    let group = publisher.group("g");
    let mut subscription = other.group("g").subscribe().await.expect("subscribed");
    let start = subscription.sequence();
    let numbers = publish(&group, 3).await;
    assert_eq!(subscription.sequence(), start);
    assert_eq!(next_message(&mut subscription).await.sequence, numbers[0]);
    assert_eq!(subscription.sequence(), numbers[0]);
    for (from, expected) in [(start, &numbers[..]), (numbers[0], &numbers[1..])] {
        let subscribe = other.group("g").subscribe_from(from);
        let mut continued = subscribe.await.expect("subscribed");
        assert_eq!(continued.sequence(), from);
        assert_eq!(read(&mut continued, expected.len()).await, expected);
    }
}
