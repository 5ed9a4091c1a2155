//! Tells every connected WebSocket how many there are, whenever that changes.

use callgate::{
    App, AppError, BoxApp, Message, ReceiveEvent, Receiver, Scope, SendError, Sender,
    WebSocketAccept,
};
use tokio::sync::watch;

use crate::{Entry, Group};

/// What the gallery and the command line know of it.
pub const ENTRY: Entry = Entry {
    name: "counter",
    group: Group::Live,
    summary: "Tells every connected WebSocket how many there are, whenever that changes.",
    try_it: &["python -m websockets {ws}"],
    app: |_| BoxApp::new(Counter::default()),
};

/// Counts the WebSockets that are connected.
#[derive(Debug, Default)]
pub struct Counter {
    count: watch::Sender<usize>,
}

impl App for Counter {
    async fn call(
        &self,
        scope: Scope,
        mut receiver: Receiver,
        sender: Sender,
    ) -> Result<(), AppError> {
        let Scope::WebSocket(_) = scope else {
            return Err(AppError::Unsupported);
        };
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
