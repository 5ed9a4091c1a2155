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
    HttpResponsePathSend, HttpResponseStart, HttpResponseTrailers, LifespanShutdownComplete,
    LifespanStartupComplete, ReceiveEvent, Receiver, Scope, SendError, SendEvent, Sender, State,
    WebSocketClose,
};
use callgate_conformance::{AppOptions, AppSuite, Verdict, check_app, scope_probe};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use crate::support::{
    answer, content, echo_messages, http, ids, offers, options, report, run_lifespan, wait_for,
    websocket,
};

#[track_caller]
fn assert_good<A: callgate::App>(make: impl Fn() -> A + Send + Sync + 'static) {
    let report = report(make);
    assert!(report.broken_rules().is_empty(), "{report}");
}

async fn hello(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
    http(scope)?;
    Ok(answer(&sender, "Hello, world!\n").await?)
}

async fn echo(scope: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
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

/// Every exchange has the state that start-up has returned.
#[test]
fn state_reaches_the_exchanges() {
    struct Greeting(&'static str);
    assert_good(|| {
        |scope: Scope, mut receiver: Receiver, sender: Sender| async move {
            match scope {
                Scope::Http(scope) => {
                    let greeting = scope.state.get::<Greeting>().expect("a greeting");
                    Ok(answer(&sender, greeting.0).await?)
                }
                Scope::WebSocket(scope) => {
                    scope.state.get::<Greeting>().expect("a greeting");
                    echo_messages(receiver, sender).await
                }
                Scope::Lifespan(_) => {
                    wait_for(&mut receiver, ReceiveEvent::LifespanStartup).await;
                    let mut state = State::new();
                    state.insert(Greeting("Hello"));
                    let complete = LifespanStartupComplete::with_state(state);
                    sender.send(complete).await?;
                    wait_for(&mut receiver, ReceiveEvent::LifespanShutdown).await;
                    Ok(sender
                        .send(SendEvent::LifespanShutdownComplete(
                            LifespanShutdownComplete::new(),
                        ))
                        .await?)
                }
                _ => Err(AppError::Unsupported),
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
fn a_mount_that_keeps_the_target_passes() {
    let mount = |scope: Scope, receiver: Receiver, sender: Sender| async move {
        let mut inside = scope.clone();
        let scope = http(scope)?;
        if !scope.route_path().starts_with("/probe/") {
            return hello(inside, receiver, sender).await;
        }
        inside.set_root_path(format!("{}/probe", scope.root_path));
        scope_probe(inside, receiver, sender).await
    };
    let report = check_app(move || mount, options().mounts_probe_at("/probe"));
    assert!(report.broken_rules().is_empty(), "{report}");
    let finding = report
        .findings
        .iter()
        .find(|it| it.check.rule.id == "SCOPE-16");
    assert!(
        matches!(finding.unwrap().verdict, Verdict::Passed),
        "{report}"
    );
}

#[test]
fn requests_are_made_as_the_options_say() {
    let picky = |scope: Scope, mut receiver: Receiver, sender: Sender| async move {
        let scope = http(scope)?;
        let is_asked = scope.path() == "/orders"
            && [Method::PUT, Method::HEAD].contains(&scope.method)
            && scope.headers["authorization"] == "Bearer test";
        let Some((octets, _)) = content(&mut receiver).await else {
            return Ok(());
        };
        assert!(is_asked && (octets.is_empty() || octets.starts_with(b"{}")));
        Ok(answer(&sender, "done").await?)
    };
    let options = AppOptions::new()
        .method(Method::PUT)
        .path("/orders?page=1")
        .header("authorization", "Bearer test")
        .body("{}");
    let report = check_app(move || picky, options);
    // The application panics at the content of the flood.
    assert_eq!(ids(&report), ["CORE-19"], "{report}");
    assert!(report.to_string().contains("PUT"));
}

/// The server and the test client of the toolkit do the same.
#[test]
fn a_path_send_of_no_regular_file_fails_and_the_exchange_continues() {
    let sends = |path: &'static str| {
        move |scope: Scope, _: Receiver, sender: Sender| async move {
            let scope = http(scope)?;
            sender.send(HttpResponseStart::ok()).await?;
            if offers(&scope, Feature::PathSend) {
                match sender.send(HttpResponsePathSend::new(path)).await {
                    Ok(()) => panic!("{path} was taken for a file"),
                    Err(SendError::File { .. }) => {}
                    Err(other) => return Err(other.into()),
                }
            }
            Ok(sender.send(HttpResponseBody::last("content")).await?)
        }
    };
    for path in [env!("CARGO_MANIFEST_DIR"), "/dev/null"] {
        assert_good(move || sends(path));
    }
}

async fn without_a_database(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
    let Scope::Lifespan(_) = scope else {
        panic!("the application is called although its start-up failed");
    };
    let failed = callgate::LifespanStartupFailed::new("no database");
    Ok(sender.send(failed).await?)
}

#[test]
fn an_application_whose_start_up_fails_gets_no_requests() {
    let suite = AppSuite::new(|| without_a_database, options());
    assert_eq!(suite.startup_failure(), None);
    let report = suite.report();
    assert!(report.broken_rules().is_empty(), "{report}");
    let reason = "its start-up failed: no database";
    assert!(report.to_string().contains(reason), "{report}");
    assert_eq!(suite.startup_failure().as_deref(), Some(reason));
}

#[test]
fn tests_that_need_a_start_up_fail_with_the_reason_when_there_is_none() {
    let suite = AppSuite::new(|| without_a_database, options());
    for id in ["CORE-20", "HTTP-14", "WS-03", "EXT-01"] {
        let panic = std::panic::catch_unwind(|| suite.assert(id)).unwrap_err();
        let text = panic.downcast_ref::<String>().unwrap();
        let expected =
            format!("cannot check {id} of `application`: its start-up failed: no database");
        assert_eq!(*text, expected);
    }
    // The rules of lifespan are checked nevertheless.
    suite.assert("LIFE-04");
}

#[test]
#[should_panic(expected = "cannot check `application`: its start-up failed: no database")]
fn check_app_panics_if_the_start_up_fails() {
    let _ = report(|| without_a_database);
}

#[test]
fn twenty_runs_give_twenty_equal_reports() {
    let json = |run: &dyn Fn() -> callgate_conformance::Report| {
        run().in_format(callgate_conformance::Format::Json)
    };
    let runs: [&dyn Fn() -> callgate_conformance::Report; 2] = [&|| report(|| echo), &|| {
        report(|| crate::mutants::start_twice)
    }];
    for run in runs {
        let first = json(run);
        for _ in 1..20 {
            assert_eq!(json(run), first);
        }
    }
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
