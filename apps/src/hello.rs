//! The smallest application: one text for every request.

use callgate::{AppError, BoxApp, HttpResponseBody, HttpResponseStart, Receiver, Scope, Sender};
use http::header::{CONTENT_TYPE, HeaderValue};

use crate::{Entry, Group, method};

/// What the gallery and the command line know of it.
pub const ENTRY: Entry = Entry {
    name: "hello",
    group: Group::Protocol,
    summary: "Says hello.",
    try_it: &["curl -i {http}"],
    app: |_| BoxApp::new(hello),
};

/// Says hello.
///
/// # Errors
///
/// [`AppError::Unsupported`] for anything but HTTP; a failed send.
pub async fn hello(scope: Scope, _receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    let Scope::Http(scope) = scope else {
        return Err(AppError::Unsupported);
    };
    if !method::is_read(&scope.method) {
        return method::not_allowed(&scope, &sender).await;
    }
    let start = HttpResponseStart::ok().header(CONTENT_TYPE, TEXT);
    sender.send(start).await?;
    // The first part is also the last: the server sends it whole, with its length.
    sender
        .send(HttpResponseBody::last("Hello, world!\n"))
        .await?;
    Ok(())
}

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
