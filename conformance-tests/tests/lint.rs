//! `Lint`, between applications and servers of which one misbehaves.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use callgate::rule::Role;
use callgate::{
    App, AppError, BoxApp, Channel, Extension, Extensions, HttpRequest, HttpResponseBody,
    HttpResponseStart, HttpScope, LifespanScope, LifespanStartupComplete, Message, ReceiveEvent,
    Receiver, Scheme, Scope, SendError, SendEvent, Sender, TlsInfo, Violation, WebSocketAccept,
    WebSocketClose, WebSocketDisconnect, WebSocketScope, rule,
};
use callgate_conformance::{Lint, Model};
use http::{HeaderValue, Method, Version};

/// A server that yields these events, and then nothing, and answers sends with these results, and
/// then with success.
#[derive(Default)]
struct Server {
    events: Mutex<VecDeque<ReceiveEvent>>,
    results: Mutex<VecDeque<Result<(), SendError>>>,
    sent: Mutex<Vec<SendEvent>>,
    /// Leaves each send pending once, to be polled again.
    is_slow: bool,
    polled: Mutex<bool>,
}

impl Channel for Server {
    fn poll_receive(&self, _: &mut Context<'_>) -> Poll<ReceiveEvent> {
        match self.events.lock().unwrap().pop_front() {
            Some(event) => Poll::Ready(event),
            None => Poll::Pending,
        }
    }

    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        event: &mut Option<SendEvent>,
    ) -> Poll<Result<(), SendError>> {
        let mut polled = self.polled.lock().unwrap();
        *polled ^= self.is_slow;
        if *polled {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let result = self.results.lock().unwrap().pop_front().unwrap_or(Ok(()));
        if result.is_ok() {
            self.sent.lock().unwrap().extend(event.take());
        }
        Poll::Ready(result)
    }
}

/// What an application does, step by step, in every exchange.
#[derive(Clone)]
enum Do {
    Receive,
    Send(SendEvent),
}

fn script(steps: Vec<Do>) -> BoxApp {
    BoxApp::new(move |_: Scope, mut receiver: Receiver, sender: Sender| {
        let steps = steps.clone();
        async move {
            for step in steps {
                match step {
                    Do::Receive => drop(receiver.receive().await),
                    Do::Send(event) => drop(sender.send(event).await),
                }
            }
            Ok(())
        }
    })
}

/// The rules that `lint` complains of when this server calls it with this scope.
async fn complaints(
    app: impl App,
    scope: impl Into<Scope>,
    server: Server,
) -> (Vec<&'static str>, Result<(), AppError>) {
    let complaints: Arc<Mutex<Vec<&'static str>>> = Arc::default();
    let told = complaints.clone();
    let lint = Lint::new(app).report_to(move |it| told.lock().unwrap().push(it.violation.rule.id));
    let count = lint.count();
    let channel = Arc::new(server);
    let result = lint
        .call(
            scope.into(),
            Receiver::new(channel.clone()),
            Sender::new(channel),
        )
        .await;
    let complaints = complaints.lock().unwrap().clone();
    assert_eq!(count.total(), complaints.len() as u64);
    (complaints, result)
}

fn get() -> HttpScope {
    let mut scope = HttpScope::new(Method::GET, "/".parse().unwrap());
    scope
        .headers
        .insert("host", HeaderValue::from_static("localhost"));
    scope
}

fn post(length: &'static str) -> HttpScope {
    let mut scope = get();
    scope.method = Method::POST;
    let length = HeaderValue::from_static(length);
    scope.headers.insert("content-length", length);
    scope
}

fn websocket() -> WebSocketScope {
    let mut scope = WebSocketScope::new("/".parse().unwrap());
    scope
        .headers
        .insert("host", HeaderValue::from_static("localhost"));
    scope
}

fn part(body: &'static str) -> ReceiveEvent {
    ReceiveEvent::HttpRequest(HttpRequest::part(body))
}

fn last(body: &'static str) -> ReceiveEvent {
    ReceiveEvent::HttpRequest(HttpRequest::last(body))
}

fn text() -> ReceiveEvent {
    ReceiveEvent::WebSocketReceive(Message::text("hello"))
}

fn over(code: u16) -> ReceiveEvent {
    ReceiveEvent::WebSocketDisconnect(WebSocketDisconnect::new(code))
}

fn start() -> Do {
    Do::Send(HttpResponseStart::ok().into())
}

fn body() -> Do {
    Do::Send(HttpResponseBody::last("content").into())
}

