//! The common parts of the applications' HTML pages.

use callgate::{AppError, HttpScope, Sender};
use callgate_toolkit::respond;

use crate::{http_errors, method};

/// The beginning of each page's head: encoding, icon, and the colours for light and dark.
const HEAD: &str = include_str!("page/head.html");

/// The script that keeps a page's WebSocket open.
const SOCKET: &str = include_str!("page/socket.js");

/// Fills the shared parts into a page, where it has `{{head}}` and `{{socket}}`.
pub(crate) fn compose(page: &str) -> String {
    page.replace("{{head}}", HEAD).replace("{{socket}}", SOCKET)
}

/// Sends a page in response to GET and HEAD.
///
/// The links of a page are relative, so a request whose path has no slash at its end is redirected
/// to the path with the slash.
///
/// # Errors
///
/// Returns a 405 as an [`HttpError`](callgate_toolkit::errors::HttpError) for other methods, and the
/// error of a send that fails.
pub(crate) async fn send(
    scope: &HttpScope,
    sender: &Sender,
    page: impl FnOnce() -> String,
) -> Result<(), AppError> {
    if !method::is_get_or_head(&scope.method) {
        return Err(http_errors::method_not_allowed("GET, HEAD").into());
    }
    let response = if scope.raw_path().ends_with('/') {
        respond::html(page())
    } else {
        respond::add_slash(&scope.uri)
    };
    response.send(sender).await
}
