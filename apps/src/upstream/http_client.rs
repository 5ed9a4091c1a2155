//! Services at a URL.

use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use reqwest::{Client, redirect};

use super::content::Content;
use super::{Error, Request};

/// A client of HTTP. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct HttpClient {
    /// The client, or why there is none: the system has no certificates, for example.
    client: Result<Client, Arc<reqwest::Error>>,
}

impl HttpClient {
    pub(super) fn new() -> Self {
        // The provider of the process for reqwest, which brings none. An earlier one is kept.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .user_agent(concat!("callgate-apps/", env!("CARGO_PKG_VERSION")))
            // Tokens and content are meant for this service only.
            .redirect(redirect::Policy::none())
            .build();
        Self {
            client: client.map_err(Arc::new),
        }
    }

    pub(super) async fn send(&self, request: Request) -> Result<Response<Bytes>, Error> {
        let client = self.client.as_ref();
        let client = client.map_err(|error| Error::NotSent(error.clone().into()))?;
        let sent = client
            .request(request.method, request.url)
            .headers(request.headers)
            .body(request.content);
        let mut response = sent.send().await?;
        let mut whole = Response::new(Bytes::new());
        *whole.status_mut() = response.status();
        *whole.headers_mut() = response.headers().clone();
        let mut content = Content::default();
        while let Some(part) = response.chunk().await? {
            content.push(&part)?;
        }
        *whole.body_mut() = content.into_bytes();
        Ok(whole)
    }
}

impl From<reqwest::Error> for Error {
    fn from(error: reqwest::Error) -> Self {
        if error.is_builder() {
            Self::NotSent(error.into())
        } else {
            Self::Unreachable(error.into())
        }
    }
}
