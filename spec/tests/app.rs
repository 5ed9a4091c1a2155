//! Tests of the types that are applications, and of their errors.

use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::future::Future as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use callgate::{
    App, AppError, BoxApp, Channel, HttpResponseBody, HttpResponseStart, HttpScope, LifespanScope,
    ReceiveEvent, Receiver, Scope, SendError, SendEvent, SendProgress, Sender, Violation,
    WebSocketAccept, WebSocketScope, rule,
};
use http::{Method, StatusCode};

/// A channel that yields the events of a list and keeps the events that are sent.
#[derive(Default)]
struct Record {
    to_receive: Mutex<VecDeque<ReceiveEvent>>,
    sent: Mutex<Vec<SendEvent>>,
}

impl Channel for Record {
    fn poll_receive(&self, _: &mut Context<'_>) -> Poll<ReceiveEvent> {
        let next = self.to_receive.lock().unwrap().pop_front();
        Poll::Ready(next.unwrap_or(ReceiveEvent::HttpDisconnect))
    }

    fn poll_ready(&self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn start_send(&self, event: SendEvent) -> Result<SendProgress, SendError> {
        self.sent.lock().unwrap().push(event);
        Ok(SendProgress::Sent)
    }
}

fn http_scope() -> Scope {
    HttpScope::new(Method::GET, "/".parse().unwrap()).into()
}

/// Calls `app` and returns the events that it sent.
async fn call(app: impl App) -> Result<Vec<SendEvent>, AppError> {
    let record = Arc::new(Record::default());
    let (receiver, sender) = (Receiver::new(record.clone()), Sender::new(record.clone()));
    app.call(http_scope(), receiver, sender).await?;
    let sent = std::mem::take(&mut *record.sent.lock().unwrap());
    Ok(sent)
}

fn no_content() -> SendEvent {
    HttpResponseStart::new(StatusCode::NO_CONTENT).into()
}

async fn function(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
    scope.into_http()?;
    sender.send(no_content()).await?;
    sender.send(HttpResponseBody::end()).await?;
    Ok(())
}

/// An application with fields of its own.
struct OneEvent {
    event: SendEvent,
}

impl App for OneEvent {
    async fn call(&self, _: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
        sender.send(self.event.clone()).await?;
        sender.send(HttpResponseBody::end()).await?;
        Ok(())
    }
}

fn expected() -> Vec<SendEvent> {
    vec![no_content(), HttpResponseBody::end().into()]
}

#[tokio::test]
async fn an_async_function_is_an_application() {
    assert_eq!(call(function).await.unwrap(), expected());
}

#[tokio::test]
async fn a_type_with_an_async_method_is_an_application() {
    let app = OneEvent {
        event: no_content(),
    };
    assert_eq!(call(app).await.unwrap(), expected());
}

#[tokio::test]
async fn a_closure_that_returns_a_future_is_an_application() {
    let event = no_content();
    let closure = move |_: Scope, _: Receiver, sender: Sender| {
        let event = event.clone();
        async move {
            sender.send(event).await?;
            sender.send(HttpResponseBody::end()).await?;
            Ok::<(), AppError>(())
        }
    };
    assert_eq!(call(closure).await.unwrap(), expected());
}

#[tokio::test]
async fn an_async_closure_that_captures_nothing_is_an_application() {
    let closure = async |scope: Scope, receiver: Receiver, sender: Sender| {
        function(scope, receiver, sender).await
    };
    assert_eq!(call(closure).await.unwrap(), expected());
}

#[tokio::test]
async fn an_arc_of_an_application_is_an_application() {
    assert_eq!(call(Arc::new(function)).await.unwrap(), expected());
    let app = OneEvent {
        event: no_content(),
    };
    assert_eq!(call(Arc::new(app)).await.unwrap(), expected());
}

#[tokio::test]
async fn a_boxed_application_is_an_application_and_clones_share_it() {
    let app = BoxApp::new(OneEvent {
        event: no_content(),
    });
    assert_eq!(call(app.clone()).await.unwrap(), expected());
    assert_eq!(call(BoxApp::new(app)).await.unwrap(), expected());
}

#[tokio::test]
async fn the_future_of_a_boxed_application_can_move_to_another_task() {
    let record = Arc::new(Record::default());
    let future = {
        let app = BoxApp::new(function);
        let (receiver, sender) = (Receiver::new(record.clone()), Sender::new(record.clone()));
        app.call_boxed(http_scope(), receiver, sender)
    };
    tokio::spawn(future).await.unwrap().unwrap();
    assert_eq!(*record.sent.lock().unwrap(), expected());
}

#[tokio::test]
async fn an_application_can_decline_a_scope() {
    let record = Arc::new(Record::default());
    let (receiver, sender) = (Receiver::new(record.clone()), Sender::new(record.clone()));
    let scope = LifespanScope::new().into();
    let result = function(scope, receiver, sender).await;
    assert!(matches!(result, Err(AppError::Unsupported)));
}

#[tokio::test]
async fn clones_of_a_sender_send_on_the_same_exchange_from_other_tasks() {
    let app = async |_: Scope, _: Receiver, sender: Sender| {
        sender.send(no_content()).await?;
        let other = sender.clone();
        tokio::spawn(async move { other.send(HttpResponseBody::end()).await })
            .await
            .map_err(AppError::failed)??;
        Ok::<(), AppError>(())
    };
    assert_eq!(call(app).await.unwrap(), expected());
}

#[tokio::test]
async fn a_receiver_yields_the_events_of_its_channel_in_order() {
    let record = Arc::new(Record::default());
    record
        .to_receive
        .lock()
        .unwrap()
        .push_back(ReceiveEvent::WebSocketConnect);
    let mut receiver = Receiver::new(record);
    assert_eq!(receiver.receive().await, ReceiveEvent::WebSocketConnect);
    assert_eq!(receiver.receive().await, ReceiveEvent::HttpDisconnect);
    assert_eq!(receiver.receive().await, ReceiveEvent::HttpDisconnect);
}

#[test]
fn a_scope_of_another_kind_is_unsupported() {
    let websocket = || Scope::from(WebSocketScope::new("/".parse().unwrap()));
    let lifespan = || Scope::from(LifespanScope::new());
    let unknown = || Scope::Unknown("later".into());
    for declined in [
        http_scope().into_websocket().err(),
        http_scope().into_lifespan().err(),
        websocket().into_http().err(),
        websocket().into_lifespan().err(),
        lifespan().into_http().err(),
        unknown().into_http().err(),
        unknown().into_lifespan().err(),
    ] {
        assert!(
            matches!(declined, Some(AppError::Unsupported)),
            "{declined:?}"
        );
    }
    assert_eq!(http_scope().into_http().unwrap().method, Method::GET);
    assert_eq!(websocket().into_websocket().unwrap().path(), "/");
    lifespan().into_lifespan().unwrap();
}

#[test]
fn header_appends_and_set_header_replaces() {
    let start = HttpResponseStart::ok()
        .header("vary", "accept")
        .header("vary", "cookie")
        .header("x-limit", 10);
    let values: Vec<_> = start.headers.get_all("vary").iter().collect();
    assert_eq!(values, ["accept", "cookie"]);
    assert_eq!(start.headers["x-limit"], "10");
    let start = start.set_header("vary", "*");
    let values: Vec<_> = start.headers.get_all("vary").iter().collect();
    assert_eq!(values, ["*"]);
    let accept = WebSocketAccept::new()
        .header("x-a", "1")
        .set_header("x-a", "2");
    assert_eq!(accept.headers.len(), 1);
    assert_eq!(accept.headers["x-a"], "2");
}

#[test]
fn the_extensions_of_a_request_become_those_of_its_scope() {
    let request = http::Request::get("/").extension(7_u8).body(()).unwrap();
    let scope = HttpScope::from_parts(request.into_parts().0);
    assert_eq!(scope.extensions.get::<u8>(), Some(&7));
    let mut passed_on = Scope::from(scope.clone());
    passed_on
        .request_mut()
        .unwrap()
        .extensions
        .insert("of one exchange");
    assert!(scope.extensions.get::<&str>().is_none());
    assert_eq!(passed_on, scope.into(), "extensions are not compared");
}

/// A channel that is ready on demand, and counts its calls.
#[derive(Default)]
struct Slow {
    is_ready: AtomicBool,
    waiting: Mutex<Vec<Waker>>,
    polls: AtomicUsize,
    sent: Mutex<Vec<SendEvent>>,
}

impl Channel for Slow {
    fn poll_receive(&self, _: &mut Context<'_>) -> Poll<ReceiveEvent> {
        Poll::Pending
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.polls.fetch_add(1, Ordering::SeqCst);
        if self.is_ready.load(Ordering::SeqCst) {
            return Poll::Ready(());
        }
        self.waiting.lock().unwrap().push(cx.waker().clone());
        Poll::Pending
    }

