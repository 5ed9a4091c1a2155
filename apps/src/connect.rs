//! A client for the API of CloudBlue Connect, asynchronous throughout.
//!
//! The API is made of namespaces, collections, resources and actions, and so is the client:
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
use crate::api::Failure;
use crate::settings::{Settings, Token};
use crate::upstream::{self, Upstream};

/// The setting without which there is no API to ask.
const URL: &str = "--connect-url or CONNECT_URL";

/// The setting without which there is nothing to show to the API.
const TOKEN: &str = "CONNECT_TOKEN in the environment";

/// Where the API of Connect is, and the key that is used when there is no other. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    upstream: Option<Upstream>,
    key: Option<Token>,
}

impl Api {
    /// The API at [`Settings::connect_url`], with the key [`Settings::connect_token`].
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

    /// The API asked with this key.
    ///
    /// # Errors
    ///
    /// [`Error::NotSet`] for want of a setting; [`Error::Key`].
    pub(crate) fn client(&self, key: Option<&Token>) -> Result<Connect, Error> {
        let upstream = self.upstream.clone().ok_or(Error::NotSet(URL))?;
        let key = key.or(self.key.as_ref()).ok_or(Error::NotSet(TOKEN))?;
        Ok(Connect {
            upstream,
            authorization: authorization(key)?,
        })
    }
}

/// The API of Connect, asked with one key. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Connect {
    upstream: Upstream,
    authorization: HeaderValue,
}

impl Connect {
    /// A namespace: a group of collections.
    pub(crate) fn ns(&self, name: &str) -> Namespace {
        Namespace(Location::of(self).join(name))
    }

    /// A collection that is in no namespace.
    pub(crate) fn collection(&self, name: &str) -> Collection {
        Collection(Location::of(self).join(name))
    }
}

/// A key as the API wants it. What Connect shows to its users begins with the scheme already.
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
struct Location {
    connect: Connect,
    segments: Vec<String>,
}

impl Location {
    fn of(connect: &Connect) -> Self {
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

    /// Sends this as JSON.
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
pub(crate) struct Namespace(Location);

impl Namespace {
    /// One of its collections.
    pub(crate) fn collection(&self, name: &str) -> Collection {
        Collection(self.0.join(name))
    }
}

/// What is a list, such as `requests`.
#[derive(Clone, Debug)]
pub(crate) struct Collection(Location);

impl Collection {
    /// The one of its resources that has this ID.
    pub(crate) fn resource(&self, id: &str) -> Resource {
        Resource(self.0.join(id))
    }

    /// All of its resources.
    pub(crate) fn all(&self) -> Search {
        Search::new(self.0.clone(), None)
    }

    /// Those of its resources that this filter lets through.
    pub(crate) fn filter(&self, filter: Filter) -> Search {
        Search::new(self.0.clone(), Some(filter))
    }

    /// Adds a resource.
    pub(crate) async fn create(&self, payload: &(impl Serialize + Sync)) -> Result<(), Error> {
        self.0.send(Method::POST, payload).await.map(drop)
    }
}

/// What has an ID.
#[derive(Clone, Debug)]
pub(crate) struct Resource(Location);

impl Resource {
    /// What it is.
    pub(crate) async fn get<T: DeserializeOwned>(&self) -> Result<T, Error> {
        Ok(upstream::fetch(self.0.request(Method::GET)?).await?)
    }

    /// Changes those of its fields that the payload has.
    pub(crate) async fn update(&self, payload: &(impl Serialize + Sync)) -> Result<(), Error> {
        self.0.send(Method::PUT, payload).await.map(drop)
    }

    /// A collection below it.
    pub(crate) fn collection(&self, name: &str) -> Collection {
        Collection(self.0.join(name))
    }

    /// Something that can be done with it.
    pub(crate) fn action(&self, name: &str) -> Action {
        Action(self.0.join(name))
    }
}

/// What can be done with a resource, such as `approve`.
#[derive(Clone, Debug)]
pub(crate) struct Action(Location);

impl Action {
    /// Does it.
    pub(crate) async fn post(&self, payload: &(impl Serialize + Sync)) -> Result<(), Error> {
        self.0.send(Method::POST, payload).await.map(drop)
    }
}

/// Why Connect gave no answer that could be used.
#[derive(Debug)]
pub(crate) enum Error {
    /// It cannot be asked without this setting.
    NotSet(&'static str),
    /// The key is not ASCII text.
    Key,
    /// A list that does not say how long it is.
    NoCount,
    /// All that can happen to a request.
    Upstream(Box<upstream::Error>),
}

impl Error {
    /// Whether there is nothing of this name.
    pub(crate) fn is_not_found(&self) -> bool {
        let Self::Upstream(error) = self else {
            return false;
        };
        match &**error {
            upstream::Error::NoSuchPath => true,
            upstream::Error::Refused { status, .. } => *status == StatusCode::NOT_FOUND,
            _ => false,
        }
    }

    /// Whether the same request may succeed later.
    pub(crate) fn is_passing(&self) -> bool {
        let Self::Upstream(error) = self else {
            return false;
        };
        match &**error {
            upstream::Error::Unreachable(_) | upstream::Error::TimedOut(_) => true,
            upstream::Error::Refused { status, .. } => {
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

/// The answer to a request that needed Connect.
impl From<Error> for HttpError {
    fn from(error: Error) -> Self {
        let status = match error {
            Error::Upstream(error) => return error.http("Connect"),
            Error::NotSet(_) | Error::Key => StatusCode::SERVICE_UNAVAILABLE,
            Error::NoCount => StatusCode::BAD_GATEWAY,
        };
        Self::new(status, error.to_string())
    }
}

impl From<Error> for Failure {
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
