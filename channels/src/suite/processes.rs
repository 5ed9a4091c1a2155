//! Several processes: `CH-21`, and `CH-27` for others than the closed layer.

use std::time::{Duration, Instant};

use super::Harness;
use super::presence::{next_join, next_leave};
use super::steps::{layer, next_message};
use crate::Settings;

/// `CH-21`: the members of a dead process leave within four thirds of the time-out.
pub async fn ch_21_a_dead_process_is_forgotten(harness: &impl Harness) {
    let timeout = Duration::from_millis(300);
    let settings = Settings::default().presence_timeout(timeout);
    let living = harness.process(settings.clone()).await;
    let dying = harness.process(settings).await;
    let mut subscription = living.group("g").subscribe().await.expect("subscribed");
    let bob = living.group("g").join("Bob").await.expect("joined");
    let ada = dying.group("g").join("Ada").await.expect("joined");
    assert_eq!(next_join(&mut subscription).await, *bob.member());
    assert_eq!(next_join(&mut subscription).await, *ada.member());
    let member = ada.member().clone();
    std::mem::forget(ada);
    let killed = Instant::now();
    harness.kill(dying).await;
    assert_eq!(next_leave(&mut subscription).await, member);
    let taken = killed.elapsed();
    // As much again for a machine that is busy.
    assert!(taken < timeout * 8 / 3, "forgotten after {taken:?}");
    let members = living.group("g").members().await;
    assert_eq!(members.as_deref(), Ok(std::slice::from_ref(bob.member())));
}

/// `CH-27`: the members of a closed layer leave, and other processes go on.
pub async fn ch_27_a_closed_layer_leaves_others_alone(harness: &impl Harness) {
    let (closing, other) = (layer(harness).await, layer(harness).await);
    let group = other.group("g");
    let mut subscription = group.subscribe().await.expect("subscribed");
    let ada = closing.group("g").join("Ada").await.expect("joined");
    assert_eq!(next_join(&mut subscription).await, *ada.member());
    closing.close().await;
    assert_eq!(next_leave(&mut subscription).await, *ada.member());
    let number = group.publish("x").await.expect("published");
    assert_eq!(next_message(&mut subscription).await.sequence, number);
}
