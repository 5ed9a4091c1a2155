//! The common parts of the applications' HTML pages.

use callgate::{AppError, HttpScope, Sender};
use callgate_toolkit::respond;
use http::Extensions;

use crate::{http_errors, method};

/// The beginning of each page's head: encoding, icon, and the colours for light and dark.
const HEAD: &str = include_str!("page/head.html");

/// The script that keeps a page's WebSocket open.
const SOCKET: &str = include_str!("page/socket.js");

/// In the extensions of a scope: the gallery serves the application, under this name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exhibited(pub(crate) &'static str);

/// Fills the shared parts into a page, where it has `{{head}}` and `{{socket}}`.
pub(crate) fn compose(page: &str) -> String {
    page.replace("{{head}}", HEAD).replace("{{socket}}", SOCKET)
}

/// Fills the links to the gallery and to the source into a page, where it has `{{links}}`. There are none for
/// an application that is served alone.
pub(crate) fn with_links(page: &str, extensions: &Extensions, route_path: &str) -> String {
    let links = extensions.get::<Exhibited>().map(|Exhibited(name)| {
        let root = "../".repeat(route_path.matches('/').count());
        format!(
            "<p class=\"links\"><a href=\"{root}\">Gallery</a> <a href=\"{root}source/{name}\">Source</a></p>"
        )
    });
    page.replace("{{links}}", &links.unwrap_or_default())
}

/// Returns the text as HTML.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// Returns the text as HTML, with code where the text has backticks around it.
pub(crate) fn with_code(text: &str) -> String {
    let parts = text.split('`').enumerate();
    let parts = parts.map(|(index, part)| match index % 2 {
        0 => escape(part),
        _ => format!("<code>{}</code>", escape(part)),
    });
    parts.collect()
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
        let page = with_links(&page(), &scope.extensions, &scope.route_path());
        respond::html(page)
    } else {
        respond::add_slash(&scope.uri)
    };
    response.send(sender).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_inside_and_outside_of_code() {
        let html = with_code("a < b: `<c> & \"d\"` or `e`");
        assert_eq!(
            html,
            "a &lt; b: <code>&lt;c&gt; &amp; &quot;d&quot;</code> or <code>e</code>"
        );
    }
}
