//! WebSockets of an application in a server of axum, and of a router on the reference server: real
//! sockets, and a client of another maker.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ws::WebSocketUpgrade;
use axum::routing::any;
use callgate::{
    AppError, HttpResponseBody, HttpResponseStart, Message, ReceiveEvent, Receiver, Scope,
    SendEvent, Sender, WebSocketAccept, WebSocketClose, WebSocketDisconnect, WebSocketScope,
};
use callgate_tower::{AppService, ServiceApp};
use futures_util::{SinkExt as _, StreamExt as _};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{self, Message as Frame};

use crate::support::{Axum, Dropped, Server, checked, connect, within};

type Client = WebSocketStream<TcpStream>;

/// Opens a WebSocket that offers the subprotocols `soap` and `chat`.
pub(crate) async fn open(address: SocketAddr) -> (Client, Response<Option<Vec<u8>>>) {
    let stream = TcpStream::connect(address).await.unwrap();
    let request = handshake()
        .header("sec-websocket-protocol", "soap, chat")
        .uri(format!("ws://{address}/socket?room=1"))
        .body(())
        .unwrap();
    let opening = tokio_tungstenite::client_async(request, stream);
    within(opening).await.unwrap()
}

/// Returns the handshake of RFC 6455, 1.3.
pub(crate) fn handshake() -> http::request::Builder {
    handshake_with("13", "dGhlIHNhbXBsZSBub25jZQ==")
}

fn handshake_with(version: &str, key: &str) -> http::request::Builder {
    Request::get("/socket")
        .header("host", "localhost")
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", version)
        .header("sec-websocket-key", key)
}

/// Returns the acceptance that [`open`] expects.
pub(crate) fn accepted() -> WebSocketAccept {
    WebSocketAccept::new().subprotocol("chat")
}

pub(crate) async fn next(client: &mut Client) -> Frame {
    within(client.next()).await.unwrap().unwrap()
}

/// Serves an application for WebSockets only, which is called once, in a server of axum.
async fn serve<F, Fut>(call: F) -> Axum
where
    F: FnOnce(WebSocketScope, Receiver, Sender) -> Fut + Send + 'static,
    Fut: Future<Output = Result<(), AppError>> + Send + 'static,
{
    serve_with(call, |service| service).await
}

/// Serves an application for WebSockets only, which is called once, in a server of axum, as a
/// service with these settings.
pub(crate) async fn serve_with<F, Fut>(call: F, set: impl FnOnce(AppService) -> AppService) -> Axum
where
    F: FnOnce(WebSocketScope, Receiver, Sender) -> Fut + Send + 'static,
    Fut: Future<Output = Result<(), AppError>> + Send + 'static,
{
    let call = Arc::new(Mutex::new(Some(call)));
    let app = move |scope: Scope, receiver, sender| {
        let call = call.clone();
        async move {
            let scope = scope.into_websocket()?;
            let call = call.lock().unwrap().take().unwrap();
            call(*scope, receiver, sender).await
        }
    };
    let service = set(AppService::new(checked(app)).max_message_size(1000));
    Axum::start(Router::new().fallback_service(service)).await
}

/// Echoes the messages of the client until it disconnects. Returns the disconnect.
pub(crate) async fn echo(
    receiver: &mut Receiver,
    sender: &Sender,
) -> Result<WebSocketDisconnect, AppError> {
    loop {
        match receiver.receive().await {
            ReceiveEvent::WebSocketReceive(message) => {
                sender.send(SendEvent::WebSocketSend(message)).await?;
            }
            ReceiveEvent::WebSocketDisconnect(disconnect) => return Ok(disconnect),
            _ => {}
        }
    }
}

/// Serves an echo. Returns the receiver of the disconnect as well.
async fn serve_echo() -> (Axum, oneshot::Receiver<WebSocketDisconnect>) {
    let (report, reported) = oneshot::channel();
    let server = serve(async |_, mut receiver, sender| {
        sender.send(accepted()).await?;
        report.send(echo(&mut receiver, &sender).await?).unwrap();
        Ok(())
    })
    .await;
    (server, reported)
}