fn accept() -> Do {
    Do::Send(WebSocketAccept::new().into())
}

fn close() -> Do {
    Do::Send(WebSocketClose::new(4000).into())
}

fn complete() -> Do {
    Do::Send(LifespanStartupComplete::new().into())
}

fn events(events: Vec<ReceiveEvent>) -> Server {
    Server {
        events: Mutex::new(events.into()),
        ..Server::default()
    }
}

fn results(results: Vec<Result<(), SendError>>) -> Server {
    Server {
        results: Mutex::new(results.into()),
        ..Server::default()
    }
}

fn broken(rule: &'static rule::Rule) -> Result<(), SendError> {
    Err(Violation::new(rule, "it says").into())
}

/// Servers that each break a rule in what they yield: the rule, scope, events, and what the
/// application does.
fn disorderly() -> Vec<(&'static str, Scope, Vec<ReceiveEvent>, Vec<Do>)> {
    let receive = |times| vec![Do::Receive; times];
    let connect = ReceiveEvent::WebSocketConnect;
    let then = |mut steps: Vec<Do>, more: Vec<Do>| {
        steps.extend(more);
        steps
    };
    let answer = || vec![start(), body()];
    let start_up = ReceiveEvent::LifespanStartup;
    let shutdown = ReceiveEvent::LifespanShutdown;
    let shut_down = || Do::Send(SendEvent::LifespanShutdownComplete);
    vec![
        (
            "CORE-01",
            get().into(),
            vec![connect.clone()],
            then(receive(1), answer()),
        ),
        (
            "CORE-01",
            LifespanScope::new().into(),
            vec![start_up.clone(), last(""), shutdown.clone()],
            vec![
                Do::Receive,
                complete(),
                Do::Receive,
                Do::Receive,
                shut_down(),
            ],
        ),
        (
            "HTTP-01",
            get().into(),
            vec![last(""), last("")],
            then(receive(2), answer()),
        ),
        (
            "HTTP-01",
            post("3").into(),
            vec![last("four")],
            then(receive(1), answer()),
        ),
        (
            "HTTP-07",
            post("30").into(),
            vec![last("four")],
            then(receive(1), answer()),
        ),
        (
            "HTTP-06",
            get().into(),
            vec![
                ReceiveEvent::HttpRequest(HttpRequest::part("").trailers(http::HeaderMap::new())),
                last(""),
            ],
            then(receive(2), answer()),
        ),
        (
            "CORE-12",
            get().into(),
            vec![ReceiveEvent::HttpDisconnect, last("")],
            receive(2),
        ),
        (
            "CORE-12",
            websocket().into(),
            vec![connect.clone(), over(1001), over(1006)],
            receive(3),
        ),
        (
            "WS-01",
            websocket().into(),
            vec![text()],
            vec![accept(), Do::Receive],
        ),
        (
            "WS-01",
            websocket().into(),
            vec![connect.clone(), connect.clone()],
            vec![Do::Receive, accept(), Do::Receive],
        ),
        (
            "WS-02",
            websocket().into(),
            vec![connect.clone(), text()],
            vec![Do::Receive, Do::Receive, accept()],
        ),
        (
            "WS-24",
            websocket().into(),
            vec![connect.clone(), over(1000)],
            vec![Do::Receive, accept(), close(), Do::Receive],
        ),
        (
            "WS-24",
            websocket().into(),
            vec![connect.clone(), text()],
            vec![Do::Receive, accept(), close(), Do::Receive],
        ),
        (
            "LIFE-02",
            LifespanScope::new().into(),
            vec![start_up.clone(), start_up.clone(), shutdown.clone()],
            vec![
                Do::Receive,
                Do::Receive,
                complete(),
                Do::Receive,
                shut_down(),
            ],
        ),
        (
            "LIFE-08",
            LifespanScope::new().into(),
            vec![start_up, shutdown.clone(), shutdown],
            vec![
                Do::Receive,
                complete(),
                Do::Receive,
                Do::Receive,
                shut_down(),
            ],
        ),
    ]
}

#[tokio::test]
async fn a_server_whose_events_are_out_of_order_is_reported_for_the_rule_and_no_other() {
    for (id, scope, received, steps) in disorderly() {
        let (found, _) = complaints(script(steps), scope, events(received)).await;
        assert_eq!(found, [id]);
    }
}

