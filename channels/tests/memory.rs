//! The memory backend keeps the rules.

use std::sync::Arc;
use std::time::Duration;

use callgate_channels::suite::MemoryHarness;
use callgate_channels::{ChannelLayer, MemoryBackend, Settings};

callgate_channels::suite_tests!(MemoryHarness::new());

#[tokio::test]
async fn ch_32_a_group_without_anybody_costs_nothing() {
    let time = Duration::from_millis(20);
    let settings = Settings::default().history_time(time);
    let backend = Arc::new(MemoryBackend::new(settings));
    let layer = ChannelLayer::with_backend(backend.clone());
    let mut there = Vec::new();
    for index in 0..100 {
        let group = layer.group(&index.to_string());
        group.publish("x").await.expect("published");
        drop(group.subscribe().await.expect("subscribed"));
        group
            .join(())
            .await
            .expect("joined")
            .leave()
            .await
            .expect("left");
        if index < 2 {
            there.push(group.subscribe().await.expect("subscribed"));
        }
    }
    tokio::time::sleep(time * 2).await;
    assert_eq!(backend.topics(), 2);
    drop(there);
    assert_eq!(backend.topics(), 0);
}