#[tokio::test]
async fn an_application_serves_websockets_inside_axum() {
    let server = serve(async |scope, mut receiver, sender| {
        assert_eq!(scope.uri, "/socket?room=1");
        assert_eq!(scope.subprotocols, ["soap", "chat"]);
        assert!(scope.client.unwrap().ip().is_loopback());
        let accept = accepted();
        sender.send(accept.header("set-cookie", "a=1")).await?;
        echo(&mut receiver, &sender).await?;
        Ok(())
    })
    .await;
    let (mut client, response) = open(server.address).await;
    assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
    assert_eq!(response.headers()["set-cookie"], "a=1");
    for frame in [
        Frame::text("h\u{f6}re"),
        Frame::binary(&b"\x00\xff"[..]),
        Frame::text(""),
        Frame::binary(vec![7; 1000]),
    ] {
        client.send(frame.clone()).await.unwrap();
        assert_eq!(next(&mut client).await, frame);
    }
    client.send(Frame::Ping("ping".into())).await.unwrap();
    assert_eq!(next(&mut client).await, Frame::Pong("ping".into()));
}

#[tokio::test]
async fn a_client_that_pings_and_never_reads_is_held_back() {
    const BOUND: usize = 64 << 20;
    let (server, _told) = serve_echo().await;
    let (mut client, _) = open(server.address).await;
    let mut ping = vec![0x89, 0x80 | 125];
    // A mask of zeros, and the payload.
    ping.resize(2 + 4 + 125, 0);
    let pings = ping.repeat(500);
    let mut sent = 0;
    loop {
        let writing = client.get_mut().write(&pings[sent % pings.len()..]);
        match timeout(Duration::from_millis(500), writing).await {
            Ok(written) => sent += written.unwrap(),
            Err(_) => break,
        }
        assert!(sent <= BOUND, "{sent} bytes of pings were taken");
    }
}

/// Pings each client at this interval, and gives it as long to answer.
fn pinging(service: AppService) -> AppService {
    const INTERVAL: Duration = Duration::from_millis(200);
    service.ping_interval(INTERVAL).ping_timeout(INTERVAL)
}

#[tokio::test]
async fn a_client_that_does_not_answer_a_ping_is_given_up() {
    use tokio::io::AsyncReadExt as _;
    let (report, reported) = oneshot::channel();
    let application = async |_, mut receiver, sender: Sender| {
        sender.send(accepted()).await?;
        report.send(echo(&mut receiver, &sender).await?).unwrap();
        Ok(())
    };
    let server = serve_with(application, pinging).await;
    let (mut client, _) = open(server.address).await;
    // Octet by octet: the client would answer.
    let mut ping = [0; 2];
    within(client.get_mut().read_exact(&mut ping))
        .await
        .unwrap();
    assert_eq!(ping, [0x89, 0]);
    let mut close = [0; 4];
    within(client.get_mut().read_exact(&mut close))
        .await
        .unwrap();
    assert_eq!(close[0], 0x88);
    assert_eq!(close[2..], 1011_u16.to_be_bytes());
    assert_eq!(within(reported).await.unwrap().code, 1011);
}

