//! WebSocket handlers of axum as an application.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::ws::{CloseFrame, Message as Frame, WebSocket, WebSocketUpgrade};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use bytes::Bytes;
use callgate::{Features, Message, WebSocketClose};
use callgate_toolkit::test_client::Error;
use http::{StatusCode, Version};
use tokio::sync::oneshot;

use crate::support::{Dropped, client, settled, within};

/// Sends messages back until there are no more.
async fn echo(upgrade: WebSocketUpgrade) -> Response {
    let answer = upgrade
        .protocols(["soap", "chat"])
        .on_upgrade(async |mut socket| {
            while let Some(Ok(message)) = socket.recv().await {
                if matches!(message, Frame::Text(_) | Frame::Binary(_)) {
                    socket.send(message).await.unwrap();
                }
            }
        });
    ([("set-cookie", "a=1")], answer).into_response()
}

/// Returns a router whose handler runs `handle` once.
fn once<F, Fut>(handle: F) -> Router
where
    F: FnOnce(WebSocket) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let handle = Arc::new(Mutex::new(Some(handle)));
    let handler = async move |upgrade: WebSocketUpgrade| {
        let handle = handle.lock().unwrap().take().unwrap();
        upgrade.on_upgrade(handle)
    };
    Router::new().route("/", any(handler))
}

#[tokio::test]
async fn messages_go_both_ways_over_every_version_of_http() {
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let client = client(Router::new().route("/", any(echo)));
        let connecting = client.websocket("/").version(version);
        let mut socket = connecting
            .subprotocols(["chat", "soap"])
            .connect()
            .await
            .unwrap();
        assert_eq!(socket.subprotocol(), Some("soap"));
        assert_eq!(socket.headers()["set-cookie"], "a=1");
        assert_eq!(socket.headers().len(), 1);
        for message in [
            Message::text("h\u{f6}re"),
            Message::binary(&b"\x00\xff"[..]),
            Message::text(""),
            Message::binary(vec![7; 200_000]),
        ] {
            socket.send(message.clone()).await.unwrap();
            assert_eq!(socket.receive().await.unwrap(), message);
        }
        socket.close(WebSocketClose::new(1000));
        socket.exchange().ended().await.unwrap();
    }
}

#[tokio::test]
async fn a_close_of_the_client_reaches_the_handler_with_its_code_and_reason() {
    for (close, seen) in [
        (WebSocketClose::new(4001).reason("bye"), Some((4001, "bye"))),
        (WebSocketClose::new(1005), None),
    ] {
        let (report, reported) = oneshot::channel();
        let client = client(once(async |mut socket| {
            report.send(socket.recv().await).unwrap();
            assert!(socket.recv().await.is_none());
        }));
        let socket = client.websocket("/").connect().await.unwrap();
        socket.close(close);
        let Some(Ok(Frame::Close(frame))) = within(reported).await.unwrap() else {
            panic!("it is a close");
        };
        let frame = frame.map(|frame| (frame.code, frame.reason.to_string()));
        let seen = seen.map(|(code, reason)| (code, reason.to_owned()));
        assert_eq!(frame, seen);
        socket.exchange().ended().await.unwrap();
    }
}

#[tokio::test]
async fn a_lost_connection_is_an_error_to_the_handler() {
    let (report, reported) = oneshot::channel();
    let client = client(once(async |mut socket| {
        report.send(socket.recv().await).unwrap();
    }));
    let socket = client.websocket("/").connect().await.unwrap();
    socket.disconnect();
    assert!(matches!(within(reported).await.unwrap(), Some(Err(_))));
    socket.exchange().ended().await.unwrap();
}

#[tokio::test]
async fn a_close_of_the_handler_reaches_the_client_with_its_code_and_reason() {
    let client = client(once(async |mut socket| {
        let frame = CloseFrame {
            code: 4002,
            reason: "enough".into(),
        };
        socket.send(Frame::Text("last".into())).await.unwrap();
        socket.send(Frame::Close(Some(frame))).await.unwrap();
        // The answer to the close, and then the end.
        assert!(matches!(socket.recv().await, Some(Ok(Frame::Close(_)))));
        assert!(socket.recv().await.is_none());
    }));
    let mut socket = client.websocket("/").connect().await.unwrap();
    assert_eq!(socket.text().await.unwrap(), "last");
    let close = socket.closed().await.unwrap();
    assert_eq!(close, WebSocketClose::new(4002).reason("enough"));
    socket.exchange().ended().await.unwrap();
}

#[tokio::test]
async fn a_handler_that_drops_the_websocket_closes_it() {
    let client = client(once(async |mut socket| {
        socket.send(Frame::Text("last".into())).await.unwrap();
    }));
    let mut socket = client.websocket("/").connect().await.unwrap();
    assert_eq!(socket.text().await.unwrap(), "last");
    assert_eq!(socket.closed().await.unwrap(), WebSocketClose::new(1000));
    socket.exchange().ended().await.unwrap();
}