    fn start_send(&self, event: SendEvent) -> Result<SendProgress, SendError> {
        self.sent.lock().unwrap().push(event);
        Ok(SendProgress::Sent)
    }
}

#[tokio::test]
async fn an_event_is_handed_over_once_however_often_readiness_is_polled() {
    let channel = Arc::new(Slow::default());
    let sender = Sender::new(channel.clone());
    let mut sending = Box::pin(sender.send(no_content()));
    for _ in 0..3 {
        let mut cx = Context::from_waker(Waker::noop());
        assert!(sending.as_mut().poll(&mut cx).is_pending());
        assert!(channel.sent.lock().unwrap().is_empty());
    }
    channel.is_ready.store(true, Ordering::SeqCst);
    sending.await.unwrap();
    assert_eq!(channel.polls.load(Ordering::SeqCst), 4);
    assert_eq!(*channel.sent.lock().unwrap(), [no_content()]);
}

#[tokio::test]
async fn a_send_that_is_dropped_before_there_is_room_has_no_effect() {
    let channel = Arc::new(Slow::default());
    let sender = Sender::new(channel.clone());
    let mut sending = Box::pin(sender.send(no_content()));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(sending.as_mut().poll(&mut cx).is_pending());
    drop(sending);
    channel.is_ready.store(true, Ordering::SeqCst);
    sender.send(HttpResponseBody::end()).await.unwrap();
    assert_eq!(
        *channel.sent.lock().unwrap(),
        [HttpResponseBody::end().into()]
    );
}

// Errors

/// An error of an application's own.
#[derive(Debug)]
struct OutOfStock;

impl fmt::Display for OutOfStock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("out of stock")
    }
}

