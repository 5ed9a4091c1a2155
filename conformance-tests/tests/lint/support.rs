//! Servers and applications by a script.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use callgate::{
    App, AppError, BoxApp, Channel, HttpRequestBody, HttpResponseBody, HttpResponseStart,
    HttpScope, LifespanStartupComplete, Message, ReceiveEvent, Receiver, Scope, SendError,
    SendEvent, Sender, Violation, WebSocketAccept, WebSocketClose, WebSocketDisconnect,
    WebSocketScope, rule,
};
use callgate_conformance::Lint;
use http::{HeaderValue, Method};

/// A server that yields these events, and then nothing, and answers sends with these results, and
/// then with success.
#[derive(Default)]
pub(crate) struct Server {
    pub(crate) events: Mutex<VecDeque<ReceiveEvent>>,
    pub(crate) results: Mutex<VecDeque<Result<(), SendError>>>,
    pub(crate) sent: Mutex<Vec<SendEvent>>,
    /// Leaves each send pending once, to be polled again.
    pub(crate) is_slow: bool,
    pub(crate) polled: Mutex<bool>,
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

/// The rules that `lint` complains of when this server calls it with this scope.
pub(crate) async fn complaints(
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

pub(crate) fn get() -> HttpScope {
    let mut scope = HttpScope::new(Method::GET, "/".parse().unwrap());
    scope
        .headers
        .insert("host", HeaderValue::from_static("localhost"));
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
    Err(Violation::new(rule, "it says").into())
}
