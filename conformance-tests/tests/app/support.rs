//! Parts of applications.

use callgate::{
    App, AppError, Feature, HttpRequestBody, HttpResponseBody, HttpResponseStart, HttpScope,
    LifespanStartupComplete, ReceiveEvent, Receiver, Scope, SendError, SendEvent, Sender,
    WebSocketAccept, WebSocketScope,
};
use callgate_conformance::{AppOptions, Report, check_app};
use std::time::Duration;

/// Enough for a machine that is busy, and not too long for applications that hang.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

pub(crate) fn report<A: App>(make: impl Fn() -> A + Send + Sync + 'static) -> Report {
    check_app(make, options())
}

pub(crate) fn options() -> AppOptions {
    AppOptions::new().patience(PATIENCE)
}

pub(crate) fn ids(report: &Report) -> Vec<&'static str> {
    report.broken_rules().iter().map(|rule| rule.id).collect()
}

/// The scope of a request; others are declined.
pub(crate) fn http(scope: Scope) -> Result<Box<HttpScope>, AppError> {
    match scope {
        Scope::Http(scope) => Ok(scope),
        _ => Err(AppError::Unsupported),
    }
}

/// The scope of a WebSocket; others are declined.
pub(crate) fn websocket(scope: Scope) -> Result<Box<WebSocketScope>, AppError> {
    match scope {
        Scope::WebSocket(scope) => Ok(scope),
        _ => Err(AppError::Unsupported),
    }
}

pub(crate) async fn answer(
    sender: &Sender,
    content: impl Into<bytes::Bytes>,
) -> Result<(), SendError> {
    sender.send(HttpResponseStart::ok()).await?;
    sender.send(HttpResponseBody::last(content)).await
}

/// As much content as one request may have, in bytes.
const ROOM: usize = 1024 * 1024;

/// The content of the request, as far as there is room for it, or none when the client goes away.
/// Says how many events there were.
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
                if !more_body || content.len() > ROOM {
                    return Some((content, events));
                }
            }
            ReceiveEvent::HttpDisconnect => return None,
            _ => {}
        }
    }
}

/// Accepts, and sends every message back until the WebSocket is over.
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

/// A lifespan as it should be.
pub(crate) async fn live(mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
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
