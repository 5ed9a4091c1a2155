use callgate::{
    AppError, Feature, HttpResponseBody, HttpResponseStart, Message, ReceiveEvent, Receiver, Scope,
    SendEvent, Sender, WebSocketAccept, WebSocketClose, rule,
};
use callgate_toolkit::test_client::{Error, Failure, ResponseExt, TestClient, TestExchange};
use futures_util::stream::FuturesUnordered;
use futures_util::{StreamExt as _, poll};
use http::StatusCode;
use std::pin::pin;
use std::sync::Arc;
use tokio::sync::Notify;

/// Does as its path says.
async fn app(scope: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    let scope = scope.into_websocket()?;
    match scope.raw_path() {
        "/echo" => {
            let mut accept = WebSocketAccept::new().header("x-a", "1");
            accept.subprotocol = scope.subprotocols.last().cloned();
            sender.send(accept).await?;
            loop {
                match receiver.receive().await {
                    ReceiveEvent::WebSocketReceive(message) => sender.send(message).await?,
                    ReceiveEvent::WebSocketDisconnect(_) => return Ok(()),
                    _ => {}
                }
            }
        }
        "/refuse" => sender.send(WebSocketClose::new(4000)).await?,
        "/deny" | "/deny/cut" => {
            let start = HttpResponseStart::new(StatusCode::UNAUTHORIZED);
            sender.send(SendEvent::DenialResponseStart(start)).await?;
            let part = SendEvent::DenialResponseBody(HttpResponseBody::part("who "));
            sender.send(part).await?;
            if scope.raw_path() == "/deny" {
                let last = HttpResponseBody::last("are you?");
                sender.send(SendEvent::DenialResponseBody(last)).await?;
            }
        }
        "/wait" => {
            while !matches!(
                receiver.receive().await,
                ReceiveEvent::WebSocketDisconnect(_)
            ) {}
        }
        "/open/error" => {
            sender.send(WebSocketAccept::new()).await?;
            return Err(AppError::failed("no database"));
        }
        "/open/violation" => {
            sender.send(WebSocketAccept::new()).await?;
            let _ = sender.send(WebSocketAccept::new()).await;
            while !matches!(
                receiver.receive().await,
                ReceiveEvent::WebSocketDisconnect(_)
            ) {}
        }
        "/close" => {
            sender.send(WebSocketAccept::new()).await?;
            sender.send(Message::text("last")).await?;
            sender.send(WebSocketClose::new(4001).reason("bye")).await?;
        }
        "/flood" => {
            sender.send(WebSocketAccept::new()).await?;
            for number in 0..10 {
                sender.send(Message::text(number.to_string())).await?;
            }
        }
        "/error" => return Err(AppError::failed("no database")),
        "/declined" => return Err(AppError::Unsupported),
        _ => {}
    }
    Ok(())
}

#[tokio::test]
async fn messages_go_both_ways() {
    let client = TestClient::new(app);
    let socket = client.websocket("/echo").subprotocols(["a", "b"]);
    let mut socket = socket.connect().await.unwrap();
    assert_eq!(socket.subprotocol(), Some("b"));
    assert_eq!(socket.headers()["x-a"], "1");
    socket.send_text("hi").await.unwrap();
    assert_eq!(socket.text().await.unwrap(), "hi");
    socket.send_binary(&b"\xff"[..]).await.unwrap();
    let message = socket.receive().await.unwrap();
    assert_eq!(message, Message::binary(&b"\xff"[..]));
    socket.send_text("[1, 2]").await.unwrap();
    assert_eq!(socket.json::<[u8; 2]>().await.unwrap(), [1, 2]);

    socket.close(WebSocketClose::new(4002).reason("done"));
    let exchange = socket.exchange().clone();
    exchange.ended().await.unwrap();
    let transcript = exchange.transcript().to_string();
    assert!(transcript.contains("received  websocket.disconnect 4002 \"done\""));
    assert!(matches!(
        socket.send_text("late").await,
        Err(Error::Disconnected)
    ));
}

