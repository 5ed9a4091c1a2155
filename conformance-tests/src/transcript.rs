//! What was said in an exchange, in order, for a person to read.

use std::fmt;

use bytes::Bytes;
use callgate::{ReceiveEvent, Scope, SendError, SendEvent};

/// The messages of an exchange, in order.
#[derive(Clone, Debug, Default)]
pub struct Transcript {
    entries: Vec<Entry>,
}

/// One message, or one thing that happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Entry {
    /// The application was called.
    Called(Scope),
    /// The application received an event.
    Received(ReceiveEvent),
    /// The application sent an event, and this is what the send came to.
    Sent(SendEvent, Result<(), SendError>),
    /// The call ended: with success, or with this error.
    Returned(Result<(), String>),
    /// The call ended with a panic.
    Panicked(String),
    /// Octets went over the wire.
    Wire(Direction, Bytes),
    /// Something else that a reader wants to know.
    Note(String),
}

/// Which way octets went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

impl Transcript {
    /// Adds what happened next.
    pub fn push(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    /// What happened, in order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Whether nothing happened.
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

/// A line an entry.
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

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Called(scope) => write!(f, "called    {}", Json(scope)),
            Self::Received(event) => write!(f, "received  {}", Json(event)),
            Self::Sent(event, Ok(())) => write!(f, "sent      {}", Json(event)),
            Self::Sent(event, Err(error)) => {
                write!(f, "sent      {}\n          failed: {error}", Json(event))
            }
            Self::Returned(Ok(())) => f.write_str("returned"),
            Self::Returned(Err(error)) => write!(f, "returned  an error: {error}"),
            Self::Panicked(message) => write!(f, "panicked  {message}"),
            Self::Wire(Direction::ToServer, octets) => write!(f, "client >  {}", Octets(octets)),
            Self::Wire(Direction::ToClient, octets) => write!(f, "server >  {}", Octets(octets)),
            Self::Note(note) => write!(f, "          {note}"),
        }
    }
}

/// What is shown of long values, in characters.
const SHOWN: usize = 400;

/// The serialised form, cut when it is long; what has none is shown as Rust shows it.
struct Json<'a, T>(&'a T);

impl<T: serde::Serialize + fmt::Debug> fmt::Display for Json<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = serde_json::to_string(self.0).unwrap_or_else(|_| format!("{:?}", self.0));
        cut(f, &text)
    }
}

/// Octets as ASCII, with escapes for what is not.
struct Octets<'a>(&'a [u8]);

impl fmt::Display for Octets<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.0[..self.0.len().min(SHOWN)];
        write!(f, "{}", shown.escape_ascii())?;
        match self.0.len() - shown.len() {
            0 => Ok(()),
            more => write!(f, "... ({more} more bytes)"),
        }
    }
}

fn cut(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    match text.char_indices().nth(SHOWN) {
        None => f.write_str(text),
        Some((end, _)) => write!(f, "{}... ({} more bytes)", &text[..end], text.len() - end),
    }
}
