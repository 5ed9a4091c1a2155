//! A readable record of the events of an exchange.

use std::fmt::{self, Write as _};

use bytes::Bytes;
use http::HeaderMap;

use crate::{Message, ReceiveEvent, Scope, SendError, SendEvent};

/// The events of one exchange, in order.
///
/// The `Display` format has one line for each entry:
///
/// ```text
/// called    http GET /greet?name=Ada HTTP/1.1 {host: localhost}
/// received  http.request "" last
/// sent      http.response.start 200 {content-type: text/plain}
/// sent      http.response.body "Hello, Ada!" last
/// returned
/// ```
#[derive(Clone, Debug, Default)]
pub struct Transcript {
    entries: Vec<Entry>,
}

/// One entry of a transcript.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Entry {
    /// The application was called.
    Called(Scope),
    /// The application received an event.
    Received(ReceiveEvent),
    /// The application sent an event, and the send had this result.
    Sent(SendEvent, Result<(), SendError>),
    /// The call returned, successfully or with this error.
    Returned(Result<(), String>),
    /// The call panicked with this message.
    Panicked(String),
    /// Octets were sent over the connection.
    Wire(Direction, Bytes),
    /// A remark for the reader.
    Note(String),
}

/// The direction of octets on the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

impl Transcript {
    /// Appends an entry.
    pub fn push(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    /// Returns all entries, in order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Returns the events that were sent successfully, in order.
    pub fn sent(&self) -> impl Iterator<Item = &SendEvent> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::Sent(event, Ok(())) => Some(event),
            _ => None,
        })
    }

    /// Returns the events that were received, in order.
    pub fn received(&self) -> impl Iterator<Item = &ReceiveEvent> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::Received(event) => Some(event),
            _ => None,
        })
    }

    /// Returns whether the transcript has no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl FromIterator<Entry> for Transcript {
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> Self {
        Self {
            entries: entries.into_iter().collect(),
        }
    }
}

/// Formats the transcript with one line for each entry.
impl fmt::Display for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, entry) in self.entries.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            entry.fmt(f)?;
        }
        Ok(())
    }
}

/// Formats the entry as one line.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Called(scope) => {
                f.write_str("called    ")?;
                show_scope(f, scope)
            }
            Self::Received(event) => {
                write!(f, "received  {}", event.type_name())?;
                show_received(f, event)
            }
            Self::Sent(event, result) => {
                write!(f, "sent      {}", event.type_name())?;
                show_sent(f, event)?;
                match result {
                    Ok(()) => Ok(()),
                    Err(error) => write!(f, " (failed: {})", OneLine(error)),
                }
            }
            Self::Returned(Ok(())) => f.write_str("returned"),
            Self::Returned(Err(error)) => write!(f, "returned  an error: {}", OneLine(error)),
            Self::Panicked(message) => write!(f, "panicked  {}", OneLine(message)),
            Self::Wire(Direction::ToServer, octets) => {
                f.write_str("client > ")?;
                show_octets(f, octets)
            }
            Self::Wire(Direction::ToClient, octets) => {
                f.write_str("server > ")?;
                show_octets(f, octets)
            }
            Self::Note(note) => write!(f, "note      {}", OneLine(note)),
        }
    }
}

fn show_scope(f: &mut fmt::Formatter<'_>, scope: &Scope) -> fmt::Result {
    f.write_str(scope.type_name())?;
    match scope {
        Scope::Http(scope) => {
            write!(f, " {} ", scope.method)?;
            show_start(f, &scope.uri.to_string())?;
            write!(f, " {:?}", scope.version)?;
            show_fields(f, &scope.headers)
        }
        Scope::WebSocket(scope) => {
            f.write_str(" ")?;
            show_start(f, &scope.uri.to_string())?;
            write!(f, " {:?}", scope.version)?;
            if !scope.subprotocols.is_empty() {
                write!(f, " offering {}", OneLine(scope.subprotocols.join(", ")))?;
            }
            show_fields(f, &scope.headers)
        }
        _ => Ok(()),
    }
}

fn show_received(f: &mut fmt::Formatter<'_>, event: &ReceiveEvent) -> fmt::Result {
    match event {
        ReceiveEvent::HttpRequestBody(request) => {
            show_part(f, &request.body, request.more_body)?;
            match &request.trailers {
                Some(trailers) => show_fields(f, trailers),
                None => Ok(()),
            }
        }
        ReceiveEvent::WebSocketReceive(message) => show_message(f, message),
        ReceiveEvent::WebSocketDisconnect(disconnect) => {
            show_code(f, disconnect.code, &disconnect.reason)
        }
        _ => Ok(()),
    }
}

