//! Sends back the content of a request while it arrives, and each message of a WebSocket.

use callgate::{
    AppError, BoxApp, HttpResponseBody, HttpResponseStart, HttpScope, ReceiveEvent, Receiver,
    Scope, Sender, WebSocketAccept, WebSocketScope,
};
use http::header::CONTENT_TYPE;

use crate::{Entry, Group};

/// The entry of `echo` in the list of applications.
pub const ENTRY: Entry = Entry {
    name: "echo",
    group: Group::Protocol,
    summary: "Sends back the content of a request while it arrives; over a WebSocket, each message.",
    try_it: &[
        "curl -sNT . {http}",
        "curl -d 'Hello, echo!' {http}",
        "python -m websockets {ws}",
    ],
    service: None,
    source: include_str!("echo.rs"),
    app: |_| BoxApp::new(echo),
};

/// Sends back the content of a request, or the messages of a WebSocket.
///
/// # Errors
///
/// Returns [`AppError::Unsupported`] for lifespan, and the error of a send that fails.
pub async fn echo(scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    match scope {
        Scope::Http(scope) => echo_content(&scope, receiver, sender).await,
        Scope::WebSocket(scope) => echo_messages(&scope, receiver, sender).await,
        _ => Err(AppError::Unsupported),
    }
}

async fn echo_content(
    scope: &HttpScope,
    mut receiver: Receiver,
    sender: Sender,
) -> Result<(), AppError> {
    let mut start = HttpResponseStart::ok();
    if let Some(content_type) = scope.headers.get(CONTENT_TYPE) {
        start.headers.insert(CONTENT_TYPE, content_type.clone());
    }
    sender.send(start).await?;
    loop {
        match receiver.receive().await {
            ReceiveEvent::HttpRequestBody(request) => {
                let more_body = request.more_body;
                // The send waits for room in the buffer. Until then the next part is not received, so
                // a client that does not read the response is not read from (back-pressure).
                sender
                    .send(HttpResponseBody::new(request.body, more_body))
                    .await?;
                if !more_body {
                    return Ok(());
                }
            }
            ReceiveEvent::HttpDisconnect => return Ok(()),
            _ => {}
        }
    }
}

async fn echo_messages(
    scope: &WebSocketScope,
    mut receiver: Receiver,
    sender: Sender,
) -> Result<(), AppError> {
    loop {
        match receiver.receive().await {
            ReceiveEvent::WebSocketConnect => {
                let mut accept = WebSocketAccept::new();
                // An echo works with every subprotocol: the first is the one that the client prefers.
                accept.subprotocol = scope.subprotocols.first().cloned();
                sender.send(accept).await?;
            }
            ReceiveEvent::WebSocketReceive(message) => sender.send(message).await?,
            ReceiveEvent::WebSocketDisconnect(_) => return Ok(()),
            _ => {}
        }
    }
}
