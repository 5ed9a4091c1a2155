//! For each rule an application that breaks it, and no other.

use std::collections::HashSet;
use std::future::pending;
use std::sync::Arc;

use bytes::Bytes;
use callgate::{
    AppError, BoxApp, EarlyHints, Extension, HttpPathSend, HttpResponseBody, HttpResponseStart,
    HttpResponseTrailers, HttpScope, LifespanStartupComplete, Message, ReceiveEvent, Receiver,
    Scope, SendEvent, Sender, WebSocketAccept, WebSocketClose,
};
use callgate_conformance::{app_rules, check_app, scope_probe};
use http::{HeaderMap, HeaderValue, StatusCode, Version};

use crate::support::{
    answer, content, echo_messages, http, ids, offers, options, wait_for, websocket,
};

type Mutant = (
    &'static str,
    &'static str,
    Box<dyn Fn() -> BoxApp + Send + Sync>,
);

macro_rules! mutants {
    ($($id:literal $name:ident: $app:expr;)+) => {
        fn mutants() -> Vec<Mutant> {
            vec![$(($id, stringify!($name), Box::new(|| BoxApp::new($app)))),+]
        }
    };
}

/// An application that is an `async` block of what is named here.
macro_rules! app {
    (|$scope:ident, $receiver:ident, $sender:ident| $body:expr) => {
        |$scope: Scope, #[allow(unused_mut)] mut $receiver: Receiver, $sender: Sender| async move {
            let _ = (&$scope, &$receiver, &$sender);
            #[allow(unreachable_code)]
            {
                $body;
                Ok::<(), AppError>(())
            }
        }
    };
}

/// A response that begins with this and ends with that.
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

/// A response with trailer fields, where those are offered.
async fn with_trailers(
    scope: &HttpScope,
    sender: &Sender,
    start: HttpResponseStart,
    field: &'static str,
) -> Result<(), AppError> {
    if !offers(scope, Extension::ResponseTrailers) {
        return Ok(answer(sender, "content").await?);
    }
    sender.send(start.with_trailers()).await?;
    sender.send(HttpResponseBody::last("content")).await?;
    let mut fields = HeaderMap::new();
    fields.insert(field, HeaderValue::from_static("x"));
    sender.send(HttpResponseTrailers::last(fields)).await?;
    Ok(())
}

pub(crate) async fn start_twice(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
    http(scope)?;
    sender.send(HttpResponseStart::ok()).await?;
    sender.send(HttpResponseStart::ok()).await?;
    sender.send(HttpResponseBody::end()).await?;
    Ok(())
}

fn deny(event: impl Into<HttpResponseBody>) -> SendEvent {
    SendEvent::DenialResponseBody(event.into())
}

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");

