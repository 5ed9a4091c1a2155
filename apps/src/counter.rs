//! Counts the open WebSockets of all processes and sends each of them the count when it changes; has a page that
//! shows the count.

use callgate::{
    App, AppError, Message, ReceiveEvent, Receiver, Scope, SendError, Sender, WebSocketAccept,
    WebSocketScope,
};
use callgate_channels::{ChannelLayer, Error, MemberId, Membership};
use callgate_toolkit::channels::{self, GroupMembers, SharedMembers};
use callgate_toolkit::middleware::WebSocketOrigins;
use tokio::sync::watch;

use crate::channels::with_layer;
use crate::{Entry, Group, http_errors, page};

/// The entry of `counter` in the list of applications.
pub const ENTRY: Entry = Entry {
    name: "counter",
    group: Group::Live,
    summary: "Counts the open WebSockets of all processes, and sends each of them the count when it changes.",
    try_it: &["{http}", "python -m websockets {ws}"],
    service: None,
    source: include_str!("counter.rs"),
    app: |settings| {
        let counter = WebSocketOrigins::new(Counter::default());
        with_layer(http_errors::handle(counter), settings)
    },
};

const PAGE: &str = include_str!("counter/page.html");

/// Counts the WebSockets that are open in all processes with the same channel layer: each is a member of a group.
#[derive(Debug)]
pub struct Counter {
    members: SharedMembers,
}

impl Default for Counter {
    fn default() -> Self {
        Self {
            members: SharedMembers::of("counter"),
        }
    }
}

impl App for Counter {
    async fn call(&self, scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        let is_root = scope.route_path().is_some_and(|path| path == "/");
        match scope {
            Scope::Http(scope) if is_root => {
                page::send(&scope, &sender, || page::compose(PAGE)).await
            }
            Scope::Http(_) => Err(http_errors::not_found().into()),
            Scope::WebSocket(scope) if is_root => self.count(&scope, receiver, sender).await,
            Scope::WebSocket(scope) => {
                let error = http_errors::not_found();
                http_errors::deny(&scope, receiver, sender, &error).await
            }
            _ => Err(AppError::Unsupported),
        }
    }
}

impl Counter {
    /// Counts a WebSocket for as long as it is open, and sends it the count. Its member leaves when the
    /// membership is dropped, however the call ends.
    async fn count(
        &self,
        scope: &WebSocketScope,
        mut receiver: Receiver,
        sender: Sender,
    ) -> Result<(), AppError> {
        let (membership, members) = match self.join(channels::layer(&scope.state)?).await {
            Ok(joined) => joined,
            Err(error) => {
                return http_errors::deny(scope, receiver, sender, &error.into()).await;
            }
        };
        sender.send(WebSocketAccept::new()).await?;
        // A clone of the sender may move to another task. Each WebSocket has a task that sends the
        // counts, so that a slow client delays no other. The task ends when a send fails: after the
        // WebSocket is closed, or after this call has returned.
        let own = membership.id().clone();
        tokio::spawn(send_counts(members, own, sender.clone()));
        loop {
            if let ReceiveEvent::WebSocketDisconnect(_) = receiver.receive().await {
                return Ok(());
            }
        }
    }

    async fn join(
        &self,
        layer: &ChannelLayer,
    ) -> Result<(Membership, watch::Receiver<GroupMembers>), Error> {
        let members = self.members.follow(layer).await?;
        let membership = layer.group(self.members.name()).join(()).await?;
        Ok((membership, members))
    }
}

/// Sends the count once it includes the member `own`, and again each time that it has changed. A client that
/// reads too slowly misses counts: the next that it gets is the newest.
async fn send_counts(
    mut members: watch::Receiver<GroupMembers>,
    own: MemberId,
    sender: Sender,
) -> Result<(), SendError> {
    let mut sent = None;
    let mut is_followed = members
        .wait_for(|members| members.contains(&own))
        .await
        .is_ok();
    while is_followed {
        let count = members.borrow_and_update().len();
        if sent != Some(count) {
            sender.send(Message::text(count.to_string())).await?;
            sent = Some(count);
        }
        is_followed = members.changed().await.is_ok();
    }
    // The layer is closed.
    Ok(())
}
