use callgate::Message;
use callgate_toolkit::test_client::{Error, ResponseExt, TestClient, TestWebSocket};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{app, client, started};

async fn enter(client: &TestClient) -> TestWebSocket {
    client.websocket("/room/ws").connect().await.unwrap()
}

async fn line(socket: &mut TestWebSocket) -> Value {
    socket.json().await.unwrap()
}

#[tokio::test]
async fn each_message_is_answered() {
    let client = client("chat");
    let mut socket = client.websocket("/ws").connect().await.unwrap();
    let longest = "é".repeat(2048);
    for text in ["Hello", "", &longest] {
        socket.send_text(text).await.unwrap();
        assert_eq!(
            socket.text().await.unwrap(),
            format!("Message received: {text}")
        );
    }
    socket.disconnect();
    socket.exchange().ended().await.unwrap();
}

#[tokio::test]
async fn a_message_that_is_not_accepted_closes_the_websocket_with_the_reason() {
    let client = started("chat").await;
    let too_long = Message::text("x".repeat(4097));
    for path in ["/ws", "/room/ws"] {
        for (message, code, reason) in [
            (too_long.clone(), 1009, "a message has at most 4096 bytes"),
            (Message::binary("Hello"), 1003, "a message is a text here"),
        ] {
            let mut socket = client.websocket(path).connect().await.unwrap();
            socket.send(message).await.unwrap();
            let close = loop {
                match socket.receive().await {
                    // The first events of the room.
                    Ok(_) => {}
                    Err(Error::Closed(close)) => break close,
                    Err(other) => panic!("{other}"),
                }
            };
            assert_eq!((close.code, &*close.reason), (code, reason));
            socket.exchange().ended().await.unwrap();
        }
    }
}

#[tokio::test]
async fn all_guests_of_a_room_see_who_joins_each_message_and_who_leaves() {
    let client = started("chat").await;
    let mut first = enter(&client).await;
    let welcome = json!({ "type": "welcome", "guest": 1, "guests": [1] });
    assert_eq!(line(&mut first).await, welcome);
    let mut second = enter(&client).await;
    let welcome = json!({ "type": "welcome", "guest": 2, "guests": [1, 2] });
    assert_eq!(line(&mut second).await, welcome);
    let joined = json!({ "type": "joined", "guest": 2 });
    assert_eq!(line(&mut first).await, joined);

    second.send_text("\"Hello\" \u{1f600}").await.unwrap();
    let message = json!({ "type": "message", "guest": 2, "text": "\"Hello\" \u{1f600}" });
    for socket in [&mut first, &mut second] {
        assert_eq!(line(socket).await, message);
    }

    second.disconnect();
    let left = json!({ "type": "left", "guest": 2 });
    assert_eq!(line(&mut first).await, left);
    second.exchange().ended().await.unwrap();

    // The number of a guest who has left is not given again.
    let mut third = enter(&client).await;
    let welcome = json!({ "type": "welcome", "guest": 3, "guests": [1, 3] });
    assert_eq!(line(&mut third).await, welcome);
}

#[tokio::test]
async fn a_message_to_a_room_is_seen_in_that_room_only() {
    let (here, there) = (started("chat").await, started("chat").await);
    let mut answers = here.websocket("/ws").connect().await.unwrap();
    let (mut first, mut other) = (enter(&here).await, enter(&there).await);
    for socket in [&mut first, &mut other] {
        assert_eq!(line(socket).await["guest"], 1);
    }
    first.send_text("Hello").await.unwrap();
    assert_eq!(line(&mut first).await["text"], "Hello");
    // An event of the room would have arrived before this answer.
    answers.send_text("answers").await.unwrap();
    assert_eq!(answers.text().await.unwrap(), "Message received: answers");
    other.send_text("another room").await.unwrap();
    assert_eq!(line(&mut other).await["text"], "another room");
}

