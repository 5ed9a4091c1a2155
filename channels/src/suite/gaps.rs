//! Slow subscribers: `CH-08` to `CH-11`.

use super::Harness;
use super::steps::{kept, next_message, next_missed, publish, read, read_to, soon};
use crate::{Error, Missed, SlowConsumer};

/// `CH-08`: a subscription that is overrun yields a gap in the place of what it has not yielded, then the
/// rest.
pub async fn ch_08_an_overrun_is_a_gap_in_its_place(harness: &impl Harness) {
    let layer = harness.process(kept(4)).await;
    let group = layer.group("g");
    let mut slow = group.subscribe().await.expect("subscribed");
    let mut other = group.subscribe().await.expect("subscribed");
    let first = group.publish("first").await.expect("published");
    assert_eq!(next_message(&mut slow).await.sequence, first);
    let numbers = publish(&group, 10).await;
    read_to(&mut other, numbers[9]).await;
    let missed = next_missed(&mut slow).await;
    let (from, to) = (first.next(), numbers[5]);
    assert_eq!(missed, Missed { from, to });
    assert_eq!(read(&mut slow, 4).await, numbers[6..]);
}

/// `CH-09`: a subscription with `SlowConsumer::Close` yields the gap, and ends.
pub async fn ch_09_close_ends_a_slow_subscription_after_the_gap(harness: &impl Harness) {
    let layer = harness.process(kept(4)).await;
    let group = layer.group("g");
    let subscribe = group.subscribe().slow_consumer(SlowConsumer::Close);
    let mut slow = subscribe.await.expect("subscribed");
    let start = slow.sequence();
    let mut other = group.subscribe().await.expect("subscribed");
    let numbers = publish(&group, 10).await;
    read_to(&mut other, numbers[9]).await;
    let missed = next_missed(&mut slow).await;
    let (from, to) = (start.next(), numbers[5]);
    assert_eq!(missed, Missed { from, to });
    for _ in 0..2 {
        assert_eq!(soon("the end", slow.next()).await, None);
    }
}

/// `CH-10`: with `SlowConsumer::Wait` a publisher waits for the subscriber; a backend that cannot wait
/// refuses the subscription.
pub async fn ch_10_wait_lets_publishers_wait_or_is_refused(harness: &impl Harness) {
    let layer = harness.process(kept(4)).await;
    let group = layer.group("g");
    let subscribe = group.subscribe().slow_consumer(SlowConsumer::Wait);
    let mut slow = match subscribe.await {
        Ok(subscription) => subscription,
        Err(error) => {
            let backend = layer.backend_name();
            assert_eq!(error, Error::WaitUnsupported { backend });
            return;
        }
    };
    let mut numbers = publish(&group, 4).await;
    let blocked = group.clone();
    let publishing = tokio::spawn(async move { publish(&blocked, 6).await });
    // The subscriber reads while the publisher waits for room, which comes with each read.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!publishing.is_finished(), "the publisher waits");
    let read = read(&mut slow, 10).await;
    numbers.extend(soon("publishing", publishing).await.expect("published"));
    assert_eq!(read, numbers);

    let waiting = group.clone();
    let publishing = tokio::spawn(async move { publish(&waiting, 6).await });
    drop(slow);
    soon("publishing to nobody", publishing)
        .await
        .expect("published");
}

/// `CH-11`: a subscriber that does not read delays neither publishers nor other subscribers.
pub async fn ch_11_a_slow_subscriber_delays_nobody(harness: &impl Harness) {
    let layer = harness.process(kept(4)).await;
    let group = layer.group("g");
    let _slow = group.subscribe().await.expect("subscribed");
    let mut other = group.subscribe().await.expect("subscribed");
    for _ in 0..50 {
        let number = soon("publishing", group.publish("x")).await;
        let message = next_message(&mut other).await;
        assert_eq!(Ok(message.sequence), number);
    }
}
