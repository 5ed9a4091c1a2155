//! Content of any length in little memory: a download, server-sent events and an upload.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use callgate::{
    App, AppError, BoxApp, HttpResponseBody, HttpResponseStart, HttpScope, ReceiveEvent, Receiver,
    Scope, SendError, Sender,
};
use callgate_toolkit::errors::HttpError;
use callgate_toolkit::respond;
use callgate_toolkit::sse::{Event, EventResponse};
use futures_util::{StreamExt as _, stream};
use http::Method;
use http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval, sleep};
use url::form_urlencoded;

use crate::{Entry, Group, http_errors, method, number, page};

/// The entry of `stream` in the list of applications.
pub const ENTRY: Entry = Entry {
    name: "stream",
    group: Group::Live,
    summary: "Streams a download, sends events, and counts an upload, all of any length and in little memory.",
    try_it: &[
        "{http}",
        "curl '{http}download?bytes=1000000000' -o /dev/null",
        "curl -N {http}events",
        "curl -T FILE {http}upload",
    ],
    app: |_| BoxApp::new(http_errors::handle(Stream::default())),
};

const PAGE: &str = include_str!("stream/page.html");

/// The size of a part of a download, in bytes.
const CHUNK: u64 = 64 * 1024;
/// The largest download, in bytes: one tebibyte.
const MAX_BYTES: u64 = 1 << 40;
/// The longest time between two events, in seconds.
const MAX_SECONDS: u64 = 20;

/// Streams in both directions.
#[derive(Clone, Debug)]
pub struct Stream {
    events_last: Duration,
}

impl Default for Stream {
    /// Events are sent for 30 seconds.
    fn default() -> Self {
        Self::new(Duration::from_secs(30))
    }
}

impl Stream {
    /// Creates the application. Each response of events ends after this time, and its client connects
    /// again for more.
    ///
    /// An HTTP exchange is not told of a shutdown, which waits for it. So this is also how long such a
    /// response delays the end of the server.
    #[must_use]
    pub fn new(events_last: Duration) -> Self {
        Self { events_last }
    }

    /// Sends an event each second, or at the interval of the query, until the time is over or the
    /// client is gone. A client that connects again with the ID of its last event gets the next.
    async fn events(
        &self,
        scope: &HttpScope,
        receiver: &mut Receiver,
        sender: &Sender,
    ) -> Result<(), AppError> {
        let seconds = parameter(scope, "every", 1..=MAX_SECONDS)?.unwrap_or(1);
        let first = match scope.headers.get("last-event-id") {
            Some(last) => {
                let last = String::from_utf8_lossy(last.as_bytes());
                number::parse("last-event-id", &last, 0..=u32::MAX.into())? + 1
            }
            None => 1,
        };
        let mut every = interval(Duration::from_secs(seconds));
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let events = stream::unfold((every, first), async |(mut every, number)| {
            every.tick().await;
            let event = Event::new(format!("This is event {number}."))
                .id(number.to_string())
                .retry(Duration::from_secs(1));
            Some((event, (every, number + 1)))
        });
        let lasts = if scope.method == Method::HEAD {
            Duration::ZERO
        } else {
            self.events_last
        };
        // The response sends comments while there is no event, and ends when the client is gone.
        let response = EventResponse::new(events.take_until(sleep(lasts)));
        response.send(receiver, sender).await?;
        Ok(())
    }
}

impl App for Stream {
    async fn call(
        &self,
        scope: Scope,
        mut receiver: Receiver,
        sender: Sender,
    ) -> Result<(), AppError> {
        let Scope::Http(scope) = scope else {
            return Err(AppError::Unsupported);
        };
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
            "/events" => self.events(&scope, &mut receiver, &sender).await,
            "/upload" => upload(&mut receiver, &sender).await,
            _ => page::send(&scope, &sender, || page::compose(PAGE)).await,
        }
    }
}

/// Sends as many bytes as the query asks for. No more than one part is in memory: the next is made
/// when the transport has taken the last.
async fn download(scope: &HttpScope, sender: &Sender) -> Result<(), AppError> {
    let length = parameter(scope, "bytes", 0..=MAX_BYTES)?.unwrap_or(1 << 20);
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
    sender.send(HttpResponseBody::end()).await?;
    Ok(())
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
        .await?;
    Ok(())
}

/// Returns a number of the query, if the query has it.
fn parameter(
    scope: &HttpScope,
    name: &str,
    bounds: std::ops::RangeInclusive<u64>,
) -> Result<Option<u64>, HttpError> {
    form_urlencoded::parse(scope.query().as_bytes())
        .find(|(found, _)| found == name)
        .map(|(_, text)| number::parse(name, &text, bounds))
        .transpose()
}
