//! A load while Redis fails: each subscription yields each message once, in order, or a gap over exactly
//! what it does not yield.

use crate::load::Load;
use crate::server::RedisServer;

#[tokio::test]
async fn a_redis_that_is_killed_and_restarted_empty_loses_nothing_in_silence() {
    let mut server = RedisServer::start().await;
    let load = Load::start(&server.url()).await;
    load.published(20).await;
    server.kill();
    load.failed().await;
    server.restart().await;
    load.end_after_loss().await;
}

#[tokio::test]
async fn a_redis_that_is_paused_loses_nothing_in_silence() {
    let server = RedisServer::start().await;
    let load = Load::start(&server.url()).await;
    load.published(20).await;
    server.pause();
    load.failed().await;
    load.unreachable().await;
    server.go_on();
    load.reconnected(1).await;
    load.published(20).await;
    let outcome = load.end().await;
    assert!(outcome.failed > 0, "{outcome:?}");
    assert!(outcome.yielded > outcome.published, "{outcome:?}");
}

#[tokio::test]
async fn connections_that_are_cut_lose_nothing_in_silence() {
    let server = RedisServer::start().await;
    let load = Load::start(&server.url()).await;
    for times in 1..=5 {
        load.published(10).await;
        server.cut_connections().await;
        load.reconnected(times).await;
    }
    load.published(10).await;
    let outcome = load.end().await;
    assert!(outcome.yielded > outcome.published, "{outcome:?}");
}
