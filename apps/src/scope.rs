//! Answers with its own scope, which the server passes to the application in each call.

use callgate::{
    AppError, BoxApp, Message, Receiver, Scope, Sender, WebSocketAccept, WebSocketClose,
};
use callgate_toolkit::respond;
use callgate_toolkit::websocket::WebSocketUpgrade;

use crate::{Entry, Group, method};

/// The entry of `scope` in the list of applications.
pub const ENTRY: Entry = Entry {
    name: "scope",
    group: Group::Protocol,
    summary: "Answers with its own scope, as JSON, to a request and over a WebSocket.",
    try_it: &["curl '{http}caf%C3%A9?a=1'", "python -m websockets {ws}"],
    service: None,
    source: include_str!("scope.rs"),
    app: |_| BoxApp::new(scope),
};

/// Answers a request with its scope, and sends a WebSocket its scope and closes it.
///
/// # Errors
///
/// Returns [`AppError::Unsupported`] for lifespan, and the error of a send that fails.
pub async fn scope(scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    if let Scope::Lifespan(_) | Scope::Unknown(_) = scope {
        return Err(AppError::Unsupported);
    }
    // The serialised form of scopes and events is a part of the protocol.
    let mut json = serde_json::to_string_pretty(&scope)?;
    json.push('\n');
    match scope {
        Scope::Http(scope) if !method::is_get_or_head(&scope.method) => {
            method::not_allowed(&scope, &sender).await
        }
        Scope::Http(_) => {
            let response = respond::text(json)
                .set_header("content-type", "application/json")
                .header("cache-control", "no-store");
            response.send(&sender).await
        }
        Scope::WebSocket(scope) => {
            let upgrade = WebSocketUpgrade::new(&scope, receiver, sender);
            let socket = upgrade.accept(WebSocketAccept::new()).await?;
            socket.send(Message::text(json)).await?;
            socket.close(WebSocketClose::default()).await?;
            Ok(())
        }
        _ => Err(AppError::Unsupported),
    }
}
