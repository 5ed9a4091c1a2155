//! Presence and direct messages: `CH-18` to `CH-20`, `CH-22` to `CH-24`.

use std::collections::HashSet;

use super::Harness;
use super::steps::{layer, next, next_message};
use crate::{Error, GroupEvent, Member, MemberId, Payload, Subscription};

/// `CH-18`: members are counted and listed in all processes, from `join` to `leave`.
pub async fn ch_18_members_are_counted_and_listed(harness: &impl Harness) {
    let layers = [layer(harness).await, layer(harness).await];
    let groups = [layers[0].group("g"), layers[1].group("g")];
    let ada = groups[0].join("Ada").await.expect("joined");
    let bytes = Payload::from(vec![0, 255, 10]);
    let bob = groups[1].join(bytes.clone()).await.expect("joined");
    let mut expected = [ada.member().clone(), bob.member().clone()];
    expected.sort_by(|a, b| a.id.cmp(&b.id));
    for group in &groups {
        assert_eq!(group.members().await.as_deref(), Ok(&expected[..]));
        assert_eq!(group.member_count().await, Ok(2));
    }
    assert_eq!(bob.member().data, bytes);
    let remaining = bob.member().clone();
    ada.leave().await.expect("left");
    for group in &groups {
        assert_eq!(
            group.members().await.as_deref(),
            Ok(std::slice::from_ref(&remaining))
        );
        assert_eq!(group.member_count().await, Ok(1));
    }
    assert_eq!(layers[0].group("other").member_count().await, Ok(0));
}

/// `CH-19`: joins and leaves are events of the group, in one order with its messages.
pub async fn ch_19_joins_and_leaves_are_events_of_the_group(harness: &impl Harness) {
    let (first, second) = (layer(harness).await, layer(harness).await);
    let mut subscription = first.group("g").subscribe().await.expect("subscribed");
    let group = second.group("g");
    let ada = group.join("Ada").await.expect("joined");
    let member = ada.member().clone();
    let number = group.publish("hello").await.expect("published");
    ada.leave().await.expect("left");
    assert_eq!(next_join(&mut subscription).await, member);
    assert_eq!(next_message(&mut subscription).await.sequence, number);
    assert_eq!(next_leave(&mut subscription).await, member);
}

/// `CH-20`: a member leaves when its membership is dropped.
pub async fn ch_20_dropping_a_membership_leaves(harness: &impl Harness) {
    let layer = layer(harness).await;
    let group = layer.group("g");
    let mut subscription = group.subscribe().await.expect("subscribed");
    let ada = group.join("Ada").await.expect("joined");
    let member = ada.member().clone();
    assert_eq!(next_join(&mut subscription).await, member);
    drop(ada);
    assert_eq!(next_leave(&mut subscription).await, member);
    assert_eq!(group.member_count().await, Ok(0));
}

/// `CH-22`: no two members have the same ID.
pub async fn ch_22_ids_of_members_differ(harness: &impl Harness) {
    let layers = [layer(harness).await, layer(harness).await];
    let mut members = Vec::new();
    for layer in &layers {
        for name in ["g", "g", "h"] {
            members.push(layer.group(name).join(()).await.expect("joined"));
        }
    }
    let ids: HashSet<&MemberId> = members.iter().map(crate::Membership::id).collect();
    assert_eq!(ids.len(), members.len());
}

/// `CH-23`: a direct message reaches its member wherever it is, and nobody else.
pub async fn ch_23_a_direct_message_reaches_one_member(harness: &impl Harness) {
    let layers = [layer(harness).await, layer(harness).await];
    let groups = [layers[0].group("g"), layers[1].group("g")];
    let mut members = Vec::new();
    for group in [&groups[0], &groups[0], &groups[1]] {
        members.push(group.join(()).await.expect("joined"));
    }
    let mut subscription = groups[0].subscribe().await.expect("subscribed");
    for (sender, group) in groups.iter().enumerate() {
        for (index, member) in members.iter().enumerate() {
            let sent = group.send_to(member.id(), format!("{sender} {index}"));
            sent.await.expect("sent");
        }
    }
    for (index, member) in members.iter_mut().enumerate() {
        for sender in 0..2 {
            let message = next_message(member.inbox()).await;
            assert_eq!(message.payload, Payload::from(format!("{sender} {index}")));
        }
    }
    groups[0].publish("for all").await.expect("published");
    let message = next_message(&mut subscription).await;
    assert_eq!(message.payload.as_text(), Some("for all"));
}

/// `CH-24`: a message to a member that is not there is an error.
pub async fn ch_24_a_message_to_nobody_is_an_error(harness: &impl Harness) {
    let layer = layer(harness).await;
    let group = layer.group("g");
    let ada = group.join("Ada").await.expect("joined");
    let id = ada.id().clone();
    let elsewhere = layer.group("h").send_to(&id, "x").await;
    assert_eq!(elsewhere, Err(Error::NoSuchMember(id.clone())));
    ada.leave().await.expect("left");
    let late = group.send_to(&id, "x").await;
    assert_eq!(late, Err(Error::NoSuchMember(id)));
    let stranger = MemberId::new("nobody");
    let sent = group.send_to(&stranger, "x").await;
    assert_eq!(sent, Err(Error::NoSuchMember(stranger)));
}

pub(super) async fn next_join(subscription: &mut Subscription) -> Member {
    match next(subscription).await {
        GroupEvent::Join { member, .. } => member,
        other => panic!("a join was expected, and not {other:?}"),
    }
}

pub(super) async fn next_leave(subscription: &mut Subscription) -> Member {
    match next(subscription).await {
        GroupEvent::Leave { member, .. } => member,
        other => panic!("a leave was expected, and not {other:?}"),
    }
}
