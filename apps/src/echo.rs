//! Sends back what it gets: a request's content as it arrives, a WebSocket's messages one by one.

use callgate::{
    AppError, BoxApp, HttpResponseBody, HttpResponseStart, HttpScope, ReceiveEvent, Receiver,
    Scope, Sender, WebSocketAccept, WebSocketScope,
};
use http::header::CONTENT_TYPE;

use crate::{Entry, Group};

/// What the gallery and the command line know of it.
pub const ENTRY: Entry = Entry {
    name: "echo",
    group: Group::Protocol,
    summary: "Sends back what it gets, while it is still arriving; over a WebSocket, each message.",
    try_it: &[
        "curl -sNT . {http}",
        "curl -d 'Hello, echo!' {http}",
        "python -m websockets {ws}",
    ],
    app: |_| BoxApp::new(echo),
};

/// Sends back what it gets.
///
/// # Errors
///
/// [`AppError::Unsupported`] for lifespan; a failed send.
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
                // Resolves when there is room for more, so that a client which does not read its
                // answer is not read from either.
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
                // An echo speaks every subprotocol: it takes the one that the client likes best.
                accept.subprotocol = scope.subprotocols.first().cloned();
                sender.send(accept).await?;
            }
            ReceiveEvent::WebSocketReceive(message) => sender.send(message).await?,
            ReceiveEvent::WebSocketDisconnect(_) => return Ok(()),
            _ => {}
        }
    }
}
