//! A page with a form and a socket. At `/ws` each message is answered; at `/room/ws` everyone who is
//! there sees it.

use callgate::{
    App, AppError, BoxApp, ByteString, Message, ReceiveEvent, Receiver, Scope, Sender,
    WebSocketAccept, WebSocketClose,
};
use room::Room;

use crate::{Entry, Group, failures, page};

mod room;

/// What the gallery and the command line know of it.
pub const ENTRY: Entry = Entry {
    name: "chat",
    group: Group::Live,
    summary: "A page to chat on: with the server, which answers each message, or in a room where everyone sees it.",
    try_it: &[
        "{http}",
        "{http}room/",
        "python -m websockets {ws}ws",
        "python -m websockets {ws}room/ws",
    ],
    app: |_| BoxApp::new(failures::answered(Chat::default())),
};

const PAGE: &str = include_str!("chat/page.html");

/// How many bytes a message may have.
const MAX_MESSAGE: usize = 4096;

/// Answers each message, or shows it to everyone in the room.
///
/// A message is a text of at most 4096 bytes: one that is larger closes its socket with 1009, one that
/// is binary with 1003. In the room, who reads too slowly misses the oldest lines, is told how many,
/// and stays; nobody else waits for that.
#[derive(Debug, Default)]
pub struct Chat {
    room: Room,
}

impl App for Chat {
    async fn call(&self, scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        match scope {
            Scope::Http(scope) => match &*scope.route_path() {
                "/" => page::show(&scope, &sender, || compose("answers")).await,
                "/room" | "/room/" => page::show(&scope, &sender, || compose("room")).await,
                "/ws" | "/room/ws" => Err(failures::websocket_only().into()),
                _ => Err(failures::not_found().into()),
            },
            Scope::WebSocket(scope) => match &*scope.route_path() {
                "/ws" => answer(receiver, sender).await,
                "/room/ws" => self.room.admit(receiver, sender).await,
                _ => failures::deny_not_found(&scope, receiver, sender).await,
            },
            _ => Err(AppError::Unsupported),
        }
    }
}

fn compose(mode: &str) -> String {
    page::compose(PAGE).replace("{{mode}}", mode)
}

/// Answers each message of one client.
async fn answer(mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    sender.send(WebSocketAccept::new()).await?;
    loop {
        match receiver.receive().await {
            ReceiveEvent::WebSocketReceive(message) => match read(message) {
                Ok(text) => {
                    let answer = format!("Message received: {text}");
                    sender.send(Message::text(answer)).await?;
                }
                Err(close) => {
                    sender.send(close).await?;
                    return Ok(());
                }
            },
            ReceiveEvent::WebSocketDisconnect(_) => return Ok(()),
            _ => {}
        }
    }
}

/// The text of a message, or how to close on one that is not taken.
fn read(message: Message) -> Result<ByteString, WebSocketClose> {
    match message {
        Message::Text(text) if text.len() <= MAX_MESSAGE => Ok(text),
        Message::Text(_) => {
            let reason = format!("a message has at most {MAX_MESSAGE} bytes");
            Err(WebSocketClose::new(1009).reason(reason))
        }
        Message::Binary(_) => Err(WebSocketClose::new(1003).reason("a message is a text here")),
    }
}
