//! What the tests of WebSockets share.

use std::time::Duration;

use callgate::{
    AppError, Message, ReceiveEvent, Receiver, Sender, WebSocketAccept, WebSocketScope,
};
use callgate_server::Config;

use super::{Server, Teller, Told, config, tell, websocket};

/// Accepts, and sends each text back with an exclamation mark.
pub(crate) async fn exclaim(mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    sender.send(WebSocketAccept::new()).await?;
    loop {
        match receiver.receive().await {
            ReceiveEvent::WebSocketReceive(Message::Text(text)) => {
                sender.send(Message::text(format!("{text}!"))).await?;
            }
            ReceiveEvent::WebSocketDisconnect(_) => return Ok(()),
            _ => {}
        }
    }
}

/// An application that accepts, sends every message back, and tells how it was disconnected.
pub(crate) async fn echo(
    teller: Teller<(u16, String)>,
    _: WebSocketScope,
    mut receiver: Receiver,
    sender: Sender,
) -> Result<(), AppError> {
    loop {
        match receiver.receive().await {
            ReceiveEvent::WebSocketConnect => sender.send(WebSocketAccept::new()).await?,
            ReceiveEvent::WebSocketReceive(message) => sender.send(message).await?,
            ReceiveEvent::WebSocketDisconnect(end) => {
                teller.tell((end.code, end.reason.to_string()));
                return Ok(());
            }
            _ => {}
        }
    }
}

/// A configuration with this interval of pings, and this time to answer them.
pub(crate) fn pinging(interval: Duration, timeout: Duration) -> Config {
    let mut configured = config();
    configured.websocket.ping_interval = Some(interval);
    configured.websocket.ping_timeout = Some(timeout);
    configured
}

pub(crate) fn echo_server() -> (Server, Told<(u16, String)>) {
    let (teller, told) = tell();
    (Server::start(websocket(teller, echo)), told)
}

/// The code with which the application is disconnected; what comes before is passed over.
pub(crate) async fn disconnect_code(receiver: &mut Receiver) -> u16 {
    loop {
        if let ReceiveEvent::WebSocketDisconnect(end) = receiver.receive().await {
            return end.code;
        }
    }
}
