//! The messages between the server and the applications, live, for the gallery's page.
//!
//! Only a client on the same machine gets them: a visitor must not see the exchanges of others. While no page is
//! open, nothing is recorded.

use std::collections::BTreeMap;
use std::time::Duration;

use callgate::{AppError, HttpScope, Message, ReceiveEvent, Receiver, Scope, SendEvent, Sender};
use callgate_conformance::{CallEnd, RecordLine};
use callgate_inspector::{
    Bounds, Changes, EntryKind, Exchange, ExchangeKind, Inspector, Summary, Watch,
};
use callgate_toolkit::respond;
use callgate_toolkit::sse::Event;
use futures_util::stream::{self, Stream};
use http::HeaderMap;
use http::header::{CACHE_CONTROL, FORWARDED, HOST, VIA};
use serde::Serialize;

/// The shortest time between two events of the feed. What is said in between is told together.
const INTERVAL: Duration = Duration::from_millis(100);

/// The number of messages of one exchange in one event of the feed: the latest.
const MAX_MESSAGES: usize = 20;

/// The longest text of a message, in characters.
const MAX_TEXT: usize = 120;

/// Creates the inspector, which keeps little: the page shows sizes, not contents.
pub(super) fn inspector() -> Inspector {
    let bounds = Bounds::default()
        .exchanges(100)
        .content(256)
        .exchange(64 * 1024)
        .total(2 * 1024 * 1024);
    Inspector::with_bounds(bounds)
}

/// Returns whether a request comes from this machine, and not through a proxy on it. The host is that of this
/// machine too, so that no page of another host can point its own name here.
pub(super) fn is_local(scope: &HttpScope) -> bool {
    let is_loopback = scope
        .client
        .is_some_and(|client| client.ip().to_canonical().is_loopback());
    is_loopback && !is_forwarded(&scope.headers) && names_this_machine(&scope.headers)
}

fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.contains_key(FORWARDED)
        || headers.contains_key(VIA)
        || headers.contains_key("x-forwarded-for")
        || headers.contains_key("x-real-ip")
}

fn names_this_machine(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    host.is_some_and(|host| {
        let name = host.rsplit_once(':').map_or(host, |(name, port)| {
            let is_port = port.bytes().all(|octet| octet.is_ascii_digit());
            if is_port { name } else { host }
        });
        matches!(name, "localhost" | "127.0.0.1" | "[::1]")
    })
}

/// Sends the messages as server-sent events until the page is closed.
pub(super) async fn send_feed(
    inspector: &Inspector,
    receiver: &mut Receiver,
    sender: &Sender,
) -> Result<(), AppError> {
    let feed = feed(inspector.clone(), inspector.watch());
    respond::events(receiver, feed)
        .on_shutdown(Event::reconnect_after(Duration::from_secs(2)))
        .header(CACHE_CONTROL, "no-store")
        .send(sender)
        .await
}

fn feed(inspector: Inspector, watch: Watch) -> impl Stream<Item = Event> + Send {
    let told = Told::default();
    stream::unfold((watch, told), move |(mut watch, mut told)| {
        let inspector = inspector.clone();
        async move {
            loop {
                let changes = watch.next().await;
                let news = told.news(&changes, |number| inspector.exchange(number));
                tokio::time::sleep(INTERVAL).await;
                if !news.is_empty() {
                    let event = Event::json(&news).expect("texts and numbers are JSON");
                    return Some((event, (watch, told)));
                }
            }
        }
    })
}

/// The number of messages that were told, of each exchange that is not complete.
#[derive(Debug, Default)]
struct Told(BTreeMap<u64, u64>);

/// Messages of one exchange that are new.
#[derive(Debug, Serialize)]
struct News {
    /// The name of the application.
    app: String,
    exchange: u64,
    /// The number of messages before these that are not told.
    skipped: u64,
    messages: Vec<Said>,
}

/// A message, or what became of the call.
#[derive(Debug, PartialEq, Serialize)]
struct Said {
    direction: Direction,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Direction {
    /// The server calls the application.
    Scope,
    Receive,
    Send,
    /// The call ends.
    End,
    /// A rule is broken.
    Rule,
}

impl Told {
    fn news(&mut self, changes: &Changes, exchange: impl Fn(u64) -> Option<Exchange>) -> Vec<News> {
        let mut news = Vec::new();
        for summary in &changes.summaries {
            if !is_shown(summary) {
                continue;
            }
            if let Some(exchange) = exchange(summary.number) {
                news.extend(self.news_of(&exchange));
            }
        }
        // Those that are no longer kept do not change any more.
        while self.0.len() > 1000 {
            self.0.pop_first();
        }
        news
    }

