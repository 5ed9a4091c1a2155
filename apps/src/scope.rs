//! Answers with its own scope: all that an application is told when it is called.

use callgate::{
    AppError, BoxApp, HttpResponseBody, HttpResponseStart, Message, Receiver, Scope, Sender,
    WebSocketAccept, WebSocketClose,
};

use crate::{Entry, method};

/// What the gallery and the command line know of it.
pub const ENTRY: Entry = Entry {
    name: "scope",
    summary: "Answers with its own scope, all that an application is told, as JSON; over a WebSocket too.",
    try_it: &["curl '{http}caf%C3%A9?a=1'", "python -m websockets {ws}"],
    app: || BoxApp::new(scope),
};

/// Answers with its scope.
///
/// # Errors
///
/// [`AppError::Unsupported`] for lifespan; a failed send.
pub async fn scope(scope: Scope, _receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    if let Scope::Lifespan(_) | Scope::Unknown(_) = scope {
        return Err(AppError::Unsupported);
    }
    // Scopes and events have a serialised form, which is the same everywhere.
    let mut json = serde_json::to_string_pretty(&scope)?;
    json.push('\n');
    match scope {
        Scope::Http(scope) if !method::is_read(&scope.method) => method::not_allowed(&sender).await,
        Scope::Http(_) => {
            let start = HttpResponseStart::ok()
                .header("content-type", "application/json")
                .header("cache-control", "no-store");
            sender.send(start).await?;
            sender.send(HttpResponseBody::last(json)).await?;
            Ok(())
        }
        Scope::WebSocket(_) => {
            sender.send(WebSocketAccept::new()).await?;
            sender.send(Message::text(json)).await?;
            sender.send(WebSocketClose::default()).await?;
            Ok(())
        }
        _ => Err(AppError::Unsupported),
    }
}
