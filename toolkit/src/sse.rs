//! Server-sent events: a response that goes on for as long as there is something to tell (HTML, 9.2).

use std::fmt::Write as _;
use std::pin::pin;
use std::time::Duration;

use callgate::{HttpResponseBody, HttpResponseStart, Receiver, SendError, Sender};
use futures_util::future::{Either, select};
use futures_util::{Stream, StreamExt as _};
use tokio::time::{Instant, sleep};

use crate::read::disconnected;

/// One event, as a client's `EventSource` gets it.
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
    /// An event with this text, of as many lines as it has.
    pub fn new(data: impl Into<String>) -> Self {
        Self {
            data: Some(data.into()),
            ..Self::default()
        }
    }

    /// An event with this value as JSON.
    ///
    /// # Errors
    ///
    /// When the value cannot be JSON.
    #[cfg(feature = "json")]
    pub fn json(value: &(impl serde::Serialize + ?Sized)) -> Result<Self, serde_json::Error> {
        serde_json::to_string(value).map(Self::new)
    }

    /// With this name, for which the client listens. Default `message`.
    ///
    /// # Panics
    ///
    /// When it has a line break.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(one_line(name.into()));
        self
    }

    /// With this ID, which the client sends as `last-event-id` when it comes back.
    ///
    /// # Panics
    ///
    /// When it has a line break or a null character.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        let id = one_line(id.into());
        assert!(!id.contains('\0'), "an ID without null characters");
        self.id = Some(id);
        self
    }

    /// Tells the client how long to wait before it comes back, in whole milliseconds.
    pub fn retry(mut self, retry: Duration) -> Self {
        self.retry = Some(retry);
        self
    }
}

fn one_line(text: String) -> String {
    assert!(!text.contains(['\n', '\r']), "a text of one line");
    text
}

/// As it goes over the wire.
impl std::fmt::Display for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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
            // The client ends a line at any of the three, and reads each as `\n`.
            let data = data.replace("\r\n", "\n").replace('\r', "\n");
            for line in data.split('\n') {
                writeln!(f, "data: {line}")?;
            }
        }
        f.write_char('\n')
    }
}

/// A response of server-sent events.
///
/// It ends when the stream ends or the client goes away; a client that is gone is noticed at once,
/// also while there is nothing to tell.
///
/// ```
/// use callgate::{AppError, Receiver, Scope, Sender};
/// use callgate_toolkit::sse::{Event, EventResponse};
/// use futures_util::stream;
///
/// async fn app(_: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
///     let events = stream::iter((1..=3).map(|number| Event::new(number.to_string())));
///     EventResponse::new(events).send(&mut receiver, &sender).await?;
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a response is sent by `send`"]
pub struct EventResponse<S> {
    events: S,
    start: HttpResponseStart,
    keep_alive: Option<Duration>,
}

impl<S: Stream<Item = Event>> EventResponse<S> {
    /// These events, as `text/event-stream`, which is not to be stored.
    pub fn new(events: S) -> Self {
        Self {
            events,
            start: HttpResponseStart::ok()
                .header("content-type", "text/event-stream")
                .header("cache-control", "no-store"),
            keep_alive: Some(Duration::from_secs(15)),
        }
    }

    /// After how long a silence a comment is sent, which clients ignore, so that nobody in between
    /// takes the connection for dead. Default 15 seconds; none sends no comments.
    ///
    /// # Panics
    ///
    /// When it is zero.
    pub fn keep_alive(mut self, silence: impl Into<Option<Duration>>) -> Self {
        self.keep_alive = silence.into();
        assert!(
            self.keep_alive != Some(Duration::ZERO),
            "a silence longer than nothing"
        );
        self
    }

    /// Adds a header field.
    ///
    /// # Panics
    ///
    /// When the name or the value cannot be a header field.
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<http::HeaderName>,
        N::Error: std::fmt::Debug,
        V: TryInto<http::HeaderValue>,
        V::Error: std::fmt::Debug,
    {
        crate::respond::set(&mut self.start.headers, name, value);
        self
    }

    /// Sends it: the head at once, then each event as it comes. Content of the request is dropped.
    ///
    /// # Errors
    ///
    /// A failed send; [`SendError::Disconnected`] when the client has gone away.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime with its timer enabled, unless there is no keep-alive.
    pub async fn send(self, receiver: &mut Receiver, sender: &Sender) -> Result<(), SendError> {
        sender.send(self.start).await?;
        sender.send(HttpResponseBody::part("")).await?;
        let telling = pin!(tell(self.events, self.keep_alive, sender));
        match select(telling, pin!(disconnected(receiver))).await {
            Either::Left((told, _)) => told,
            Either::Right(((), _)) => Err(SendError::Disconnected),
        }
    }
}

async fn tell(
    events: impl Stream<Item = Event>,
    keep_alive: Option<Duration>,
    sender: &Sender,
) -> Result<(), SendError> {
    let mut events = pin!(events);
    let mut silence = pin!(keep_alive.map(sleep));
    loop {
        let next = match silence.as_mut().as_pin_mut() {
            Some(silence) => match select(events.next(), silence).await {
                Either::Left((event, _)) => event.map(|event| event.to_string()),
                Either::Right(_) => Some(":\n\n".to_owned()),
            },
            None => events.next().await.map(|event| event.to_string()),
        };
        let Some(part) = next else {
            return sender.send(HttpResponseBody::end()).await;
        };
        sender.send(HttpResponseBody::part(part)).await?;
        if let (Some(silence), Some(length)) = (silence.as_mut().as_pin_mut(), keep_alive) {
            silence.reset(Instant::now() + length);
        }
    }
}
