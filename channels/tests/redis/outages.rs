//! What an application sees of an outage: `CH-29` to `CH-32`.

use std::time::{Duration, Instant};

use callgate_channels::backend::{Backend as _, Topic};
use callgate_channels::{
    ChannelLayer, Error, GroupEvent, Health, Member, MemberId, Missed, RedisBackend, Settings,
    Subscription,
};
use tokio::time::timeout;

use crate::harness::shared_url;
use crate::load::{settings, wait};
use crate::server::RedisServer;

async fn next(subscription: &mut Subscription) -> GroupEvent {
    timeout(Duration::from_secs(20), subscription.next())
        .await
        .expect("an event in time")
        .expect("the subscription has not ended")
}

#[tokio::test]
async fn ch_29_what_cannot_be_reached_is_an_error_and_known() {
    let mut server = RedisServer::stopped();
    let url = server.url();
    let error = ChannelLayer::connect_with(&url, settings()).await.map(drop);
    let message = error.expect_err("there is no Redis").to_string();
    let path = url.trim_start_matches("unix://");
    let expected = format!("cannot reach redis at {path}: ");
    assert!(message.starts_with(&expected), "{message}");

    server.restart().await;
    let layer = ChannelLayer::connect_with(&url, settings()).await;
    let layer = layer.expect("connected");
    let group = layer.group("g");
    assert_eq!(layer.health(), Health::Ready);
    server.kill();
    wait("the outage is known", || !layer.health().is_ready()).await;
    let begun = Instant::now();
    let unreachable = |error: Error| {
        assert!(matches!(error, Error::Unreachable { .. }), "{error}");
        let message = error.to_string();
        assert!(
            message.ends_with("(tried again at least every 1s)"),
            "{message}"
        );
        assert!(message.starts_with(&expected), "{message}");
        assert_eq!(message.matches(path).count(), 1, "{message}");
    };
    let (published, members, subscribed, joined) = tokio::join!(
        group.publish("x"),
        group.members(),
        group.subscribe().into_future(),
        group.join("x"),
    );
    unreachable(published.expect_err("no Redis"));
    unreachable(members.expect_err("no Redis"));
    unreachable(subscribed.map(drop).expect_err("no Redis"));
    unreachable(joined.map(drop).expect_err("no Redis"));
    assert!(begun.elapsed() < settings().timeout * 10);
    assert!(matches!(layer.health(), Health::Unreachable { .. }));
    assert_eq!(layer.metrics().publish_errors, 1);

    server.restart().await;
    wait("Redis is reached again", || layer.health().is_ready()).await;
    group.publish("x").await.expect("published");
}

#[tokio::test]
async fn ch_30_a_subscription_goes_on_after_an_outage() {
    let server = RedisServer::start().await;
    let cut = ChannelLayer::connect_with(&server.url(), settings()).await;
    let cut = cut.expect("connected");
    let group = cut.group("g");
    let mut subscription = group.subscribe().await.expect("subscribed");
    server.cut_connections().await;
    // Another process publishes while this one is not connected, or has just connected again.
    let other = ChannelLayer::connect_with(&server.url(), settings()).await;
    let other = other.expect("connected").group("g");
    let mut numbers = Vec::new();
    for _ in 0..20 {
        numbers.push(other.publish("x").await.expect("published"));
    }
    wait("it connects again", || cut.metrics().reconnects > 0).await;
    numbers.push(group.publish("x").await.expect("published"));
    for number in numbers {
        let event = next(&mut subscription).await;
        assert_eq!(event.sequence(), number);
        assert!(matches!(event, GroupEvent::Message(_)), "{event:?}");
    }
}

#[tokio::test]
async fn ch_31_lost_data_is_a_gap_and_members_are_there_again() {
    let mut server = RedisServer::start().await;
    let layer = ChannelLayer::connect_with(&server.url(), settings()).await;
    let layer = layer.expect("connected");
    let group = layer.group("g");
    let ada = group.join("Ada").await.expect("joined");
    let mut subscription = group.subscribe().await.expect("subscribed");
    let before = group.publish("x").await.expect("published");
    assert_eq!(next(&mut subscription).await.sequence(), before);
    server.kill();
    server.restart().await;
    // The gap comes without a message after it.
    let GroupEvent::Missed(missed) = next(&mut subscription).await else {
        panic!("a gap was expected");
    };
    assert_eq!(missed.from, before.next());
    let GroupEvent::Join { member, .. } = next(&mut subscription).await else {
        panic!("a join was expected");
    };
    assert_eq!(member, *ada.member());
    let members = group.members().await;
    assert_eq!(members.as_deref(), Ok(std::slice::from_ref(ada.member())));
    let after = group.publish("y").await.expect("published");
    assert!(after > missed.to);
    assert_eq!(next(&mut subscription).await.sequence(), after);
}

#[tokio::test]
async fn ch_31_data_that_is_lost_while_connected_is_a_gap() {
    let server = RedisServer::start().await;
    let layer = ChannelLayer::connect_with(&server.url(), settings()).await;
    let group = layer.expect("connected").group("g");
    let mut subscription = group.subscribe().await.expect("subscribed");
    let before = group.publish("x").await.expect("published");
    assert_eq!(next(&mut subscription).await.sequence(), before);
    server.command::<()>(&["FLUSHALL"]).await;
    // The process that publishes next knows nothing of the group.
    let other = ChannelLayer::connect_with(&server.url(), settings()).await;
    let other = other.expect("connected").group("g");
    let after = other.publish("y").await.expect("published");
    let (from, to) = (before.next(), after.previous());
    let missed = GroupEvent::Missed(Missed { from, to });
    assert_eq!(next(&mut subscription).await, missed);
    assert_eq!(next(&mut subscription).await.sequence(), after);
}

