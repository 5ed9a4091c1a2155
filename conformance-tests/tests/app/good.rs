//! Applications that keep every rule, in different ways.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use callgate::{
    AppError, Feature, HttpResponseBody, HttpResponseDebug, HttpResponseEarlyHint,
    HttpResponsePathSend, HttpResponseStart, HttpResponseTrailers, ReceiveEvent, Receiver, Scope,
    SendError, SendEvent, Sender, WebSocketClose,
};
use callgate_conformance::{Verdict, check_app};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::support::{
    answer, content, echo_messages, http, offers, options, report, run_lifespan, websocket,
};

#[track_caller]
pub(crate) fn assert_good<A: callgate::App>(make: impl Fn() -> A + Send + Sync + 'static) {
    let report = report(make);
    assert!(report.broken_rules().is_empty(), "{report}");
}

pub(crate) async fn hello(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
    http(scope)?;
    Ok(answer(&sender, "Hello, world!\n").await?)
}

pub(crate) async fn echo(
    scope: Scope,
    mut receiver: Receiver,
    sender: Sender,
) -> Result<(), AppError> {
    match scope {
        Scope::Http(_) => {
            sender.send(HttpResponseStart::ok()).await?;
            loop {
                match receiver.receive().await {
                    ReceiveEvent::HttpRequestBody(request) => {
                        let more = request.more_body;
                        sender
                            .send(HttpResponseBody::new(request.body, more))
                            .await?;
                        if !more {
                            return Ok(());
                        }
                    }
                    ReceiveEvent::HttpDisconnect => return Ok(()),
                    _ => {}
                }
            }
        }
        Scope::WebSocket(_) => echo_messages(receiver, sender).await,
        Scope::Lifespan(_) => run_lifespan(receiver, sender).await,
        _ => Err(AppError::Unsupported),
    }
}

/// Uses every feature that is offered.
async fn extended(scope: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    match scope {
        Scope::Http(scope) => {
            receive_available(&mut receiver);
            if offers(&scope, Feature::EarlyHints) {
                let link = HeaderValue::from_static("</style.css>; rel=preload");
                sender.send(HttpResponseEarlyHint::new([link])).await?;
            }
            if offers(&scope, Feature::Debug) {
                let info = BTreeMap::from([("template".to_owned(), "page".to_owned())]);
                sender.send(HttpResponseDebug::new(info)).await?;
            }
            let mut start = HttpResponseStart::ok().header("trailer", "x-checksum");
            start.trailers = offers(&scope, Feature::ResponseTrailers);
            let has_trailers = start.trailers;
            sender.send(start).await?;
            if offers(&scope, Feature::PathSend) {
                sender.send(HttpResponsePathSend::new(FILE)).await?;
            } else {
                sender.send(HttpResponseBody::last("content")).await?;
            }
            if has_trailers {
                let mut fields = HeaderMap::new();
                fields.insert("x-checksum", HeaderValue::from_static("7"));
                sender.send(HttpResponseTrailers::last(fields)).await?;
            }
            Ok(())
        }
        Scope::WebSocket(scope) if scope.features.contains(Feature::DenialResponse) => {
            let start = HttpResponseStart::new(StatusCode::UNAUTHORIZED);
            sender.send(SendEvent::DenialResponseStart(start)).await?;
            let body = HttpResponseBody::last("Who are you?");
            sender.send(SendEvent::DenialResponseBody(body)).await?;
            Ok(())
        }
        Scope::WebSocket(_) => Ok(sender.send(WebSocketClose::new(4001)).await?),
        _ => Err(AppError::Unsupported),
    }
}

/// Receives the events that have come, up to a disconnect.
fn receive_available(receiver: &mut Receiver) {
    let mut cx = Context::from_waker(Waker::noop());
    while let Poll::Ready(event) = receiver.poll_receive(&mut cx) {
        if event == ReceiveEvent::HttpDisconnect {
            return;
        }
    }
}

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");

#[test]
fn nothing_is_reported_of_an_application_that_declines_everything() {
    assert_good(|| |_: Scope, _: Receiver, _: Sender| async { Err(AppError::Unsupported) });
}

#[test]
fn nothing_is_reported_of_hello() {
    assert_good(|| hello);
}

#[test]
fn nothing_is_reported_of_an_echo_with_websocket_and_lifespan() {
    let report = report(|| echo);
    assert!(report.broken_rules().is_empty(), "{report}");
    // Every check of the application's behaviour applies.
    let skipped: Vec<_> = report
        .findings
        .iter()
        .filter(|finding| matches!(finding.verdict, Verdict::NotApplicable(_)))
        .map(|finding| finding.check.rule.id)
        .filter(|id| !id.starts_with("EXT-"))
        .collect();
    assert_eq!(skipped, ["SCOPE-16"], "{report}");
}

