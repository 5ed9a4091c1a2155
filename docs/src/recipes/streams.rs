//! Streams that end gracefully: a response without an end of its own ends when the server shuts down
//! (`http.shutdown`), or when its client goes away.

use std::convert::Infallible;
use std::time::Duration;

use callgate::{App, AppError, Receiver, Scope, Sender};
use callgate_toolkit::respond;
use callgate_toolkit::sse::Event;
use futures_util::stream;
use tokio::sync::watch;

/// Returns the temperatures from now on, each when it changes.
fn changes(thermometer: watch::Receiver<i32>) -> impl stream::Stream<Item = i32> + Send {
    stream::unfold(thermometer, async |mut thermometer| {
        thermometer.changed().await.ok()?;
        let degrees = *thermometer.borrow_and_update();
        Some((degrees, thermometer))
    })
}

async fn temperature(
    scope: Scope,
    mut receiver: Receiver,
    sender: Sender,
    thermometer: watch::Receiver<i32>,
) -> Result<(), AppError> {
    use futures_util::StreamExt as _;

    let scope = scope.into_http()?;
    let changes = changes(thermometer);
    if scope.path() == "/events" {
        let events = changes.map(|degrees| Event::new(degrees.to_string()));
        // The client is told not to come back at once: the server that it comes back to may not be up yet.
        let last = Event::reconnect_after(Duration::from_secs(2));
        let response = respond::events(&mut receiver, events).on_shutdown(last);
        return response.send(&sender).await;
    }
    let lines = changes.map(|degrees| Ok::<_, Infallible>(format!("{degrees}\n")));
    let response = respond::stream(&mut receiver, lines).header("content-type", "text/plain");
    response.send(&sender).await
}

/// The application: lines at `/`, server-sent events at `/events`.
pub fn app(thermometer: watch::Receiver<i32>) -> impl App {
    move |scope: Scope, receiver: Receiver, sender: Sender| {
        temperature(scope, receiver, sender, thermometer.clone())
    }
}

#[cfg(test)]
mod tests {
    use callgate_toolkit::test_client::TestClient;

    use super::*;

    #[tokio::test]
    async fn a_shutdown_ends_the_stream_after_what_has_been_sent() {
        let (set, thermometer) = watch::channel(20);
        let client = TestClient::new(app(thermometer));
        let response = client.get("/").stream().await.unwrap();
        let mut content = response.into_body();
        set.send(21).unwrap();
        assert_eq!(content.chunk().await.unwrap().unwrap(), "21\n");

        client.begin_shutdown();
        assert_eq!(content.rest().await.unwrap(), "");
        content.exchange().ended().await.unwrap();
    }

    #[tokio::test]
    async fn events_end_with_the_time_to_come_back_after() {
        let (_set, thermometer) = watch::channel(20);
        let client = TestClient::new(app(thermometer));
        let mut content = client.get("/events").stream().await.unwrap().into_body();
        client.begin_shutdown();
        let rest = content.rest().await.unwrap();
        assert!(rest.ends_with(b"retry: 2000\n\n"), "{rest:?}");
    }

    #[tokio::test]
    async fn a_client_that_goes_away_ends_the_call() {
        let (_set, thermometer) = watch::channel(20);
        let client = TestClient::new(app(thermometer));
        let content = client.get("/").stream().await.unwrap().into_body();
        let exchange = content.exchange().clone();
        drop(content);
        exchange.ended().await.unwrap();
    }
}