#[tokio::test]
async fn a_handshake_that_is_not_accepted_gets_a_response() {
    let client = TestClient::new(app).allow_violations(true);
    for (path, status, content) in [
        ("/refuse", StatusCode::FORBIDDEN, "Forbidden"),
        ("/deny", StatusCode::UNAUTHORIZED, "who are you?"),
        (
            "/error",
            StatusCode::INTERNAL_SERVER_ERROR,
            "Internal Server Error",
        ),
        (
            "/",
            StatusCode::INTERNAL_SERVER_ERROR,
            "Internal Server Error",
        ),
        ("/declined", StatusCode::NOT_IMPLEMENTED, "Not Implemented"),
        ("/%zz", StatusCode::BAD_REQUEST, "Bad Request"),
    ] {
        let error = client.websocket(path).connect().await.unwrap_err();
        assert!(matches!(error, Error::Refused(_)), "{error:?}");
        let response = error.response().unwrap();
        assert_eq!(response.status(), status, "{path}");
        assert_eq!(response.text(), content, "{path}");
    }
    let error = client.websocket("/deny/cut").connect().await.unwrap_err();
    assert!(
        matches!(&error, Error::Cut(response) if response.text() == "who "),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_denial_response_that_is_not_offered_is_an_error_to_the_application() {
    let client = TestClient::new(app);
    let socket = client.websocket("/deny");
    let socket = socket.with_scope(|scope| {
        scope.features = scope.features.without(Feature::DenialResponse);
    });
    let response = socket.connect().await.unwrap_err().response().unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let failure = TestExchange::of(&response).ended().await.unwrap_err();
    assert!(matches!(failure, Failure::Error(_)));
}

#[tokio::test]
async fn the_end_of_an_open_websocket_is_a_close() {
    let client = TestClient::new(app);
    let mut socket = client.websocket("/close").connect().await.unwrap();
    assert_eq!(socket.text().await.unwrap(), "last");
    let close = socket.closed().await.unwrap();
    assert_eq!(close, WebSocketClose::new(4001).reason("bye"));
    assert!(matches!(socket.receive().await, Err(Error::Closed(_))));
    assert!(matches!(
        socket.send_text("late").await,
        Err(Error::Closed(_))
    ));

    let mut socket = client.websocket("/open/error").connect().await.unwrap();
    assert_eq!(socket.closed().await.unwrap().code, 1011);

    let mut socket = client.websocket("/open/violation").connect().await.unwrap();
    let error = socket.closed().await.unwrap_err();
    assert!(
        matches!(&error, Error::Violation(violation, _) if violation.rule == rule::ACCEPT_ONCE),
        "{error:?}"
    );
    let error = client.websocket("/").connect().await.unwrap_err();
    assert!(matches!(error, Error::Violation(..)), "{error:?}");

    let client = client.allow_violations(true);
    let mut socket = client.websocket("/open/violation").connect().await.unwrap();
    assert_eq!(socket.closed().await.unwrap().code, 1011);
    socket.exchange().ended().await.unwrap_err();
    assert_eq!(
        socket.exchange().violation().unwrap().rule,
        rule::ACCEPT_ONCE
    );
    let transcript = socket.exchange().transcript().to_string();
    assert!(
        transcript.contains("received  websocket.disconnect 1011"),
        "{transcript}"
    );

    let mut socket = client.websocket("/flood").connect().await.unwrap();
    for number in 0..10 {
        assert_eq!(socket.text().await.unwrap(), number.to_string());
    }
    assert_eq!(socket.closed().await.unwrap().code, 1000);
}

#[tokio::test]
async fn a_client_can_go_away_before_and_after_it_is_answered() {
    let client = TestClient::new(app);
    let connecting = client.websocket("/wait").disconnected().start();
    let exchange = connecting.exchange().clone();
    assert!(matches!(
        connecting.accepted().await,
        Err(Error::Disconnected)
    ));
    // The application returned without an answer, which breaks no rule once the client is gone.
    exchange.ended().await.unwrap();
    assert!(
        exchange
            .transcript()
            .to_string()
            .contains("websocket.disconnect 1006")
    );

    let socket = client.websocket("/echo").connect().await.unwrap();
    let exchange = socket.exchange().clone();
    socket.send_text("before").await.unwrap();
    drop(socket);
    // The application receives the message before the disconnect.
    assert!(exchange.ended().await.is_ok());
    let transcript = exchange.transcript().to_string();
    assert!(
        transcript.contains("received  websocket.receive \"before\""),
        "{transcript}"
    );
}

#[tokio::test]
async fn both_directions_are_bounded() {
    let client = TestClient::new(app).queue_capacity(2);
    let mut socket = client.websocket("/flood").connect().await.unwrap();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    // The accept and two messages.
    assert_eq!(socket.exchange().transcript().sent().count(), 3);
    assert_eq!(socket.text().await.unwrap(), "0");

    let socket = client.websocket("/echo").connect().await.unwrap();
    // Two messages wait for the client, one waits to be sent, two wait to be received.
    for _ in 0..5 {
        socket.send_text("x").await.unwrap();
        tokio::task::yield_now().await;
    }
    assert!(poll!(pin!(socket.send_text("x"))).is_pending());
}

#[tokio::test]
async fn a_shutdown_closes_with_1012_and_refuses_with_503() {
    let client = TestClient::new(app);
    let mut socket = client.websocket("/echo").connect().await.unwrap();
    let connecting = client.websocket("/wait").start();
    tokio::task::yield_now().await;
    client.shutdown().await.unwrap();
    assert_eq!(socket.closed().await.unwrap().code, 1012);
    let response = connecting.accepted().await.unwrap_err().response().unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let transcript = TestExchange::of(&response).transcript().to_string();
    assert!(
        transcript.contains("websocket.disconnect 1012"),
        "{transcript}"
    );
}

#[tokio::test]
async fn a_client_that_waits_for_room_is_woken_when_the_websocket_ends() {
    let gate = Arc::new(Notify::new());
    let ends = gate.clone();
    let client = TestClient::new(move |_: Scope, mut receiver: Receiver, sender: Sender| {
        let gate = gate.clone();
        async move {
            receiver.receive().await;
            sender.send(WebSocketAccept::new()).await?;
            gate.notified().await;
            Ok(())
        }
    });
    let client = client.queue_capacity(1);
    for end in ["return", "disconnect", "shutdown"] {
        let socket = client.websocket("/").connect().await.unwrap();
        socket.send_text("a").await.unwrap();
        let ending = async {
            tokio::task::yield_now().await;
            match end {
                "return" => ends.notify_one(),
                "disconnect" => socket.exchange().disconnect(),
                _ => client.begin_shutdown(),
            }
        };
        let (sent, ()) = tokio::join!(socket.send_text("b"), ending);
        match end {
            // The client has not read the close.
            "return" => sent.unwrap(),
            "disconnect" => assert!(matches!(sent, Err(Error::Disconnected)), "{sent:?}"),
            _ => assert!(matches!(sent, Err(Error::Closed(_))), "{sent:?}"),
        }
    }
}

#[tokio::test]
async fn each_task_that_waits_to_send_is_woken() {
    async fn app(_: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        receiver.receive().await;
        sender.send(WebSocketAccept::new()).await?;
        for _ in 0..8 {
            tokio::task::yield_now().await;
            receiver.receive().await;
        }
        Ok(())
    }
    let client = TestClient::new(app).queue_capacity(1);
    let socket = client.websocket("/").connect().await.unwrap();
    // Each future of the set has a waker of its own.
    let mut sends: FuturesUnordered<_> = (0..8).map(|_| socket.send_text("x")).collect();
    while let Some(sent) = sends.next().await {
        sent.unwrap();
    }
}
