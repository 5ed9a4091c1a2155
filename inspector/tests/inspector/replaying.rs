//! Replays to the application as it runs now.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use callgate::{AppError, Receiver, Scope, Sender};
use callgate_conformance::ReplayOptions;
use callgate_inspector::{Bounds, CannotReplay, Inspector};
use callgate_toolkit::respond;
use callgate_toolkit::test_client::{Error, TestClient};
use http::{HeaderValue, StatusCode};

use crate::{echo, last, post};

/// The number of the response, which is in the state of the application.
struct Counter(AtomicU32);

/// Responds with the number of the response; with 401 without the right credentials at `/secret`.
async fn count(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
    let scope = scope.into_http()?;
    if scope.path() == "/secret"
        && scope
            .headers
            .get("authorization")
            .is_none_or(|it| it != "right")
    {
        return respond::status(StatusCode::UNAUTHORIZED)
            .send(&sender)
            .await;
    }
    let Counter(counter) = &**scope
        .state
        .get::<Arc<Counter>>()
        .expect("the state of the client");
    let number = counter.fetch_add(1, Ordering::Relaxed);
    let number = if scope.path() == "/secret" { 0 } else { number };
    respond::text(number.to_string()).send(&sender).await
}

fn counting(inspector: &Inspector) -> TestClient {
    let counter = Arc::new(Counter(AtomicU32::new(7)));
    TestClient::new(inspector.inspect(count)).state(counter)
}

#[tokio::test]
async fn a_replay_finds_what_has_changed() -> Result<(), Error> {
    let inspector = Inspector::new();
    let watch = inspector.watch();
    let client = counting(&inspector);
    client.get("/").send().await?;
    drop(watch);

    let replayed = inspector.replay(1, ReplayOptions::new()).await.unwrap();
    let difference = replayed.difference.unwrap();
    assert_eq!(difference.what, "content");
    assert!(difference.recorded.contains('7'), "{}", difference.recorded);
    assert!(difference.replayed.contains('8'), "{}", difference.replayed);
    // The replay is kept although nobody looks.
    let replay = last(&inspector).summary;
    assert_eq!(replayed.exchange, Some(replay.number));
    assert_eq!(replay.replay_of, Some(1));
    Ok(())
}

#[tokio::test]
async fn a_replay_of_the_same_application_has_no_difference() -> Result<(), Error> {
    let inspector = Inspector::new();
    let _watch = inspector.watch();
    let client = TestClient::new(inspector.inspect(echo));
    post(&client, "hello").await?;
    let replayed = inspector.replay(1, ReplayOptions::new()).await.unwrap();
    assert!(replayed.difference.is_none(), "{replayed:?}");
    assert!(!replayed.is_masked);
    Ok(())
}

#[tokio::test]
async fn credentials_take_the_place_of_masked_ones() -> Result<(), Error> {
    let inspector = Inspector::new();
    let _watch = inspector.watch();
    let client = counting(&inspector);
    client
        .get("/secret")
        .header("authorization", "right")
        .send()
        .await?;

    let replayed = inspector.replay(1, ReplayOptions::new()).await.unwrap();
    assert!(replayed.is_masked);
    assert_eq!(replayed.difference.unwrap().what, "status");

    let right = HeaderValue::from_static("right");
    let options = ReplayOptions::new().credential(http::header::AUTHORIZATION, right);
    let replayed = inspector.replay(1, options).await.unwrap();
    assert!(replayed.difference.is_none(), "{replayed:?}");
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_compared_is_not_replayed() -> Result<(), Error> {
    let inspector = Inspector::with_bounds(Bounds::default().content(4));
    let _watch = inspector.watch();
    let client = TestClient::new(inspector.inspect(echo));
    post(&client, "shortened").await?;
    assert!(matches!(
        inspector.can_replay(1),
        Err(CannotReplay::NotWhole)
    ));
    assert!(matches!(inspector.can_replay(2), Err(CannotReplay::Gone)));
    post(&client, "kept").await?;
    assert!(inspector.can_replay(2).is_ok());
    // The application is gone, and with it what it runs with.
    drop(client);
    let gone = inspector.replay(2, ReplayOptions::new()).await;
    assert!(matches!(gone, Err(CannotReplay::NoApplication)), "{gone:?}");
    Ok(())
}
