//! The page of the gallery.

use callgate::HttpScope;
use callgate_channels::ChannelLayer;
use callgate_toolkit::channels;
use http::header::HOST;

use super::{Exhibit, messages};
use crate::page::{self, escape};
use crate::{Entry, Group};

const PAGE: &str = include_str!("page.html");

/// The groups in the order of the page, each with its title and its applications.
const GROUPS: [(Group, &str, &str); 4] = [
    (
        Group::Protocol,
        "The protocol",
        "Scope, receiver and sender, in a few lines each.",
    ),
    (
        Group::Live,
        "Live",
        "WebSockets and streams: pages that change while you watch.",
    ),
    (
        Group::Data,
        "Data and work",
        "Databases, validated requests, and work that takes a while.",
    ),
    (
        Group::Services,
        "Services",
        "Applications that call other services, or are called by them.",
    ),
];

/// Renders the page for this request.
///
/// Its links are relative. The addresses in its commands are absolute: they are built from the
/// authority that the client has sent, and the script on the page corrects them behind a proxy.
pub(super) fn render(scope: &HttpScope, exhibits: &[Exhibit]) -> String {
    let (mut index, mut sections) = (String::new(), String::new());
    for (group, title, summary) in GROUPS {
        let exhibits = exhibits
            .iter()
            .filter(|exhibit| exhibit.entry.group == group);
        let mut cards = String::new();
        for exhibit in exhibits {
            let entry = &exhibit.entry;
            let name = entry.name;
            if exhibit.availability.is_available() {
                index += &format!("<a href=\"#{name}\">{name}</a>\n");
                cards += &card(exhibit, scope);
            } else {
                index += &format!("<a href=\"#{name}\" class=\"unavailable\">{name}</a>\n");
                cards += &unavailable_card(entry);
            }
        }
        if !cards.is_empty() {
            sections += &format!(
                "<section><h2>{title}</h2><p>{summary}</p>\n<div class=\"cards\">{cards}</div></section>\n"
            );
        }
    }
    page::compose(PAGE)
        .replace("{{version}}", env!("CARGO_PKG_VERSION"))
        .replace("{{index}}", &index)
        .replace("{{sections}}", &sections)
        .replace("{{channels}}", channel_layer(scope))
        .replace("{{features}}", &missing_features())
        .replace("{{feed}}", feed_attribute(scope))
}

/// Returns the attribute that makes the script of the page show the messages.
fn feed_attribute(scope: &HttpScope) -> &'static str {
    if messages::is_local(scope) {
        " data-feed=\"messages\""
    } else {
        ""
    }
}

/// Returns the sentence about the features that the program was built without, if there are any.
fn missing_features() -> String {
    let features = [
        (
            "clients",
            "calls of the real services",
            cfg!(feature = "clients"),
        ),
        ("postgres", "PostgreSQL", cfg!(feature = "postgres")),
        ("redis", "Redis", cfg!(feature = "redis")),
    ];
    let missing: Vec<_> = features
        .into_iter()
        .filter(|(_, _, is_built)| !is_built)
        .map(|(name, what, _)| format!("<code>{name}</code> ({what})"))
        .collect();
    if missing.is_empty() {
        return String::new();
    }
    let missing = missing.join(", ");
    format!(
        "<span id=\"features\">This program was built without {missing}; \
         <code>cargo run --all-features</code> has all.</span>"
    )
}

/// Returns the sentence about the channel layer that is in use.
fn channel_layer(scope: &HttpScope) -> &'static str {
    let layer = channels::layer(&scope.state);
    match layer.map(ChannelLayer::backend_name) {
        Ok("memory") => {
            "The channel layer is <b>memory</b>: <code>counter</code> and <code>chat</code> are of this process."
        }
        Ok("redis") => {
            "The channel layer is <b>redis</b>: all processes with it have one <code>counter</code> and one \
             <code>chat</code>."
        }
        _ => "There is no channel layer for <code>counter</code> and <code>chat</code>.",
    }
}

