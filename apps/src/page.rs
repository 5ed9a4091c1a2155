//! What the applications with a page have in common.

use callgate::{AppError, HttpScope, Sender};
use callgate_toolkit::{mount, respond};

use crate::{failures, method};

/// What each page begins with: the encoding, the icon, the colours in light and dark.
const HEAD: &str = include_str!("page/head.html");

/// Keeps a WebSocket open, for the scripts of pages.
const SOCKET: &str = include_str!("page/socket.js");

/// The page with what pages share in it: `{{head}}` and `{{socket}}` stand for that.
pub(crate) fn compose(page: &str) -> String {
    page.replace("{{head}}", HEAD).replace("{{socket}}", SOCKET)
}

/// Sends a page to those who read; other methods are an [`HttpError`](failures::method_not_allowed).
/// The addresses on it are relative, so who came without a slash behind the path is sent there first.
pub(crate) async fn show(
    scope: &HttpScope,
    sender: &Sender,
    page: impl FnOnce() -> String,
) -> Result<(), AppError> {
    if !method::is_read(&scope.method) {
        return Err(failures::method_not_allowed("GET, HEAD").into());
    }
    let response = if scope.raw_path().ends_with('/') {
        respond::html(page())
    } else {
        mount::add_slash(&scope.uri)
    };
    response.send(sender).await?;
    Ok(())
}
