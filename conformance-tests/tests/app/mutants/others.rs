//! Applications that break a rule of the other documents.

use std::future::pending;
use std::time::Duration;

use bytes::Bytes;
use callgate::{
    AppError, BoxApp, Feature, HttpResponseBody, HttpResponseEarlyHint, HttpResponsePathSend,
    HttpResponseStart, HttpResponseTrailers, HttpScope, LifespanShutdownComplete,
    LifespanStartupComplete, Message, ReceiveEvent, Receiver, Scope, SendEvent, Sender,
    WebSocketAccept, WebSocketClose,
};
use http::{HeaderMap, HeaderValue, StatusCode, Version};

use super::{app, mutants, start_twice};
use crate::support::{answer, http, offers, wait_for, websocket};

/// Sends a response with this start and this body.
async fn respond(
    sender: &Sender,
    start: HttpResponseStart,
    body: impl Into<Bytes>,
) -> Result<(), AppError> {
    sender.send(start).await?;
    sender.send(HttpResponseBody::last(body)).await?;
    Ok(())
}

fn status(code: u16) -> HttpResponseStart {
    HttpResponseStart::new(StatusCode::from_u16(code).unwrap())
}

fn ok(name: &'static str, value: &'static str) -> HttpResponseStart {
    HttpResponseStart::ok().header(name, value)
}

/// Sends a response with trailer fields, if they are offered.
async fn with_trailers(
    scope: &HttpScope,
    sender: &Sender,
    start: HttpResponseStart,
    field: &'static str,
) -> Result<(), AppError> {
    if !offers(scope, Feature::ResponseTrailers) {
        return Ok(answer(sender, "content").await?);
    }
    sender.send(start.with_trailers()).await?;
    sender.send(HttpResponseBody::last("content")).await?;
    let mut fields = HeaderMap::new();
    fields.insert(field, HeaderValue::from_static("x"));
    sender.send(HttpResponseTrailers::last(fields)).await?;
    Ok(())
}

fn deny(event: impl Into<HttpResponseBody>) -> SendEvent {
    SendEvent::DenialResponseBody(event.into())
}

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");

