//! Exchanges through a lint.

use std::future::pending;
use std::sync::{Arc, Mutex};

use callgate::rule::Role;
use callgate::{
    App as _, AppError, Feature, HttpResponseBody, HttpResponsePathSend, HttpResponseStart,
    ReceiveEvent, Receiver, Scope, SendError, SendEvent, Sender, rule,
};
use callgate_conformance::Lint;
use http::Version;

use crate::support::{
    Server, broken, events, get, get_with, last, part, reported_rules, results, script,
};

#[tokio::test]
async fn events_pass_unchanged() {
    let echo = |_: Scope, mut receiver: Receiver, sender: Sender| async move {
        sender
            .send(HttpResponseStart::ok().header("x-a", "1"))
            .await?;
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
                _ => return Ok(()),
            }
        }
    };
    let server = Server {
        is_slow: true,
        events: Mutex::new([part("one"), part(""), last("two")].into()),
        ..Server::default()
    };
    let channel = Arc::new(server);
    let lint = Lint::new(echo);
    let count = lint.count();
    lint.call(
        get().into(),
        Receiver::new(channel.clone()),
        Sender::new(channel.clone()),
    )
    .await
    .unwrap();
    let expected: Vec<SendEvent> = vec![
        HttpResponseStart::ok().header("x-a", "1").into(),
        HttpResponseBody::part("one").into(),
        HttpResponseBody::part("").into(),
        HttpResponseBody::last("two").into(),
    ];
    assert_eq!(*channel.sent.lock().unwrap(), expected);
    assert_eq!(count.total(), 0);
}

#[tokio::test]
async fn violations_are_counted_by_side() {
    let lint = Lint::new(script(vec![])).report_to(|_| {});
    let count = lint.count();
    let channel = Arc::new(Server::default());
    let mut scope = get();
    scope.version = Version::HTTP_3;
    lint.call(
        scope.into(),
        Receiver::new(channel.clone()),
        Sender::new(channel),
    )
    .await
    .unwrap();
    assert_eq!(count.of(Role::Application), 1);
    assert_eq!(count.of(Role::Server), 1);
}

#[tokio::test]
async fn a_strict_lint_fails_the_exchange_at_the_first_violation() {
    let went_on = Arc::new(Mutex::new(false));
    let noted = went_on.clone();
    let app = move |_: Scope, mut receiver: Receiver, _: Sender| {
        let noted = noted.clone();
        async move {
            receiver.receive().await;
            receiver.receive().await;
            tokio::task::yield_now().await;
            *noted.lock().unwrap() = true;
            Ok(())
        }
    };
    let lint = Lint::new(app).strict().report_to(|_| {});
    let channel = Arc::new(events(vec![last(""), last("")]));
    let result = lint
        .call(
            get().into(),
            Receiver::new(channel.clone()),
            Sender::new(channel),
        )
        .await;
    let Err(AppError::Send(SendError::Violation(violation))) = result else {
        panic!("not failed: {result:?}");
    };
    assert_eq!(violation.rule, rule::RECEIVE_AFTER_BODY);
    assert!(!*went_on.lock().unwrap());
}

#[tokio::test]
async fn a_strict_lint_fails_a_call_that_returns_too_early() {
    let lint = Lint::new(script(vec![])).strict().report_to(|_| {});
    let channel = Arc::new(Server::default());
    let result = lint
        .call(
            get().into(),
            Receiver::new(channel.clone()),
            Sender::new(channel),
        )
        .await;
    let error = result.unwrap_err().to_string();
    assert!(error.starts_with("HTTP-30"), "{error}");
}