#[tokio::test]
async fn ch_31_numbers_increase_although_the_clock_of_redis_is_behind() {
    let mut server = RedisServer::start().await;
    let layer = ChannelLayer::connect_with(&server.url(), settings()).await;
    let layer = layer.expect("connected");
    let group = layer.group("g");
    let mut subscription = group.subscribe().await.expect("subscribed");
    // An event of a Redis whose clock is an hour ahead.
    let ahead = subscription.sequence().get() + 3_600_000_000;
    let previous = subscription.sequence().to_string();
    let info: String = server.command(&["INFO", "server"]).await;
    let run = info.lines().find_map(|line| line.strip_prefix("run_id:"));
    let run = &run.expect("the run")[..8];
    let (key, id) = ("{callgate:g}", format!("{ahead}-0"));
    let fields = ["p", &previous, "k", "t", "o", "1", "b", "x", "r", run];
    let command = [&["XADD", key, &id], &fields[..]].concat();
    server.command::<String>(&command).await;
    let number = group.publish("y").await.expect("published");
    assert_eq!(number.get(), ahead + 1);
    // Nothing was sent for this event, and the one after it names it.
    let event = next(&mut subscription).await;
    assert_eq!(event.sequence().get(), ahead);
    assert!(matches!(event, GroupEvent::Message(_)), "{event:?}");
    assert_eq!(next(&mut subscription).await.sequence(), number);
    server.kill();
    server.restart().await;
    let GroupEvent::Missed(missed) = next(&mut subscription).await else {
        panic!("a gap was expected");
    };
    let after = group.publish("z").await.expect("published");
    assert!(missed.to > number && after > missed.to);
    // Another group, to which this process has not subscribed, is above as well.
    let elsewhere = layer.group("h").publish("z").await.expect("published");
    assert!(elsewhere > after);
}

#[tokio::test]
async fn ch_31_a_store_that_may_lack_its_last_events_says_so() {
    let mut server = RedisServer::start().await;
    let before = ChannelLayer::connect_with(&server.url(), settings()).await;
    let group = before.expect("connected").group("g");
    let kept = group.publish("kept").await.expect("published");
    server.command::<()>(&["SAVE"]).await;
    let lost = group.publish("lost").await.expect("published");
    server.kill();
    server.restart().await;
    // This process has seen no number of the old run.
    let after = ChannelLayer::connect_with(&server.url(), settings()).await;
    let group = after.expect("connected").group("g");
    let number = group.publish("after").await.expect("published");
    let mut subscription = group.subscribe_from(kept).await.expect("subscribed");
    let GroupEvent::Missed(missed) = next(&mut subscription).await else {
        panic!("a gap was expected");
    };
    assert_eq!(missed.from, kept.next());
    assert!(lost <= missed.to && missed.to < number, "{missed:?}");
    assert_eq!(next(&mut subscription).await.sequence(), number);
}

#[tokio::test]
async fn ch_29_a_redis_that_becomes_a_replica_is_not_reached_until_it_is_none() {
    let server = RedisServer::start().await;
    let layer = ChannelLayer::connect_with(&server.url(), settings()).await;
    let layer = layer.expect("connected");
    let group = layer.group("g");
    let mut subscription = group.subscribe().await.expect("subscribed");
    server.command::<()>(&["REPLICAOF", "127.0.0.1", "1"]).await;
    let error = group.publish("x").await.expect_err("a replica");
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("READONLY"), "{error}");
    wait("the outage is known", || !layer.health().is_ready()).await;
    server.command::<()>(&["REPLICAOF", "NO", "ONE"]).await;
    wait("Redis is reached again", || layer.health().is_ready()).await;
    let number = group.publish("x").await.expect("published");
    assert_eq!(next(&mut subscription).await.sequence(), number);
}

#[tokio::test]
async fn a_join_that_redis_reads_after_the_leave_is_void() {
    let settings = Settings::default().namespace(format!("void-{}", std::process::id()));
    let backend = RedisBackend::connect(&shared_url(), settings).await;
    let backend = backend.expect("connected");
    let group = Topic::group("g");
    let member = |id| Member {
        id: MemberId::new(id),
        data: "Ada".into(),
    };
    // Redis knows the process, so no heartbeat lets its members join again.
    let other = member("process-1");
    let joined = backend.join(&group, other.clone()).await;
    joined.expect("joined");
    let late = member("process-2");
    backend.leave(&group, &late.id).await.expect("answered");
    backend.join(&group, late).await.expect("answered");
    assert_eq!(backend.members(&group).await, Ok(vec![other]));
}

#[tokio::test]
async fn ch_32_a_group_without_anybody_leaves_nothing_in_redis() {
    let server = RedisServer::start().await;
    let time = Duration::from_millis(60);
    let settings = settings().history_time(time).presence_timeout(time);
    let layer = ChannelLayer::connect_with(&server.url(), settings).await;
    let layer = layer.expect("connected");
    let mut connection = server.connect().await.expect("connected");
    for index in 0..20 {
        let group = layer.group(&index.to_string());
        let subscription = group.subscribe().await.expect("subscribed");
        group.publish("x").await.expect("published");
        let member = group.join("Ada").await.expect("joined");
        if index % 2 == 0 {
            member.leave().await.expect("left");
        }
        drop(subscription);
    }
    for _ in 0..400 {
        let keys: usize = redis::cmd("DBSIZE")
            .query_async(&mut connection)
            .await
            .expect("counted");
        let channels: Vec<String> = redis::cmd("PUBSUB")
            .arg("SHARDCHANNELS")
            .query_async(&mut connection)
            .await
            .expect("listed");
        if keys == 0 && channels.is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("something is left in Redis");
}
