//! Tells every connected WebSocket how many there are, whenever that changes; and a page that shows it.

use callgate::{
    App, AppError, BoxApp, Message, ReceiveEvent, Receiver, Scope, SendError, Sender,
    WebSocketAccept,
};
use tokio::sync::watch;

use crate::{Entry, Group, failures, page};

/// What the gallery and the command line know of it.
pub const ENTRY: Entry = Entry {
    name: "counter",
    group: Group::Live,
    summary: "Tells every connected WebSocket how many there are, whenever that changes.",
    try_it: &["{http}", "python -m websockets {ws}"],
    app: |_| BoxApp::new(failures::answered(Counter::default())),
};

const PAGE: &str = include_str!("counter/page.html");

/// Counts the WebSockets that are connected.
#[derive(Debug, Default)]
pub struct Counter {
    count: watch::Sender<usize>,
}

impl App for Counter {
    async fn call(&self, scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        let is_root = scope.route_path().is_some_and(|path| path == "/");
        match scope {
            Scope::Http(scope) if is_root => {
                page::show(&scope, &sender, || page::compose(PAGE)).await
            }
            Scope::Http(_) => Err(failures::not_found().into()),
            Scope::WebSocket(_) if is_root => self.count(receiver, sender).await,
            Scope::WebSocket(scope) => failures::deny_not_found(&scope, receiver, sender).await,
            _ => Err(AppError::Unsupported),
        }
    }
}

impl Counter {
    /// Counts one WebSocket for as long as it is there, and tells it the count.
    async fn count(&self, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        sender.send(WebSocketAccept::new()).await?;
        let _connected = Connected::new(&self.count);
        // A clone of the sender may go to another task. Here each socket has such a task, so that a
        // slow one holds up nobody else. It ends when a send fails, which it does once the socket
        // is gone or this call has returned.
        tokio::spawn(tell(self.count.subscribe(), sender.clone()));
        loop {
            if let ReceiveEvent::WebSocketDisconnect(_) = receiver.receive().await {
                return Ok(());
            }
        }
    }
}

/// Sends the count now and whenever it has changed. Who is too slow for every count gets the
/// newest, not a queue of old ones.
async fn tell(mut count: watch::Receiver<usize>, sender: Sender) -> Result<(), SendError> {
    loop {
        let connected = *count.borrow_and_update();
        sender.send(Message::text(connected.to_string())).await?;
        if count.changed().await.is_err() {
            return Ok(());
        }
    }
}

/// One that counts for as long as it lives, however the call ends.
struct Connected<'a>(&'a watch::Sender<usize>);

impl<'a> Connected<'a> {
    fn new(count: &'a watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count)
    }
}

impl Drop for Connected<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}
