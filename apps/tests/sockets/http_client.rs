//! A client of HTTP, with the cryptography that the applications have as well: reqwest is built without its own.

use reqwest::{Client, Response};

/// Returns a new client.
pub(crate) fn new() -> Client {
    // An earlier provider of the process is kept.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::new()
}

/// Makes a GET request.
pub(crate) async fn get(url: impl AsRef<str>) -> reqwest::Result<Response> {
    new().get(url.as_ref()).send().await
}
