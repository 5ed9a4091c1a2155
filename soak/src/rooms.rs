//! The application of the scenario `channels`: WebSockets in groups, over a channel layer.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use callgate::{AppError, Message, ReceiveEvent, Receiver, Sender, WebSocketAccept};
use callgate_channels::{ChannelLayer, Error, GroupEvent, Settings};

/// The variable with the URL of the layer.
pub(crate) const URL: &str = "CALLGATE_SOAK_CHANNELS";

/// The variable that lets the application drop a message in silence, which the scenario has to find.
pub(crate) const DROPS: &str = "CALLGATE_SOAK_DROPS";

/// The path of a WebSocket that receives the events of a group, up to the name of the group.
pub(crate) const GROUPS: &str = "/groups/";

/// The path of a WebSocket that publishes.
pub(crate) const PUBLISH: &str = "/publish";

/// The bounds of the layer.
pub(crate) fn settings() -> Settings {
    Settings::default()
        .history_messages(64)
        .history_octets(8 * 1024)
        .presence_timeout(Duration::from_secs(3))
        .timeout(Duration::from_secs(1))
}

/// The layer of this process.
#[derive(Debug, Default)]
pub(crate) struct Rooms {
    layer: OnceLock<ChannelLayer>,
    /// Whether a message has been dropped.
    has_dropped: AtomicBool,
}

impl Rooms {
    /// Opens the layer, if the scenario has one.
    pub(crate) async fn open(&self) -> Result<(), AppError> {
        if let Ok(url) = std::env::var(URL) {
            let layer = ChannelLayer::connect_with(&url, settings()).await?;
            self.layer.get_or_init(|| layer);
        }
        Ok(())
    }

    pub(crate) async fn close(&self) {
        if let Some(layer) = self.layer.get() {
            layer.close().await;
        }
    }

    /// Sends the events of a group as texts: `start NUMBER`, `message NUMBER CONTENT` and `missed FROM TO`.
    pub(crate) async fn subscribe(
        &self,
        group: &str,
        mut receiver: Receiver,
        sender: Sender,
    ) -> Result<(), AppError> {
        let layer = self.layer.get().ok_or(AppError::Unsupported)?;
        receiver.receive().await;
        let mut subscription = layer.group(group).subscribe().await?;
        sender.send(WebSocketAccept::new()).await?;
        let start = format!("start {}", subscription.sequence());
        sender.send(Message::text(start)).await?;
        loop {
            let event = tokio::select! {
                event = receiver.receive() => match event {
                    ReceiveEvent::WebSocketDisconnect(_) => return Ok(()),
                    _ => continue,
                },
                event = subscription.next() => event,
            };
            let text = match event {
                Some(GroupEvent::Message(_)) if self.drops() => continue,
                Some(GroupEvent::Message(message)) => {
                    let content = message.payload.as_text().unwrap_or_default();
                    format!("message {} {content}", message.sequence)
                }
                Some(GroupEvent::Missed(missed)) => format!("missed {} {}", missed.from, missed.to),
                Some(_) => continue,
                None => return Ok(()),
            };
            sender.send(Message::text(text)).await?;
        }
    }

    /// Returns whether the next message is the one to drop.
    fn drops(&self) -> bool {
        std::env::var_os(DROPS).is_some() && !self.has_dropped.swap(true, Ordering::Relaxed)
    }

    /// Publishes each text `GROUP CONTENT`, and answers `confirmed NUMBER`, `unconfirmed`, or `unreachable`.
    pub(crate) async fn publish(
        &self,
        mut receiver: Receiver,
        sender: Sender,
    ) -> Result<(), AppError> {
        let layer = self.layer.get().ok_or(AppError::Unsupported)?;
        loop {
            match receiver.receive().await {
                ReceiveEvent::WebSocketConnect => sender.send(WebSocketAccept::new()).await?,
                ReceiveEvent::WebSocketReceive(Message::Text(text)) => {
                    let (group, content) = text.split_once(' ').unwrap_or_default();
                    let answer = match layer.group(group).publish(content).await {
                        Ok(number) => format!("confirmed {number}"),
                        Err(Error::Unconfirmed { .. }) => "unconfirmed".to_owned(),
                        Err(Error::Unreachable { .. }) => "unreachable".to_owned(),
                        Err(error) => return Err(error.into()),
                    };
                    sender.send(Message::text(answer)).await?;
                }
                ReceiveEvent::WebSocketDisconnect(_) => return Ok(()),
                _ => {}
            }
        }
    }
}
