//! Parts of the applications under test.

use callgate::{
    App, AppError, Feature, HttpRequestBody, HttpResponseBody, HttpResponseStart, HttpScope,
    LifespanShutdownComplete, LifespanStartupComplete, ReceiveEvent, Receiver, Scope, SendError,
    SendEvent, Sender, WebSocketAccept, WebSocketScope,
};
use callgate_conformance::{AppOptions, Report, check_app};
use std::time::Duration;

/// Long enough for a machine under load, and short enough for applications that hang.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(1);

pub(crate) fn report<A: App>(make: impl Fn() -> A + Send + Sync + 'static) -> Report {
    check_app(make, options())
}

pub(crate) fn options() -> AppOptions {
    AppOptions::new().timeout(TIMEOUT)
}

pub(crate) fn ids(report: &Report) -> Vec<&'static str> {
    report.broken_rules().iter().map(|rule| rule.id).collect()
}

/// Returns the scope of a request, or declines.
pub(crate) fn http(scope: Scope) -> Result<Box<HttpScope>, AppError> {
    scope.into_http()
}

/// Returns the scope of a WebSocket, or declines.
pub(crate) fn websocket(scope: Scope) -> Result<Box<WebSocketScope>, AppError> {
    scope.into_websocket()
}

pub(crate) async fn answer(
    sender: &Sender,
    content: impl Into<bytes::Bytes>,
) -> Result<(), SendError> {
    sender.send(HttpResponseStart::ok()).await?;
    sender.send(HttpResponseBody::last(content)).await
}

/// The most content that is read, in bytes.
const MAX_CONTENT: usize = 1024 * 1024;

/// Returns the content of the request, up to the limit, and the number of its events; or `None` if
/// the client disconnects.
pub(crate) async fn content(receiver: &mut Receiver) -> Option<(Vec<u8>, usize)> {
    let mut content = Vec::new();
    let mut events = 0;
    loop {
        match receiver.receive().await {
            ReceiveEvent::HttpRequestBody(HttpRequestBody {
                body, more_body, ..
            }) => {
                events += 1;
                content.extend_from_slice(&body);
                if !more_body || content.len() > MAX_CONTENT {
                    return Some((content, events));
                }
            }
            ReceiveEvent::HttpDisconnect => return None,
            _ => {}
        }
    }
}

/// Accepts a WebSocket and sends every message back until the disconnect.
pub(crate) async fn echo_messages(mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    sender.send(WebSocketAccept::new()).await?;
    loop {
        match receiver.receive().await {
            ReceiveEvent::WebSocketReceive(message) => sender.send(message).await?,
            ReceiveEvent::WebSocketDisconnect(_) => return Ok(()),
            _ => {}
        }
    }
}

/// Waits until this event is received.
pub(crate) async fn wait_for(receiver: &mut Receiver, event: ReceiveEvent) {
    while receiver.receive().await != event {}
}

/// Answers start-up and shutdown.
pub(crate) async fn run_lifespan(mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    wait_for(&mut receiver, ReceiveEvent::LifespanStartup).await;
    sender.send(LifespanStartupComplete::new()).await?;
    wait_for(&mut receiver, ReceiveEvent::LifespanShutdown).await;
    sender
        .send(SendEvent::LifespanShutdownComplete(
            LifespanShutdownComplete::new(),
        ))
        .await?;
    Ok(())
}

pub(crate) fn offers(scope: &HttpScope, feature: Feature) -> bool {
    scope.features.contains(feature)
}