    fn news_of(&mut self, exchange: &Exchange) -> Option<News> {
        let app = app_name(exchange.scope()?)?;
        let number = exchange.summary.number;
        let told = self.0.get(&number).copied().unwrap_or_default();
        // The index of an entry counts those that were left out.
        let index = |position: usize| match position < exchange.left_out_after {
            true => position as u64,
            false => position as u64 + exchange.left_out,
        };
        let entries = exchange.entries.iter().enumerate();
        let new: Vec<_> = entries
            .filter(|(position, _)| index(*position) >= told)
            .collect();
        let (last, _) = new.last()?;
        let total = index(*last) + 1;
        let latest = &new[new.len().saturating_sub(MAX_MESSAGES)..];
        let messages: Vec<_> = latest
            .iter()
            .filter_map(|(_, entry)| said(&entry.kind))
            .collect();
        self.0.insert(number, total);
        Some(News {
            app,
            exchange: number,
            skipped: total - told - latest.len() as u64,
            messages,
        })
    }
}

fn is_shown(summary: &Summary) -> bool {
    matches!(summary.kind, ExchangeKind::Http | ExchangeKind::WebSocket)
}

/// Returns the name of the application: the last segment of the root path.
fn app_name(scope: &Scope) -> Option<String> {
    let (_, name) = scope.root_path()?.rsplit_once('/')?;
    Some(name.to_owned())
}

fn said(kind: &EntryKind) -> Option<Said> {
    let (direction, text) = match kind {
        EntryKind::Line {
            line, full_length, ..
        } => line_text(line, *full_length)?,
        EntryKind::Broken(violation) => {
            let text = format!("{}: {}", violation.rule.id, violation.detail);
            (Direction::Rule, text)
        }
        _ => return None,
    };
    let text = match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    };
    Some(Said { direction, text })
}

fn line_text(line: &RecordLine, full_length: Option<usize>) -> Option<(Direction, String)> {
    if let Some(scope) = &line.called {
        let request = scope.request()?;
        let method = match scope {
            Scope::Http(http) => format!(" {}", http.method),
            _ => String::new(),
        };
        let text = format!("{}{method} {}", scope.type_name(), request.raw_path());
        return Some((Direction::Scope, text));
    }
    if let Some(event) = &line.received {
        let text = format!("{}{}", event.type_name(), received_text(event, full_length));
        return Some((Direction::Receive, text));
    }
    if let Some(event) = &line.sent {
        let failure = match &line.failed {
            Some(reason) => format!(": {reason}"),
            None => String::new(),
        };
        let text = sent_text(event, full_length);
        return Some((
            Direction::Send,
            format!("{}{text}{failure}", event.type_name()),
        ));
    }
    let end = line.ended?;
    let reason = match &line.error {
        Some(error) => format!(": {error}"),
        None => String::new(),
    };
    Some((Direction::End, format!("{}{reason}", end_text(end))))
}

fn end_text(end: CallEnd) -> &'static str {
    match end {
        CallEnd::Returned => "returned",
        CallEnd::Declined => "declined",
        CallEnd::Disconnected => "returned: the client is gone",
        CallEnd::Failed => "failed",
        CallEnd::Panicked => "panicked",
        CallEnd::Dropped => "dropped",
        _ => "ended",
    }
}

fn received_text(event: &ReceiveEvent, full_length: Option<usize>) -> String {
    match event {
        ReceiveEvent::HttpRequestBody(part) => {
            content(part.body.len(), full_length, part.more_body)
        }
        ReceiveEvent::WebSocketReceive(message) => message_text(message, full_length),
        ReceiveEvent::WebSocketDisconnect(disconnect) => format!(" {}", disconnect.code),
        _ => String::new(),
    }
}

fn sent_text(event: &SendEvent, full_length: Option<usize>) -> String {
    match event {
        SendEvent::HttpResponseStart(start) | SendEvent::DenialResponseStart(start) => {
            format!(" {}", start.status.as_u16())
        }
        SendEvent::HttpResponseBody(part) | SendEvent::DenialResponseBody(part) => {
            content(part.body.len(), full_length, part.more_body)
        }
        SendEvent::WebSocketSend(message) => message_text(message, full_length),
        SendEvent::WebSocketClose(close) => format!(" {}", close.code),
        _ => String::new(),
    }
}

fn message_text(message: &Message, full_length: Option<usize>) -> String {
    let (kind, length) = match message {
        Message::Text(text) => ("text", text.len()),
        Message::Binary(binary) => ("binary", binary.len()),
    };
    format!(" {kind}, {} B", full_length.unwrap_or(length))
}

fn content(length: usize, full_length: Option<usize>, more: bool) -> String {
    let more = if more { ", more" } else { "" };
    format!(" {} B{more}", full_length.unwrap_or(length))
}
