use callgate::{HttpRequest, HttpResponseBody, Message, ReceiveEvent, SendEvent};
use http::Method;

use crate::support::{Exchange, app, http_scope, websocket_scope};

#[tokio::test]
async fn content_is_sent_back_as_it_arrives() {
    let mut scope = http_scope(Method::PUT, "/");
    let content_type = "text/x-poem".parse().unwrap();
    scope.headers.insert("content-type", content_type);
    let mut exchange = Exchange::start(&app("echo"), scope);
    let start = exchange.response_start().await;
    assert_eq!(start.headers["content-type"], "text/x-poem");

    for part in ["one ", "two "] {
        exchange.deliver(ReceiveEvent::HttpRequest(HttpRequest::part(part)));
        let sent = exchange.next().await.unwrap();
        assert_eq!(sent, HttpResponseBody::part(part).into());
    }
    exchange.deliver(ReceiveEvent::HttpRequest(HttpRequest::last("three")));
    assert_eq!(exchange.content().await, "three");
    exchange.ended().await.unwrap();
}

#[tokio::test]
async fn a_request_without_content_is_answered_without_content() {
    let mut exchange = Exchange::start(&app("echo"), http_scope(Method::GET, "/"));
    exchange.deliver(ReceiveEvent::HttpRequest(HttpRequest::default()));
    assert!(exchange.response_start().await.headers.is_empty());
    assert_eq!(exchange.content().await, "");
    exchange.ended().await.unwrap();
}

#[tokio::test]
async fn a_client_that_goes_away_ends_the_call() {
    let mut exchange = Exchange::start(&app("echo"), http_scope(Method::POST, "/"));
    exchange.response_start().await;
    exchange.deliver(ReceiveEvent::HttpRequest(HttpRequest::part("one")));
    exchange.next().await;
    exchange.disconnect();
    exchange.ended().await.unwrap();
}

#[tokio::test]
async fn messages_are_sent_back_as_they_are() {
    let mut exchange = Exchange::open(&app("echo"), "/").await;
    for message in [Message::text("höre"), Message::binary(&b"\x00\xff"[..])] {
        exchange.deliver(ReceiveEvent::WebSocketReceive(message.clone()));
        assert_eq!(exchange.next().await, Some(message.into()));
    }
    exchange.disconnect();
    exchange.ended().await.unwrap();
}

#[tokio::test]
async fn the_first_subprotocol_offered_is_accepted() {
    for (offered, accepted) in [
        (vec!["chat".into(), "soap".into()], Some("chat".into())),
        (vec![], None),
    ] {
        let mut scope = websocket_scope("/");
        scope.subprotocols = offered;
        let mut exchange = Exchange::start(&app("echo"), scope);
        exchange.deliver(ReceiveEvent::WebSocketConnect);
        let Some(SendEvent::WebSocketAccept(accept)) = exchange.next().await else {
            panic!("not accepted");
        };
        assert_eq!(accept.subprotocol, accepted);
    }
}
