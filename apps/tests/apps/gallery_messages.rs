//! The messages on the gallery's page.

use std::net::SocketAddr;

use callgate::{AppError, BoxApp, HttpResponseBody, Message, Receiver, Scope, Sender};
use callgate_apps::gallery::Gallery;
use callgate_apps::{Settings, find};
use callgate_toolkit::test_client::{ResponseExt, Streaming, TestClient};
use http::{Response, StatusCode};
use serde_json::Value;

use crate::started;

const LOCAL: &str = "127.0.0.1:40000";

fn from(client: TestClient, address: &str) -> TestClient {
    client.client_address(Some(address.parse::<SocketAddr>().unwrap()))
}

/// What the feed has told, as `APP DIRECTION TEXT`.
struct Feed {
    response: Response<Streaming>,
    told: Vec<String>,
    skipped: u64,
}

impl Feed {
    async fn open(client: &TestClient) -> Self {
        let request = client.get("/messages").header("host", "localhost:8000");
        let response = request.stream().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            response,
            told: Vec::new(),
            skipped: 0,
        }
    }

    /// Reads until a line that begins with this was told.
    async fn until(&mut self, line: &str) {
        while !self.told.iter().any(|told| told.starts_with(line)) {
            let part = self.response.body_mut().chunk().await.unwrap().unwrap();
            let part = str::from_utf8(&part).unwrap();
            let Some(data) = part.strip_prefix("data: ") else {
                continue;
            };
            let news: Vec<Value> = serde_json::from_str(data.trim()).unwrap();
            for exchange in news {
                self.skipped += exchange["skipped"].as_u64().unwrap();
                for said in exchange["messages"].as_array().unwrap() {
                    let parts = [&exchange["app"], &said["direction"], &said["text"]];
                    let parts = parts.map(|part| part.as_str().unwrap());
                    self.told.push(parts.join(" "));
                }
            }
        }
    }
}

#[tokio::test]
async fn a_local_client_is_told_each_message_in_its_order() {
    let client = from(started("gallery").await, LOCAL);
    let mut feed = Feed::open(&client).await;
    let request = client.post("/echo/").body("four");
    assert_eq!(request.send().await.unwrap().text(), "four");
    feed.until("echo end returned").await;
    assert_eq!(
        feed.told,
        [
            "echo scope http POST /echo/",
            "echo send http.response.start 200",
            "echo receive http.request 4 B",
            "echo send http.response.body 4 B",
            "echo end returned",
        ]
    );
    let mut socket = client.websocket("/echo/").connect().await.unwrap();
    socket.send(Message::text("héllo")).await.unwrap();
    socket.text().await.unwrap();
    feed.until("echo send websocket.send text, 6 B").await;
    for line in [
        "echo scope websocket /echo/",
        "echo receive websocket.connect",
        "echo send websocket.accept",
        "echo receive websocket.receive text, 6 B",
    ] {
        assert!(feed.told.iter().any(|told| told == line), "{:?}", feed.told);
    }
}

#[tokio::test]
async fn nothing_is_recorded_while_no_page_is_open() {
    let client = from(started("gallery").await, LOCAL);
    client.get("/hello/").send().await.unwrap();
    let mut feed = Feed::open(&client).await;
    client.get("/time/").send().await.unwrap();
    feed.until("time end returned").await;
    assert_eq!(feed.told[0], "time scope http GET /time/");
}

#[tokio::test]
async fn a_long_exchange_is_told_by_its_latest_messages_and_the_number_of_the_others() {
    let client = from(started("gallery").await, LOCAL);
    let mut feed = Feed::open(&client).await;
    let request = client.get("/stream/download?bytes=20000000");
    assert_eq!(request.send().await.unwrap().body().len(), 20_000_000);
    feed.until("stream end returned").await;
    let told = feed.told.len() as u64;
    // The call, the start, a send of 64 KiB each and the end of the content, the end.
    assert_eq!(told + feed.skipped, 2 + 306 + 1 + 1, "{told} were told");
}

#[tokio::test]
async fn a_broken_rule_is_told() {
    async fn broken(_: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
        sender.send(HttpResponseBody::last("too early")).await?;
        Ok(())
    }
    let mut entry = *find("hello").unwrap();
    entry.name = "broken";
    entry.app = |_| BoxApp::new(broken);
    let gallery = Gallery::new(&[entry], &Settings::default());
    let client = from(TestClient::new(gallery), LOCAL);
    let mut feed = Feed::open(&client).await;
    client.get("/broken/").send().await.unwrap_err();
    feed.until("broken end ").await;
    let rules: Vec<_> = feed
        .told
        .iter()
        .filter(|told| told.starts_with("broken rule HTTP-"))
        .collect();
    assert_eq!(rules.len(), 1, "{:?}", feed.told);
}

#[tokio::test]
async fn a_client_elsewhere_is_refused_and_its_page_has_no_messages() {
    let proxied = ("x-forwarded-for", "203.0.113.7");
    for (address, host, field, is_told) in [
        (LOCAL, "localhost:8000", None, true),
        (LOCAL, "127.0.0.1", None, true),
        ("[::1]:40000", "[::1]:8000", None, true),
        ("203.0.113.7:40000", "localhost:8000", None, false),
        (LOCAL, "localhost:8000", Some(proxied), false),
        (
            LOCAL,
            "localhost:8000",
            Some(("forwarded", "for=203.0.113.7")),
            false,
        ),
        (LOCAL, "gallery.test:8000", None, false),
    ] {
        let client = from(started("gallery").await, address);
        let get = |path: &'static str| {
            let request = client.get(path).header("host", host);
            match field {
                Some((name, value)) => request.header(name, value),
                None => request,
            }
        };
        let case = format!("{address} {host} {field:?}");
        let page = get("/").send().await.unwrap();
        assert_eq!(
            page.text().contains("<body data-feed=\"messages\">"),
            is_told,
            "{case}"
        );
        let feed = get("/messages").stream().await.unwrap();
        let expected = match is_told {
            true => StatusCode::OK,
            false => StatusCode::FORBIDDEN,
        };
        assert_eq!(feed.status(), expected, "{case}");
    }
}