#[test]
fn nothing_is_reported_of_an_application_that_uses_every_feature() {
    let report = report(|| extended);
    assert!(report.broken_rules().is_empty(), "{report}");
    let mut skipped = report.findings.iter().filter(|finding| {
        finding.check.rule.id.starts_with("EXT-")
            && matches!(finding.verdict, Verdict::NotApplicable(_))
    });
    assert!(skipped.next().is_none(), "{report}");
}

#[test]
fn nothing_is_reported_of_an_application_that_responds_404_and_refuses_websockets() {
    assert_good(|| {
        |scope: Scope, _: Receiver, sender: Sender| async move {
            match scope {
                Scope::Http(_) => {
                    let start = HttpResponseStart::new(StatusCode::NOT_FOUND);
                    sender.send(start.header("content-length", "0")).await?;
                    Ok(sender.send(HttpResponseBody::end()).await?)
                }
                Scope::WebSocket(_) => Ok(sender.send(WebSocketClose::default()).await?),
                _ => Err(AppError::Unsupported),
            }
        }
    });
}

/// The long poll ends when the client disconnects, without a response, or when the server shuts down.
#[test]
fn nothing_is_reported_of_a_long_poll() {
    assert_good(|| {
        |scope: Scope, mut receiver: Receiver, sender: Sender| async move {
            http(scope)?;
            loop {
                match receiver.receive().await {
                    ReceiveEvent::HttpDisconnect => return Err(SendError::Disconnected.into()),
                    ReceiveEvent::HttpShutdown => return Ok(answer(&sender, "again").await?),
                    _ => {}
                }
            }
        }
    });
}

/// The stream of events ends when the server shuts down, with a last event.
#[test]
fn nothing_is_reported_of_a_stream_that_ends_at_the_shutdown() {
    let stream = |scope: Scope, mut receiver: Receiver, sender: Sender| async move {
        http(scope)?;
        sender.send(HttpResponseStart::ok()).await?;
        loop {
            tokio::select! {
                event = receiver.receive() => match event {
                    ReceiveEvent::HttpDisconnect => return Ok(()),
                    ReceiveEvent::HttpShutdown => {
                        return Ok(sender.send(HttpResponseBody::last("data: end\n\n")).await?);
                    }
                    _ => {}
                },
                () = tokio::time::sleep(Duration::from_millis(10)) => {
                    sender.send(HttpResponseBody::part("data: tick\n\n")).await?;
                }
            }
        }
    };
    let report = report(move || stream);
    assert!(report.broken_rules().is_empty(), "{report}");
    let finding = report
        .findings
        .iter()
        .find(|it| it.check.rule.id == "EXT-20");
    assert!(
        matches!(finding.unwrap().verdict, Verdict::Passed),
        "{report}"
    );
}

/// The application watches for the end of its client while it responds.
#[test]
fn nothing_is_reported_of_an_application_that_receives_while_it_sends() {
    assert_good(|| {
        |scope: Scope, mut receiver: Receiver, sender: Sender| async move {
            http(scope)?;
            let Some((octets, _)) = content(&mut receiver).await else {
                return Ok(());
            };
            let disconnected =
                async { while receiver.receive().await != ReceiveEvent::HttpDisconnect {} };
            tokio::select! {
                biased;
                sent = answer(&sender, octets) => Ok(sent?),
                () = disconnected => Ok(()),
            }
        }
    });
}