fn show_sent(f: &mut fmt::Formatter<'_>, event: &SendEvent) -> fmt::Result {
    match event {
        SendEvent::HttpResponseStart(start) | SendEvent::DenialResponseStart(start) => {
            write!(f, " {}", start.status.as_u16())?;
            show_fields(f, &start.headers)?;
            f.write_str(if start.trailers { " with trailers" } else { "" })
        }
        SendEvent::HttpResponseBody(body) | SendEvent::DenialResponseBody(body) => {
            show_part(f, &body.body, body.more_body)
        }
        SendEvent::HttpResponseTrailers(trailers) => show_fields(f, &trailers.headers),
        SendEvent::HttpResponsePathSend(file) => write!(f, " {}", OneLine(file.path.display())),
        SendEvent::HttpResponseEarlyHint(hints) => {
            let links = hints
                .links
                .iter()
                .map(|link| link.as_bytes().escape_ascii());
            f.write_str(" ")?;
            show_start(f, &join(links))
        }
        SendEvent::HttpResponseDebug(debug) => write!(f, " {:?}", debug.info),
        SendEvent::WebSocketAccept(accept) => {
            if let Some(subprotocol) = &accept.subprotocol {
                write!(f, " {}", OneLine(subprotocol))?;
            }
            show_fields(f, &accept.headers)
        }
        SendEvent::WebSocketSend(message) => show_message(f, message),
        SendEvent::WebSocketClose(close) => show_code(f, close.code, &close.reason),
        SendEvent::LifespanStartupComplete(complete) => write!(f, " {:?}", complete.state),
        SendEvent::LifespanStartupFailed(failed) => write!(f, " {:?}", failed.message),
        SendEvent::LifespanShutdownFailed(failed) => write!(f, " {:?}", failed.message),
        _ => Ok(()),
    }
}

fn show_fields(f: &mut fmt::Formatter<'_>, fields: &HeaderMap) -> fmt::Result {
    if fields.is_empty() {
        return Ok(());
    }
    let lines = fields
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.as_bytes().escape_ascii()));
    f.write_str(" {")?;
    show_start(f, &join(lines))?;
    f.write_str("}")
}

fn join(parts: impl Iterator<Item = impl fmt::Display>) -> String {
    let parts: Vec<_> = parts.map(|part| part.to_string()).collect();
    parts.join(", ")
}

fn show_part(f: &mut fmt::Formatter<'_>, octets: &[u8], more: bool) -> fmt::Result {
    show_octets(f, octets)?;
    f.write_str(if more { " more" } else { " last" })
}

fn show_message(f: &mut fmt::Formatter<'_>, message: &Message) -> fmt::Result {
    match message {
        Message::Text(text) => show_text(f, text),
        Message::Binary(octets) => {
            f.write_str(" binary")?;
            show_octets(f, octets)
        }
    }
}

fn show_code(f: &mut fmt::Formatter<'_>, code: u16, reason: &str) -> fmt::Result {
    write!(f, " {code}")?;
    if reason.is_empty() {
        return Ok(());
    }
    write!(f, " {reason:?}")
}

/// Displays a value with escapes for the characters that end a line, reorder it or are invisible.
struct OneLine<T>(T);

impl<T: fmt::Display> fmt::Display for OneLine<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .to_string()
            .chars()
            .try_for_each(|character| match character {
                '"' | '\'' | '\\' => f.write_char(character),
                _ => write!(f, "{}", character.escape_debug()),
            })
    }
}

/// The number of characters of a text, or of bytes of binary data, that a line shows.
const SHOWN: usize = 200;

/// Writes octets in quotes: as text if they are UTF-8, otherwise with escapes.
fn show_octets(f: &mut fmt::Formatter<'_>, octets: &[u8]) -> fmt::Result {
    if let Ok(text) = std::str::from_utf8(octets) {
        return show_text(f, text);
    }
    let shown = &octets[..octets.len().min(SHOWN)];
    write!(f, " \"{}\"", shown.escape_ascii())?;
    show_rest(f, octets.len() - shown.len())
}

fn show_text(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    let shown = start(text);
    write!(f, " {shown:?}")?;
    show_rest(f, text.len() - shown.len())
}

fn show_start(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    let shown = start(text);
    write!(f, "{}", OneLine(shown))?;
    show_rest(f, text.len() - shown.len())
}

