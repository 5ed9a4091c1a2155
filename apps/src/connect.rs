//! A client for the API of CloudBlue Connect, asynchronous throughout.
//!
//! The API consists of namespaces, collections, resources and actions, and the client has a type for
//! each:
//!
//! ```text
//! let templates = connect.collection("products").resource("PRD-1").collection("templates");
//! let template = templates.filter(Filter::eq("scope", "asset")).first().await?;
//! connect.collection("requests").resource("PR-1").action("approve").post(&json!({})).await?;
//! let count = connect.ns("subscriptions").collection("assets").all().count().await?;
//! ```

mod filter;
mod search;

use callgate_toolkit::errors::HttpError;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Method, Response, StatusCode};
use reqwest::RequestBuilder;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) use self::filter::Filter;
pub(crate) use self::search::Search;
use crate::api::ApiError;
use crate::settings::{Settings, Token};
use crate::upstream::{self, Upstream};

/// The setting that has the URL of the API.
const URL: &str = "--connect-url or CONNECT_URL";

/// The setting that has the key.
const TOKEN: &str = "CONNECT_TOKEN in the environment";

/// The API of Connect at a URL, with a default key. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct ConnectApi {
    upstream: Option<Upstream>,
    key: Option<Token>,
}

impl ConnectApi {
    /// Creates a client for the API at [`Settings::connect_url`]. Its default key is
    /// [`Settings::connect_token`].
    pub(crate) fn new(settings: &Settings) -> Self {
        let upstream = settings.connect_url.clone().map(Upstream::new);
        Self {
            upstream: match settings.connect_timeout {
                Some(timeout) => upstream.map(|upstream| upstream.timeout(timeout)),
                None => upstream,
            },
            key: settings.connect_token.clone(),
        }
    }

    /// Returns a client that sends this key, or the default key.
    ///
    /// # Errors
    ///
    /// Returns [`Error::NotSet`] if a setting is missing, and [`Error::Key`].
    pub(crate) fn client(&self, key: Option<&Token>) -> Result<ConnectClient, Error> {
        let upstream = self.upstream.clone().ok_or(Error::NotSet(URL))?;
        let key = key.or(self.key.as_ref()).ok_or(Error::NotSet(TOKEN))?;
        Ok(ConnectClient {
            upstream,
            authorization: authorization(key)?,
        })
    }
}

/// A client for the API that sends one key. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct ConnectClient {
    upstream: Upstream,
    authorization: HeaderValue,
}

impl ConnectClient {
    /// Returns a namespace: a group of collections.
    pub(crate) fn ns(&self, name: &str) -> ConnectNamespace {
        ConnectNamespace(ConnectPath::of(self).join(name))
    }

    /// Returns a collection that is in no namespace.
    pub(crate) fn collection(&self, name: &str) -> ConnectCollection {
        ConnectCollection(ConnectPath::of(self).join(name))
    }
}

/// Returns the `authorization` field for a key. A key that is copied from Connect's pages begins with
/// the scheme already.
fn authorization(key: &Token) -> Result<HeaderValue, Error> {
    let key = key.expose();
    let text = match key.strip_prefix("ApiKey ") {
        Some(_) => key.to_owned(),
        None => format!("ApiKey {key}"),
    };
    let mut value = HeaderValue::try_from(text).map_err(|_| Error::Key)?;
    value.set_sensitive(true);
    Ok(value)
}

/// A path below the API.
#[derive(Clone, Debug)]
struct ConnectPath {
    connect: ConnectClient,
    segments: Vec<String>,
}

impl ConnectPath {
    fn of(connect: &ConnectClient) -> Self {
        Self {
            connect: connect.clone(),
            segments: Vec::new(),
        }
    }

    fn join(&self, segment: &str) -> Self {
        let mut location = self.clone();
        location.segments.push(segment.to_owned());
        location
    }

    fn request(&self, method: Method) -> Result<RequestBuilder, Error> {
        let segments: Vec<_> = self.segments.iter().map(String::as_str).collect();
        let request = self.connect.upstream.request(method, &segments)?;
        Ok(request.header(AUTHORIZATION, self.connect.authorization.clone()))
    }

    /// Sends a request with this as JSON.
    async fn send(
        &self,
        method: Method,
        payload: &(impl Serialize + Sync),
    ) -> Result<Response<Vec<u8>>, Error> {
        let request = self.request(method)?.json(payload);
        Ok(upstream::send(request).await?)
    }
}

/// A group of collections, such as `devops`.
#[derive(Clone, Debug)]
pub(crate) struct ConnectNamespace(ConnectPath);

