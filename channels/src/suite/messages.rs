//! Messages: `CH-01` to `CH-07`.

use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::Harness;
use super::steps::{layer, next_message, publish, read};
use crate::{Payload, Sequence, Settings};

/// `CH-01`: numbers increase, also when several processes publish.
pub async fn ch_01_numbers_increase(harness: &impl Harness) {
    let (first, second) = (layer(harness).await, layer(harness).await);
    let mut last = Sequence::ZERO;
    for _ in 0..20 {
        for layer in [&first, &second] {
            let number = layer.group("g").publish("x").await.expect("published");
            assert!(number > last, "{number} comes after {last}");
            last = number;
        }
    }
}

/// `CH-02`: once `publish` has returned, a subscription from an earlier number yields the message.
pub async fn ch_02_a_published_message_is_in_the_store(harness: &impl Harness) {
    let (publisher, other) = (layer(harness).await, layer(harness).await);
    let start = other
        .group("g")
        .subscribe()
        .await
        .expect("subscribed")
        .sequence();
    let number = publisher.group("g").publish("x").await.expect("published");
    let mut subscription = other
        .group("g")
        .subscribe_from(start)
        .await
        .expect("subscribed");
    assert_eq!(next_message(&mut subscription).await.sequence, number);
}

/// `CH-03`: a subscription yields each event after its start once, in the order of the numbers.
pub async fn ch_03_a_subscription_yields_each_event_once_in_order(harness: &impl Harness) {
    let (publisher, other) = (layer(harness).await, layer(harness).await);
    let group = publisher.group("g");
    publish(&group, 3).await;
    let mut subscription = other.group("g").subscribe().await.expect("subscribed");
    let numbers = publish(&group, 100).await;
    assert_eq!(read(&mut subscription, 100).await, numbers);
}

/// `CH-04`: all subscriptions yield the same events.
pub async fn ch_04_all_subscriptions_yield_the_same_events(harness: &impl Harness) {
    let layers = [layer(harness).await, layer(harness).await];
    let groups = [layers[0].group("g"), layers[1].group("g")];
    let mut subscriptions = Vec::new();
    for group in [&groups[0], &groups[0], &groups[1]] {
        subscriptions.push(group.subscribe().await.expect("subscribed"));
    }
    let publishing = groups.map(|group| tokio::spawn(async move { publish(&group, 50).await }));
    let mut numbers = Vec::new();
    for publishing in publishing {
        numbers.extend(publishing.await.expect("published"));
    }
    numbers.sort_unstable();
    for subscription in &mut subscriptions {
        assert_eq!(read(subscription, 100).await, numbers);
    }
}

/// `CH-05`: text and bytes arrive as they were published.
pub async fn ch_05_text_stays_text_and_bytes_stay_bytes(harness: &impl Harness) {
    let (publisher, other) = (layer(harness).await, layer(harness).await);
    let mut subscription = other.group("g").subscribe().await.expect("subscribed");
    let start = subscription.sequence();
    let payloads = [
        Payload::from("Grüße\r\n\0"),
        Payload::from(""),
        Payload::from(Bytes::from_static(b"\0\n\xff\r")),
        Payload::from(Bytes::from_static(b"text")),
        Payload::from(Bytes::new()),
    ];
    let group = publisher.group("g");
    for payload in &payloads {
        let published = group.publish(payload.clone()).await;
        published.expect("published");
    }
    let mut again = other
        .group("g")
        .subscribe_from(start)
        .await
        .expect("subscribed");
    for payload in &payloads {
        assert_eq!(next_message(&mut subscription).await.payload, *payload);
        assert_eq!(next_message(&mut again).await.payload, *payload);
    }
}

/// `CH-06`: an event is in its group only, and a name is any text.
pub async fn ch_06_groups_are_separate_whatever_their_names(harness: &impl Harness) {
    let (publisher, other) = (layer(harness).await, layer(harness).await);
    let long = "n".repeat(Settings::default().max_name);
    let names = [
        "", " ", "a", "A", "a ", "{a}", "}", "a}b", "{", "a:m:1", "a\nb", "\0", "*", "ä", &long,
    ];
    let mut subscriptions = Vec::new();
    for name in names {
        let subscription = other.group(name).subscribe().await;
        subscriptions.push(subscription.expect("subscribed"));
    }
    for name in names {
        let published = publisher.group(name).publish(name).await;
        published.expect("published");
    }
    for (name, subscription) in names.iter().zip(&mut subscriptions) {
        let message = next_message(subscription).await;
        assert_eq!(message.payload.as_text(), Some(*name));
    }
    for (name, subscription) in names.iter().zip(&mut subscriptions) {
        publisher
            .group(name)
            .publish("end")
            .await
            .expect("published");
        let message = next_message(subscription).await;
        assert_eq!(message.payload.as_text(), Some("end"), "in {name:?}");
    }
}

/// `CH-07`: the number of an event is its time.
pub async fn ch_07_a_number_is_a_time(harness: &impl Harness) {
    let layer = layer(harness).await;
    let number = layer.group("g").publish("x").await.expect("published");
    let distance = match number.time().duration_since(SystemTime::now()) {
        Ok(ahead) => ahead,
        Err(behind) => behind.duration(),
    };
    assert!(distance < Duration::from_secs(60), "{distance:?}");
}