#[test]
fn nothing_is_reported_of_a_stream_of_events_without_end() {
    assert_good(|| {
        |scope: Scope, _: Receiver, sender: Sender| async move {
            http(scope)?;
            sender.send(HttpResponseStart::ok()).await?;
            loop {
                sender
                    .send(HttpResponseBody::part("data: tick\n\n"))
                    .await?;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    });
}

#[test]
fn nothing_is_reported_of_a_stream_that_never_waits() {
    assert_good(|| {
        |scope: Scope, _: Receiver, sender: Sender| async move {
            http(scope)?;
            sender.send(HttpResponseStart::ok()).await?;
            loop {
                sender.send(HttpResponseBody::part("more")).await?;
            }
        }
    });
}

#[test]
fn nothing_is_reported_of_work_after_the_response() {
    assert_good(|| {
        |scope: Scope, _: Receiver, sender: Sender| async move {
            http(scope)?;
            answer(&sender, "done").await?;
            pending().await
        }
    });
}

#[test]
fn nothing_is_reported_of_responses_that_always_differ() {
    let calls = Arc::new(AtomicUsize::new(0));
    assert_good(move || {
        let calls = calls.clone();
        move |scope: Scope, mut receiver: Receiver, sender: Sender| {
            let calls = calls.clone();
            async move {
                http(scope)?;
                let Some((_, events)) = content(&mut receiver).await else {
                    return Ok(());
                };
                let call = calls.fetch_add(1, Ordering::Relaxed);
                let now = SystemTime::now();
                Ok(answer(&sender, format!("{call} {events} {now:?}")).await?)
            }
        }
    });
}

/// An application that refuses requests above a limit responds in the same way most of the time.
#[test]
fn nothing_is_reported_of_a_limit_of_requests() {
    for limit in [3, 40, 41, 42, 43, 44, 45, 100] {
        assert_good(move || {
            let calls = Arc::new(AtomicUsize::new(0));
            move |scope: Scope, mut receiver: Receiver, sender: Sender| {
                let calls = calls.clone();
                async move {
                    http(scope)?;
                    let call = calls.fetch_add(1, Ordering::Relaxed);
                    let Some((octets, _)) = content(&mut receiver).await else {
                        return Ok(());
                    };
                    let status = if call < limit { 200 } else { 429 };
                    let start = HttpResponseStart::new(StatusCode::from_u16(status).unwrap());
                    sender.send(start).await?;
                    Ok(sender.send(HttpResponseBody::last(octets)).await?)
                }
            }
        });
    }
}

/// The application holds content up to a limit and refuses more.
#[test]
fn nothing_is_reported_of_a_limit_of_content() {
    assert_good(|| {
        |scope: Scope, mut receiver: Receiver, sender: Sender| async move {
            http(scope)?;
            let mut parts: Vec<Bytes> = Vec::new();
            loop {
                match receiver.receive().await {
                    ReceiveEvent::HttpRequestBody(request) => {
                        parts.push(request.body);
                        if parts.iter().map(Bytes::len).sum::<usize>() > 2 * 1024 * 1024 {
                            let start = HttpResponseStart::new(StatusCode::PAYLOAD_TOO_LARGE);
                            sender.send(start).await?;
                            return Ok(sender.send(HttpResponseBody::end()).await?);
                        }
                        if !request.more_body {
                            return Ok(answer(&sender, parts.concat()).await?);
                        }
                    }
                    ReceiveEvent::HttpDisconnect => return Ok(()),
                    _ => {}
                }
            }
        }
    });
}

/// An application may use `block_in_place`, tasks and timers.
#[test]
fn nothing_is_reported_of_an_application_that_uses_the_runtime() {
    assert_good(|| {
        |scope: Scope, _: Receiver, sender: Sender| async move {
            http(scope)?;
            let text = tokio::task::block_in_place(|| "computed");
            let other = tokio::task::spawn_blocking(|| " elsewhere").await?;
            tokio::time::sleep(Duration::from_millis(1)).await;
            let sending = sender.clone();
            let task = tokio::spawn(async move { answer(&sending, text.to_owned() + other).await });
            Ok(task.await??)
        }
    });
}

#[test]
fn nothing_is_reported_of_a_websocket_that_sends_from_a_task() {
    assert_good(|| {
        |scope: Scope, mut receiver: Receiver, sender: Sender| async move {
            websocket(scope)?;
            sender.send(callgate::WebSocketAccept::new()).await?;
            let sending = sender.clone();
            tokio::spawn(async move {
                while sending.send(callgate::Message::text("tick")).await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            });
            loop {
                if let ReceiveEvent::WebSocketDisconnect(_) = receiver.receive().await {
                    return Ok(());
                }
            }
        }
    });
}

/// The application keeps its thread busy with each event, and returns to the runtime each time.
#[test]
fn nothing_is_reported_of_an_application_that_works_hard() {
    let options = options()
        .timeout(Duration::from_secs(2))
        .memory(1024 * 1024);
    let busy = |scope: Scope, mut receiver: Receiver, sender: Sender| async move {
        http(scope)?;
        loop {
            match receiver.receive().await {
                ReceiveEvent::HttpRequestBody(request) => {
                    std::thread::sleep(Duration::from_micros(request.body.len() as u64));
                    if !request.more_body {
                        return Ok(answer(&sender, "done").await?);
                    }
                }
                ReceiveEvent::HttpDisconnect => return Ok(()),
                _ => {}
            }
        }
    };
    let report = check_app(move || busy, options);
    assert!(report.broken_rules().is_empty(), "{report}");
}
