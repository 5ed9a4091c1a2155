//! The application of the soak.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use callgate::{
    App, AppError, HttpResponseBody, HttpResponseStart, LifespanShutdownComplete,
    LifespanStartupComplete, ReceiveEvent, Receiver, Scope, Sender, WebSocketAccept,
};
use http::StatusCode;

use crate::ALLOCATOR;
use crate::rooms::{GROUPS, PUBLISH, Rooms};

/// The variable with the time that a start-up takes, in milliseconds.
pub(crate) const COLD_START: &str = "CALLGATE_SOAK_COLD_START";

/// The content of `/large`, in octets.
pub(crate) const LARGE: usize = 1024 * 1024;

/// The content of `/page`, in octets.
pub(crate) const PAGE: usize = 64 * 1024;

/// The paths are `/`, `/large`, `/page`, `/upload`, which responds with the length of the content, `/events`, which
/// sends events until the server shuts down, `/calls`, which responds with the number of calls that run beside its
/// own, and `/heap`, which responds with the memory in use, in octets. A WebSocket sends messages back, unless its path is one
/// of [`Rooms`].
#[derive(Debug, Default)]
pub(crate) struct SoakApp {
    running: Arc<AtomicU64>,
    rooms: Rooms,
}

/// Counts a call until it is dropped.
struct Running(Arc<AtomicU64>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl App for SoakApp {
    async fn call(&self, scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        let scope = match scope {
            Scope::Lifespan(_) => return lifespan(&self.rooms, receiver, sender).await,
            scope => scope,
        };
        let others = self.running.fetch_add(1, Ordering::SeqCst);
        let _running = Running(self.running.clone());
        match scope {
            Scope::Http(scope) => match scope.raw_path() {
                "/" => whole(&sender, "hello").await,
                "/large" => whole(&sender, vec![b'x'; LARGE]).await,
                "/page" => whole(&sender, vec![b'x'; PAGE]).await,
                "/upload" => upload(receiver, sender).await,
                "/events" => events(receiver, sender).await,
                "/calls" => whole(&sender, others.to_string()).await,
                "/heap" => whole(&sender, ALLOCATOR.current_usage().to_string()).await,
                _ => {
                    let start = HttpResponseStart::new(StatusCode::NOT_FOUND);
                    sender.send(start).await?;
                    Ok(sender.send(HttpResponseBody::end()).await?)
                }
            },
            Scope::WebSocket(scope) => match scope.raw_path() {
                PUBLISH => self.rooms.publish(receiver, sender).await,
                path => match path.strip_prefix(GROUPS) {
                    Some(group) => self.rooms.subscribe(group, receiver, sender).await,
                    None => messages(receiver, sender).await,
                },
            },
            _ => Err(AppError::Unsupported),
        }
    }
}

async fn lifespan(rooms: &Rooms, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    receiver.receive().await;
    rooms.open().await?;
    let milliseconds = std::env::var(COLD_START).ok();
    let milliseconds = milliseconds.and_then(|text| text.parse().ok());
    tokio::time::sleep(Duration::from_millis(milliseconds.unwrap_or(0))).await;
    sender.send(LifespanStartupComplete::new()).await?;
    receiver.receive().await;
    rooms.close().await;
    sender.send(LifespanShutdownComplete::new()).await?;
    Ok(())
}

async fn whole(sender: &Sender, content: impl Into<bytes::Bytes>) -> Result<(), AppError> {
    sender.send(HttpResponseStart::ok()).await?;
    sender.send(HttpResponseBody::last(content)).await?;
    Ok(())
}

async fn upload(mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    let mut length = 0;
    while let ReceiveEvent::HttpRequestBody(part) = receiver.receive().await {
        length += part.body.len();
        if !part.more_body {
            return whole(&sender, length.to_string()).await;
        }
    }
    Ok(())
}

/// Sends an event every few milliseconds, and a last one when the server shuts down.
async fn events(mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    let start = HttpResponseStart::ok().header("content-type", "text/event-stream");
    sender.send(start).await?;
    loop {
        tokio::select! {
            event = receiver.receive() => match event {
                ReceiveEvent::HttpRequestBody(_) => {}
                ReceiveEvent::HttpShutdown => {
                    let last = HttpResponseBody::last("data: last\n\n");
                    return Ok(sender.send(last).await?);
                }
                _ => return Ok(()),
            },
            () = tokio::time::sleep(Duration::from_millis(5)) => {
                sender.send(HttpResponseBody::part("data: one\n\n")).await?;
            }
        }
    }
}

async fn messages(mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    loop {
        match receiver.receive().await {
            ReceiveEvent::WebSocketConnect => sender.send(WebSocketAccept::new()).await?,
            ReceiveEvent::WebSocketReceive(message) => sender.send(message).await?,
            ReceiveEvent::WebSocketDisconnect(_) => return Ok(()),
            _ => {}
        }
    }
}
