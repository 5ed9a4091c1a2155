//! In what two answers differ, in words that a person can read.

use callgate::SendEvent;
use callgate::transcript::Entry;
use http::HeaderMap;

use super::answer::Content;

/// What is shown of contents, in bytes.
const SHOWN: usize = 200;
/// How much of that stands before the first byte that differs.
const BEFORE: usize = 40;

/// In what two answers differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) what: &'static str,
    pub(crate) one: String,
    pub(crate) other: String,
}

impl Difference {
    pub(super) fn of_statuses(one: String, other: String) -> Self {
        Self {
            what: "status",
            one,
            other,
        }
    }

    pub(super) fn of_fields(what: &'static str, one: &HeaderMap, other: &HeaderMap) -> Self {
        Self {
            what,
            one: fields(one),
            other: fields(other),
        }
    }

    /// Of these contents the surroundings of the first byte that differs are shown.
    pub(super) fn of_contents(one: &Content, other: &Content) -> Self {
        let pairs = one.beginning.iter().zip(&other.beginning);
        let same = pairs.take_while(|(one, other)| one == other).count();
        let from = match one.length.max(other.length) {
            length if length <= SHOWN => 0,
            _ => same.saturating_sub(BEFORE),
        };
        Self {
            what: "content",
            one: content(one, from),
            other: content(other, from),
        }
    }

    pub(super) fn of_events(one: Option<&SendEvent>, other: Option<&SendEvent>) -> Self {
        Self {
            what: "event",
            one: event(one),
            other: event(other),
        }
    }
}

fn fields(fields: &HeaderMap) -> String {
    let lines = fields
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.as_bytes().escape_ascii()));
    match lines.collect::<Vec<_>>() {
        lines if lines.is_empty() => "none".to_owned(),
        lines => lines.join(", "),
    }
}

fn content(content: &Content, from: usize) -> String {
    let rest = content.beginning.get(from..).unwrap_or_default();
    let shown = &rest[..rest.len().min(SHOWN)];
    let text = shown.escape_ascii();
    match content.length {
        length if length == shown.len() => format!("\"{text}\" ({length} bytes)"),
        length => format!("\"{text}\" (from byte {from} of {length})"),
    }
}

/// As it stands in a transcript.
fn event(event: Option<&SendEvent>) -> String {
    event.map_or_else(
        || "nothing".to_owned(),
        |event| {
            let line = Entry::Sent(event.clone(), Ok(())).to_string();
            line.trim_start_matches("sent").trim_start().to_owned()
        },
    )
}
