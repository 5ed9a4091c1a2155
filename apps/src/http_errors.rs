//! Error responses of the applications that are written with scope, receiver and sender: each is
//! JSON, and each leaves a line in the log.

use callgate::{App, AppError, HttpScope, Receiver, Scope, Sender, WebSocketScope};
use callgate_drive::Escaped;
use callgate_toolkit::errors::{self, HttpError};
use callgate_toolkit::middleware::{self, Next};
use callgate_toolkit::websocket::WebSocketUpgrade;
use http::StatusCode;

use crate::log_text::with_causes;

/// Wraps `app`: an [`HttpError`] that a call returns is answered with `{"error": "..."}` and logged.
/// Any other error is answered with a 500 that gives no reason, and the server logs it.
pub(crate) fn handle(app: impl App) -> impl App {
    errors::handle(middleware::from_fn(app, log_client_errors))
}

/// Logs the errors with a status below 500. The server logs the others.
async fn log_client_errors(
    scope: Scope,
    receiver: Receiver,
    sender: Sender,
    next: Next,
) -> Result<(), AppError> {
    let Scope::Http(http) = &scope else {
        return next.call(scope, receiver, sender).await;
    };
    let request = request_line(http);
    let result = next.call(scope, receiver, sender).await;
    if let Err(AppError::Failed(error)) = &result
        && let Some(error) = error.downcast_ref::<HttpError>()
        && error.status().is_client_error()
    {
        log(&request, error);
    }
    result
}

/// Answers a request with `error` and logs it, for applications without [`handle`].
pub(crate) async fn respond(
    scope: &HttpScope,
    sender: &Sender,
    error: &HttpError,
) -> Result<(), AppError> {
    log(&request_line(scope), error);
    error.response().send(sender).await
}

/// Denies a WebSocket with `error` and logs it.
pub(crate) async fn deny(
    scope: &WebSocketScope,
    receiver: Receiver,
    sender: Sender,
    error: &HttpError,
) -> Result<(), AppError> {
    log(&format!("WebSocket {}", scope.raw_path()), error);
    let upgrade = WebSocketUpgrade::new(scope, receiver, sender);
    upgrade.deny(error.response()).await
}

/// Answers every request and denies every WebSocket with 404.
pub(crate) async fn not_found_app(
    scope: Scope,
    receiver: Receiver,
    sender: Sender,
) -> Result<(), AppError> {
    match scope {
        Scope::Http(scope) => respond(&scope, &sender, &not_found()).await,
        Scope::WebSocket(scope) => deny(&scope, receiver, sender, &not_found()).await,
        _ => Err(AppError::Unsupported),
    }
}

/// Returns a 404: nothing is at this path.
pub(crate) fn not_found() -> HttpError {
    HttpError::new(StatusCode::NOT_FOUND, "there is nothing at this path")
}

/// Returns a 404 for an HTTP request whose path has a WebSocket only. The status that asks for an
/// upgrade, 426, needs a header field that an application cannot set (rule `HTTP-18`).
pub(crate) fn websocket_only() -> HttpError {
    let message = "there is a WebSocket at this path: connect with ws:// or wss://";
    HttpError::new(StatusCode::NOT_FOUND, message)
}

/// Returns a 405 that names the methods of this path.
pub(crate) fn method_not_allowed(allowed: &'static str) -> HttpError {
    let message = format!("only these methods are served here: {allowed}");
    HttpError::new(StatusCode::METHOD_NOT_ALLOWED, message).header("allow", allowed)
}

/// Returns a 422: the request is well-formed, but its values cannot be used.
pub(crate) fn unprocessable(message: impl Into<String>) -> HttpError {
    HttpError::new(StatusCode::UNPROCESSABLE_ENTITY, message)
}

/// Returns the method and the path of a request, for the log.
fn request_line(scope: &HttpScope) -> String {
    format!("{} {}", scope.method, scope.raw_path())
}

/// Logs an error, at the level DEBUG if it is the client's: the access log has a line for each response already.
fn log(request: &str, error: &HttpError) {
    let status = error.status().as_u16();
    let line = format!("{request} {status}: {}", with_causes(error));
    if error.status().is_client_error() {
        tracing::debug!("{}", Escaped(line));
    } else {
        tracing::info!("{}", Escaped(line));
    }
}