impl Error for OutOfStock {}

#[test]
fn any_standard_error_converts_with_a_question_mark() {
    fn own() -> Result<(), AppError> {
        Err(OutOfStock)?
    }
    fn standard() -> Result<u8, AppError> {
        Ok("x".parse::<u8>()?)
    }
    let error = own().unwrap_err();
    assert_eq!(error.to_string(), "out of stock");
    let AppError::Failed(inner) = error else {
        panic!("{error:?}");
    };
    assert!(inner.is::<OutOfStock>());
    assert!(matches!(standard(), Err(AppError::Failed(_))));
}

#[test]
fn a_send_error_keeps_its_kind() {
    fn pass_on(error: SendError) -> Result<(), AppError> {
        Err(error)?
    }
    let gone = pass_on(SendError::Disconnected).unwrap_err();
    assert!(gone.is_disconnected());
    let violation = Violation::new(rule::START_ONCE, "twice");
    let broken = pass_on(violation.into()).unwrap_err();
    assert!(!broken.is_disconnected());
    assert!(
        matches!(&broken, AppError::Send(error) if error.rule() == Some(rule::START_ONCE)),
        "{broken:?}"
    );
}

#[test]
fn an_error_whose_source_is_a_disconnect_is_a_disconnect() {
    #[derive(Debug)]
    struct Wrapped(SendError);

    impl fmt::Display for Wrapped {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("cannot send the next part")
        }
    }

    impl Error for Wrapped {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    assert!(AppError::from(Wrapped(SendError::Disconnected)).is_disconnected());
    let once = std::io::Error::other(SendError::Disconnected);
    assert!(AppError::from(once).is_disconnected());
    let twice = std::io::Error::other(Wrapped(SendError::Disconnected));
    assert!(AppError::from(twice).is_disconnected());
    let unrelated = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
    assert!(!AppError::from(unrelated).is_disconnected());
    let violation = Violation::new(rule::START_ONCE, "twice");
    assert!(!AppError::from(Wrapped(violation.into())).is_disconnected());
    assert!(!AppError::from(OutOfStock).is_disconnected());
    assert!(!AppError::Unsupported.is_disconnected());
}

#[test]
fn texts_and_boxed_errors_are_failures_too() {
    assert_eq!(AppError::failed("no luck").to_string(), "no luck");
    let boxed: Box<dyn Error + Send + Sync> = Box::new(OutOfStock);
    assert_eq!(AppError::failed(boxed).to_string(), "out of stock");
    let boxed: Box<dyn Error + Send + Sync> = Box::new(SendError::Disconnected);
    assert!(matches!(
        AppError::failed(boxed),
        AppError::Send(SendError::Disconnected)
    ));
}

#[test]
fn a_violation_names_its_rule_the_detail_and_the_sentence() {
    let error = SendError::from(Violation::new(rule::START_ONCE, "it was started twice"));
    assert_eq!(
        error.to_string(),
        format!(
            "HTTP-15: it was started twice ({})",
            rule::START_ONCE.sentence
        )
    );
}