/// The ways in which a client disconnects.
#[derive(Clone, Copy, Debug)]
enum Leaving {
    Closes,
    HangsUp,
    Resets,
    /// The client stays. None of its later messages reaches the application.
    Stays,
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed_although_the_application_never_receives() {
    for (messages, leaving) in [
        (70, Leaving::Closes),
        (70, Leaving::HangsUp),
        (70, Leaving::Resets),
        (400, Leaving::HangsUp),
        (400, Leaving::Resets),
        (400, Leaving::Stays),
    ] {
        println!("{leaving:?} after {messages} messages");
        let (dropped, is_dropped) = Dropped::new();
        let application = async |_, _receiver, sender: Sender| {
            let _dropped = dropped;
            sender.send(accepted()).await?;
            std::future::pending().await
        };
        let set = |service| pinging(service).grace_period(Duration::ZERO);
        let server = serve_with(application, set).await;
        let (mut client, _) = open(server.address).await;
        for _ in 0..messages {
            within(client.feed(Frame::binary(vec![0; 1000])))
                .await
                .unwrap();
        }
        within(client.flush()).await.unwrap();
        match leaving {
            Leaving::Closes => client.send(Frame::Close(None)).await.unwrap(),
            Leaving::Stays => {}
            Leaving::HangsUp => drop(client),
            Leaving::Resets => {
                client.get_ref().set_zero_linger().unwrap();
                drop(client);
            }
        }
        within(is_dropped).await.unwrap();
    }
}

#[tokio::test]
async fn a_close_of_the_client_reaches_the_application() {
    for (frame, seen) in [
        (
            Some(CloseFrame {
                code: 4001.into(),
                reason: "bye".into(),
            }),
            WebSocketDisconnect::new(4001).reason("bye"),
        ),
        (None, WebSocketDisconnect::new(1005)),
    ] {
        let (server, reported) = serve_echo().await;
        let (mut client, _) = open(server.address).await;
        client.close(frame).await.unwrap();
        assert_eq!(within(reported).await.unwrap(), seen);
        assert!(matches!(next(&mut client).await, Frame::Close(_)));
        assert!(within(client.next()).await.is_none());
    }
}

#[tokio::test]
async fn a_lost_connection_is_1006_to_the_application() {
    let (server, reported) = serve_echo().await;
    let (client, _) = open(server.address).await;
    drop(client);
    assert_eq!(
        within(reported).await.unwrap(),
        WebSocketDisconnect::new(1006)
    );
}

#[tokio::test]
async fn messages_beyond_the_limits_and_malformed_frames_close_the_websocket() {
    use tokio::io::AsyncWriteExt as _;
    // The first two bytes of a frame, or four where they announce 2000 bytes; the mask; the payload.
    let frame = |head: &[u8], payload: &[u8]| [head, &[0; 4], payload].concat();
    for (octets, code) in [
        (frame(&[0x82, 0xfe, 0x07, 0xd0], &[0; 2000]), 1009),
        (frame(&[0x81, 0x82], b"\xff\xff"), 1007),
        (frame(&[0x83, 0x80], b""), 1002),
    ] {
        let (server, reported) = serve_echo().await;
        let (mut client, _) = open(server.address).await;
        client.get_mut().write_all(&octets).await.unwrap();
        let Frame::Close(Some(frame)) = next(&mut client).await else {
            panic!("it is a close");
        };
        assert_eq!(u16::from(frame.code), code);
        assert_eq!(
            within(reported).await.unwrap(),
            WebSocketDisconnect::new(code)
        );
    }
}

#[tokio::test]
async fn a_close_of_the_application_reaches_the_client_after_its_messages() {
    let (report, reported) = oneshot::channel();
    let server = serve(async |_, mut receiver, sender| {
        sender.send(accepted()).await?;
        for number in 0..100 {
            let message = Message::text(number.to_string());
            sender.send(SendEvent::WebSocketSend(message)).await?;
        }
        sender
            .send(WebSocketClose::new(4002).reason("enough"))
            .await?;
        report.send(echo(&mut receiver, &sender).await?).unwrap();
        Ok(())
    })
    .await;
    let (mut client, _) = open(server.address).await;
    for number in 0..100 {
        assert_eq!(next(&mut client).await, Frame::text(number.to_string()));
    }
    let frame = CloseFrame {
        code: 4002.into(),
        reason: "enough".into(),
    };
    assert_eq!(next(&mut client).await, Frame::Close(Some(frame)));
    let seen = WebSocketDisconnect::new(4002).reason("enough");
    assert_eq!(within(reported).await.unwrap(), seen);
    assert!(within(client.next()).await.is_none());
}

#[tokio::test]
async fn the_end_of_the_call_closes_the_websocket() {
    for (result, code) in [
        (Ok(()), 1000),
        (Err(AppError::failed("this is a test")), 1011),
    ] {
        let server = serve(async |_, _, sender| {
            sender.send(accepted()).await?;
            result
        })
        .await;
        let (mut client, _) = open(server.address).await;
        let Frame::Close(Some(frame)) = next(&mut client).await else {
            panic!("it is a close");
        };
        assert_eq!(u16::from(frame.code), code);
    }
}

/// Returns the response to a handshake: the status, the field `x-why` and the content.
async fn answer(address: SocketAddr, request: http::request::Builder) -> (u16, String, String) {
    let mut client = connect(address).await;
    let request = request.body(Body::empty()).unwrap();
    let response = within(client.send_request(request)).await.unwrap();
    let status = response.status().as_u16();
    let why = response
        .headers()
        .get("x-why")
        .map(|why| why.to_str().unwrap().to_owned());
    let content = within(response.into_body().collect()).await.unwrap();
    let content = String::from_utf8(content.to_bytes().to_vec()).unwrap();
    (status, why.unwrap_or_default(), content)
}

#[tokio::test]
async fn an_application_can_refuse_deny_decline_and_fail() {
    let refusing = serve(async |_, _, sender| {
        sender.send(WebSocketClose::default()).await?;
        Ok(())
    });
    let (status, _, _) = answer(refusing.await.address, handshake()).await;
    assert_eq!(status, 403);

    let denying = serve(async |_, _, sender| {
        let start = HttpResponseStart::new(StatusCode::UNAUTHORIZED).header("x-why", "nobody");
        sender.send(SendEvent::DenialResponseStart(start)).await?;
        for part in [
            HttpResponseBody::part("Who "),
            HttpResponseBody::last("are you?"),
        ] {
            sender.send(SendEvent::DenialResponseBody(part)).await?;
        }
        Ok(())
    });
    let seen = answer(denying.await.address, handshake()).await;
    assert_eq!(seen, (401, "nobody".into(), "Who are you?".into()));

    let declining = serve(async |_, _, _| Err(AppError::Unsupported));
    assert_eq!(answer(declining.await.address, handshake()).await.0, 501);
    let failing = serve(async |_, _, _| Err(AppError::failed("this is a test")));
    assert_eq!(answer(failing.await.address, handshake()).await.0, 500);
}

#[tokio::test]
async fn a_denial_that_has_reached_its_length_may_still_be_ended() {
    let (report, reported) = oneshot::channel();
    let server = serve(async |_, mut receiver, sender| {
        let start = HttpResponseStart::new(StatusCode::FORBIDDEN).header("content-length", "4");
        sender.send(SendEvent::DenialResponseStart(start)).await?;
        let content = HttpResponseBody::part("Away");
        sender.send(SendEvent::DenialResponseBody(content)).await?;
        let end = SendEvent::DenialResponseBody(HttpResponseBody::end());
        let ended = sender.send(end).await.is_ok();
        while !matches!(
            receiver.receive().await,
            ReceiveEvent::WebSocketDisconnect(_)
        ) {}
        report.send(ended).unwrap();
        Ok(())
    });
    let (_, _, content) = answer(server.await.address, handshake()).await;
    assert_eq!(content, "Away");
    assert!(within(reported).await.unwrap());
}

#[tokio::test]
async fn a_handshake_that_is_none_does_not_reach_the_application() {
    let server = serve(async |_, _, _| panic!("it is called")).await;
    let old = handshake_with("8", "dGhlIHNhbXBsZSBub25jZQ==");
    assert_eq!(answer(server.address, old).await.0, 426);
    let keyless = handshake_with("13", "short");
    assert_eq!(answer(server.address, keyless).await.0, 400);
}

#[tokio::test]
async fn a_handler_of_axum_serves_websockets_on_the_reference_server() {
    let handler = async |upgrade: WebSocketUpgrade| {
        upgrade.protocols(["chat"]).on_upgrade(async |mut socket| {
            while let Some(Ok(message)) = socket.recv().await {
                if matches!(message, axum::extract::ws::Message::Text(_)) {
                    socket.send(message).await.unwrap();
                }
            }
        })
    };
    let router = Router::new().route("/socket", any(handler));
    let server = Server::start(ServiceApp::new(router));
    let (mut client, response) = open(server.address).await;
    assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
    for text in ["one", "two"] {
        client.send(Frame::text(text)).await.unwrap();
        assert_eq!(next(&mut client).await, Frame::text(text));
    }
    let frame = CloseFrame {
        code: 4001.into(),
        reason: "bye".into(),
    };
    client.close(Some(frame.clone())).await.unwrap();
    assert_eq!(next(&mut client).await, Frame::Close(Some(frame)));
    let end = within(client.next()).await;
    assert!(matches!(
        end,
        None | Some(Err(tungstenite::Error::ConnectionClosed))
    ));
    drop(client);
    server.finish().await;
}
