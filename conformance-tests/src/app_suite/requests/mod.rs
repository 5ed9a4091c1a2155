//! The requests and WebSockets of an application, from a file of requests or from a recording.

mod http_file;
mod recording;

use std::error::Error;
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::str::FromStr;

use bytes::Bytes;
use callgate::{ByteString, Message};
use http::{HeaderMap, Method};

use crate::replay::ReplayError;

/// The requests and WebSockets of an application, which the suite makes in place of those to one path:
/// [`AppOptions::requests`](crate::AppOptions::requests).
///
/// They are read from a [recording](crate::Recorder), or from a file of requests, as editors have them:
///
/// ```
/// use callgate_conformance::AppRequests;
///
/// let requests: AppRequests = r#"
/// GET /orders?page=2
/// authorization: Bearer test
///
/// ### Another
/// POST /orders
/// content-type: application/json
///
/// {"article": 7}
///
/// ### A WebSocket, and the messages of the client
/// WEBSOCKET /orders/changes
///
/// {"subscribe": 7}
/// ===
/// {"unsubscribe": 7}
/// "#
/// .parse()?;
/// # Ok::<(), callgate_conformance::AppRequestsError>(())
/// ```
///
/// A request is a method and a path, then header fields, an empty line and the content. `###` at the beginning of a line ends a request. A line
/// before the method that begins with `#` or `//` is a comment. An address such as `http://localhost:8000/orders` stands
/// for its path. Variables, such as `{{host}}`, are an error.
///
/// Of a recording, each request and each WebSocket counts once. Masked credentials are left out: give them to
/// [`AppOptions::header`](crate::AppOptions::header).
#[derive(Clone, Debug)]
pub struct AppRequests(Vec<AppRequest>);

/// A request, or the handshake and the messages of a WebSocket.
#[derive(Clone, Debug)]
pub(super) struct AppRequest {
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) kind: RequestKind,
}

#[derive(Clone, Debug)]
pub(super) enum RequestKind {
    Http {
        method: Method,
        content: Bytes,
    },
    WebSocket {
        subprotocols: Vec<ByteString>,
        messages: Vec<Message>,
    },
}

/// The reason for which the requests of an application could not be read.
#[derive(Debug)]
#[non_exhaustive]
pub enum AppRequestsError {
    /// The file could not be read.
    Read(io::Error),
    /// A line is not part of a request: the number of the line, from 1, and the fault.
    Line(usize, String),
    /// There is no request.
    Empty,
}

impl fmt::Display for AppRequestsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => write!(f, "cannot read the requests: {error}"),
            Self::Line(number, fault) => write!(f, "line {number}: {fault}"),
            Self::Empty => f.write_str("there is no request"),
        }
    }
}

impl Error for AppRequestsError {}

impl From<ReplayError> for AppRequestsError {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::Read(error) => Self::Read(error),
            ReplayError::Line(number, fault) => Self::Line(number, fault),
            _ => Self::Empty,
        }
    }
}

impl AppRequests {
    /// Reads the requests in this file.
    ///
    /// # Errors
    ///
    /// The file cannot be read, has a line that is not part of a request, or has no request.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, AppRequestsError> {
        fs::read_to_string(path)
            .map_err(AppRequestsError::Read)?
            .parse()
    }

    pub(super) fn into_inner(self) -> Vec<AppRequest> {
        self.0
    }
}

impl FromStr for AppRequests {
    type Err = AppRequestsError;

    /// Reads a recording, whose first line begins with `{`, or a file of requests.
    fn from_str(text: &str) -> Result<Self, AppRequestsError> {
        let requests = match text.trim_start().starts_with('{') {
            true => recording::read(text)?,
            false => http_file::read(text)?,
        };
        match requests.is_empty() {
            true => Err(AppRequestsError::Empty),
            false => Ok(Self(requests)),
        }
    }
}
