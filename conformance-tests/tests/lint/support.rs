//! Scripted servers and applications.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use callgate::{
    App, AppError, BoxApp, Channel, Feature, HttpRequestBody, HttpResponseBody, HttpResponseStart,
    HttpScope, LifespanStartupComplete, Message, ReceiveEvent, Receiver, Scope, SendError,
    SendEvent, SendProgress, Sender, Violation, WebSocketAccept, WebSocketClose,
    WebSocketDisconnect, WebSocketScope, rule,
};
use callgate_conformance::Lint;
use http::{HeaderValue, Method};

/// A server that yields these events and then none, and whose sends have these results and then
/// succeed.
#[derive(Default)]
pub(crate) struct Server {
    pub(crate) events: Mutex<VecDeque<ReceiveEvent>>,
    pub(crate) results: Mutex<VecDeque<Result<(), SendError>>>,
    pub(crate) sent: Mutex<Vec<SendEvent>>,
    /// Whether each send is pending at its first poll.
    pub(crate) is_slow: bool,
    pub(crate) was_polled: Mutex<bool>,
    /// Whether a path send is pending at first.
    pub(crate) opens_files_slowly: bool,
}

impl Channel for Server {
    fn poll_receive(&self, _: &mut Context<'_>) -> Poll<ReceiveEvent> {
        match self.events.lock().unwrap().pop_front() {
            Some(event) => Poll::Ready(event),
            None => Poll::Pending,
        }
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut was_polled = self.was_polled.lock().unwrap();
        *was_polled ^= self.is_slow;
        if *was_polled {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    fn start_send(&self, event: SendEvent) -> Result<SendProgress, SendError> {
        let result = self.results.lock().unwrap().pop_front().unwrap_or(Ok(()));
        if result.is_ok() {
            self.sent.lock().unwrap().push(event.clone());
        }
        if let (SendEvent::HttpResponsePathSend(_), true) = (&event, self.opens_files_slowly) {
            return Ok(SendProgress::Pending(Box::pin(async {
                tokio::task::yield_now().await;
                result
            })));
        }
        result.map(|()| SendProgress::Sent)
    }
}

/// A step of an application.
#[derive(Clone)]
pub(crate) enum Do {
    Receive,
    Send(SendEvent),
}

pub(crate) fn script(steps: Vec<Do>) -> BoxApp {
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

/// Returns the rules that a lint reports when this server calls it with this scope.
pub(crate) async fn reported_rules(
    app: impl App,
    scope: impl Into<Scope>,
    server: Server,
) -> (Vec<&'static str>, Result<(), AppError>) {
    let reports: Arc<Mutex<Vec<&'static str>>> = Arc::default();
    let sink = reports.clone();
    let lint = Lint::new(app).report_to(move |it| sink.lock().unwrap().push(it.violation.rule.id));
    let count = lint.count();
    let channel = Arc::new(server);
    let result = lint
        .call(
            scope.into(),
            Receiver::new(channel.clone()),
            Sender::new(channel),
        )
        .await;
    let reports = reports.lock().unwrap().clone();
    assert_eq!(count.total(), reports.len() as u64);
    (reports, result)
}

pub(crate) fn get() -> HttpScope {
    let mut scope = HttpScope::new(Method::GET, "/".parse().unwrap());
    scope
        .headers
        .insert("host", HeaderValue::from_static("localhost"));
    scope
}

/// Returns the scope of a request on which these features are offered.
pub(crate) fn get_with(features: impl IntoIterator<Item = Feature>) -> HttpScope {
    let mut scope = get();
    scope.features = features.into_iter().collect();
    scope
}

pub(crate) fn post(length: &'static str) -> HttpScope {
    let mut scope = get();
    scope.method = Method::POST;
    let length = HeaderValue::from_static(length);
    scope.headers.insert("content-length", length);
    scope
}

pub(crate) fn websocket() -> WebSocketScope {
    let mut scope = WebSocketScope::new("/".parse().unwrap());
    scope
        .headers
        .insert("host", HeaderValue::from_static("localhost"));
    scope
}

pub(crate) fn part(body: &'static str) -> ReceiveEvent {
    ReceiveEvent::HttpRequestBody(HttpRequestBody::part(body))
}

pub(crate) fn last(body: &'static str) -> ReceiveEvent {
    ReceiveEvent::HttpRequestBody(HttpRequestBody::last(body))
}

pub(crate) fn text() -> ReceiveEvent {
    ReceiveEvent::WebSocketReceive(Message::text("hello"))
}

pub(crate) fn over(code: u16) -> ReceiveEvent {
    ReceiveEvent::WebSocketDisconnect(WebSocketDisconnect::new(code))
}

pub(crate) fn start() -> Do {
    Do::Send(HttpResponseStart::ok().into())
}

pub(crate) fn body() -> Do {
    Do::Send(HttpResponseBody::last("content").into())
}

pub(crate) fn accept() -> Do {
    Do::Send(WebSocketAccept::new().into())
}

pub(crate) fn close() -> Do {
    Do::Send(WebSocketClose::new(4000).into())
}

pub(crate) fn complete() -> Do {
    Do::Send(LifespanStartupComplete::new().into())
}

pub(crate) fn events(events: Vec<ReceiveEvent>) -> Server {
    Server {
        events: Mutex::new(events.into()),
        ..Server::default()
    }
}

pub(crate) fn results(results: Vec<Result<(), SendError>>) -> Server {
    Server {
        results: Mutex::new(results.into()),
        ..Server::default()
    }
}

pub(crate) fn broken(rule: &'static rule::Rule) -> Result<(), SendError> {
    Err(Violation::new(rule, "reported by the server").into())
}
