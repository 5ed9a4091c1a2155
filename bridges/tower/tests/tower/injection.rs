//! No handler, and no application behind axum, can put octets of its own outside the field that they are for.

use std::net::SocketAddr;

use axum::Router;
use axum::response::{IntoResponse, Redirect};
use axum::routing::get;
use callgate::{
    AppError, HttpResponseBody, HttpResponseStart, Receiver, Scope, Sender, WebSocketAccept,
};
use callgate_tower::{AppService, ServiceApp};
use hyper::ext::ReasonPhrase;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Axum, Server, within};

/// Texts that would end a field, a line or a head.
const HOSTILE: [&str; 5] = [
    "a\r\ninjected: 1",
    "a\ninjected: 1",
    "a\rinjected: 1",
    "a\r\n\r\ninjected",
    "a\0injected",
];

/// Sends these lines of a request, and returns all that the server sends.
async fn wire(address: SocketAddr, path: &str, fields: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{fields}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut wire = String::new();
    within(stream.read_to_string(&mut wire)).await.unwrap();
    wire
}

const CLOSE: &str = "connection: close\r\n";
const WEBSOCKET: &str = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
    sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-protocol: a, injected\r\n";

#[tokio::test]
async fn a_handler_that_is_given_a_line_end_sends_nothing_of_it() {
    let mut router = Router::new();
    for (number, text) in HOSTILE.into_iter().enumerate() {
        router = router
            .route(
                &format!("/value/{number}"),
                get(async move || ([("x-a", text)], "content").into_response()),
            )
            .route(
                &format!("/name/{number}"),
                get(async move || ([(text, "a")], "content").into_response()),
            )
            .route(
                &format!("/location/{number}"),
                get(async move || Redirect::to(text)),
            );
    }
    let server = Server::start(ServiceApp::new(router));
    for place in ["value", "name", "location"] {
        for number in 0..HOSTILE.len() {
            let path = format!("/{place}/{number}");
            let wire = wire(server.address, &path, CLOSE).await;
            assert!(wire.starts_with("HTTP/1.1 500 "), "{path}: {wire:?}");
            let (head, _) = wire.split_once("\r\n\r\n").unwrap();
            assert!(!head.contains("injected"), "{path}: {wire:?}");
        }
    }
    server.finish().await;
}

#[tokio::test]
async fn a_reason_phrase_of_a_handler_is_not_sent() {
    async fn handler() -> impl IntoResponse {
        let mut response = "content".into_response();
        let reason = ReasonPhrase::from_static(b"injected");
        response.extensions_mut().insert(reason);
        response
    }
    let server = Server::start(ServiceApp::new(Router::new().route("/", get(handler))));
    let wire = wire(server.address, "/", CLOSE).await;
    assert!(wire.starts_with("HTTP/1.1 200 OK\r\n"), "{wire:?}");
    server.finish().await;
}

#[tokio::test]
async fn an_application_behind_axum_that_is_given_a_line_end_sends_nothing_of_it() {
    async fn app(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
        let path = scope.request().unwrap().raw_path().to_owned();
        let number: usize = path.rsplit('/').next().unwrap().parse().unwrap();
        let text = HOSTILE[number];
        if let Scope::WebSocket(_) = scope {
            sender
                .send(WebSocketAccept::new().subprotocol(text))
                .await?;
        } else {
            sender
                .send(HttpResponseStart::ok().header("x-a", text))
                .await?;
            sender.send(HttpResponseBody::end()).await?;
        }
        Ok(())
    }
    let server = Axum::start(Router::new().fallback_service(AppService::new(app))).await;
    for number in 0..HOSTILE.len() {
        for fields in [CLOSE, WEBSOCKET] {
            let wire = wire(server.address, &format!("/{number}"), fields).await;
            assert!(wire.starts_with("HTTP/1.1 500 "), "{number}: {wire:?}");
            assert!(!wire.contains("injected"), "{number}: {wire:?}");
        }
    }
}
