//! Answers with its own scope: all that an application is told when it is called.

use callgate::{
    AppError, BoxApp, Message, Receiver, Scope, Sender, WebSocketAccept, WebSocketClose,
};
use callgate_toolkit::respond;
use callgate_toolkit::websocket::Handshake;

use crate::{Entry, Group, method};

/// What the gallery and the command line know of it.
pub const ENTRY: Entry = Entry {
    name: "scope",
    group: Group::Protocol,
    summary: "Answers with its own scope, all that an application is told, as JSON; over a WebSocket too.",
    try_it: &["curl '{http}caf%C3%A9?a=1'", "python -m websockets {ws}"],
    app: |_| BoxApp::new(scope),
};

/// Answers with its scope.
///
/// # Errors
///
/// [`AppError::Unsupported`] for lifespan; a failed send.
pub async fn scope(scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    if let Scope::Lifespan(_) | Scope::Unknown(_) = scope {
        return Err(AppError::Unsupported);
    }
    // Scopes and events have a serialised form, which is the same everywhere.
    let mut json = serde_json::to_string_pretty(&scope)?;
    json.push('\n');
    match scope {
        Scope::Http(scope) if !method::is_read(&scope.method) => {
            method::not_allowed(&scope, &sender).await
        }
        Scope::Http(_) => {
            let response = respond::text(json)
                .header("content-type", "application/json")
                .header("cache-control", "no-store");
            response.send(&sender).await?;
            Ok(())
        }
        Scope::WebSocket(scope) => {
            let handshake = Handshake::new(&scope, receiver, sender);
            let session = handshake.accept(WebSocketAccept::new()).await?;
            session.send(Message::text(json)).await?;
            session.close(WebSocketClose::default()).await?;
            Ok(())
        }
        _ => Err(AppError::Unsupported),
    }
}
