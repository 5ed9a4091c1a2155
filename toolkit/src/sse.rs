//! Server-sent events: a response that goes on for as long as there are events (HTML, 9.2).
//!
//! ```
//! use std::time::Duration;
//! use callgate::{AppError, Receiver, Scope, Sender};
//! use callgate_toolkit::respond;
//! use callgate_toolkit::sse::Event;
//! use futures_util::stream;
//!
//! async fn count(_: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
//!     let events = stream::iter((1..=3).map(|number| Event::new(number.to_string())));
//!     respond::events(&mut receiver, events)
//!         .keep_alive(Duration::from_secs(30))
//!         .on_shutdown(Event::reconnect_after(Duration::from_secs(2)))
//!         .send(&sender)
//!         .await
//! }
//! ```
//!
//! - The response ends when the stream of events ends, when the client goes away, and when the server
//!   shuts down. A client that goes away is noticed at once, even while there is no event.
//! - A browser reconnects after the end of the response, and sends the ID of the last event that it
//!   has as `last-event-id`.
//! - Where events are rare, comments keep the connection alive.

use std::fmt::{self, Write as _};
use std::time::Duration;

use bytes::Bytes;
use callgate::{AppError, HttpResponseStart, Receiver, Sender};
use futures_util::{Stream, StreamExt as _, stream};
use tokio::time::timeout;

use crate::response::{Content, Response};
use crate::stream::send_parts;

/// The default time of silence after which a response sends a comment.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// One server-sent event. Its `Display` is the form in which it is sent.
///
/// ```
/// use callgate_toolkit::sse::Event;
///
/// let event = Event::new("two\nlines").name("news").id("7");
/// assert_eq!(event.to_string(), "event: news\nid: 7\ndata: two\ndata: lines\n\n");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "an event is sent by a response of server-sent events"]
pub struct Event {
    name: Option<String>,
    id: Option<String>,
    retry: Option<Duration>,
    data: Option<String>,
}

impl Event {
    /// Creates an event with this text, which may have several lines.
    pub fn new(data: impl Into<String>) -> Self {
        Self {
            data: Some(data.into()),
            ..Self::default()
        }
    }

    /// Creates an event with this value as JSON.
    ///
    /// # Errors
    ///
    /// When the value cannot be JSON.
    #[cfg(feature = "json")]
    pub fn json(value: &(impl serde::Serialize + ?Sized)) -> Result<Self, serde_json::Error> {
        serde_json::to_string(value).map(Self::new)
    }

    /// Creates an event without data, which tells the client how long to wait before it reconnects,
    /// in whole milliseconds. The client's code does not see it.
    pub fn reconnect_after(delay: Duration) -> Self {
        Self::default().retry(delay)
    }

    /// Sets the name under which the client listens for the event. Default `message`.
    ///
    /// # Panics
    ///
    /// When the name has a line break.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(one_line(name.into()));
        self
    }

    /// Sets the ID, which the client sends as `last-event-id` when it reconnects.
    ///
    /// # Panics
    ///
    /// When the ID has a line break or a null character.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        let id = one_line(id.into());
        assert!(!id.contains('\0'), "an ID without null characters");
        self.id = Some(id);
        self
    }

    /// Tells the client how long to wait before it reconnects, in whole milliseconds.
    pub fn retry(mut self, delay: Duration) -> Self {
        self.retry = Some(delay);
        self
    }

    fn to_bytes(&self) -> Bytes {
        self.to_string().into()
    }
}

fn one_line(text: String) -> String {
    assert!(!text.contains(['\n', '\r']), "a text of one line");
    text
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            writeln!(f, "event: {name}")?;
        }
        if let Some(id) = &self.id {
            writeln!(f, "id: {id}")?;
        }
        if let Some(retry) = &self.retry {
            writeln!(f, "retry: {}", retry.as_millis())?;
        }
        if let Some(data) = &self.data {
            // A client ends a line at `\r\n`, at `\r` and at `\n`, and joins the lines with `\n`.
            let data = data.replace("\r\n", "\n").replace('\r', "\n");
            for line in data.split('\n') {
                writeln!(f, "data: {line}")?;
            }
        }
        f.write_char('\n')
    }
}

/// Server-sent events, as the content of a [`Response`]: created by
/// [`respond::events`](crate::respond::events).
pub struct EventContent<'a, S> {
    receiver: &'a mut Receiver,
    events: S,
    keep_alive: Option<Duration>,
    at_shutdown: Option<Event>,
}

impl<'a, S> EventContent<'a, S> {
    pub(crate) fn new(receiver: &'a mut Receiver, events: S) -> Self {
        Self {
            receiver,
            events,
            keep_alive: Some(KEEP_ALIVE),
            at_shutdown: None,
        }
    }
}

impl<S> Response<EventContent<'_, S>> {
    /// Sets the silence after which a comment is sent. Clients ignore comments; proxies see that the
    /// connection is in use. Default 15 seconds; `None` sends no comments.
    ///
    /// # Panics
    ///
    /// When the silence is zero.
    pub fn keep_alive(mut self, silence: impl Into<Option<Duration>>) -> Self {
        let silence = silence.into();
        assert!(
            silence != Some(Duration::ZERO),
            "a silence longer than zero"
        );
        self.content.keep_alive = silence;
        self
    }

    /// Sets the last event of a response that the shutdown of the server ends: news for the client's
    /// code, or [`Event::reconnect_after`]. By default the response ends without one.
    ///
    /// A delay that differs for each client keeps many clients from reconnecting all at once.
    pub fn on_shutdown(mut self, event: Event) -> Self {
        self.content.at_shutdown = Some(event);
        self
    }
}

/// # Panics
///
/// Outside a Tokio runtime with its timer enabled, unless comments are turned off.
impl<S: Stream<Item = Event> + Send> Content for EventContent<'_, S> {
    async fn send_after(self, start: HttpResponseStart, sender: &Sender) -> Result<(), AppError> {
        let parts = parts(self.events, self.keep_alive);
        let last_part = self.at_shutdown.as_ref().map(Event::to_bytes);
        let last_part = Some(last_part.unwrap_or_default());
        send_parts(self.receiver, sender, start, parts, last_part).await
    }
}

impl<S> fmt::Debug for EventContent<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventContent")
            .field("keep_alive", &self.keep_alive)
            .field("at_shutdown", &self.at_shutdown)
            .finish_non_exhaustive()
    }
}

/// Returns the events in their wire form, with a comment after each silence.
fn parts(
    events: impl Stream<Item = Event> + Send,
    keep_alive: Option<Duration>,
) -> impl Stream<Item = Result<Bytes, AppError>> + Send {
    stream::unfold(Box::pin(events), move |mut events| async move {
        let part = match keep_alive {
            Some(silence) => match timeout(silence, events.next()).await {
                Ok(event) => event?.to_bytes(),
                Err(_) => Bytes::from_static(b":\n\n"),
            },
            None => events.next().await?.to_bytes(),
        };
        Some((Ok(part), events))
    })
}
