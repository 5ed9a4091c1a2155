//! The API at a URL, and the clients for it.

use http::HeaderValue;

use super::error::{Error, TOKEN};
use super::path::ConnectPath;
use super::resource::{ConnectCollection, ConnectNamespace};
use crate::Service;
use crate::settings::{Settings, Token};
use crate::stand_in::marketplace;
use crate::upstream::Upstream;

/// CloudBlue Connect.
pub(crate) static CONNECT: Service = Service {
    name: "the marketplace (CloudBlue Connect)",
    setting: "`--connect-url` or `CONNECT_URL`",
    is_set: |settings| settings.connect_url.is_some(),
};

/// The API of Connect at a URL, with a default key. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct ConnectApi {
    upstream: Upstream,
    key: Option<Token>,
    is_stand_in: bool,
}

impl ConnectApi {
    /// Creates a client for the API at [`Settings::connect_url`], or for a stand-in. Its default key is
    /// [`Settings::connect_token`].
    pub(crate) fn new(settings: &Settings) -> Self {
        let upstream = match settings.connect_url.clone() {
            Some(url) => Upstream::at(url),
            None => Upstream::stand_in(&CONNECT, marketplace::app()),
        };
        Self {
            upstream: upstream.timeout(settings.connect_timeout),
            key: settings.connect_token.clone(),
            is_stand_in: settings.connect_url.is_none(),
        }
    }

    /// Returns a client that sends this key, or the default key.
    ///
    /// # Errors
    ///
    /// Returns [`Error::NotSet`] if there is no key for Connect at a URL, and [`Error::Key`].
    pub(crate) fn client(&self, key: Option<&Token>) -> Result<ConnectClient, Error> {
        let key = key.or(self.key.as_ref());
        if key.is_none() && !self.is_stand_in {
            return Err(Error::NotSet(TOKEN));
        }
        let authorization = key.map(authorization).transpose()?;
        let path = ConnectPath::new(self.upstream.clone(), authorization);
        Ok(ConnectClient(path))
    }

    /// Returns whether a stand-in answers.
    pub(crate) fn is_stand_in(&self) -> bool {
        self.is_stand_in
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
