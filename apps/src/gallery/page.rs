//! The page of the gallery.

use callgate::HttpScope;
use http::header::HOST;

use crate::{Entry, Group, page};

const PAGE: &str = include_str!("page.html");

/// The groups in the order in which one meets them, each with its title and what is in it.
const GROUPS: [(Group, &str, &str); 4] = [
    (
        Group::Protocol,
        "The protocol",
        "Scope, receiver and sender, in a few lines each.",
    ),
    (
        Group::Live,
        "Live",
        "WebSockets and streams: what happens while you look on.",
    ),
    (
        Group::Data,
        "Data and work",
        "Databases, validated requests, and work that takes a while.",
    ),
    (
        Group::Services,
        "Services",
        "Other services that are asked, or that ask.",
    ),
];

/// Renders the page for this request.
///
/// Its links are relative. The addresses in its commands cannot be: they are those that the client
/// has used, as far as the server knows; the script on the page knows better behind a proxy.
pub(super) fn render(scope: &HttpScope, entries: &[Entry]) -> String {
    let (mut index, mut sections) = (String::new(), String::new());
    for (group, title, summary) in GROUPS {
        let of_group: Vec<_> = entries
            .iter()
            .filter(|entry| entry.group == group)
            .collect();
        if of_group.is_empty() {
            continue;
        }
        let links = of_group
            .iter()
            .map(|Entry { name, .. }| format!("<a href=\"#{name}\">{name}</a>\n"));
        index.extend(links);
        let cards: String = of_group.iter().map(|entry| card(entry, scope)).collect();
        sections += &format!(
            "<section><h2>{title}</h2><p>{summary}</p>\n<div class=\"cards\">{cards}</div></section>\n"
        );
    }
    page::compose(PAGE)
        .replace("{{version}}", env!("CARGO_PKG_VERSION"))
        .replace("{{index}}", &index)
        .replace("{{sections}}", &sections)
}

fn card(entry: &Entry, scope: &HttpScope) -> String {
    let name = entry.name;
    let commands: String = entry
        .try_it
        .iter()
        .map(|command| {
            let shown = with_addresses(command, name, scope);
            match page_below(command) {
                Some(path) => format!("<li><a href=\"{name}/{path}\">{shown}</a></li>\n"),
                None => format!("<li><code>{shown}</code></li>\n"),
            }
        })
        .collect();
    let title = match entry.try_it.iter().find_map(|command| seen_at(command)) {
        Some(path) => format!(r#"<a href="{name}/{}">{name}</a>"#, escape(path)),
        None => name.to_owned(),
    };
    format!(
        "<article id=\"{name}\" data-app=\"{name}\"><h3>{title}</h3><p>{}</p>\n<ul>{commands}</ul></article>\n",
        escape(entry.summary)
    )
}

/// The command as HTML, with the addresses in it filled in.
fn with_addresses(command: &str, name: &str, scope: &HttpScope) -> String {
    let place = escape(&format!("{}{}{name}/", host(scope), scope.raw_path()));
    let address = |scheme: &str, kind: &str| {
        format!(r#"<span data-address="{kind}">{scheme}://{place}</span>"#)
    };
    escape(command)
        .replace("{http}", &address(scope.scheme.as_str(), "http"))
        .replace("{ws}", &address(scope.scheme.as_websocket_str(), "ws"))
}

/// The path of a page for a browser, if the command is nothing but the address of one.
fn page_below(command: &str) -> Option<&str> {
    let path = command.strip_prefix("{http}")?;
    (!path.contains(' ')).then_some(path)
}

/// The path at which a browser sees what the command shows: a page, or what `curl` gets with no
/// more than an address.
fn seen_at(command: &str) -> Option<&str> {
    let address = match command.strip_prefix("curl ") {
        Some(rest) => rest.trim_start_matches("-i ").trim_matches('\''),
        None => command,
    };
    page_below(address)
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
