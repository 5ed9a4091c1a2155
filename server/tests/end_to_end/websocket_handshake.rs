//! WebSockets over HTTP/1.1, up to the answer to the handshake.

use std::sync::Arc;
use std::time::Duration;

use crate::support::frames::{FIN, TEXT, ask, close, frame, handshake, open};
use crate::support::websocket::{disconnect_code, echo_server};
use crate::support::{Gate, Server, config, get, http, tell, websocket};
use callgate::{
    AppError, HttpResponseBody, HttpResponseStart, Message, SendError, SendEvent, WebSocketAccept,
    WebSocketClose,
};
use http::StatusCode;

#[tokio::test]
async fn ws_02_the_handshake_waits_for_the_application() {
    let (teller, mut told) = tell();
    let gate = Gate::new();
    let server = Server::start(websocket(
        (teller, gate.clone()),
        async |(teller, gate), _, _, sender| {
            teller.tell(());
            gate.passed().await;
            sender.send(WebSocketAccept::new()).await?;
            Ok(())
        },
    ));
    let mut client = server.connect().await;
    client.send(handshake("/", "")).await;
    told.next().await;
    assert!(!client.has_input());
    gate.open();
    assert_eq!(client.head().await.status, 101);
    client.closed_with(1000).await;
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn ws_05_08_and_09_a_handshake_without_accept_is_refused() {
    let server = Server::start(websocket((), async |(), scope, _, sender| {
        match scope.raw_path() {
            "/closes" => {
                sender
                    .send(WebSocketClose::new(3000).reason("secret"))
                    .await?;
            }
            "/sends" => sender.send(Message::text("secret")).await?,
            "/subprotocol" => {
                let accept = WebSocketAccept::new().subprotocol("not-offered");
                sender.send(accept).await?;
            }
            "/field" => {
                let accept = WebSocketAccept::new().header("sec-websocket-key", "x");
                sender.send(accept).await?;
            }
            "/hop" => {
                let accept = WebSocketAccept::new().header("connection", "close");
                sender.send(accept).await?;
            }
            "/http" => sender.send(HttpResponseStart::ok()).await?,
            "/fails" => return Err(AppError::failed("secret")),
            "/declines" => return Err(AppError::Unsupported),
            "/panics" => panic!("secret"),
            _ => {}
        }
        Ok(())
    }));
    for (target, status) in [
        ("/closes", 403),
        ("/sends", 500),
        ("/subprotocol", 500),
        ("/field", 500),
        ("/hop", 500),
        ("/http", 500),
        ("/fails", 500),
        ("/panics", 500),
        ("/returns", 500),
        ("/declines", 501),
    ] {
        let response = server.ask(handshake(target, "")).await;
        assert_eq!(response.status, status, "{target}");
        assert!(!response.body.contains("secret"));
    }
    server.finish().await;
}

#[tokio::test]
async fn ws_34_shutdown_before_accept_is_answered_503() {
    let (teller, mut told) = tell();
    let mut server = Server::start(websocket(
        teller,
        async |teller, _, mut receiver, sender| {
            receiver.receive().await;
            teller.tell(0);
            teller.tell(disconnect_code(&mut receiver).await);
            let sent = sender.send(WebSocketAccept::new()).await;
            assert!(matches!(sent, Err(SendError::Disconnected)));
            Ok(())
        },
    ));
    let mut client = server.connect().await;
    client.send(handshake("/", "")).await;
    assert_eq!(told.next().await, 0);
    server.stop();
    assert_eq!(client.response().await.status, 503);
    assert_eq!(told.next().await, 1012);
    drop(client);
    server.ended().await.unwrap();
}

#[tokio::test]
async fn ws_27_and_28_a_bad_handshake_is_answered_without_a_call() {
    let (teller, told) = tell();
    let server = Server::start(websocket(teller, async |teller, _, _, _| {
        teller.tell(());
        Ok(())
    }));
    let good = handshake("/", "");
    let key = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (request, status) in [
        (good.replace(key, ""), 400),
        (good.replace(key, "sec-websocket-key: short\r\n"), 400),
        (good.replace(key, &key.repeat(2)), 400),
        (good.replace("version: 13", "version: 8"), 426),
        (good.replace("sec-websocket-version: 13\r\n", ""), 426),
        (
            good.replace(key, &format!("{key}content-length: 1\r\n")),
            400,
        ),
        (
            good.replace(key, &format!("{key}transfer-encoding: chunked\r\n")),
            400,
        ),
        (
            good.replace(key, &format!("{key}expect: 100-continue\r\n")),
            400,
        ),
    ] {
        let response = server.ask(&request).await;
        assert_eq!(response.status, status, "{request}");
        if status == 426 {
            assert_eq!(response.field("sec-websocket-version"), Some("13"));
            assert_eq!(response.field("upgrade"), Some("websocket"));
            assert_eq!(response.field("connection"), Some("close, upgrade"));
        }
    }
    assert!(told.is_empty());
    server.finish().await;
}

#[tokio::test]
async fn ws_30_a_client_that_goes_away_before_accept_is_told() {
    let (teller, mut told) = tell();
    let server = Server::with(
        config().timeout_half_close(Duration::from_millis(20)),
        websocket(teller, async |teller, _, mut receiver, sender| {
            receiver.receive().await;
            teller.tell(0);
            teller.tell(disconnect_code(&mut receiver).await);
            let sent = sender.send(WebSocketAccept::new()).await;
            assert!(matches!(sent, Err(SendError::Disconnected)));
            Ok(())
        }),
    );
    let mut client = server.connect().await;
    client.send(handshake("/", "")).await;
    assert_eq!(told.next().await, 0);
    drop(client);
    assert_eq!(told.next().await, 1006);
    server.finish().await;
}

#[tokio::test]
async fn ws_31_other_upgrades_are_http() {
    let server = Server::start(http((), async |(), _, _, sender| {
        crate::support::whole(&sender, "http").await
    }));
    let good = handshake("/", "");
    for request in [
        good.replace("upgrade: WebSocket", "upgrade: h2c"),
        good.replace("keep-alive, Upgrade", "keep-alive"),
        good.replace("GET", "POST"),
    ] {
        let response = server.ask(&request).await;
        assert_eq!((response.status, response.body.as_str()), (200, "http"));
    }
    server.finish().await;
}

#[tokio::test]
async fn ws_33_and_scope_22_subprotocols_and_fields_are_kept() {
    let (teller, mut told) = tell();
    let server = Server::start(websocket(teller, async |teller, scope, _, sender| {
        teller.tell(scope.subprotocols);
        let accept = WebSocketAccept::new()
            .subprotocol("two")
            .header("set-cookie", "a=1")
            .header("set-cookie", "b=2");
        sender.send(accept).await?;
        Ok(())
    }));
    let fields = "sec-websocket-protocol: one, two\r\nsec-websocket-protocol: three\r\n";
    let (mut client, response) = ask(&server, "/", fields).await;
    assert_eq!(told.next().await, ["one", "two", "three"]);
    assert_eq!(response.status, 101);
    assert_eq!(response.all("sec-websocket-protocol"), ["two"]);
    assert_eq!(response.all("set-cookie"), ["a=1", "b=2"]);
    // The example of RFC 6455, 1.3.
    let accepted = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
    assert_eq!(response.field("sec-websocket-accept"), Some(accepted));
    client.closed_with(1000).await;
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn ext_14_a_denial_response_is_sent() {
    let server = Server::start(websocket((), async |(), scope, _, sender| {
        let start = HttpResponseStart::new(StatusCode::UNAUTHORIZED).header("x-why", "login");
        sender.send(SendEvent::DenialResponseStart(start)).await?;
        if scope.raw_path() == "/streamed" {
            let part = HttpResponseBody::part("log ");
            sender.send(SendEvent::DenialResponseBody(part)).await?;
            let last = HttpResponseBody::last("in");
            sender.send(SendEvent::DenialResponseBody(last)).await?;
        } else {
            let last = HttpResponseBody::last("log in");
            sender.send(SendEvent::DenialResponseBody(last)).await?;
        }
        let error = sender.send(WebSocketAccept::new()).await.unwrap_err();
        assert_eq!(error.rule().unwrap().id, "WS-10");
        Ok(())
    }));
    for target in ["/whole", "/streamed"] {
        let response = server.ask(handshake(target, "")).await;
        assert_eq!((response.status, response.body.as_str()), (401, "log in"));
        assert_eq!(response.field("x-why"), Some("login"));
    }
    server.finish().await;
}

#[tokio::test]
async fn a_denial_response_may_end_after_its_length_was_reached() {
    let (teller, mut told) = tell();
    let server = Server::start(websocket(teller, async |teller, _, _, sender| {
        let start = HttpResponseStart::new(StatusCode::UNAUTHORIZED).header("content-length", "6");
        sender.send(SendEvent::DenialResponseStart(start)).await?;
        let part = HttpResponseBody::part("log in");
        sender.send(SendEvent::DenialResponseBody(part)).await?;
        let ended = sender.send(SendEvent::DenialResponseBody(HttpResponseBody::end()));
        teller.tell(ended.await.is_ok());
        Ok(())
    }));
    let response = server.ask(handshake("/", "")).await;
    assert_eq!((response.status, response.body.as_str()), (401, "log in"));
    assert!(told.next().await);
    server.finish().await;
}

#[tokio::test]
async fn a_denial_response_without_content_may_end_later() {
    let (teller, mut told) = tell();
    let server = Server::start(websocket(teller, async |teller, _, _, sender| {
        let start = HttpResponseStart::new(StatusCode::NOT_MODIFIED);
        sender.send(SendEvent::DenialResponseStart(start)).await?;
        for part in [HttpResponseBody::part(""), HttpResponseBody::end()] {
            let sent = sender.send(SendEvent::DenialResponseBody(part)).await;
            teller.tell(sent.is_ok());
        }
        Ok(())
    }));
    assert_eq!(server.ask(handshake("/", "")).await.status, 304);
    assert_eq!([told.next().await, told.next().await], [true, true]);
    server.finish().await;
}

#[tokio::test]
async fn a_denial_response_that_has_begun_is_completed_at_shutdown() {
    let (teller, mut told) = tell();
    let gate = Gate::new();
    let mut server = Server::start(websocket(
        (teller, gate.clone()),
        async |(teller, gate), _, _, sender| {
            let start = HttpResponseStart::new(StatusCode::UNAUTHORIZED);
            sender.send(SendEvent::DenialResponseStart(start)).await?;
            teller.tell("begun");
            gate.passed().await;
            let last = HttpResponseBody::last("log in");
            sender.send(SendEvent::DenialResponseBody(last)).await?;
            teller.tell("ended");
            Ok(())
        },
    ));
    let mut client = server.connect().await;
    client.send(handshake("/", "")).await;
    assert_eq!(told.next().await, "begun");
    server.stop();
    // As the server has begun to shut down, it accepts nobody.
    while tokio::net::TcpStream::connect(server.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    gate.open();
    let response = client.response().await;
    assert_eq!((response.status, response.body.as_str()), (401, "log in"));
    assert_eq!(told.next().await, "ended");
    drop(client);
    server.ended().await.unwrap();
}

#[tokio::test]
async fn the_end_of_a_denial_response_reaches_an_application_that_receives() {
    let (teller, mut told) = tell();
    let gate = Gate::new();
    let server = Server::start(websocket(
        (teller, gate.clone()),
        async |(teller, gate), scope, mut receiver, sender| {
            receiver.receive().await;
            let is_streamed = scope.raw_path() == "/streamed";
            let sends = tokio::spawn(async move {
                gate.passed().await;
                let start = HttpResponseStart::new(StatusCode::UNAUTHORIZED);
                sender.send(SendEvent::DenialResponseStart(start)).await?;
                if is_streamed {
                    let part = HttpResponseBody::part("log ");
                    sender.send(SendEvent::DenialResponseBody(part)).await?;
                }
                let last = HttpResponseBody::last("in");
                sender.send(SendEvent::DenialResponseBody(last)).await
            });
            teller.tell(None);
            teller.tell(Some(disconnect_code(&mut receiver).await));
            sends.await??;
            Ok(())
        },
    ));
    for target in ["/whole", "/streamed"] {
        let mut client = server.connect().await;
        client.send(handshake(target, "")).await;
        assert_eq!(told.next().await, None);
        gate.open();
        assert_eq!(client.response().await.status, 401);
        assert_eq!(told.next().await, Some(1006));
    }
    server.finish().await;
}

#[tokio::test]
async fn ext_13_a_denial_response_that_breaks_off_is_replaced_or_cut() {
    let server = Server::start(websocket((), async |(), scope, _, sender| {
        let start = HttpResponseStart::new(StatusCode::UNAUTHORIZED);
        sender.send(SendEvent::DenialResponseStart(start)).await?;
        if scope.raw_path() == "/cut" {
            let part = HttpResponseBody::part("begun");
            sender.send(SendEvent::DenialResponseBody(part)).await?;
        }
        if scope.raw_path() == "/declines" {
            return Err(AppError::Unsupported);
        }
        Ok(())
    }));
    assert_eq!(server.ask(handshake("/", "")).await.status, 500);
    assert_eq!(server.ask(handshake("/declines", "")).await.status, 501);
    let answer = server.ask_all(handshake("/cut", "")).await;
    assert!(!answer.contains("0\r\n\r\n"), "{answer}");
    server.finish().await;
}

#[tokio::test]
async fn ext_12_a_denial_after_accept_closes_with_1011() {
    let server = Server::start(websocket((), async |(), _, _, sender| {
        sender.send(WebSocketAccept::new()).await?;
        let start = HttpResponseStart::new(StatusCode::UNAUTHORIZED);
        let error = sender
            .send(SendEvent::DenialResponseStart(start))
            .await
            .unwrap_err();
        assert_eq!(error.rule().unwrap().id, "EXT-12");
        Ok(())
    }));
    let mut client = open(&server, "/").await;
    client.closed_with(1011).await;
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn bytes_sent_along_with_the_handshake_are_messages() {
    let (server, mut told) = echo_server();
    let mut client = server.connect().await;
    let bytes = [handshake("/", "").into_bytes(), frame(FIN | TEXT, "early")];
    client.send(bytes.concat()).await;
    assert_eq!(client.head().await.status, 101);
    assert_eq!(client.message().await, "early");
    client.send(close(1000, "")).await;
    assert_eq!(told.next().await.0, 1000);
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn a_refused_handshake_leaves_the_connection_usable() {
    let server = Server::start(Arc::new(websocket((), async |(), _, _, sender| {
        Ok(sender.send(WebSocketClose::default()).await?)
    })));
    let mut client = server.connect().await;
    client.send(handshake("/", "")).await;
    assert_eq!(client.response().await.status, 403);
    client.send(get("/")).await;
    assert_eq!(client.response().await.status, 501);
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn core_21_a_rule_broken_before_accept_is_a_disconnect_with_1011() {
    let (teller, mut told) = tell();
    let server = Server::start(websocket(
        teller,
        async |teller, _, mut receiver, sender| {
            sender.send(Message::text("too early")).await.unwrap_err();
            teller.tell(disconnect_code(&mut receiver).await);
            Ok(())
        },
    ));
    assert_eq!(server.ask(handshake("/", "")).await.status, 500);
    assert_eq!(told.next().await, 1011);
    server.finish().await;
}