#[tokio::test]
async fn a_server_that_goes_on_after_a_violation_is_reported() {
    let steps = vec![body(), Do::Receive];
    let server = Server {
        events: Mutex::new([part("")].into()),
        results: Mutex::new([broken(rule::START_FIRST)].into()),
        ..Server::default()
    };
    let (found, _) = complaints(script(steps), get(), server).await;
    assert_eq!(found, ["HTTP-14", "CORE-21"]);
}

#[tokio::test]
async fn a_server_that_answers_sends_wrongly_is_reported_for_the_rule() {
    let gone = || Err(SendError::Disconnected);
    let mut offering = get();
    offering.extensions = Extensions::NONE.with(Extension::Debug);
    let debug = || Do::Send(callgate::HttpDebug::default().into());
    let cases: Vec<(&[&str], HttpScope, _, Vec<Do>)> = vec![
        (
            &["CORE-03"],
            get(),
            vec![gone()],
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
            vec![Ok(()), Ok(()), gone()],
            vec![start(), body(), body()],
        ),
        (
            &["HTTP-15", "CORE-05"],
            get(),
            vec![Ok(()), broken(rule::START_ONCE), gone()],
            vec![start(), start(), body()],
        ),
        (
            &["EXT-01", "EXT-02"],
            get(),
            vec![Ok(())],
            vec![debug(), start(), body()],
        ),
        (
            &["SCOPE-19"],
            offering,
            vec![Err(SendError::NotOffered(Extension::Debug))],
            vec![debug(), start(), body()],
        ),
    ];
    for (expected, scope, answers, steps) in cases {
        let (found, _) = complaints(script(steps), scope, results(answers)).await;
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
    let complaints: Arc<Mutex<Vec<&'static str>>> = Arc::default();
    let told = complaints.clone();
    let lint = Lint::new(app).report_to(move |it| told.lock().unwrap().push(it.violation.rule.id));
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
    assert_eq!(*complaints.lock().unwrap(), ["CORE-11"]);
}

/// Scopes that each break a rule.
fn scopes() -> Vec<(&'static str, Scope)> {
    let with = |change: &dyn Fn(&mut HttpScope)| {
        let mut scope = get();
        change(&mut scope);
        Scope::from(scope)
    };
    let value = HeaderValue::from_static;
    let secured = |tls: TlsInfo| {
        with(&|scope| {
            scope.scheme = Scheme::Https;
            scope.extensions = Extensions::NONE.with(Extension::Tls);
            scope.tls = Some(Arc::new(tls.clone()));
        })
    };
    let mut old_tls = TlsInfo::default();
    old_tls.tls_version = Some(13);
    let mut chain = TlsInfo::default();
    chain.client_cert_chain = vec!["MIIB".to_owned()];
    let mut subprotocols = websocket();
    subprotocols
        .headers
        .insert("sec-websocket-protocol", value("a, b"));
    subprotocols.subprotocols = vec!["b".into(), "a".into()];
    let mut version = websocket();
    version.headers.insert("sec-websocket-version", value("8"));
    let mut trailers = websocket();
    trailers.extensions = Extensions::NONE.with(Extension::ResponseTrailers);
    trailers.version = Version::HTTP_2;
    vec![
        (
            "SCOPE-02",
            with(&|scope| scope.uri = "http://localhost/".parse().unwrap()),
        ),
        ("SCOPE-04", with(&|scope| scope.uri = "*".parse().unwrap())),
        (
            "SCOPE-05",
            with(&|scope| scope.uri = "/%zz".parse().unwrap()),
        ),
        (
            "SCOPE-09",
            with(&|scope| {
                scope.version = Version::HTTP_2;
                scope.headers.append("cookie", value("a=1"));
                scope.headers.append("cookie", value("b=2"));
            }),
        ),
        ("SCOPE-12", with(&|scope| scope.version = Version::HTTP_09)),
        ("SCOPE-15", with(&|scope| scope.root_path = "/api".into())),
        ("SCOPE-19", trailers.into()),
        (
            "SCOPE-19",
            with(&|scope| {
                scope.scheme = Scheme::Https;
                scope.extensions = Extensions::NONE.with(Extension::Tls);
            }),
        ),
        (
            "SCOPE-20",
            with(&|scope| drop(scope.headers.remove("host"))),
        ),
        ("SCOPE-21", with(&|scope| scope.method = Method::CONNECT)),
        ("SCOPE-22", subprotocols.into()),
        (
            "HTTP-43",
            with(&|scope| {
                scope.headers.append("content-length", value("0"));
                scope.headers.append("content-length", value("1"));
            }),
        ),
        (
            "HTTP-45",
            with(&|scope| drop(scope.headers.insert("transfer-encoding", value("gzip")))),
        ),
        ("WS-28", version.into()),
        (
            "EXT-15",
            with(&|scope| {
                scope.extensions = Extensions::NONE.with(Extension::ResponseTrailers);
            }),
        ),
        (
            "TLS-01",
            with(&|scope| {
                scope.extensions = Extensions::NONE.with(Extension::Tls);
                scope.tls = Some(Arc::default());
            }),
        ),
        ("TLS-02", secured(old_tls)),
        ("TLS-03", secured(chain)),
    ]
}

#[tokio::test]
async fn a_scope_that_breaks_a_rule_is_reported_for_it_and_no_other() {
    for (id, scope) in scopes() {
        let decline = |_: Scope, _: Receiver, _: Sender| async { Err(AppError::Unsupported) };
        let (found, _) = complaints(decline, scope.clone(), Server::default()).await;
        assert_eq!(found, [id], "{scope:?}");
    }
}

#[tokio::test]
async fn what_keeps_the_rules_is_passed_through_as_it_is() {
    let echo = |_: Scope, mut receiver: Receiver, sender: Sender| async move {
        sender
            .send(HttpResponseStart::ok().header("x-a", "1"))
            .await?;
        loop {
            match receiver.receive().await {
                ReceiveEvent::HttpRequest(request) => {
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
async fn violations_are_counted_by_who_is_to_blame() {
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
    assert_eq!(violation.rule, rule::REQUEST_BODY);
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

/// What another task breaks ends a call that waits for something else.
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
    let complaints: Arc<Mutex<Vec<String>>> = Arc::default();
    let told = complaints.clone();
    let app = |_: Scope, _: Receiver, _: Sender| async { panic!("on purpose") };
    let lint = Lint::new(app).report_to(move |it| {
        let line = format!("{}: {}", it.exchange, it.violation.rule.id);
        told.lock().unwrap().push(line);
    });
    let channel = Arc::new(Server::default());
    let call = tokio::spawn(async move {
        let ends = (Receiver::new(channel.clone()), Sender::new(channel));
        lint.call(get().into(), ends.0, ends.1).await
    });
    assert!(call.await.unwrap_err().is_panic());
    assert_eq!(*complaints.lock().unwrap(), ["GET /: CORE-19"]);
}

#[tokio::test]
async fn a_call_that_is_dropped_at_once_is_nobody_s_fault() {
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
        _ = call => panic!("it does not end"),
        () = std::future::ready(()) => {}
    }
    assert_eq!(count.total(), 0);
}

/// A client may go away between any two messages, and the application learns it when it sends.
#[tokio::test]
async fn a_send_may_always_fail_because_the_client_is_gone() {
    let steps = vec![start(), body(), body()];
    let gone = || Err(SendError::Disconnected);
    for sent in 0..2 {
        let mut answers = vec![Ok(()); sent];
        answers.extend([gone(), gone(), gone()]);
        let (found, _) = complaints(script(steps.clone()), get(), results(answers)).await;
        assert_eq!(found, [""; 0]);
    }
}

#[test]
fn a_path_send_that_is_at_odds_with_the_head_is_the_application_s_fault() {
    let mut scope = get();
    scope.extensions = Extensions::NONE.with(Extension::PathSend);
    for (broken, length) in [
        (rule::NOT_MORE_THAN_LENGTH, "3"),
        (rule::NOT_LESS_THAN_LENGTH, "3"),
    ] {
        let mut model = Model::new(&scope.clone().into());
        let start = HttpResponseStart::ok()
            .header("content-length", length)
            .into();
        assert!(model.sent(&start, &Ok(())).is_empty());
        let file = callgate::HttpPathSend::new("/srv/file").into();
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
    scope.extensions = Extensions::NONE.with(Extension::PathSend);
    let mut model = Model::new(&scope.into());
    let start = HttpResponseStart::ok().header("content-length", "7").into();
    assert!(model.sent(&start, &Ok(())).is_empty());
    let file = callgate::HttpPathSend::new("/srv/file").into();
    assert!(model.sent(&file, &Ok(())).is_empty());
    let body: SendEvent = HttpResponseBody::end().into();
    let found = model.sent(&body, &model.answer(&body));
    assert_eq!(found[0].rule, rule::NOTHING_AFTER_END);
}
