//! A page with a form and a WebSocket. At `/ws` the server answers each message; at `/room/ws` all
//! guests of a room see it, in all processes.

mod message;
mod numbers;
mod room;

use callgate::{App, AppError, Message, ReceiveEvent, Receiver, Scope, Sender, WebSocketAccept};
use callgate_toolkit::middleware::WebSocketOrigins;

use self::room::Room;
use crate::channels::with_layer;
use crate::{Entry, Group, http_errors, page};

/// The entry of `chat` in the list of applications.
pub const ENTRY: Entry = Entry {
    name: "chat",
    group: Group::Live,
    summary: "A page to chat: with the server, which answers each message, or in a room, where all guests see it.",
    try_it: &[
        "{http}",
        "{http}room/",
        "python -m websockets {ws}ws",
        "python -m websockets {ws}room/ws",
    ],
    service: None,
    source: include_str!("chat.rs"),
    app: |settings| {
        let chat = WebSocketOrigins::new(Chat::default());
        with_layer(http_errors::handle(chat), settings)
    },
};

const PAGE: &str = include_str!("chat/page.html");

/// Answers each message, or sends it to all guests of the room.
///
/// A message is a text of at most 4096 bytes. A larger message closes the WebSocket with 1009, a binary
/// message with 1003. A guest of the room who reads too slowly misses the oldest events, and receives
/// an event that says so. No other guest waits. When the channel layer cannot be reached, the room is closed with 1013.
#[derive(Debug, Default)]
pub struct Chat {
    room: Room,
}

impl App for Chat {
    async fn call(&self, scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        match scope {
            Scope::Http(scope) => match &*scope.route_path() {
                "/" => page::send(&scope, &sender, || compose("answers")).await,
                "/room" | "/room/" => page::send(&scope, &sender, || compose("room")).await,
                "/ws" | "/room/ws" => Err(http_errors::websocket_only().into()),
                _ => Err(http_errors::not_found().into()),
            },
            Scope::WebSocket(scope) => match &*scope.route_path() {
                "/ws" => answer(receiver, sender).await,
                "/room/ws" => self.room.serve_guest(&scope, receiver, sender).await,
                _ => {
                    let error = http_errors::not_found();
                    http_errors::deny(&scope, receiver, sender, &error).await
                }
            },
            _ => Err(AppError::Unsupported),
        }
    }
}

fn compose(mode: &str) -> String {
    page::compose(PAGE).replace("{{mode}}", mode)
}

/// Answers each message of a client.
async fn answer(mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    sender.send(WebSocketAccept::new()).await?;
    loop {
        match receiver.receive().await {
            ReceiveEvent::WebSocketReceive(message) => match message::read(message) {
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