/// Returns the part of the page about an application that is served.
fn card(
    Exhibit {
        entry, stand_in, ..
    }: &Exhibit,
    scope: &HttpScope,
) -> String {
    let name = entry.name;
    let (pages, commands): (Vec<_>, Vec<_>) = entry
        .try_it
        .iter()
        .partition(|command| page_path(command).is_some());
    // The pages are shown, or else the first command. The other commands are shown on demand.
    let shown = if pages.is_empty() { 1 } else { 0 };
    let (first, more) = commands.split_at(shown.min(commands.len()));
    let items = |commands: &[&&str]| -> String {
        commands
            .iter()
            .map(|command| item(command, name, scope))
            .collect()
    };
    let first = format!("<ul>{}{}</ul>", items(&pages), items(first));
    let notice = stand_in
        .as_ref()
        .map(|notice| format!("<p class=\"note\">{}</p>", page::with_code(notice)));
    let notice = notice.unwrap_or_default();
    let more = match more {
        [] if notice.is_empty() => String::new(),
        _ => {
            let title = match more.len() {
                0 => "About the stand-in".to_owned(),
                1 => "1 more command".to_owned(),
                number => format!("{number} more commands"),
            };
            let list = items(more);
            let list = if list.is_empty() {
                list
            } else {
                format!("<ul>{list}</ul>")
            };
            format!("<details><summary>{title}</summary>{notice}{list}</details>")
        }
    };
    let title = match entry
        .try_it
        .iter()
        .find_map(|command| browser_path(command))
    {
        Some(path) => format!(r#"<a href="{name}/{}">{name}</a>"#, escape(path)),
        None => name.to_owned(),
    };
    let badge = stand_in.as_ref().map_or("", |_| " <span>Stand-in</span>");
    format!(
        "<article id=\"{name}\" data-app=\"{name}\" class=\"card\"><h3>{title}{badge} {}</h3><p>{}</p>\n{first}{more}</article>\n",
        source_link(name),
        escape(entry.summary),
    )
}

/// Returns the link to the source of an application.
fn source_link(name: &str) -> String {
    format!("<a class=\"source\" href=\"source/{name}\" aria-label=\"Source of {name}\">Source</a>")
}

/// Returns a command, or the link of a page, as an item of a list.
fn item(command: &str, name: &str, scope: &HttpScope) -> String {
    let shown = with_addresses(command, name, scope);
    match page_path(command) {
        Some(path) => format!("<li><a href=\"{name}/{path}\">{shown}</a></li>\n"),
        None => format!("<li><code>{shown}</code></li>\n"),
    }
}

/// Returns the part of the page about an application that could not start: without links and
/// commands, which would show no more than that.
fn unavailable_card(Entry { name, summary, .. }: &Entry) -> String {
    let summary = escape(summary);
    format!(
        "<article id=\"{name}\" data-app=\"{name}\" class=\"card unavailable\"><h3>{name} <span>Unavailable</span> {}</h3>\
         <p>{summary}</p>\n<p>It could not start. The log of the server has the reason.</p></article>\n",
        source_link(name)
    )
}

/// Returns the command as HTML, with the addresses of the application filled in.
fn with_addresses(command: &str, name: &str, scope: &HttpScope) -> String {
    let place = escape(&format!("{}{}{name}/", host(scope), scope.raw_path()));
    let address = |scheme: &str, kind: &str| {
        format!(r#"<span data-address="{kind}">{scheme}://{place}</span>"#)
    };
    escape(command)
        .replace("{http}", &address(scope.scheme.as_str(), "http"))
        .replace("{ws}", &address(scope.scheme.as_websocket_str(), "ws"))
}

/// Returns the path below the application if the command is only the address of a page.
fn page_path(command: &str) -> Option<&str> {
    let path = command.strip_prefix("{http}")?;
    (!path.contains(' ')).then_some(path)
}

/// Returns the path at which a browser shows what the command shows: a page, or the response to a
/// `curl` command that has no other argument than an address.
fn browser_path(command: &str) -> Option<&str> {
    let address = match command.strip_prefix("curl ") {
        Some(rest) => rest.trim_start_matches("-i ").trim_matches('\''),
        None => command,
    };
    page_path(address)
}

/// Returns the authority that the client has sent, if it can stand in a command line; else that of
/// the server.
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
