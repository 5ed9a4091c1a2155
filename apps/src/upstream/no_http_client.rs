//! Services at a URL, in a program that was built without a client of HTTP.

use bytes::Bytes;
use http::Response;

use super::{Error, Request};

/// The place of the client: no request is sent.
#[derive(Clone, Debug)]
pub(super) struct HttpClient;

impl HttpClient {
    pub(super) fn new() -> Self {
        Self
    }

    pub(super) async fn send(&self, _: Request) -> Result<Response<Bytes>, Error> {
        Err(Error::NotSent(
            "this program was built without `clients`".into(),
        ))
    }
}
