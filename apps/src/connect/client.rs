//! The API at a URL, and the clients for it.

use http::HeaderValue;

use super::error::{Error, TOKEN};
use super::path::ConnectPath;
use super::resource::{ConnectCollection, ConnectNamespace};
use crate::settings::{Settings, Token};
use crate::upstream::Upstream;

/// The setting that has the URL of the API.
const URL: &str = "--connect-url or CONNECT_URL";

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
        Ok(ConnectClient(ConnectPath::new(
            upstream,
            authorization(key)?,
        )))
    }
}

/// A client for the API that sends one key.
#[derive(Clone, Debug)]
pub(crate) struct ConnectClient(ConnectPath);

impl ConnectClient {
    /// Returns a namespace: a group of collections.
    pub(crate) fn ns(&self, name: &str) -> ConnectNamespace {
        ConnectNamespace(self.0.join(name))
    }

    /// Returns a collection that is in no namespace.
    pub(crate) fn collection(&self, name: &str) -> ConnectCollection {
        ConnectCollection(self.0.join(name))
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
