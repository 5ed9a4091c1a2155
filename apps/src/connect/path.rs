//! Paths below the API, and the requests to them.

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Method, Response};
use serde::Serialize;

use super::error::Error;
use crate::upstream::{Request, Upstream};

/// A path below the API, with the key that requests send.
#[derive(Clone, Debug)]
pub(super) struct ConnectPath {
    upstream: Upstream,
    /// The field with the key. A stand-in needs none.
    authorization: Option<HeaderValue>,
    segments: Vec<String>,
}

impl ConnectPath {
    /// Creates the path of the API itself.
    pub(super) fn new(upstream: Upstream, authorization: Option<HeaderValue>) -> Self {
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

    pub(super) fn request(&self, method: Method) -> Result<Request, Error> {
        let segments: Vec<_> = self.segments.iter().map(String::as_str).collect();
        let request = self.upstream.request(method, &segments)?;
        Ok(match &self.authorization {
            Some(authorization) => request.header(AUTHORIZATION, authorization.clone()),
            None => request,
        })
    }

    /// Sends a request with this payload as JSON.
    pub(super) async fn send(
        &self,
        method: Method,
        payload: &(impl Serialize + Sync),
    ) -> Result<Response<Bytes>, Error> {
        let request = self.request(method)?.json(payload)?;
        Ok(request.send().await?)
    }
}