mutants! {
    "HTTP-14" body_without_start: app!(|scope, receiver, sender| {
        http(scope)?;
        sender.send(HttpResponseBody::last("content")).await?;
    });
    "HTTP-15" starts_twice: start_twice;
    "HTTP-16" goes_on_after_the_end: app!(|scope, receiver, sender| {
        http(scope)?;
        answer(&sender, "content").await?;
        sender.send(HttpResponseBody::last("more")).await?;
    });
    "HTTP-17" informs_only: app!(|scope, receiver, sender| {
        http(scope)?;
        respond(&sender, status(103), "").await?;
    });
    "HTTP-18" closes_the_connection: app!(|scope, receiver, sender| {
        http(scope)?;
        respond(&sender, ok("connection", "close"), "content").await?;
    });
    "HTTP-19" has_two_lengths: app!(|scope, receiver, sender| {
        http(scope)?;
        let start = ok("content-length", "7").header("content-length", "7");
        respond(&sender, start, "content").await?;
    });
    "HTTP-20" sends_more_than_it_says: app!(|scope, receiver, sender| {
        http(scope)?;
        respond(&sender, ok("content-length", "3"), "content").await?;
    });
    "HTTP-21" sends_less_than_it_says: app!(|scope, receiver, sender| {
        http(scope)?;
        respond(&sender, ok("content-length", "30"), "content").await?;
    });
    "HTTP-22" has_content_where_there_is_none: app!(|scope, receiver, sender| {
        http(scope)?;
        respond(&sender, status(204), "content").await?;
    });
    "HTTP-23" tells_the_length_of_nothing: app!(|scope, receiver, sender| {
        http(scope)?;
        respond(&sender, status(204).header("content-length", "0"), "").await?;
    });
    "HTTP-30" does_not_answer: app!(|scope, receiver, sender| {
        http(scope)?;
    });
    "HTTP-31" does_not_end: app!(|scope, receiver, sender| {
        http(scope)?;
        sender.send(HttpResponseStart::ok()).await?;
        sender.send(HttpResponseBody::part("content")).await?;
    });
    "HTTP-48" counts_events: app!(|scope, receiver, sender| {
        http(scope)?;
        let mut events = 0;
        loop {
            match receiver.receive().await {
                ReceiveEvent::HttpRequestBody(request) => {
                    events += 1;
                    if !request.more_body {
                        break;
                    }
                }
                ReceiveEvent::HttpDisconnect => return Ok(()),
                _ => {}
            }
        }
        answer(&sender, events.to_string()).await?;
    });
    "HTTP-48" takes_the_first_event_for_all: app!(|scope, receiver, sender| {
        http(scope)?;
        loop {
            match receiver.receive().await {
                ReceiveEvent::HttpRequestBody(request) => {
                    answer(&sender, request.body).await?;
                    return Ok(());
                }
                ReceiveEvent::HttpDisconnect => return Ok(()),
                _ => {}
            }
        }
    });
    "WS-03" sends_before_it_accepts: app!(|scope, receiver, sender| {
        websocket(scope)?;
        sender.send(Message::text("hello")).await?;
    });
    "WS-04" accepts_twice: app!(|scope, receiver, sender| {
        websocket(scope)?;
        sender.send(WebSocketAccept::new()).await?;
        sender.send(WebSocketAccept::new()).await?;
    });
    "WS-06" chooses_what_is_not_offered: app!(|scope, receiver, sender| {
        websocket(scope)?;
        sender.send(WebSocketAccept::new().subprotocol("soap")).await?;
    });
    "WS-07" makes_the_handshake_itself: app!(|scope, receiver, sender| {
        websocket(scope)?;
        sender.send(WebSocketAccept::new().header("sec-websocket-accept", "x")).await?;
    });
    "WS-08" does_not_answer_the_handshake: app!(|scope, receiver, sender| {
        websocket(scope)?;
    });
    "WS-10" sends_after_it_closes: app!(|scope, receiver, sender| {
        websocket(scope)?;
        sender.send(WebSocketAccept::new()).await?;
        sender.send(WebSocketClose::default()).await?;
        sender.send(Message::text("hello")).await?;
    });
    "WS-11" closes_with_a_reserved_code: app!(|scope, receiver, sender| {
        websocket(scope)?;
        sender.send(WebSocketAccept::new()).await?;
        sender.send(WebSocketClose::new(1006)).await?;
    });
    "WS-12" closes_with_a_long_reason: app!(|scope, receiver, sender| {
        websocket(scope)?;
        sender.send(WebSocketAccept::new()).await?;
        sender.send(WebSocketClose::default().reason("x".repeat(124))).await?;
    });
    "LIFE-04" does_not_answer_start_up: app!(|scope, receiver, sender| match scope {
        Scope::Lifespan(_) => {}
        _ => return Err(AppError::Unsupported),
    });
    "LIFE-04" answers_start_up_twice: app!(|scope, receiver, sender| match scope {
        Scope::Lifespan(_) => {
            sender.send(LifespanStartupComplete::new()).await?;
            sender.send(LifespanStartupComplete::new()).await?;
        }
        _ => return Err(AppError::Unsupported),
    });
    "LIFE-09" does_not_answer_shutdown: app!(|scope, receiver, sender| match scope {
        Scope::Lifespan(_) => {
            sender.send(LifespanStartupComplete::new()).await?;
            wait_for(&mut receiver, ReceiveEvent::LifespanShutdown).await;
        }
        _ => return Err(AppError::Unsupported),
    });
    "LIFE-12" answers_shutdown_before_it_comes: app!(|scope, receiver, sender| match scope {
        Scope::Lifespan(_) => {
            sender.send(LifespanStartupComplete::new()).await?;
            let _ = sender.send(SendEvent::LifespanShutdownComplete(LifespanShutdownComplete::new())).await;
            // The call does not end after the violation.
            pending::<()>().await;
        }
        _ => return Err(AppError::Unsupported),
    });
    "LIFE-14" leaves_after_start_up: app!(|scope, receiver, sender| match scope {
        Scope::Lifespan(_) => sender.send(LifespanStartupComplete::new()).await?,
        _ => return Err(AppError::Unsupported),
    });
    "EXT-01" sends_a_file_uninvited: app!(|scope, receiver, sender| {
        http(scope)?;
        sender.send(HttpResponseStart::ok()).await?;
        if sender.send(HttpResponsePathSend::new(FILE)).await.is_err() {
            sender.send(HttpResponseBody::last("content")).await?;
        }
    });
    "EXT-01" denies_uninvited: app!(|scope, receiver, sender| {
        websocket(scope)?;
        let start = SendEvent::DenialResponseStart(status(403));
        match sender.send(start).await {
            Ok(()) => sender.send(deny(HttpResponseBody::end())).await?,
            Err(_) => sender.send(WebSocketClose::default()).await?,
        }
    });
    "EXT-03" announces_trailers_and_sends_none: app!(|scope, receiver, sender| {
        let scope = http(scope)?;
        let mut start = HttpResponseStart::ok();
        start.trailers = offers(&scope, Feature::ResponseTrailers);
        respond(&sender, start, "content").await?;
    });
    "EXT-05" sends_the_content_type_too_late: app!(|scope, receiver, sender| {
        let start = ok("trailer", "content-type");
        with_trailers(&*http(scope)?, &sender, start, "content-type").await?;
    });
    "EXT-06" does_not_name_its_trailers: app!(|scope, receiver, sender| {
        let start = HttpResponseStart::ok();
        with_trailers(&*http(scope)?, &sender, start, "x-checksum").await?;
    });
    "EXT-07" sends_a_relative_path: app!(|scope, receiver, sender| {
        let scope = http(scope)?;
        sender.send(HttpResponseStart::ok()).await?;
        if offers(&scope, Feature::PathSend) {
            sender.send(HttpResponsePathSend::new("Cargo.toml")).await?;
        } else {
            sender.send(HttpResponseBody::end()).await?;
        }
    });
    "EXT-10" sends_a_file_after_a_part: app!(|scope, receiver, sender| {
        let scope = http(scope)?;
        sender.send(HttpResponseStart::ok()).await?;
        sender.send(HttpResponseBody::part("content")).await?;
        if offers(&scope, Feature::PathSend) {
            sender.send(HttpResponsePathSend::new(FILE)).await?;
        } else {
            sender.send(HttpResponseBody::end()).await?;
        }
    });
    "EXT-11" hints_too_late: app!(|scope, receiver, sender| {
        let scope = http(scope)?;
        sender.send(HttpResponseStart::ok()).await?;
        if offers(&scope, Feature::EarlyHints) {
            sender.send(HttpResponseEarlyHint::default()).await?;
        }
        sender.send(HttpResponseBody::end()).await?;
    });
    "EXT-12" denies_what_it_has_accepted: app!(|scope, receiver, sender| {
        let scope = websocket(scope)?;
        sender.send(WebSocketAccept::new()).await?;
        if scope.features.contains(Feature::DenialResponse) {
            let start = SendEvent::DenialResponseStart(status(403));
            sender.send(start).await?;
        }
    });
    "EXT-13" denies_without_a_start: app!(|scope, receiver, sender| {
        let scope = websocket(scope)?;
        if scope.features.contains(Feature::DenialResponse) {
            sender.send(deny(HttpResponseBody::end())).await?;
        } else {
            sender.send(WebSocketClose::default()).await?;
        }
    });
    "EXT-16" tells_the_length_before_trailers: app!(|scope, receiver, sender| {
        let scope = http(scope)?;
        let mut start = ok("trailer", "x-checksum");
        if scope.version == Version::HTTP_11 {
            start = start.header("content-length", "7");
        }
        with_trailers(&scope, &sender, start, "x-checksum").await?;
    });
    "EXT-20" waits_for_the_disconnect_after_the_shutdown: app!(|scope, receiver, sender| {
        http(scope)?;
        sender.send(HttpResponseStart::ok()).await?;
        wait_for(&mut receiver, ReceiveEvent::HttpDisconnect).await;
    });
    "EXT-20" streams_on_after_the_shutdown: app!(|scope, receiver, sender| {
        http(scope)?;
        sender.send(HttpResponseStart::ok()).await?;
        loop {
            tokio::select! {
                () = wait_for(&mut receiver, ReceiveEvent::HttpDisconnect) => return Ok(()),
                () = tokio::time::sleep(Duration::from_millis(10)) => {
                    sender.send(HttpResponseBody::part("tick")).await?;
                }
            }
        }
    });
}
