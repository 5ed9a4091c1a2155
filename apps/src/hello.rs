//! The smallest application: it answers every HTTP request with the same text.

use callgate::{AppError, BoxApp, HttpResponseBody, HttpResponseStart, Receiver, Scope, Sender};

use crate::{Entry, Group};

/// The entry of `hello` in the list of applications.
pub const ENTRY: Entry = Entry {
    name: "hello",
    group: Group::Protocol,
    summary: "Says hello.",
    try_it: &["curl -i {http}"],
    service: None,
    source: include_str!("hello.rs"),
    app: |_| BoxApp::new(hello),
};

/// Answers an HTTP request with `Hello, world!`.
///
/// # Errors
///
/// Returns [`AppError::Unsupported`] for a WebSocket and for lifespan, and the error of a send that
/// fails.
pub async fn hello(scope: Scope, _receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    let _request = scope.into_http()?;
    let start = HttpResponseStart::ok().header("content-type", "text/plain; charset=utf-8");
    sender.send(start).await?;
    // The first part of the content is also the last, so the server sends it with its length.
    let body = HttpResponseBody::last("Hello, world!\n");
    Ok(sender.send(body).await?)
}