fn start(text: &str) -> &str {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

fn show_rest(f: &mut fmt::Formatter<'_>, more: usize) -> fmt::Result {
    match more {
        0 => Ok(()),
        more => write!(f, " ({more} more bytes)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        HttpRequestBody, HttpResponseBody, HttpResponseEarlyHint, HttpResponsePathSend,
        HttpResponseStart, HttpScope, WebSocketAccept, WebSocketDisconnect, WebSocketScope,
    };

    #[test]
    fn a_long_target_and_many_fields_are_cut() {
        let target = format!("/{}", "a".repeat(300));
        let mut scope = HttpScope::new(http::Method::GET, target.parse().unwrap());
        for _ in 0..100 {
            scope.headers.append("ab", "cd".parse().unwrap());
        }
        let shown = Entry::Called(scope.into()).to_string();
        assert_eq!(
            shown,
            format!(
                "called    http GET /{} (101 more bytes) HTTP/1.1 {{{} (598 more bytes)}}",
                "a".repeat(199),
                "ab: cd, ".repeat(25)
            )
        );
    }

    #[test]
    fn no_text_of_an_application_or_a_client_begins_a_line_of_its_own() {
        let hostile = "a\n\u{202e}\"b\\";
        let shown = r#"a\n\u{202e}"b\"#;
        let mut scope = WebSocketScope::new("/".parse().unwrap());
        scope.subprotocols = vec![hostile.into()];
        let accept = WebSocketAccept::new().subprotocol(hostile);
        let tab = http::HeaderValue::from_static("a\tb");
        for (entry, expected) in [
            (
                Entry::Called(scope.into()),
                format!("called    websocket / HTTP/1.1 offering {shown}"),
            ),
            (
                Entry::Sent(accept.into(), Ok(())),
                format!("sent      websocket.accept {shown}"),
            ),
            (
                Entry::Sent(HttpResponsePathSend::new(hostile).into(), Ok(())),
                format!("sent      http.response.pathsend {shown}"),
            ),
            (
                Entry::Returned(Err(hostile.into())),
                format!("returned  an error: {shown}"),
            ),
            (
                Entry::Panicked(hostile.into()),
                format!("panicked  {shown}"),
            ),
            (Entry::Note(hostile.into()), format!("note      {shown}")),
            (
                Entry::Sent(HttpResponseEarlyHint::new([tab]).into(), Ok(())),
                r"sent      http.response.early_hint a\tb".to_owned(),
            ),
        ] {
            assert_eq!(entry.to_string(), expected);
        }
    }

    #[test]
    fn a_transcript_is_shown_as_a_line_an_entry() {
        let mut scope = HttpScope::new(http::Method::POST, "/a?b".parse().unwrap());
        scope.headers.insert("host", "x".parse().unwrap());
        let transcript: Transcript = [
            Entry::Called(scope.into()),
            Entry::Received(ReceiveEvent::HttpRequestBody(HttpRequestBody::part("a\nb"))),
            Entry::Received(ReceiveEvent::HttpRequestBody(HttpRequestBody::last(
                &b"\xff"[..],
            ))),
            Entry::Sent(
                HttpResponseStart::ok()
                    .header("a", "1")
                    .header("b", "2")
                    .into(),
                Ok(()),
            ),
            Entry::Sent(
                HttpResponseBody::last("é".repeat(201)).into(),
                Err(SendError::Disconnected),
            ),
            Entry::Received(ReceiveEvent::WebSocketDisconnect(
                WebSocketDisconnect::new(1001).reason("bye"),
            )),
            Entry::Returned(Ok(())),
            Entry::Returned(Err("no".into())),
            Entry::Panicked("oh".into()),
            Entry::Wire(Direction::ToServer, "GET".into()),
            Entry::Wire(Direction::ToClient, "HTTP/1.1 ".into()),
            Entry::Note("the grace period has passed".into()),
        ]
        .into_iter()
        .collect();
        let é = "é".repeat(200);
        assert_eq!(
            transcript.to_string(),
            format!(
                r#"called    http POST /a?b HTTP/1.1 {{host: x}}
received  http.request "a\nb" more
received  http.request "\xff" last
sent      http.response.start 200 {{a: 1, b: 2}}
sent      http.response.body "{é}" (2 more bytes) last (failed: the client is gone)
received  websocket.disconnect 1001 "bye"
returned
returned  an error: no
panicked  oh
client >  "GET"
server >  "HTTP/1.1 "
note      the grace period has passed"#
            )
        );
    }
}
