//! Failed calls answered with JSON: `{"error": "..."}` and a status that says what went wrong.
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
//!     let Scope::Http(scope) = scope else {
//!         return Err(AppError::Unsupported);
//!     };
//!     // 413, 415, 400 or 422
//!     let order: Order = read::read_json(&scope, &mut receiver, 64 * 1024).await?;
//!     if order.number == 0 {
//!         let reason = "orders are numbered from 1";
//!         return Err(errors::HttpError::new(StatusCode::NOT_FOUND, reason).into());
//!     }
//!     respond::json("ordered")?.send(&sender).await?;
//!     Ok(())
//! }
//!
//! fn app() -> impl App {
//!     errors::answer(order)
//! }
//! ```

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use callgate::{App, AppError, Receiver, Scope, SendError, SendEvent, Sender};
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use serde::Serialize;

use crate::middleware::{Events, tap};
use crate::read::ReadError;
use crate::respond::{self, Response};

/// A failure, the status that says so, and what the client may know of it.
#[derive(Debug)]
pub struct HttpError {
    status: StatusCode,
    message: String,
    /// Boxed, so that a `Result` with this error is small.
    headers: Box<HeaderMap>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl HttpError {
    /// A failure with this status, of which the client is told this.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            headers: Box::default(),
            source: None,
        }
    }

    /// Sets a header field of the answer, in place of any of the same name: `allow` with 405,
    /// `retry-after` with 503, `www-authenticate` with 401.
    ///
    /// # Panics
    ///
    /// When the name or the value cannot be a header field.
    #[must_use]
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName>,
        N::Error: fmt::Debug,
        V: TryInto<HeaderValue>,
        V::Error: fmt::Debug,
    {
        respond::set(&mut self.headers, name, value);
        self
    }

    /// With the error behind it, of which the client is told nothing.
    #[must_use]
    pub fn source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// What the client is told.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The header fields that were set for the answer.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The answer, for where [`answer`] does not give it: in place of a WebSocket, or beside others.
    pub fn response(&self) -> Response {
        let mut response = response(self.status, &self.message);
        response.start.headers.extend(self.headers().clone());
        response
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

/// Answers for `app` where an HTTP call of it fails before it has started a response.
///
/// An [`HttpError`] and a [`ReadError`] say with which status; any other error is a 500 that does not
/// say why (rule `HTTP-34`). Errors of the server's side, 500 and above, are passed on to the server
/// after that, which reports them. What has failed for another reason, by declining, as its client
/// is gone, or by breaking a rule, is passed on as it is.
pub fn answer<A: App>(app: A) -> Answered<A> {
    Answered(app)
}

/// An application whose failures are answered: made by [`answer`].
#[derive(Clone, Debug)]
pub struct Answered<A>(A);

impl<A: App> App for Answered<A> {
    async fn call(&self, scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        if !matches!(scope, Scope::Http(_)) {
            return self.0.call(scope, receiver, sender).await;
        }
        let is_started = Arc::new(AtomicBool::new(false));
        let (receiver, inner) = tap(receiver, sender.clone(), Start(is_started.clone()));
        let result = self.0.call(scope, receiver, inner).await;
        let Err(AppError::Failed(error)) = result else {
            return result;
        };
        let error = AppError::Failed(error);
        if error.is_disconnected() || is_started.load(Ordering::Relaxed) {
            return Err(error);
        }
        let response = answer_to(&error);
        let status = response.start.status;
        response.send(&sender).await?;
        if status.is_server_error() {
            return Err(error);
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct Body<'a> {
    error: &'a str,
}

fn response(status: StatusCode, error: &str) -> Response {
    let response = respond::json(&Body { error });
    response.expect("a text can be JSON").status(status)
}

fn answer_to(error: &AppError) -> Response {
    let mut next: Option<&(dyn Error + 'static)> = match error {
        AppError::Failed(error) => Some(&**error),
        _ => None,
    };
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<HttpError>() {
            return error.response();
        }
        if let Some(error) = error.downcast_ref::<ReadError>() {
            return response(error.status(), &error.to_string());
        }
        next = error.source();
    }
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    response(status, "the request could not be served")
}

/// Notes that a response has been started.
struct Start(Arc<AtomicBool>);

impl Events for Start {
    fn sent(&mut self, event: &SendEvent, result: &Result<(), SendError>) {
        if matches!(event, SendEvent::HttpResponseStart(_)) && result.is_ok() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}
