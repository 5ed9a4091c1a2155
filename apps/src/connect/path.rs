//! Paths below the API, and the requests to them.

use http::header::AUTHORIZATION;
use http::{HeaderValue, Method, Response};
use reqwest::RequestBuilder;
use serde::Serialize;

use super::error::Error;
use crate::upstream::{self, Upstream};

/// A path below the API, with the key that requests send.
#[derive(Clone, Debug)]
pub(super) struct ConnectPath {
    upstream: Upstream,
    authorization: HeaderValue,
    segments: Vec<String>,
}

impl ConnectPath {
    /// Creates the path of the API itself.
    pub(super) fn new(upstream: Upstream, authorization: HeaderValue) -> Self {
        Self {
            upstream,
            authorization,
            segments: Vec::new(),
        }
    }

    pub(super) fn join(&self, segment: &str) -> Self {
        let mut path = self.clone();
        path.segments.push(segment.to_owned());
        path
    }

    pub(super) fn request(&self, method: Method) -> Result<RequestBuilder, Error> {
        let segments: Vec<_> = self.segments.iter().map(String::as_str).collect();
        let request = self.upstream.request(method, &segments)?;
        Ok(request.header(AUTHORIZATION, self.authorization.clone()))
    }

    /// Sends a request with this payload as JSON.
    pub(super) async fn send(
        &self,
        method: Method,
        payload: &(impl Serialize + Sync),
    ) -> Result<Response<Vec<u8>>, Error> {
        let request = self.request(method)?.json(payload);
        Ok(upstream::send(request).await?)
    }
}