#[tokio::test]
async fn pings_of_the_handler_are_answered_without_the_client() {
    let client = client(once(async |mut socket| {
        socket
            .send(Frame::Ping("are you there?".into()))
            .await
            .unwrap();
        let pong = socket.recv().await.unwrap().unwrap();
        assert_eq!(pong, Frame::Pong("are you there?".into()));
        socket.send(Frame::Text("yes".into())).await.unwrap();
    }));
    let mut socket = client.websocket("/").connect().await.unwrap();
    assert_eq!(socket.text().await.unwrap(), "yes");
}

#[tokio::test]
async fn a_response_other_than_the_upgrade_denies_the_websocket() {
    let router = Router::new()
        .route(
            "/no",
            any(async || (StatusCode::FORBIDDEN, [("x-why", "banned")], "Go away\n")),
        )
        .route("/plain", any(async || "This is no WebSocket\n"));
    let client = client(router);
    let Err(Error::Refused(response)) = client.websocket("/no").connect().await else {
        panic!("it is denied");
    };
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert_eq!(response.headers()["x-why"], "banned");
    assert_eq!(response.body(), "Go away\n");
    let Err(Error::Refused(response)) = client.websocket("/plain").connect().await else {
        panic!("it is denied");
    };
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.body(), "This is no WebSocket\n");

    // Over HTTP/2 that status would be taken for a WebSocket.
    let websocket = client.websocket("/plain").version(Version::HTTP_2);
    let Err(Error::Refused(response)) = websocket.connect().await else {
        panic!("it is refused");
    };
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_denial_that_is_not_offered_is_a_refusal() {
    let router = Router::new().route(
        "/",
        any(async || (StatusCode::UNAUTHORIZED, "Who are you?")),
    );
    let client = client(router).features(Features::NONE);
    let Err(Error::Refused(response)) = client.websocket("/").connect().await else {
        panic!("it is refused");
    };
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_client_that_goes_away_before_the_answer_has_the_handler_dropped() {
    let (dropped, is_dropped) = Dropped::new();
    let (called, is_called) = oneshot::channel();
    let handed = Arc::new(Mutex::new(Some((dropped, called))));
    let handler = async move |_: WebSocketUpgrade| {
        let (_dropped, called) = handed.lock().unwrap().take().unwrap();
        called.send(()).unwrap();
        std::future::pending::<()>().await;
    };
    let client = client(Router::new().route("/", any(handler)));
    let connecting = client.websocket("/").start();
    within(is_called).await.unwrap();
    connecting.exchange().disconnect();
    within(is_dropped).await.unwrap();
    connecting.exchange().ended().await.unwrap();
}

/// In bytes, more than the connection in memory holds.
const MESSAGE: usize = 64 * 1024;
const MESSAGES: usize = 16;
/// The bytes that may be in flight: at the client, at the bridge, and in read buffers.
const HELD: usize = 4;

#[tokio::test]
async fn a_handler_that_does_not_read_makes_the_client_wait() {
    let (read, may_read) = oneshot::channel::<()>();
    let router = once(async |mut socket| {
        may_read.await.unwrap();
        for _ in 0..MESSAGES {
            let message = socket.recv().await.unwrap().unwrap();
            assert_eq!(message.into_data().len(), MESSAGE);
        }
    });
    let client = client(router).queue_capacity(1);
    let mut socket = client.websocket("/").connect().await.unwrap();
    let sent = AtomicUsize::new(0);
    let sending = async {
        for _ in 0..MESSAGES {
            socket.send_binary(vec![0; MESSAGE]).await.unwrap();
            sent.fetch_add(1, Ordering::Relaxed);
        }
    };
    let reading = async {
        settled().await;
        let sent = sent.load(Ordering::Relaxed);
        assert!((1..=HELD).contains(&sent), "{sent} messages are held");
        read.send(()).unwrap();
    };
    within(async { tokio::join!(sending, reading) }).await;
    socket.closed().await.unwrap();
}

#[tokio::test]
async fn a_client_that_does_not_read_makes_the_handler_wait() {
    let sent = Arc::new(AtomicUsize::new(0));
    let count = sent.clone();
    let router = once(async move |mut socket| {
        for _ in 0..MESSAGES {
            let message = Bytes::from(vec![0; MESSAGE]);
            socket.send(Frame::Binary(message)).await.unwrap();
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    let client = client(router).queue_capacity(1);
    let mut socket = client.websocket("/").connect().await.unwrap();
    for received in 0..MESSAGES {
        settled().await;
        let ahead = sent.load(Ordering::Relaxed) - received;
        assert!(ahead <= HELD, "{ahead} messages are held");
        socket.receive().await.unwrap();
    }
    socket.closed().await.unwrap();
}

#[tokio::test]
async fn a_handler_that_only_sends_is_stopped_when_the_client_has_left() {
    let (report, reported) = oneshot::channel();
    let client = client(once(async |mut socket| {
        while socket.send(Frame::Text("tick".into())).await.is_ok() {
            tokio::task::yield_now().await;
        }
        report.send(()).unwrap();
    }));
    let mut socket = client.websocket("/").connect().await.unwrap();
    assert_eq!(socket.text().await.unwrap(), "tick");
    socket.close(WebSocketClose::new(1001));
    within(reported).await.unwrap();
    socket.exchange().ended().await.unwrap();
}
