//! A client for the services that applications call: HTTP with JSON, a time-out, and errors that name
//! what failed. A service is at a URL, or it is a stand-in inside the program.

mod content;
mod error;
#[cfg(feature = "clients")]
mod http_client;
#[cfg(not(feature = "clients"))]
mod no_http_client;
mod request;
mod stand_in;

use std::time::Duration;

use callgate::App;
use http::Method;
use serde::de::DeserializeOwned;
use url::Url;

pub(crate) use self::error::Error;
#[cfg(feature = "clients")]
use self::http_client::HttpClient;
#[cfg(not(feature = "clients"))]
use self::no_http_client::HttpClient;
pub(crate) use self::request::{Request, read};
use self::stand_in::StandIn;
use crate::Service;
use crate::settings::Token;

/// The default time limit of a response.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A service: at a URL, or a stand-in. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    transport: Transport,
    base: Url,
    token: Option<Token>,
    timeout: Duration,
}

/// How requests reach the service.
#[derive(Clone, Debug)]
enum Transport {
    Http(HttpClient),
    StandIn(StandIn),
}

impl Upstream {
    /// Creates a client for the service at `base`, to which paths are added.
    pub(crate) fn at(base: Url) -> Self {
        Self::new(Transport::Http(HttpClient::new()), base)
    }

    /// Creates a client for an application that stands in for `service`. It is called in process.
    pub(crate) fn stand_in(service: &'static Service, app: impl App) -> Self {
        let base = Url::parse("http://localhost/").expect("a URL");
        Self::new(Transport::StandIn(StandIn::new(service, app)), base)
    }

    fn new(transport: Transport, base: Url) -> Self {
        Self {
            transport,
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
    pub(crate) fn timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeout = timeout.unwrap_or(TIMEOUT);
        self
    }

    /// Creates a request for the path of these segments below the base; each is percent-encoded.
    ///
    /// # Errors
    ///
    /// Returns [`Error::InvalidPath`] for a segment that would lead out of the path, and
    /// [`Error::NotSent`] for a token that a header field cannot hold.
    pub(crate) fn request(&self, method: Method, segments: &[&str]) -> Result<Request, Error> {
        if segments.iter().any(|segment| is_unsafe_segment(segment)) {
            return Err(Error::InvalidPath);
        }
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        let request = Request::new(self.clone(), method, url);
        match &self.token {
            Some(token) => request.bearer_token(token),
            None => Ok(request),
        }
    }

    /// Fetches the JSON at this path.
    pub(crate) async fn get<T: DeserializeOwned>(&self, segments: &[&str]) -> Result<T, Error> {
        self.request(Method::GET, segments)?.fetch().await
    }
}

/// Returns whether a segment would not be part of the path as it stands: it is empty, it is a dot
/// segment, which percent-encoding does not change, or it has tabs or line breaks, which URLs drop.
fn is_unsafe_segment(segment: &str) -> bool {
    matches!(segment, "" | "." | "..") || segment.contains(['\t', '\n', '\r'])
}
