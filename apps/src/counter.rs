//! Counts the open WebSockets and sends each of them the count when it changes; has a page that shows
//! the count.

use callgate::{
    App, AppError, BoxApp, Message, ReceiveEvent, Receiver, Scope, SendError, Sender,
    WebSocketAccept,
};
use callgate_toolkit::middleware::WebSocketOrigins;
use tokio::sync::watch;

use crate::{Entry, Group, http_errors, page};

/// The entry of `counter` in the list of applications.
pub const ENTRY: Entry = Entry {
    name: "counter",
    group: Group::Live,
    summary: "Counts the open WebSockets, and sends each of them the count when it changes.",
    try_it: &["{http}", "python -m websockets {ws}"],
    app: |_| {
        BoxApp::new(http_errors::handle(WebSocketOrigins::new(
            Counter::default(),
        )))
    },
};

const PAGE: &str = include_str!("counter/page.html");

/// Counts the WebSockets that are open.
#[derive(Debug, Default)]
pub struct Counter {
    count: watch::Sender<usize>,
}

impl App for Counter {
    async fn call(&self, scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        let is_root = scope.route_path().is_some_and(|path| path == "/");
        match scope {
            Scope::Http(scope) if is_root => {
                page::send(&scope, &sender, || page::compose(PAGE)).await
            }
            Scope::Http(_) => Err(http_errors::not_found().into()),
            Scope::WebSocket(_) if is_root => self.count(receiver, sender).await,
            Scope::WebSocket(scope) => {
                let error = http_errors::not_found();
                http_errors::deny(&scope, receiver, sender, &error).await
            }
            _ => Err(AppError::Unsupported),
        }
    }
}

impl Counter {
    /// Counts a WebSocket for as long as it is open, and sends it the count.
    async fn count(&self, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        sender.send(WebSocketAccept::new()).await?;
        let _guard = ConnectionGuard::new(&self.count);
        // A clone of the sender may move to another task. Each WebSocket has a task that sends the
        // counts, so that a slow client delays no other. The task ends when a send fails: after the
        // WebSocket is closed, or after this call has returned.
        tokio::spawn(send_counts(self.count.subscribe(), sender.clone()));
        loop {
            if let ReceiveEvent::WebSocketDisconnect(_) = receiver.receive().await {
                return Ok(());
            }
        }
    }
}

/// Sends the count, and again each time that it has changed. A client that reads too slowly misses
/// counts: the next that it gets is the newest.
async fn send_counts(mut count: watch::Receiver<usize>, sender: Sender) -> Result<(), SendError> {
    loop {
        let connected = *count.borrow_and_update();
        sender.send(Message::text(connected.to_string())).await?;
        if count.changed().await.is_err() {
            return Ok(());
        }
    }
}

/// Adds one to the count, and takes it back when dropped, however the call ends.
struct ConnectionGuard<'a>(&'a watch::Sender<usize>);

impl<'a> ConnectionGuard<'a> {
    fn new(count: &'a watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count)
    }
}

impl Drop for ConnectionGuard<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}
