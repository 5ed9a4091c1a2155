//! Limits and operation: `CH-25` to `CH-28`.

use super::Harness;
use super::steps::{kept, layer, next, next_missed, publish, read, read_to, soon};
use crate::{Error, Health, Settings};

/// `CH-25`: a name that is too long is an error.
pub async fn ch_25_a_long_name_is_an_error(harness: &impl Harness) {
    let layer = harness.process(Settings::default().max_name(8)).await;
    let (octets, limit) = (9, 8);
    let expected = Error::NameTooLong { octets, limit };
    // The limit is in bytes, and this letter has two.
    let group = layer.group("12345678ä".split_at(1).1);
    assert_eq!(group.publish("x").await, Err(expected.clone()));
    assert_eq!(group.subscribe().await.map(drop), Err(expected.clone()));
    assert_eq!(group.join("x").await.map(drop), Err(expected.clone()));
    assert_eq!(group.member_count().await, Err(expected));
    layer
        .group("12345678")
        .publish("x")
        .await
        .expect("published");
}

/// `CH-26`: a message, or the data of a member, that is too large is an error.
pub async fn ch_26_a_large_message_is_an_error(harness: &impl Harness) {
    let layer = harness.process(Settings::default().max_message(8)).await;
    let group = layer.group("g");
    let (octets, limit) = (9, 8);
    let expected = Error::MessageTooLarge { octets, limit };
    let ada = group.join("12345678").await.expect("joined");
    assert_eq!(group.publish("123456789").await, Err(expected.clone()));
    assert_eq!(
        group.join("123456789").await.map(drop),
        Err(expected.clone())
    );
    assert_eq!(group.send_to(ada.id(), "123456789").await, Err(expected));
    group.publish("12345678").await.expect("published");
}

/// `CH-27`: closing a layer ends its subscriptions after what they have received, and later operations
/// fail.
pub async fn ch_27_a_closed_layer_ends_its_subscriptions(harness: &impl Harness) {
    let layer = layer(harness).await;
    let group = layer.group("g");
    let mut subscription = group.subscribe().await.expect("subscribed");
    let mut witness = group.subscribe().await.expect("subscribed");
    let mut ada = group.join("Ada").await.expect("joined");
    let number = group.publish("last").await.expect("published");
    read_to(&mut witness, number).await;
    assert_eq!(layer.health(), Health::Ready);
    layer.close().await;
    read_to(&mut subscription, number).await;
    while soon("the end", subscription.next()).await.is_some() {}
    assert_eq!(soon("the end", ada.inbox().next()).await, None);
    assert_eq!(group.publish("x").await, Err(Error::Closed));
    assert_eq!(group.subscribe().await.map(drop), Err(Error::Closed));
    assert_eq!(group.join("x").await.map(drop), Err(Error::Closed));
    assert_eq!(group.members().await, Err(Error::Closed));
    assert_eq!(layer.health(), Health::Closed);
}

/// `CH-28`: the metrics count what was published, delivered and missed, the subscriptions and the members.
pub async fn ch_28_the_metrics_count(harness: &impl Harness) {
    let layer = harness.process(kept(4)).await;
    let group = layer.group("g");
    let mut subscription = group.subscribe().await.expect("subscribed");
    let mut witness = group.subscribe().await.expect("subscribed");
    let ada = group.join("Ada").await.expect("joined");
    let metrics = layer.metrics();
    assert_eq!((metrics.subscribers, metrics.members), (3, 1));
    next(&mut subscription).await;
    let numbers = publish(&group, 6).await;
    read_to(&mut witness, numbers[5]).await;
    let before = layer.metrics();
    next_missed(&mut subscription).await;
    read(&mut subscription, 4).await;
    let after = layer.metrics();
    assert_eq!(after.published, 6);
    assert_eq!(after.delivered - before.delivered, 4);
    assert_eq!(after.missed - before.missed, 1);
    let large = "x".repeat(layer.settings().max_message + 1);
    group.publish(large).await.expect_err("too large");
    drop((subscription, witness));
    ada.leave().await.expect("left");
    let metrics = layer.metrics();
    assert_eq!((metrics.subscribers, metrics.members), (0, 0));
}
