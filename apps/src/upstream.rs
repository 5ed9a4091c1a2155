//! Services that the applications ask in their turn: HTTP with JSON, a time-out, and errors that say
//! what went wrong.

use std::error::Error as _;
use std::fmt;
use std::iter::successors;
use std::sync::Arc;
use std::time::Duration;

use callgate_toolkit::errors::HttpError;
use http::{HeaderMap, Method, Response, StatusCode};
use reqwest::{Client, RequestBuilder, redirect};
use serde::de::DeserializeOwned;
use url::Url;

use crate::api::Failure;
use crate::settings::Token;

/// How long an answer may take, unless it is said otherwise.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How many bytes the content of an answer may have.
const MAX_CONTENT: usize = 4 * 1024 * 1024;

/// A service that is asked over HTTP.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    /// There is none where the system has no certificates, for example.
    client: Result<Client, Arc<reqwest::Error>>,
    base: Url,
    token: Option<Token>,
    timeout: Duration,
}

impl Upstream {
    /// The service at `base`, to which paths are added.
    pub(crate) fn new(base: Url) -> Self {
        let client = Client::builder()
            .user_agent(concat!("callgate-apps/", env!("CARGO_PKG_VERSION")))
            // The token, and what is sent along with it, are for this service only.
            .redirect(redirect::Policy::none())
            .build();
        Self {
            client: client.map_err(Arc::new),
            base,
            token: None,
            timeout: TIMEOUT,
        }
    }

    /// Sends this with each request as a bearer token (RFC 6750).
    pub(crate) fn token(mut self, token: Token) -> Self {
        self.token = Some(token);
        self
    }

    /// How long an answer may take as a whole; 10 seconds if it is not said.
    pub(crate) fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// A request for the path of these segments below the base; each is percent-encoded.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchPath`] for a segment that would lead somewhere else; [`Error::NoClient`].
    pub(crate) fn request(
        &self,
        method: Method,
        segments: &[&str],
    ) -> Result<RequestBuilder, Error> {
        if segments.iter().any(|segment| is_a_way_out(segment)) {
            return Err(Error::NoSuchPath);
        }
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        let client = self
            .client
            .as_ref()
            .map_err(|error| Error::NoClient(error.clone()))?;
        let request = client.request(method, url).timeout(self.timeout);
        Ok(match &self.token {
            Some(token) => request.bearer_auth(token.expose()),
            None => request,
        })
    }

    /// What is at this path, as JSON.
    pub(crate) async fn get<T: DeserializeOwned>(&self, segments: &[&str]) -> Result<T, Error> {
        fetch(self.request(Method::GET, segments)?).await
    }
}

/// Whether this names the directory itself or the one above, which no encoding changes, or nothing;
/// or something else than it says, as URLs drop tabs and ends of lines.
fn is_a_way_out(segment: &str) -> bool {
    matches!(segment, "" | "." | "..") || segment.contains(['\t', '\n', '\r'])
}

/// Sends the request and reads the answer as JSON.
pub(crate) async fn fetch<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, Error> {
    read(&send(request).await?)
}

/// The content of an answer as JSON.
pub(crate) fn read<T: DeserializeOwned>(answer: &Response<Vec<u8>>) -> Result<T, Error> {
    serde_json::from_slice(answer.body()).map_err(Error::Unreadable)
}

/// Sends the request and reads the answer, whatever it is.
pub(crate) async fn send(request: RequestBuilder) -> Result<Response<Vec<u8>>, Error> {
    let mut response = request.send().await?;
    let (status, headers) = (response.status(), response.headers().clone());
    let mut content = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if content.len() + chunk.len() > MAX_CONTENT {
            return Err(Error::TooLarge);
        }
        content.extend_from_slice(&chunk);
    }
    if !status.is_success() {
        return Err(Error::Refused {
            status,
            headers,
            content,
        });
    }
    let mut answer = Response::new(content);
    *answer.status_mut() = status;
    *answer.headers_mut() = headers;
    Ok(answer)
}

/// Why an upstream service gave no answer that could be used.
#[derive(Debug)]
pub(crate) enum Error {
    /// This program cannot ask anybody.
    NoClient(Arc<reqwest::Error>),
    /// The request cannot be made: of a token that no header can hold, for example.
    NoRequest(reqwest::Error),
    /// A path that cannot be asked for.
    NoSuchPath,
    /// It could not be reached, or the connection broke.
    Unreachable(reqwest::Error),
    /// It did not answer in time.
    TimedOut(reqwest::Error),
    /// It answered with another status than success.
    Refused {
        status: StatusCode,
        headers: HeaderMap,
        content: Vec<u8>,
    },
    /// The answer is too large.
    TooLarge,
    /// The answer is not the JSON that was expected.
    Unreadable(serde_json::Error),
}

impl Error {
    /// The status that says so: 504 for a time-out, 500 and 404 for what was never sent, and 502 for
    /// all else.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::NoClient(_) | Self::NoRequest(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::NoSuchPath => StatusCode::NOT_FOUND,
            Self::TimedOut(_) => StatusCode::GATEWAY_TIMEOUT,
            Self::Unreachable(_) | Self::Refused { .. } | Self::TooLarge | Self::Unreadable(_) => {
                StatusCode::BAD_GATEWAY
            }
        }
    }

    /// The failure of a request that needed what `service` did not give. The client is told the
    /// kind of failure, the log all of it.
    pub(crate) fn of(self, service: &str) -> Failure {
        self.http(service).into()
    }

    /// As [`of`](Self::of), where there is no axum.
    pub(crate) fn http(self, service: &str) -> HttpError {
        let failure = HttpError::new(self.status(), format!("{service}: {self}"));
        let causes: Vec<_> = successors(self.source(), |&error| error.source())
            .map(ToString::to_string)
            .collect();
        if causes.is_empty() {
            failure
        } else {
            failure.source(causes.join(": "))
        }
    }
}

impl From<reqwest::Error> for Error {
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() {
            Self::TimedOut(error)
        } else if error.is_builder() {
            Self::NoRequest(error)
        } else {
            Self::Unreachable(error)
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoClient(_) | Self::NoRequest(_) => f.write_str("it cannot be asked"),
            Self::NoSuchPath => f.write_str("there is nothing of this name"),
            Self::Unreachable(_) => f.write_str("it cannot be reached"),
            Self::TimedOut(_) => f.write_str("it did not answer in time"),
            Self::Refused { status, .. } => {
                write!(f, "it answered with status {}", status.as_u16())
            }
            Self::TooLarge => write!(f, "it answered with more than {MAX_CONTENT} bytes"),
            Self::Unreadable(_) => f.write_str("its answer cannot be read"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NoClient(error) => Some(&**error),
            Self::NoRequest(error) | Self::Unreachable(error) | Self::TimedOut(error) => {
                Some(error)
            }
            Self::Unreadable(error) => Some(error),
            Self::NoSuchPath | Self::Refused { .. } | Self::TooLarge => None,
        }
    }
}
