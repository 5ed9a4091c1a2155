//! The applications of the measurements.

use std::path::PathBuf;

use callgate::{
    App, AppError, HttpResponseBody, HttpResponsePathSend, HttpResponseStart, HttpScope, Message,
    ReceiveEvent, Receiver, Scope, Sender, WebSocketAccept, WebSocketScope,
};
use http::StatusCode;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use tokio::sync::broadcast;

use crate::content::{BINARY, CHUNKS, HELLO, TEXT, WAIT, chunk, large};

/// The application whose paths [`content`](crate::content) lists.
#[derive(Debug)]
pub struct BenchApp {
    directory: PathBuf,
    broadcast: broadcast::Sender<Message>,
}

impl BenchApp {
    /// Creates the application, which sends the files of `directory`, an absolute path.
    #[must_use]
    pub fn new(directory: PathBuf) -> Self {
        Self {
            directory,
            broadcast: broadcast::Sender::new(16),
        }
    }
}

impl App for BenchApp {
    async fn call(&self, scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        match scope {
            Scope::Http(scope) => match scope.uri.path() {
                "/" => send_hello(sender).await,
                // The futures of the other paths are larger, and are boxed so that the first stays small.
                "/echo" => Box::pin(echo_content(&scope, receiver, sender)).await,
                "/large" => Box::pin(send_large(sender)).await,
                "/chunks" => Box::pin(send_chunks(sender)).await,
                "/wait" => {
                    tokio::time::sleep(WAIT).await;
                    send_hello(sender).await
                }
                "/no-content" => {
                    Box::pin(send_without_content(StatusCode::NO_CONTENT, sender)).await
                }
                path => match path.strip_prefix("/file/") {
                    Some(name) => Box::pin(send_file(self.directory.join(name), sender)).await,
                    None => Box::pin(send_without_content(StatusCode::NOT_FOUND, sender)).await,
                },
            },
            Scope::WebSocket(scope) => Box::pin(self.websocket(&scope, receiver, sender)).await,
            _ => Err(AppError::Unsupported),
        }
    }
}

impl BenchApp {
    async fn websocket(
        &self,
        scope: &WebSocketScope,
        receiver: Receiver,
        sender: Sender,
    ) -> Result<(), AppError> {
        if scope.uri.path() == "/broadcast" {
            join_broadcast(&self.broadcast, receiver, sender).await
        } else {
            echo_messages(receiver, sender).await
        }
    }
}

/// Sends [`HELLO`].
///
/// # Errors
///
/// Returns [`AppError::Unsupported`] for a WebSocket and for lifespan, and the error of a send that
/// fails.
pub async fn hello(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
    scope.into_http()?;
    send_hello(sender).await
}

/// Sends back each part of the content as it arrives.
///
/// # Errors
///
/// Returns [`AppError::Unsupported`] for a WebSocket and for lifespan, and the error of a send that
/// fails.
pub async fn echo(scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    let scope = scope.into_http()?;
    echo_content(&scope, receiver, sender).await
}

async fn send_hello(sender: Sender) -> Result<(), AppError> {
    let start = HttpResponseStart::ok().header(CONTENT_TYPE, TEXT);
    sender.send(start).await?;
    sender.send(HttpResponseBody::last(HELLO)).await?;
    Ok(())
}

async fn echo_content(
    scope: &HttpScope,
    mut receiver: Receiver,
    sender: Sender,
) -> Result<(), AppError> {
    let mut start = binary();
    if let Some(length) = scope.headers.get(CONTENT_LENGTH) {
        start.headers.insert(CONTENT_LENGTH, length.clone());
    }
    sender.send(start).await?;
    while let ReceiveEvent::HttpRequestBody(part) = receiver.receive().await {
        let more_body = part.more_body;
        sender
            .send(HttpResponseBody::new(part.body, more_body))
            .await?;
        if !more_body {
            break;
        }
    }
    Ok(())
}

async fn send_large(sender: Sender) -> Result<(), AppError> {
    sender.send(binary()).await?;
    sender.send(HttpResponseBody::last(large())).await?;
    Ok(())
}

async fn send_chunks(sender: Sender) -> Result<(), AppError> {
    sender.send(binary()).await?;
    for _ in 0..CHUNKS {
        sender.send(HttpResponseBody::part(chunk())).await?;
    }
    sender.send(HttpResponseBody::end()).await?;
    Ok(())
}

async fn send_file(path: PathBuf, sender: Sender) -> Result<(), AppError> {
    sender.send(binary()).await?;
    sender.send(HttpResponsePathSend::new(path)).await?;
    Ok(())
}

async fn send_without_content(status: StatusCode, sender: Sender) -> Result<(), AppError> {
    sender.send(HttpResponseStart::new(status)).await?;
    sender.send(HttpResponseBody::end()).await?;
    Ok(())
}

fn binary() -> HttpResponseStart {
    HttpResponseStart::ok().header(CONTENT_TYPE, BINARY)
}

async fn echo_messages(mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    loop {
        match receiver.receive().await {
            ReceiveEvent::WebSocketConnect => sender.send(WebSocketAccept::new()).await?,
            ReceiveEvent::WebSocketReceive(message) => sender.send(message).await?,
            ReceiveEvent::WebSocketDisconnect(_) => return Ok(()),
            _ => {}
        }
    }
}

async fn join_broadcast(
    broadcast: &broadcast::Sender<Message>,
    mut receiver: Receiver,
    sender: Sender,
) -> Result<(), AppError> {
    let mut messages = broadcast.subscribe();
    loop {
        tokio::select! {
            event = receiver.receive() => match event {
                ReceiveEvent::WebSocketConnect => sender.send(WebSocketAccept::new()).await?,
                ReceiveEvent::WebSocketReceive(message) => {
                    // This WebSocket is subscribed, so the send succeeds.
                    let _ = broadcast.send(message);
                }
                ReceiveEvent::WebSocketDisconnect(_) => return Ok(()),
                _ => {}
            },
            message = messages.recv() => match message {
                Ok(message) => sender.send(message).await?,
                Err(_) => return Ok(()),
            },
        }
    }
}