mutants! {
    "CORE-02" takes_any_kind_of_scope: app!(|scope, receiver, sender| match scope {
        Scope::Unknown(_) => {}
        _ => return Err(AppError::Unsupported),
    });
    "CORE-02" receives_and_declines: app!(|scope, receiver, sender| {
        websocket(scope)?;
        receiver.receive().await;
        return Err(AppError::Unsupported);
    });
    "CORE-06" accepts_a_request: app!(|scope, receiver, sender| {
        http(scope)?;
        sender.send(WebSocketAccept::new()).await?;
    });
    "CORE-06" answers_a_lifespan: app!(|scope, receiver, sender| match scope {
        Scope::Lifespan(_) => sender.send(HttpResponseStart::ok()).await?,
        _ => return Err(AppError::Unsupported),
    });
    "CORE-13" stays_when_the_client_has_gone: app!(|scope, receiver, sender| {
        http(scope)?;
        if content(&mut receiver).await.is_none() {
            pending::<()>().await;
        }
        answer(&sender, "content").await?;
    });
    "CORE-13" stays_when_the_websocket_is_over: app!(|scope, receiver, sender| {
        websocket(scope)?;
        let _ = echo_messages(receiver, sender).await;
        pending::<()>().await;
    });
    "CORE-18" takes_an_unknown_event_for_the_end: app!(|scope, receiver, sender| {
        http(scope)?;
        let mut length = 0;
        while let ReceiveEvent::HttpRequest(request) = receiver.receive().await {
            length += request.body.len();
            if !request.more_body {
                break;
            }
        }
        answer(&sender, length.to_string()).await?;
    });
    "CORE-18" closes_on_an_unknown_event: app!(|scope, receiver, sender| {
        websocket(scope)?;
        sender.send(WebSocketAccept::new()).await?;
        loop {
            match receiver.receive().await {
                ReceiveEvent::WebSocketConnect | ReceiveEvent::WebSocketReceive(_) => {}
                ReceiveEvent::WebSocketDisconnect(_) => return Ok(()),
                _ => return Err(AppError::failed("what is that?")),
            }
        }
    });
    "CORE-18" takes_an_unknown_event_for_the_shutdown: app!(|scope, receiver, sender| match scope {
        Scope::Lifespan(_) => {
            wait_for(&mut receiver, ReceiveEvent::LifespanStartup).await;
            sender.send(LifespanStartupComplete::new()).await?;
            receiver.receive().await;
            sender.send(SendEvent::LifespanShutdownComplete).await?;
        }
        _ => return Err(AppError::Unsupported),
    });
    "CORE-19" panics_when_the_client_has_gone: app!(|scope, receiver, sender| {
        http(scope)?;
        content(&mut receiver).await.expect("content");
        answer(&sender, "content").await?;
    });
    "CORE-20" serves_one_at_a_time: {
        let turn = Arc::new(tokio::sync::Mutex::new(()));
        move |scope: Scope, mut receiver: Receiver, sender: Sender| {
            let turn = turn.clone();
            async move {
                http(scope)?;
                let _turn = tokio::select! {
                    turn = turn.lock() => turn,
                    () = wait_for(&mut receiver, ReceiveEvent::HttpDisconnect) => return Ok(()),
                };
                Ok(answer(&sender, "content").await?)
            }
        }
    };
    "CORE-22" holds_all_content: app!(|scope, receiver, sender| {
        http(scope)?;
        let mut parts: Vec<Bytes> = Vec::new();
        loop {
            match receiver.receive().await {
                ReceiveEvent::HttpRequest(request) => {
                    parts.push(request.body);
                    if !request.more_body {
                        break;
                    }
                }
                ReceiveEvent::HttpDisconnect => return Ok(()),
                _ => {}
            }
        }
        answer(&sender, parts.concat()).await?;
    });
    "SCOPE-16" strips_the_prefix: app!(|scope, receiver, sender| {
        let mut scope = http(scope)?;
        if !scope.route_path().starts_with("/probe/") {
            return Ok(answer(&sender, "content").await?);
        }
        scope.root_path = format!("{}/probe", scope.root_path).into();
        scope.uri = "/a%2Fb?c=d".parse()?;
        return scope_probe(scope.into(), receiver, sender).await;
    });
    "SCOPE-16" forgets_the_prefix: app!(|scope, receiver, sender| {
        let scope = http(scope)?;
        if !scope.route_path().starts_with("/probe/") {
            return Ok(answer(&sender, "content").await?);
        }
        return scope_probe(scope.into(), receiver, sender).await;
    });
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
                ReceiveEvent::HttpRequest(request) => {
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
                ReceiveEvent::HttpRequest(request) => {
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
            let _ = sender.send(SendEvent::LifespanShutdownComplete).await;
            // It has broken a rule, and yet it stays.
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
        if sender.send(HttpPathSend::new(FILE)).await.is_err() {
            sender.send(HttpResponseBody::last("content")).await?;
        }
    });
    "EXT-01" denies_uninvited: app!(|scope, receiver, sender| {
        websocket(scope)?;
        let start = SendEvent::DenialResponseStart(HttpResponseStart::ok());
        match sender.send(start).await {
            Ok(()) => sender.send(deny(HttpResponseBody::end())).await?,
            Err(_) => sender.send(WebSocketClose::default()).await?,
        }
    });
    "EXT-03" announces_trailers_and_sends_none: app!(|scope, receiver, sender| {
        let scope = http(scope)?;
        let mut start = HttpResponseStart::ok();
        start.trailers = offers(&scope, Extension::ResponseTrailers);
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
        if offers(&scope, Extension::PathSend) {
            sender.send(HttpPathSend::new("Cargo.toml")).await?;
        } else {
            sender.send(HttpResponseBody::end()).await?;
        }
    });
    "EXT-10" sends_a_file_after_a_part: app!(|scope, receiver, sender| {
        let scope = http(scope)?;
        sender.send(HttpResponseStart::ok()).await?;
        sender.send(HttpResponseBody::part("content")).await?;
        if offers(&scope, Extension::PathSend) {
            sender.send(HttpPathSend::new(FILE)).await?;
        } else {
            sender.send(HttpResponseBody::end()).await?;
        }
    });
    "EXT-11" hints_too_late: app!(|scope, receiver, sender| {
        let scope = http(scope)?;
        sender.send(HttpResponseStart::ok()).await?;
        if offers(&scope, Extension::EarlyHints) {
            sender.send(EarlyHints::default()).await?;
        }
        sender.send(HttpResponseBody::end()).await?;
    });
    "EXT-12" denies_what_it_has_accepted: app!(|scope, receiver, sender| {
        let scope = websocket(scope)?;
        sender.send(WebSocketAccept::new()).await?;
        if scope.extensions.contains(Extension::DenialResponse) {
            let start = SendEvent::DenialResponseStart(HttpResponseStart::ok());
            sender.send(start).await?;
        }
    });
    "EXT-13" denies_without_a_start: app!(|scope, receiver, sender| {
        let scope = websocket(scope)?;
        if scope.extensions.contains(Extension::DenialResponse) {
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
}

#[test]
fn each_mutant_is_reported_for_its_rule_and_for_no_other() {
    let mut wrong = Vec::new();
    for (id, name, make) in mutants() {
        let report = check_app(
            move || Arc::new(make()),
            options().name(name).mounts_probe_at("/probe"),
        );
        if ids(&report) != [id] {
            wrong.push(format!("{name} breaks {id}; reported: {report}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn each_rule_of_applications_has_a_mutant() {
    let broken: HashSet<_> = mutants().into_iter().map(|(id, ..)| id).collect();
    let rules: HashSet<_> = app_rules().map(|rule| rule.id).collect();
    assert_eq!(broken, rules);
}