#[tokio::test]
async fn a_room_that_is_started_again_gives_no_number_again() {
    let app = app("chat");
    for guest in 1..=2 {
        let client = TestClient::start(app.clone()).await.unwrap();
        let mut socket = enter(&client).await;
        let welcome = json!({ "type": "welcome", "guest": guest, "guests": [guest] });
        assert_eq!(line(&mut socket).await, welcome);
        socket.disconnect();
        socket.exchange().ended().await.unwrap();
        client.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_guest_who_reads_too_slowly_misses_events_is_told_so_and_delays_no_other() {
    const SAID: u64 = 1000;
    // For a guest who does not read, one event is queued.
    let client = started("chat").await.queue_capacity(1);
    let mut slow = enter(&client).await;
    let mut quick = enter(&client).await;
    assert_eq!(line(&mut quick).await["type"], "welcome");
    for number in 0..SAID {
        quick.send_text(number.to_string()).await.unwrap();
        assert_eq!(line(&mut quick).await["text"], number.to_string());
    }
    // A guest who does not read is heard.
    slow.send_text("I do not read").await.unwrap();
    assert_eq!(line(&mut quick).await["text"], "I do not read");

    assert_eq!(line(&mut slow).await["type"], "welcome");
    let (mut next, mut missed) = (0, 0);
    loop {
        let line = line(&mut slow).await;
        match line["type"].as_str().unwrap() {
            "missed" => {
                assert_eq!(line["guests"], json!([1, 2]));
                missed += 1;
            }
            "joined" => assert_eq!(next, 0),
            _ if line["text"] == "I do not read" => break,
            _ => {
                let number: u64 = line["text"].as_str().unwrap().parse().unwrap();
                // A number that is not the next comes after a gap.
                assert!(number == next || number > next && missed > 0, "{number}");
                next = number + 1;
            }
        }
    }
    assert_eq!((next, missed), (SAID, 1));

    // The guest is still in the room, and sends and receives.
    slow.send_text("I am back").await.unwrap();
    for socket in [&mut quick, &mut slow] {
        assert_eq!(line(socket).await["text"], "I am back");
    }
}

#[tokio::test]
async fn each_mode_has_its_page() {
    let client = client("chat");
    for (path, mode) in [("/", "answers"), ("/room/", "room")] {
        let response = client.get(path).send().await.unwrap();
        let content_type = &response.headers()["content-type"];
        assert_eq!(content_type, "text/html; charset=utf-8");
        let page = response.text();
        assert!(page.contains(&format!("data-mode=\"{mode}\"")));
        assert!(!page.contains("{{"), "a placeholder was left");
        assert!(
            !page.contains("src=") && !page.contains("url("),
            "it needs nothing else"
        );
    }
    let response = client.get("/room?a=1").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(response.headers()["location"], "./room/?a=1");
}

#[tokio::test]
async fn unknown_paths_and_methods_are_refused_with_a_reason_in_json() {
    let client = client("chat");
    for (method, path, status, reason) in [
        (
            Method::GET,
            "/nowhere",
            404,
            "there is nothing at this path",
        ),
        (
            Method::POST,
            "/room/x",
            404,
            "there is nothing at this path",
        ),
        (
            Method::GET,
            "/ws",
            404,
            "there is a WebSocket at this path: connect with ws:// or wss://",
        ),
        (
            Method::POST,
            "/",
            405,
            "only these methods are served here: GET, HEAD",
        ),
        (
            Method::DELETE,
            "/room/",
            405,
            "only these methods are served here: GET, HEAD",
        ),
    ] {
        let response = client.method(method, path).send().await.unwrap();
        assert_eq!(response.status(), status, "{path}");
        let error: Value = response.json().unwrap();
        assert_eq!(error, json!({ "error": reason }));
        let allow = response
            .headers()
            .get("allow")
            .map(|allow| allow.to_str().unwrap());
        assert_eq!(allow, (status == 405).then_some("GET, HEAD"));
    }
    for path in ["/", "/room/", "/nowhere"] {
        let denied = client.websocket(path).connect().await.unwrap_err();
        let response = denied.response().unwrap();
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        let error: Value = response.json().unwrap();
        assert_eq!(error, json!({ "error": "there is nothing at this path" }));
    }
}
