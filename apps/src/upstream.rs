//! A client for the services that applications call: HTTP with JSON, a time-out, and errors that name
//! what failed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use callgate_toolkit::errors::HttpError;
use http::{HeaderMap, Method, Response, StatusCode};
use reqwest::{Client, RequestBuilder, redirect};
use serde::de::DeserializeOwned;
use url::Url;

use crate::api::ApiError;
use crate::log_text::causes;
use crate::settings::Token;

/// The default time limit of a response.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The largest content of a response, in bytes.
const MAX_CONTENT: usize = 4 * 1024 * 1024;

/// A service at a URL.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    /// The HTTP client, or why there is none: the system has no certificates, for example.
    client: Result<Client, Arc<reqwest::Error>>,
    base: Url,
    token: Option<Token>,
    timeout: Duration,
}

impl Upstream {
    /// Creates a client for the service at `base`, to which paths are added.
    pub(crate) fn new(base: Url) -> Self {
        // The provider of the process for reqwest, which brings none. An earlier one is kept.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .user_agent(concat!("callgate-apps/", env!("CARGO_PKG_VERSION")))
            // Tokens and content are meant for this service only.
            .redirect(redirect::Policy::none())
            .build();
        Self {
            client: client.map_err(Arc::new),
            base,
            token: None,
            timeout: TIMEOUT,
        }
    }

    /// Sends this as a bearer token (RFC 6750) with each request.
    pub(crate) fn token(mut self, token: Token) -> Self {
        self.token = Some(token);
        self
    }

    /// Sets how long a response may take as a whole. The default is 10 seconds.
    pub(crate) fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Creates a request for the path of these segments below the base; each is percent-encoded.
    ///
    /// # Errors
    ///
    /// Returns [`Error::InvalidPath`] for a segment that would lead out of the path, and
    /// [`Error::NoHttpClient`].
    pub(crate) fn request(
        &self,
        method: Method,
        segments: &[&str],
    ) -> Result<RequestBuilder, Error> {
        if segments.iter().any(|segment| is_unsafe_segment(segment)) {
            return Err(Error::InvalidPath);
        }
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        let client = self
            .client
            .as_ref()
            .map_err(|error| Error::NoHttpClient(error.clone()))?;
        let request = client.request(method, url).timeout(self.timeout);
        Ok(match &self.token {
            Some(token) => request.bearer_auth(token.expose()),
            None => request,
        })
    }

    /// Fetches the JSON at this path.
    pub(crate) async fn get<T: DeserializeOwned>(&self, segments: &[&str]) -> Result<T, Error> {
        fetch(self.request(Method::GET, segments)?).await
    }
}

/// Returns whether a segment would not be part of the path as it stands: it is empty, it is a dot
/// segment, which percent-encoding does not change, or it has tabs or line breaks, which URLs drop.
fn is_unsafe_segment(segment: &str) -> bool {
    matches!(segment, "" | "." | "..") || segment.contains(['\t', '\n', '\r'])
}

/// Sends the request and parses the response as JSON.
pub(crate) async fn fetch<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, Error> {
    read(&send(request).await?)
}

/// Parses the content of a response as JSON.
pub(crate) fn read<T: DeserializeOwned>(response: &Response<Vec<u8>>) -> Result<T, Error> {
    serde_json::from_slice(response.body()).map_err(Error::Unreadable)
}

/// Sends the request and reads the response, whatever its content is.
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
        return Err(Error::UnexpectedStatus {
            status,
            headers,
            content,
        });
    }
    let mut whole = Response::new(content);
    *whole.status_mut() = status;
    *whole.headers_mut() = headers;
    Ok(whole)
}

/// The failure of a call of a service.
#[derive(Debug)]
pub(crate) enum Error {
    /// The HTTP client could not be created.
    NoHttpClient(Arc<reqwest::Error>),
    /// The request cannot be built: a header field cannot hold the token, for example.
    InvalidRequest(reqwest::Error),
    /// The path has a segment that cannot be sent.
    InvalidPath,
    /// The service cannot be reached, or the connection broke.
    Unreachable(reqwest::Error),
    /// The service did not answer in time.
    TimedOut(reqwest::Error),
    /// The status of the response is not one of success.
    UnexpectedStatus {
        status: StatusCode,
        headers: HeaderMap,
        content: Vec<u8>,
    },
    /// The content of the response is too large.
    TooLarge,
    /// The content of the response is not the JSON that was expected.
    Unreadable(serde_json::Error),
}

impl Error {
    /// Returns the status of the response to our client: 504 for a time-out, 500 or 404 for a request
    /// that was never sent, and 502 otherwise.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::NoHttpClient(_) | Self::InvalidRequest(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::InvalidPath => StatusCode::NOT_FOUND,
            Self::TimedOut(_) => StatusCode::GATEWAY_TIMEOUT,
            Self::Unreachable(_)
            | Self::UnexpectedStatus { .. }
            | Self::TooLarge
            | Self::Unreadable(_) => StatusCode::BAD_GATEWAY,
        }
    }

    /// Returns the error response of a request that needed `service`. The client gets the kind of the
    /// error, and the log its causes as well.
    pub(crate) fn into_api_error(self, service: &str) -> ApiError {
        self.into_http_error(service).into()
    }

    /// Returns the error as [`into_api_error`](Self::into_api_error) does, for applications without
    /// axum.
    pub(crate) fn into_http_error(self, service: &str) -> HttpError {
        let error = HttpError::new(self.status(), format!("{service}: {self}"));
        match causes(&self) {
            Some(causes) => error.source(causes),
            None => error,
        }
    }
}

impl From<reqwest::Error> for Error {
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() {
            Self::TimedOut(error)
        } else if error.is_builder() {
            Self::InvalidRequest(error)
        } else {
            Self::Unreachable(error)
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHttpClient(_) | Self::InvalidRequest(_) => f.write_str("it cannot be asked"),
            Self::InvalidPath => f.write_str("there is nothing of this name"),
            Self::Unreachable(_) => f.write_str("it cannot be reached"),
            Self::TimedOut(_) => f.write_str("it did not answer in time"),
            Self::UnexpectedStatus { status, .. } => {
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
            Self::NoHttpClient(error) => Some(&**error),
            Self::InvalidRequest(error) | Self::Unreachable(error) | Self::TimedOut(error) => {
                Some(error)
            }
            Self::Unreadable(error) => Some(error),
            Self::InvalidPath | Self::UnexpectedStatus { .. } | Self::TooLarge => None,
        }
    }
}