impl ConnectNamespace {
    /// Returns a collection of the namespace.
    pub(crate) fn collection(&self, name: &str) -> ConnectCollection {
        ConnectCollection(self.0.join(name))
    }
}

/// A list of resources, such as `requests`.
#[derive(Clone, Debug)]
pub(crate) struct ConnectCollection(ConnectPath);

impl ConnectCollection {
    /// Returns the resource with this ID.
    pub(crate) fn resource(&self, id: &str) -> ConnectResource {
        ConnectResource(self.0.join(id))
    }

    /// Returns a search for all resources of the collection.
    pub(crate) fn all(&self) -> Search {
        Search::new(self.0.clone(), None)
    }

    /// Returns a search for the resources that match this filter.
    pub(crate) fn filter(&self, filter: Filter) -> Search {
        Search::new(self.0.clone(), Some(filter))
    }

    /// Creates a resource.
    pub(crate) async fn create(&self, payload: &(impl Serialize + Sync)) -> Result<(), Error> {
        self.0.send(Method::POST, payload).await.map(drop)
    }
}

/// A resource: it has an ID.
#[derive(Clone, Debug)]
pub(crate) struct ConnectResource(ConnectPath);

impl ConnectResource {
    /// Fetches the resource.
    pub(crate) async fn get<T: DeserializeOwned>(&self) -> Result<T, Error> {
        Ok(upstream::fetch(self.0.request(Method::GET)?).await?)
    }

    /// Changes the fields of the resource that the payload has.
    pub(crate) async fn update(&self, payload: &(impl Serialize + Sync)) -> Result<(), Error> {
        self.0.send(Method::PUT, payload).await.map(drop)
    }

    /// Returns a collection below the resource.
    pub(crate) fn collection(&self, name: &str) -> ConnectCollection {
        ConnectCollection(self.0.join(name))
    }

    /// Returns an action of the resource.
    pub(crate) fn action(&self, name: &str) -> ConnectAction {
        ConnectAction(self.0.join(name))
    }
}

/// An action of a resource, such as `approve`.
#[derive(Clone, Debug)]
pub(crate) struct ConnectAction(ConnectPath);

impl ConnectAction {
    /// Performs the action.
    pub(crate) async fn post(&self, payload: &(impl Serialize + Sync)) -> Result<(), Error> {
        self.0.send(Method::POST, payload).await.map(drop)
    }
}

/// The failure of a call of Connect.
#[derive(Debug)]
pub(crate) enum Error {
    /// This setting is missing.
    NotSet(&'static str),
    /// The key is not ASCII text.
    Key,
    /// A list whose response does not give its length.
    NoCount,
    /// The request failed.
    Upstream(Box<upstream::Error>),
}

impl Error {
    /// Returns whether Connect has no such resource.
    pub(crate) fn is_not_found(&self) -> bool {
        let Self::Upstream(error) = self else {
            return false;
        };
        match &**error {
            upstream::Error::InvalidPath => true,
            upstream::Error::UnexpectedStatus { status, .. } => *status == StatusCode::NOT_FOUND,
            _ => false,
        }
    }

    /// Returns whether the same request may succeed later.
    pub(crate) fn is_transient(&self) -> bool {
        let Self::Upstream(error) = self else {
            return false;
        };
        match &**error {
            upstream::Error::Unreachable(_) | upstream::Error::TimedOut(_) => true,
            upstream::Error::UnexpectedStatus { status, .. } => {
                status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
            }
            _ => false,
        }
    }
}

impl From<upstream::Error> for Error {
    fn from(error: upstream::Error) -> Self {
        Self::Upstream(Box::new(error))
    }
}

/// The error response of a request that needed Connect.
impl From<Error> for HttpError {
    fn from(error: Error) -> Self {
        let status = match error {
            Error::Upstream(error) => return error.into_http_error("Connect"),
            Error::NotSet(_) | Error::Key => StatusCode::SERVICE_UNAVAILABLE,
            Error::NoCount => StatusCode::BAD_GATEWAY,
        };
        Self::new(status, error.to_string())
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        HttpError::from(error).into()
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotSet(setting) => write!(f, "this is not set up: it needs {setting}"),
            Self::Key => write!(f, "{TOKEN} is no key that a request can hold"),
            Self::NoCount => f.write_str("Connect: its answer does not say how many there are"),
            Self::Upstream(error) => write!(f, "Connect: {error}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Upstream(error) => error.source(),
            _ => None,
        }
    }
}
