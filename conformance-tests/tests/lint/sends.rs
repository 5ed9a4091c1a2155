//! The results of sends.

use std::sync::{Arc, Mutex};

use callgate::{
    App as _, Feature, Features, HttpResponseBody, HttpResponseStart, HttpScope, Receiver, Scope,
    SendError, SendEvent, Sender, Violation, rule,
};
use callgate_conformance::{Lint, Model};

use crate::support::{Do, Server, body, broken, get, reported_rules, results, script, start};

#[tokio::test]
async fn a_server_with_a_wrong_result_of_a_send_is_reported_for_the_rule() {
    let disconnected = || Err(SendError::Disconnected);
    let mut offering = get();
    offering.features = Features::NONE.with(Feature::Debug);
    let debug = || Do::Send(callgate::HttpResponseDebug::default().into());
    let cases: Vec<(&[&str], HttpScope, _, Vec<Do>)> = vec![
        (
            &["CORE-03"],
            get(),
            vec![disconnected()],
            vec![start(), start(), body()],
        ),
        (
            &["HTTP-15", "CORE-04"],
            get(),
            vec![Ok(()), Ok(())],
            vec![start(), start()],
        ),
        (
            &["CORE-04"],
            get(),
            vec![broken(rule::START_ONCE)],
            vec![start(), body()],
        ),
        (
            &["HTTP-16", "CORE-04"],
            get(),
            vec![Ok(()), Ok(()), disconnected()],
            vec![start(), body(), body()],
        ),
        (
            &["HTTP-15", "CORE-05"],
            get(),
            vec![Ok(()), broken(rule::START_ONCE), disconnected()],
            vec![start(), start(), body()],
        ),
        (
            &["EXT-01", "EXT-02"],
            get(),
            vec![Ok(())],
            vec![debug(), start(), body()],
        ),
        (
            &["EXT-01", "SCOPE-19"],
            get(),
            vec![Err(SendError::File {
                path: "/srv/file".into(),
                reason: Arc::new(std::io::ErrorKind::NotFound.into()),
            })],
            vec![
                Do::Send(callgate::HttpResponsePathSend::new("/srv/file").into()),
                start(),
                body(),
            ],
        ),
        (
            &["SCOPE-19"],
            offering,
            vec![Err(SendError::NotOffered(Feature::Debug))],
            vec![debug(), start(), body()],
        ),
    ];
    for (expected, scope, answers, steps) in cases {
        let (found, _) = reported_rules(script(steps), scope, results(answers)).await;
        assert_eq!(found, expected);
    }
}

#[tokio::test]
async fn a_server_that_takes_events_after_the_return_is_reported() {
    let (task, joined) = tokio::sync::oneshot::channel();
    let task = Mutex::new(Some(task));
    let app = move |_: Scope, _: Receiver, sender: Sender| {
        let task = task.lock().unwrap().take().unwrap();
        async move {
            sender.send(HttpResponseStart::ok()).await?;
            sender.send(HttpResponseBody::end()).await?;
            let _ = task.send(sender);
            Ok(())
        }
    };
    let reports: Arc<Mutex<Vec<&'static str>>> = Arc::default();
    let sink = reports.clone();
    let lint = Lint::new(app).report_to(move |it| sink.lock().unwrap().push(it.violation.rule.id));
    let channel = Arc::new(Server::default());
    lint.call(
        get().into(),
        Receiver::new(channel.clone()),
        Sender::new(channel),
    )
    .await
    .unwrap();
    let sender: Sender = joined.await.unwrap();
    sender.send(HttpResponseBody::end()).await.unwrap();
    assert_eq!(*reports.lock().unwrap(), ["CORE-11"]);
}

/// A client may disconnect between any two messages, and the application learns it from a send.
#[tokio::test]
async fn a_send_may_always_fail_because_the_client_is_disconnected() {
    let steps = vec![start(), body(), body()];
    let disconnected = || Err(SendError::Disconnected);
    for sent in 0..2 {
        let mut answers = vec![Ok(()); sent];
        answers.extend([disconnected(), disconnected(), disconnected()]);
        let (found, _) = reported_rules(script(steps.clone()), get(), results(answers)).await;
        assert_eq!(found, [""; 0]);
    }
}

#[test]
fn a_path_send_that_is_at_odds_with_the_head_is_the_application_s_fault() {
    let mut scope = get();
    scope.features = Features::NONE.with(Feature::PathSend);
    for (broken, length) in [
        (rule::NOT_MORE_THAN_LENGTH, "3"),
        (rule::NOT_LESS_THAN_LENGTH, "3"),
    ] {
        let mut model = Model::new(&scope.clone().into());
        let start = HttpResponseStart::ok()
            .header("content-length", length)
            .into();
        assert!(model.sent(&start, &Ok(())).is_empty());
        let file = callgate::HttpResponsePathSend::new("/srv/file").into();
        let result = Err(Violation::new(broken, "the file is of another length").into());
        let found = model.sent(&file, &result);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].rule, broken);
        assert!(model.returned(&Ok(())).is_empty());
    }
}

#[test]
fn a_path_send_ends_the_response() {
    let mut scope = get();
    scope.features = Features::NONE.with(Feature::PathSend);
    let mut model = Model::new(&scope.into());
    let start = HttpResponseStart::ok().header("content-length", "7").into();
    assert!(model.sent(&start, &Ok(())).is_empty());
    let file = callgate::HttpResponsePathSend::new("/srv/file").into();
    assert!(model.sent(&file, &Ok(())).is_empty());
    let body: SendEvent = HttpResponseBody::end().into();
    let found = model.sent(&body, &model.expected_result(&body));
    assert_eq!(found[0].rule, rule::NOTHING_AFTER_END);
}
