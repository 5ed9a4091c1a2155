//! Exchanges as recordings, as commands and as tests.

#[path = "generated.rs"]
mod generated;

use callgate::{AppError, Message, Receiver, Scope, Sender, WebSocketAccept, WebSocketClose};
use callgate_conformance::{ReplayOptions, replay};
use callgate_inspector::{Inspector, curl, recording, test_code};
use callgate_toolkit::test_client::{Error, TestClient};
use callgate_toolkit::websocket::WebSocketUpgrade;
use callgate_toolkit::{read, respond};

use crate::{echo, last};

/// Echoes content and messages; `/octets` is no text.
async fn app(scope: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    match scope {
        Scope::WebSocket(scope) if scope.path() == "/refused" => {
            WebSocketUpgrade::new(&scope, receiver, sender)
                .refuse()
                .await
        }
        Scope::WebSocket(scope) => {
            let upgrade = WebSocketUpgrade::new(&scope, receiver, sender);
            let mut socket = upgrade.accept(WebSocketAccept::new()).await?;
            while let Some(message) = socket.receive().await {
                socket.send(message.clone()).await?;
                if message == Message::text("bye") {
                    socket.close(WebSocketClose::new(4000)).await?;
                    return Ok(());
                }
            }
            Ok(())
        }
        Scope::Http(scope) if scope.path() == "/octets" => {
            read::bytes(&mut receiver, 1024).await?;
            respond::bytes(&b"\xff\0\""[..]).send(&sender).await
        }
        Scope::Http(scope) if scope.path() == "/unread" => respond::bytes("").send(&sender).await,
        scope => echo(scope, receiver, sender).await,
    }
}

/// The test code of several exchanges is the file `generated.rs`, whose tests run here.
#[tokio::test]
async fn test_code_compiles_and_passes() -> Result<(), Error> {
    let inspector = Inspector::new();
    let _watch = inspector.watch();
    let client = TestClient::new(inspector.inspect(app)).ignore_cookies();
    client
        .get("/?a=b")
        .header("x-quote", r#"a "b" \c"#)
        .send()
        .await?;
    client
        .post("/\u{e9}".replace('\u{e9}', "%C3%A9"))
        .body("two\nlines\ttab\"#")
        .send()
        .await?;
    client.get("/octets").send().await?;
    client.head("/").send().await?;
    let mut socket = client
        .websocket("/socket")
        .subprotocols(["chat"])
        .connect()
        .await?;
    socket.send(Message::binary(&b"\0\xff"[..])).await?;
    socket.receive().await?;
    socket.send_text("bye").await?;
    socket.receive().await?;
    socket.closed().await?;
    client.websocket("/refused").connect().await.unwrap_err();

    let codes = (1..=6).map(|number| {
        let code = test_code(&inspector.exchange(number).unwrap()).unwrap();
        format!("mod exchange_{number} {{\nuse super::super::app;\n{code}}}\n")
    });
    let code = format!(
        "//! What `test_code` writes. `CALLGATE_BLESS=1 cargo test -p callgate-inspector` writes this file.\n\n{}",
        codes.collect::<Vec<_>>().join("\n")
    );
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/inspector/generated.rs");
    if std::env::var_os("CALLGATE_BLESS").is_some() {
        std::fs::write(path, &code).unwrap();
    }
    let expected = include_str!("generated.rs");
    let words = |text: &str| text.split_whitespace().collect::<String>();
    assert_eq!(words(&code), words(expected), "{code}");
    Ok(())
}

#[tokio::test]
async fn a_recording_replays_without_a_difference() -> Result<(), Error> {
    let inspector = Inspector::new();
    let _watch = inspector.watch();
    let client = TestClient::new(inspector.inspect(app));
    client.post("/").body("hello").send().await?;
    let recording = recording(&last(&inspector));
    let replay = tokio::task::spawn_blocking(move || {
        replay(recording.as_bytes(), || app, ReplayOptions::new())
    });
    let replay = replay.await.unwrap().unwrap();
    assert_eq!((replay.exchanges, replay.differences.len()), (1, 0));
    Ok(())
}

#[tokio::test]
async fn a_command_makes_the_request_again() -> Result<(), Error> {
    let inspector = Inspector::new();
    let _watch = inspector.watch();
    let client = TestClient::new(inspector.inspect(app)).ignore_cookies();
    let command = || curl(&last(&inspector)).unwrap();

    client
        .get("/it's?a=b")
        .header("authorization", "Bearer secret")
        .header("x-empty", "")
        .send()
        .await?;
    assert_eq!(
        command(),
        "curl -i 'http://localhost/it'\\''s?a=b' \\\n  -H 'authorization: <masked>' \\\n  -H 'x-empty;'"
    );
    client
        .put("/")
        .header("content-type", "text/plain")
        .body("it's\n")
        .send()
        .await?;
    assert_eq!(
        command(),
        "curl -i -X 'PUT' 'http://localhost/' \\\n  -H 'content-type: text/plain' \\\n  --data-raw 'it'\\''s\n'"
    );
    client.post("/octets").body(&b"\xff\0"[..]).send().await?;
    assert_eq!(
        command(),
        "printf '\\377\\000' | curl -i 'http://localhost/octets' \\\n  --data-binary @-"
    );
    // The application has not read the content.
    client.post("/unread").body("hello").send().await?;
    assert_eq!(
        command(),
        "curl -i -X 'POST' 'http://localhost/unread'\n# The application has not received all of the content."
    );
    client.websocket("/socket?a").connect().await?;
    assert_eq!(command(), "python -m websockets 'ws://localhost/socket?a'");
    Ok(())
}
