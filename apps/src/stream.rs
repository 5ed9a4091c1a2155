//! Content of any length in little memory: a download, server-sent events and an upload.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use callgate::{
    AppError, BoxApp, HttpResponseBody, HttpResponseStart, HttpScope, ReceiveEvent, Receiver,
    Scope, SendError, Sender,
};
use callgate_toolkit::sse::Event;
use callgate_toolkit::{read, respond};
use futures_util::stream;
use http::Method;
use http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use serde::Deserialize;
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval};

use crate::{Entry, Group, http_errors, method, number, page};

/// The entry of `stream` in the list of applications.
pub const ENTRY: Entry = Entry {
    name: "stream",
    group: Group::Live,
    summary: "Streams a download, sends events, and counts an upload, all of any length and in little memory.",
    try_it: &[
        "{http}",
        "curl '{http}download?bytes=100000000' -o /dev/null",
        "curl -N {http}events",
        "curl -T FILE {http}upload",
    ],
    service: None,
    source: include_str!("stream.rs"),
    app: |_| BoxApp::new(http_errors::handle(stream)),
};

const PAGE: &str = include_str!("stream/page.html");

/// The size of a part of a download, in bytes.
const CHUNK: u64 = 64 * 1024;
/// The largest download, in bytes: one tebibyte.
const MAX_BYTES: u64 = 1 << 40;
/// The longest time between two events, in seconds.
const MAX_SECONDS: u64 = 20;

/// Streams in both directions.
///
/// # Errors
///
/// Returns [`AppError::Unsupported`] for a WebSocket and for lifespan, an
/// [`HttpError`](callgate_toolkit::errors::HttpError) for a request
/// that cannot be served, and the error of a send that fails.
pub async fn stream(scope: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    let scope = scope.into_http()?;
    let path = scope.route_path();
    let (is_allowed, allowed) = match &*path {
        "/" | "/download" | "/events" => (method::is_get_or_head(&scope.method), "GET, HEAD"),
        "/upload" => (
            matches!(scope.method, Method::POST | Method::PUT),
            "POST, PUT",
        ),
        _ => return Err(http_errors::not_found().into()),
    };
    if !is_allowed {
        return Err(http_errors::method_not_allowed(allowed).into());
    }
    match &*path {
        "/download" => download(&scope, &sender).await,
        "/events" => events(&scope, &mut receiver, &sender).await,
        "/upload" => upload(&mut receiver, &sender).await,
        _ => page::send(&scope, &sender, || page::compose(PAGE)).await,
    }
}

#[derive(Deserialize)]
struct EventsQuery {
    /// The seconds between two events.
    every: Option<String>,
    /// The number of events, after which the response ends.
    count: Option<String>,
}

/// Sends events until the client disconnects or the server shuts down (`http.shutdown`): an
/// application that did not receive that event would delay the end of the server.
///
/// A client that connects again with the ID of its last event gets the next event.
async fn events(
    scope: &HttpScope,
    receiver: &mut Receiver,
    sender: &Sender,
) -> Result<(), AppError> {
    let query: EventsQuery = read::query(scope)?;
    let every = number::parse_optional("every", query.every, 1..=MAX_SECONDS)?;
    let count = number::parse_optional("count", query.count, 1..=u32::MAX.into())?;
    let first = match scope.headers.get("last-event-id") {
        Some(last) => {
            let last = String::from_utf8_lossy(last.as_bytes());
            number::parse("last-event-id", &last, 0..=u32::MAX.into())? + 1
        }
        None => 1,
    };
    // The response to HEAD has no content.
    let end = match scope.method {
        Method::HEAD => first,
        _ => count.map_or(u64::MAX, |count| first + count),
    };
    let mut clock = interval(Duration::from_secs(every.unwrap_or(1)));
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let events = stream::unfold((clock, first..end), async |(mut clock, mut numbers)| {
        let number = numbers.next()?;
        clock.tick().await;
        let event = Event::new(format!("This is event {number}."))
            .id(number.to_string())
            .retry(Duration::from_secs(1));
        Some((event, (clock, numbers)))
    });
    // The response also sends comments while there is no event. Its last event at a shutdown spreads
    // the clients over a second, so that they do not connect again all at once.
    let delay = Duration::from_millis(rand::random_range(1000..2000));
    respond::events(receiver, events)
        .on_shutdown(Event::reconnect_after(delay))
        .send(sender)
        .await
}

#[derive(Deserialize)]
struct DownloadQuery {
    bytes: Option<String>,
}

/// Sends as many bytes as the query asks for. No more than one part is in memory: the next is made
/// when the transport has taken the last.
async fn download(scope: &HttpScope, sender: &Sender) -> Result<(), AppError> {
    let query: DownloadQuery = read::query(scope)?;
    let length = number::parse_optional("bytes", query.bytes, 0..=MAX_BYTES)?.unwrap_or(1 << 20);
    let start = HttpResponseStart::ok()
        .header(CONTENT_TYPE, "text/plain; charset=utf-8")
        .header(CONTENT_LENGTH, length)
        .header(CONTENT_DISPOSITION, "attachment; filename=\"download.txt\"");
    sender.send(start).await?;
    let mut sent = 0;
    while sent < length && scope.method != Method::HEAD {
        let part = (length - sent).min(CHUNK);
        sender
            .send(HttpResponseBody::part(lines(sent, part)))
            .await?;
        sent += part;
    }
    Ok(sender.send(HttpResponseBody::end()).await?)
}

/// Returns this much content, in lines of 16 bytes: the offset of each line.
fn lines(from: u64, length: u64) -> Bytes {
    let length = usize::try_from(length).expect("at most a part");
    let mut content = BytesMut::with_capacity(length + 15);
    for line in (from..).step_by(16).take(length.div_ceil(16)) {
        writeln!(content, "{line:015x}").expect("a buffer grows");
    }
    content.truncate(length);
    content.freeze()
}

/// Counts the bytes of the content. Each part is dropped before the next is received, and the server
/// does not read ahead.
async fn upload(receiver: &mut Receiver, sender: &Sender) -> Result<(), AppError> {
    let mut bytes = 0;
    loop {
        match receiver.receive().await {
            ReceiveEvent::HttpRequestBody(request) => {
                bytes += request.body.len() as u64;
                if !request.more_body {
                    break;
                }
            }
            ReceiveEvent::HttpDisconnect => {
                tracing::info!("an upload ended early, after {bytes} bytes");
                return Err(SendError::Disconnected.into());
            }
            _ => {}
        }
    }
    respond::json(&json!({ "bytes": bytes }))?
        .send(sender)
        .await
}
