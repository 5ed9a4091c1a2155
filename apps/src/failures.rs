//! Failures of the applications that are written with scope, receiver and sender: each is a JSON
//! answer and a line of the log.

use std::error::Error;

use callgate::{App, AppError, HttpScope, Receiver, Scope, Sender, WebSocketScope};
use callgate_toolkit::errors::{self, HttpError};
use callgate_toolkit::middleware::{self, Events};
use callgate_toolkit::websocket::Handshake;
use http::StatusCode;

/// `app`, with its [`HttpError`]s answered as `{"error": "..."}` and logged. Other errors are
/// answered with a 500 that does not say why, and logged by the server.
pub(crate) fn answered(app: impl App) -> impl App {
    errors::answer(middleware::wrap(app, |scope: &mut Scope| {
        let Scope::Http(scope) = scope else {
            return None;
        };
        Some(Log(line(scope)))
    }))
}

/// Answers with this failure, and logs it: for an application that does not need [`answered`].
pub(crate) async fn refuse(
    scope: &HttpScope,
    sender: &Sender,
    failure: HttpError,
) -> Result<(), AppError> {
    log(&line(scope), &failure);
    failure.response().send(sender).await?;
    Ok(())
}

/// An application where there is none.
pub(crate) async fn nowhere(
    scope: Scope,
    receiver: Receiver,
    sender: Sender,
) -> Result<(), AppError> {
    match scope {
        Scope::Http(scope) => refuse(&scope, &sender, not_found()).await,
        Scope::WebSocket(scope) => deny_not_found(&scope, receiver, sender).await,
        _ => Err(AppError::Unsupported),
    }
}

/// There is nothing at this path.
pub(crate) fn not_found() -> HttpError {
    HttpError::new(StatusCode::NOT_FOUND, "there is nothing at this path")
}

/// There is something at this path, for WebSockets. The status that asks for an upgrade, 426, needs a
/// field that is not the application's to set (rule `HTTP-18`).
pub(crate) fn websocket_only() -> HttpError {
    let message = "there is a WebSocket at this path: connect with ws:// or wss://";
    HttpError::new(StatusCode::NOT_FOUND, message)
}

/// Tells a WebSocket that there is nothing at this path.
pub(crate) async fn deny_not_found(
    scope: &WebSocketScope,
    receiver: Receiver,
    sender: Sender,
) -> Result<(), AppError> {
    let failure = not_found();
    log(&format!("WebSocket {}", scope.raw_path()), &failure);
    let handshake = Handshake::new(scope, receiver, sender);
    handshake.deny(failure.response()).await?;
    Ok(())
}

/// This path takes other methods.
pub(crate) fn method_not_allowed(allowed: &'static str) -> HttpError {
    let message = format!("only these methods are served here: {allowed}");
    HttpError::new(StatusCode::METHOD_NOT_ALLOWED, message).header("allow", allowed)
}

/// What the client has asked for cannot be, and why.
pub(crate) fn unprocessable(message: impl Into<String>) -> HttpError {
    HttpError::new(StatusCode::UNPROCESSABLE_ENTITY, message)
}

/// Which request it was.
struct Log(String);

impl Events for Log {
    fn returned(&mut self, result: &Result<(), AppError>) {
        let Err(AppError::Failed(error)) = result else {
            return;
        };
        let error: &(dyn Error + 'static) = &**error;
        // What is 500 and above, the server logs.
        if let Some(refused) = error.downcast_ref::<HttpError>()
            && refused.status().is_client_error()
        {
            log(&self.0, refused);
        }
    }
}

/// What the log calls a request.
fn line(scope: &HttpScope) -> String {
    format!("{} {}", scope.method, scope.raw_path())
}

fn log(request: &str, refused: &HttpError) {
    let status = refused.status().as_u16();
    let line = format!("{request} {status}: {refused}");
    // Some of it comes from outside and must not look like a line of its own.
    tracing::info!("{}", line.replace(char::is_control, " "));
}