#[tokio::test]
async fn a_strict_lint_wakes_a_call_whose_task_breaks_a_rule() {
    let app = |_: Scope, _: Receiver, sender: Sender| async move {
        tokio::spawn(async move { sender.send(HttpResponseBody::end()).await });
        pending().await
    };
    let lint = Lint::new(app).strict().report_to(|_| {});
    let channel = Arc::new(results(vec![broken(rule::START_FIRST)]));
    let result = lint
        .call(
            get().into(),
            Receiver::new(channel.clone()),
            Sender::new(channel),
        )
        .await;
    assert!(result.unwrap_err().to_string().starts_with("HTTP-14"));
}

#[tokio::test]
async fn panics_are_passed_on_and_reported() {
    let reports: Arc<Mutex<Vec<String>>> = Arc::default();
    let sink = reports.clone();
    let app = |_: Scope, _: Receiver, _: Sender| async { panic!("on purpose") };
    let lint = Lint::new(app).report_to(move |it| {
        let line = format!("{}: {}", it.exchange, it.violation.rule.id);
        sink.lock().unwrap().push(line);
    });
    let channel = Arc::new(Server::default());
    let call = tokio::spawn(async move {
        let ends = (Receiver::new(channel.clone()), Sender::new(channel));
        lint.call(get().into(), ends.0, ends.1).await
    });
    assert!(call.await.unwrap_err().is_panic());
    assert_eq!(*reports.lock().unwrap(), ["GET /: CORE-19"]);
}

#[tokio::test]
async fn a_call_may_be_dropped_right_after_the_disconnect() {
    let lint = Lint::new(|_: Scope, mut receiver: Receiver, _: Sender| async move {
        receiver.receive().await;
        pending().await
    })
    .report_to(|_| {});
    let count = lint.count();
    let channel = Arc::new(events(vec![ReceiveEvent::HttpDisconnect]));
    let call = lint.call(
        get().into(),
        Receiver::new(channel.clone()),
        Sender::new(channel),
    );
    tokio::select! {
        biased;
        _ = call => panic!("the call ended"),
        () = std::future::ready(()) => {}
    }
    assert_eq!(count.total(), 0);
}

/// Sends a file, and receives the disconnect while the server opens the file.
async fn send_file_and_disconnect(
    scope: Scope,
    mut receiver: Receiver,
    sender: Sender,
) -> Result<(), AppError> {
    scope.into_http()?;
    sender.send(HttpResponseStart::ok()).await?;
    let path_send = sender.send(HttpResponsePathSend::new("/srv/file"));
    let (sent, event) = tokio::join!(path_send, receiver.receive());
    assert_eq!(event, ReceiveEvent::HttpDisconnect);
    let _ = sender.send(HttpResponseBody::end()).await;
    Ok(sent?)
}

#[tokio::test]
async fn a_path_send_may_succeed_or_fail_if_the_client_disconnects_meanwhile() {
    for result in [Ok(()), Err(SendError::Disconnected)] {
        let server = Server {
            events: Mutex::new([ReceiveEvent::HttpDisconnect].into()),
            results: Mutex::new([Ok(()), result, Err(SendError::Disconnected)].into()),
            opens_files_slowly: true,
            ..Server::default()
        };
        let scope = get_with([Feature::PathSend]);
        let (found, _) = reported_rules(send_file_and_disconnect, scope, server).await;
        assert_eq!(found, [""; 0]);
    }
}

#[tokio::test]
async fn the_result_of_a_path_send_is_checked_when_the_file_has_been_opened() {
    let app = |_: Scope, _: Receiver, sender: Sender| async move {
        sender.send(HttpResponseStart::ok()).await?;
        sender.send(HttpResponsePathSend::new("/srv/file")).await?;
        // The path send has ended the response.
        let _ = sender.send(HttpResponseBody::end()).await;
        Ok(())
    };
    let server = Server {
        results: Mutex::new([Ok(()), Ok(()), broken(rule::NOTHING_AFTER_END)].into()),
        opens_files_slowly: true,
        ..Server::default()
    };
    let (found, _) = reported_rules(app, get_with([Feature::PathSend]), server).await;
    assert_eq!(found, ["HTTP-16"]);
}
