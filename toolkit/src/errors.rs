//! Errors of an application as JSON responses: `{"error": "..."}` and the status of the error.
//!
//! ```
//! use callgate::{App, AppError, Receiver, Scope, Sender};
//! use callgate_toolkit::{errors, read, respond};
//! use http::StatusCode;
//! use serde::Deserialize;
//!
//! #[derive(Deserialize)]
//! struct Order {
//!     number: u32,
//! }
//!
//! async fn order(scope: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
//!     let scope = scope.into_http()?;
//!     // An error responds with 400, 413, 415 or 422.
//!     let order: Order = read::json(&scope, &mut receiver, 64 * 1024).await?;
//!     if order.number == 0 {
//!         let message = "orders are numbered from 1";
//!         return Err(errors::HttpError::new(StatusCode::NOT_FOUND, message).into());
//!     }
//!     respond::json("ordered")?.send(&sender).await
//! }
//!
//! fn app() -> impl App {
//!     errors::handle(order)
//! }
//! ```

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use callgate::{App, AppError, Receiver, Scope, SendError, SendEvent, Sender, header_methods};
use http::{HeaderMap, StatusCode};
use serde::Serialize;

use crate::middleware::{Events, tap};
use crate::read::error::ReadError;
use crate::respond::{self, Response};

/// An error with the status, the message and the header fields of its response: `allow` for 405,
/// `retry-after` for 503, `www-authenticate` for 401.
#[derive(Debug)]
pub struct HttpError {
    status: StatusCode,
    message: String,
    /// Boxed, so that a `Result` with this error is small.
    headers: Box<HeaderMap>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl HttpError {
    /// Creates an error with this status. The message is sent to the client.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            headers: Box::default(),
            source: None,
        }
    }

    header_methods!(error => error.headers);

    /// Sets the error that caused this one. It is not sent to the client.
    #[must_use]
    pub fn source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Returns the status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the message for the client.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns the header fields of the response.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Returns the response, for an application that sends it without [`handle`]: in place of a WebSocket,
    /// for example.
    pub fn response(&self) -> Response {
        let mut response = response(self.status, &self.message);
        response.start.headers.extend(self.headers().clone());
        response
    }
}

/// An error of the channel layer: 503 with `retry-after` when the layer cannot be reached, 413 for a message
/// that is too large, 400 for a name that is too long, 404 for a member that is not there, 409 for a number to
/// continue from that is not known, otherwise 500. The message for the client does not name hosts.
#[cfg(feature = "channels")]
impl From<callgate_channels::Error> for HttpError {
    fn from(error: callgate_channels::Error) -> Self {
        use crate::channels::{is_outage, reason, status};

        let of_client = Self::new(status(&error), reason(&error));
        let of_client = match is_outage(&error) {
            true => of_client.header(http::header::RETRY_AFTER, "1"),
            false => of_client,
        };
        of_client.source(error)
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl Error for HttpError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// Puts `app` into an application that responds to its errors: where an HTTP call fails before it has
/// started a response, the client gets one.
///
/// The status is that of an [`HttpError`], of a [`ReadError`] or of an error of the channel layer, also when it is
/// the [source](Error::source) of the error. Any other error is a 500 with a message that does not tell the
/// cause (rule `HTTP-34`). An error of 500 and above is returned to the server as well, which reports
/// it.
///
/// Errors that need no response are returned as they are: a declined scope, a client that is gone, a
/// broken rule.
pub fn handle<A: App>(app: A) -> HandleErrors<A> {
    HandleErrors(app)
}

/// An application whose errors get a response: created by [`handle`].
#[derive(Clone, Debug)]
pub struct HandleErrors<A>(A);

impl<A: App> App for HandleErrors<A> {
    async fn call(&self, scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        if !matches!(scope, Scope::Http(_)) {
            return self.0.call(scope, receiver, sender).await;
        }
        let is_started = Arc::new(AtomicBool::new(false));
        let watch = WatchStart::new(is_started.clone());
        let (receiver, inner) = tap(receiver, sender.clone(), watch);
        let result = self.0.call(scope, receiver, inner).await;
        let Err(AppError::Failed(error)) = result else {
            return result;
        };
        let response = response_to(&*error);
        let error = AppError::Failed(error);
        if error.is_disconnected() || is_started.load(Ordering::Relaxed) {
            return Err(error);
        }
        let status = response.start.status;
        response.send(&sender).await?;
        if status.is_server_error() {
            return Err(error);
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: &'a str,
}

fn response(status: StatusCode, message: &str) -> Response {
    let response = respond::json(&ErrorBody { error: message });
    response.expect("a text can be JSON").status(status)
}

fn response_to(error: &(dyn Error + 'static)) -> Response {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<HttpError>() {
            return error.response();
        }
        if let Some(error) = error.downcast_ref::<ReadError>() {
            return response(error.status(), &error.to_string());
        }
        #[cfg(feature = "channels")]
        if let Some(error) = error.downcast_ref::<callgate_channels::Error>() {
            return HttpError::from(error.clone()).response();
        }
        next = error.source();
    }
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    response(status, "the request could not be served")
}

/// Notes when a response has been started.
struct WatchStart {
    is_started: Arc<AtomicBool>,
    /// Whether the event that is being sent is the start.
    is_start: bool,
}

impl WatchStart {
    fn new(is_started: Arc<AtomicBool>) -> Self {
        Self {
            is_started,
            is_start: false,
        }
    }
}

impl Events for WatchStart {
    fn sending(&mut self, event: &mut SendEvent) {
        self.is_start = matches!(event, SendEvent::HttpResponseStart(_));
    }

    fn sent(&mut self, result: &Result<(), SendError>) {
        if self.is_start && result.is_ok() {
            self.is_started.store(true, Ordering::Relaxed);
        }
    }
}
