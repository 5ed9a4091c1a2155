//! A request to a service, and its response.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use url::Url;

use super::{Error, Transport, Upstream};
use crate::settings::Token;

/// A request to a service.
#[derive(Debug)]
pub(crate) struct Request {
    upstream: Upstream,
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) content: Bytes,
}

impl Request {
    pub(super) fn new(upstream: Upstream, method: Method, url: Url) -> Self {
        Self {
            upstream,
            method,
            url,
            headers: HeaderMap::new(),
            content: Bytes::new(),
        }
    }

    pub(super) fn bearer_token(self, token: &Token) -> Result<Self, Error> {
        let value = HeaderValue::try_from(format!("Bearer {}", token.expose()));
        let mut value = value.map_err(|error| Error::NotSent(error.into()))?;
        value.set_sensitive(true);
        Ok(self.header(AUTHORIZATION, value))
    }

    /// Sets a header field.
    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Sets the query, which is percent-encoded already.
    pub(crate) fn query(mut self, query: &str) -> Self {
        self.url.set_query(Some(query));
        self
    }

    /// Sets the content, as JSON.
    ///
    /// # Errors
    ///
    /// Returns [`Error::NotSent`] for a value that JSON does not have.
    pub(crate) fn json(mut self, value: &impl Serialize) -> Result<Self, Error> {
        let content = serde_json::to_vec(value).map_err(|error| Error::NotSent(error.into()))?;
        self.content = content.into();
        let json = HeaderValue::from_static("application/json");
        Ok(self.header(CONTENT_TYPE, json))
    }

    /// Sends the request and reads the response, whatever its content is.
    pub(crate) async fn send(self) -> Result<Response<Bytes>, Error> {
        let Upstream {
            transport,
            timeout: limit,
            ..
        } = self.upstream.clone();
        let response = async {
            match transport {
                Transport::Http(client) => client.send(self).await,
                Transport::StandIn(app) => app.send(self).await,
            }
        };
        let response = timeout(limit, response).await;
        let response = response.map_err(|_| Error::TimedOut)??;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(Error::UnexpectedStatus(response.into()))
    }

    /// Sends the request and parses the response as JSON.
    pub(crate) async fn fetch<T: DeserializeOwned>(self) -> Result<T, Error> {
        read(&self.send().await?)
    }
}

/// Parses the content of a response as JSON.
pub(crate) fn read<T: DeserializeOwned>(response: &Response<Bytes>) -> Result<T, Error> {
    serde_json::from_slice(response.body()).map_err(Error::Unreadable)
}
