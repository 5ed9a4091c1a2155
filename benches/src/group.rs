//! The application of the works of the channel layer: each WebSocket publishes what it receives to a group,
//! and forwards the messages of the group.

use callgate::{App, AppError, Message, ReceiveEvent, Receiver, Scope, Sender, WebSocketAccept};
use callgate_channels::{ChannelLayer, GroupEvent, Payload};
use callgate_toolkit::lifespan::with_resource;

/// The group of all WebSockets.
const GROUP: &str = "bench";

/// Returns the application, with the channel layer of this URL.
pub fn app(url: String) -> impl App {
    let open = move || {
        let url = url.clone();
        async move { ChannelLayer::connect(&url).await.map_err(AppError::failed) }
    };
    let close = |layer: ChannelLayer| async move {
        layer.close().await;
        Ok::<_, AppError>(())
    };
    with_resource(member, open, close)
}

async fn member(scope: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    let scope = scope.into_websocket()?;
    let layer = scope.state.get::<ChannelLayer>();
    let layer = layer.ok_or_else(|| AppError::failed("there is no channel layer"))?;
    let group = layer.group(GROUP);
    let mut subscription = group.subscribe().await.map_err(AppError::failed)?;
    loop {
        tokio::select! {
            event = receiver.receive() => match event {
                ReceiveEvent::WebSocketConnect => sender.send(WebSocketAccept::new()).await?,
                ReceiveEvent::WebSocketReceive(Message::Text(text)) => {
                    group.publish(text).await.map_err(AppError::failed)?;
                }
                ReceiveEvent::WebSocketDisconnect(_) => return Ok(()),
                _ => {}
            },
            event = subscription.next() => match event {
                Some(GroupEvent::Message(message)) => sender.send(to_message(message.payload)).await?,
                Some(GroupEvent::Missed(_)) => sender.send(Message::text(MISSED)).await?,
                Some(_) => {}
                None => return Ok(()),
            },
        }
    }
}

/// What a client is told in the place of messages that are missing.
pub const MISSED: &str = "missed";

fn to_message(payload: Payload) -> Message {
    match payload {
        Payload::Text(text) => Message::Text(text),
        Payload::Binary(bytes) => Message::Binary(bytes),
    }
}
