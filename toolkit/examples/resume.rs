//! Server-sent events that a client takes up where it has left off, in one process or in many:
//! `CHANNELS=redis://127.0.0.1:6379 cargo run -p callgate-toolkit --features channels --example resume -- --port 8000`.
//! Without `CHANNELS` the events are in the memory of the process.
//!
//! ```console
//! $ curl -N http://127.0.0.1:8000/
//! $ curl --data Hello http://127.0.0.1:8000/
//! $ curl -N -H 'last-event-id: 1795824000000000' http://127.0.0.1:8000/
//! ```
//!
//! The second command publishes an event, and the third continues after the event of this ID, as a browser does by
//! itself. An event `missed` stands in the place of events that are no longer kept: the page loads its state again.

use std::process::ExitCode;
use std::time::Duration;

use callgate::{App, AppError, HttpScope, Receiver, Scope, Sender};
use callgate_channels::{ChannelLayer, Error, Group, GroupEvent, Sequence, Subscription};
use callgate_toolkit::channels;
use callgate_toolkit::sse::Event;
use callgate_toolkit::{errors, read, respond};
use futures_util::{StreamExt as _, future, stream};
use http::{Method, StatusCode};

async fn news(scope: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    let scope = scope.into_http()?;
    let news = channels::layer(&scope.state)?.group("news");
    if scope.method == Method::POST {
        let text = read::text(&mut receiver, 16 * 1024).await?;
        let sequence = news.publish(text).await?;
        let response = respond::text(format!("{sequence}\n")).status(StatusCode::ACCEPTED);
        return response.send(&sender).await;
    }
    let (first, subscription) = subscribe(&news, last_event_id(&scope)).await?;
    let events = subscription.filter_map(|event| future::ready(to_event(event)));
    respond::events(&mut receiver, stream::iter([first]).chain(events))
        .on_shutdown(Event::reconnect_after(Duration::from_secs(1)))
        .send(&sender)
        .await
}

/// Returns the number of the last event that a client has, if it says so.
fn last_event_id(scope: &HttpScope) -> Option<Sequence> {
    scope
        .headers
        .get("last-event-id")?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

/// Subscribes to the events after those that a client has. The first event of the response has the ID from which
/// the client continues if there is no other event.
async fn subscribe(news: &Group, last: Option<Sequence>) -> Result<(Event, Subscription), Error> {
    let Some(last) = last else {
        let subscription = news.subscribe().await?;
        let id = subscription.sequence().to_string();
        return Ok((Event::new("from now on").name("open").id(id), subscription));
    };
    match news.subscribe_from(last).await {
        Ok(subscription) => {
            let id = subscription.sequence().to_string();
            Ok((Event::new("continued").name("open").id(id), subscription))
        }
        // The store has lost its data, or the ID is not of this group: all that is kept is new to the client.
        Err(Error::SequenceAhead { .. }) => {
            let subscription = news.subscribe_from(Sequence::ZERO).await?;
            let id = subscription.sequence().to_string();
            let event = Event::new(format!("all before {id}")).name("missed").id(id);
            Ok((event, subscription))
        }
        Err(error) => Err(error),
    }
}

fn to_event(event: GroupEvent) -> Option<Event> {
    match event {
        GroupEvent::Message(message) => {
            let text = String::from_utf8_lossy(message.payload.as_bytes());
            Some(Event::new(text).id(message.sequence.to_string()))
        }
        GroupEvent::Missed(missed) => {
            let range = format!("{} to {}", missed.from, missed.to);
            Some(Event::new(range).name("missed").id(missed.to.to_string()))
        }
        _ => None,
    }
}

fn app(url: String) -> impl App {
    channels::with_layer(errors::handle(news), move || {
        let url = url.clone();
        async move { ChannelLayer::connect(&url).await }
    })
}

fn main() -> ExitCode {
    let url = std::env::var("CHANNELS").unwrap_or_else(|_| "memory".to_owned());
    callgate_server::cli::main(app(url))
}

#[cfg(test)]
mod tests {
    use callgate_toolkit::test_client::{ResponseExt as _, TestClient};

    use super::*;

    /// Publishes a text, and returns the ID of the event.
    async fn publish(client: &TestClient, text: String) -> String {
        let response = client.post("/").body(text).send().await.unwrap();
        assert_eq!(response.status(), 202);
        response.text().trim_end().to_owned()
    }

    /// Returns this many events after the event with this ID, and goes away.
    async fn events(client: &TestClient, last: &str, count: usize) -> Vec<String> {
        let request = client.get("/").header("last-event-id", last);
        let mut response = request.stream().await.unwrap();
        let mut events = Vec::new();
        while events.len() < count {
            let chunk = response.body_mut().chunk().await.unwrap().unwrap();
            events.push(String::from_utf8(chunk.to_vec()).unwrap());
        }
        events
    }

    #[tokio::test]
    async fn a_client_that_comes_back_gets_what_it_has_not_seen() {
        let client = TestClient::start(app("memory".into())).await.unwrap();
        let first = publish(&client, "one".into()).await;
        let second = publish(&client, "two".into()).await;
        let third = publish(&client, "three".into()).await;
        let expected = [
            format!("event: open\nid: {first}\ndata: continued\n\n"),
            format!("id: {second}\ndata: two\n\n"),
            format!("id: {third}\ndata: three\n\n"),
        ];
        assert_eq!(events(&client, &first, 3).await, expected);
    }

    #[tokio::test]
    async fn what_is_no_longer_kept_is_an_event_of_its_own() {
        let client = TestClient::start(app("memory".into())).await.unwrap();
        let first = publish(&client, "0".into()).await;
        for number in 1..=300 {
            publish(&client, number.to_string()).await;
        }
        // 256 are kept.
        let seen = events(&client, &first, 3).await;
        assert!(seen[1].starts_with("event: missed\nid: "), "{}", seen[1]);
        assert!(seen[2].ends_with("\ndata: 45\n\n"), "{}", seen[2]);
    }

    #[tokio::test]
    async fn an_id_that_is_ahead_begins_with_all_that_is_kept() {
        let client = TestClient::start(app("memory".into())).await.unwrap();
        let first = publish(&client, "one".into()).await;
        let seen = events(&client, "9000000000000000", 2).await;
        assert!(seen[0].starts_with("event: missed\nid: "), "{}", seen[0]);
        assert_eq!(seen[1], format!("id: {first}\ndata: one\n\n"));
    }
}
