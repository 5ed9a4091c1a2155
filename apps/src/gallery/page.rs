//! The page of the gallery.

use callgate::HttpScope;
use http::header::HOST;

use crate::Entry;

const PAGE: &str = include_str!("page.html");

/// Renders the page for this request.
///
/// Its links are relative. The addresses in its commands cannot be: they are those that the client
/// has used, as far as the server knows; the script on the page knows better behind a proxy.
pub(super) fn render<'a>(scope: &HttpScope, entries: impl Iterator<Item = &'a Entry>) -> String {
    let host = host(scope);
    let path = scope.raw_path();
    let cards: String = entries
        .map(|entry| card(entry, scope, &format!("{host}{path}{}/", entry.name)))
        .collect();
    PAGE.replace("{{version}}", env!("CARGO_PKG_VERSION"))
        .replace("{{cards}}", &cards)
}

fn card(entry: &Entry, scope: &HttpScope, place: &str) -> String {
    let (http, ws) = (scope.scheme.as_str(), scope.scheme.as_websocket_str());
    let address = |scheme, kind| {
        format!(
            r#"<span data-address="{kind}">{scheme}://{}</span>"#,
            escape(place)
        )
    };
    let commands: String = entry
        .try_it
        .iter()
        .map(|command| {
            let command = escape(command)
                .replace("{http}", &address(http, "http"))
                .replace("{ws}", &address(ws, "ws"));
            format!("<li><code>{command}</code></li>")
        })
        .collect();
    let name = entry.name;
    // Those that are for WebSockets only have nothing to show to a browser.
    let title = if entry
        .try_it
        .iter()
        .any(|command| command.contains("{http}"))
    {
        format!(r#"<a href="{name}/">{name}</a>"#)
    } else {
        name.to_owned()
    };
    format!(
        r#"<article data-app="{name}"><h2>{title}</h2><p>{}</p><ul>{commands}</ul></article>"#,
        escape(entry.summary)
    )
}

/// The authority that the client has used, if it says one that is fit for a command line.
fn host(scope: &HttpScope) -> String {
    let is_plain = |host: &&str| {
        !host.is_empty()
            && host
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || ".-_:[]".contains(c))
    };
    let host = scope.headers.get(HOST).and_then(|host| host.to_str().ok());
    match (host.filter(is_plain), scope.server) {
        (Some(host), _) => host.to_owned(),
        (None, Some(server)) => server.to_string(),
        (None, None) => "localhost".to_owned(),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
