//! The difference between two outputs of an application, in words.

use callgate::SendEvent;
use callgate::transcript::Entry;
use http::HeaderMap;

use super::content_prefix::ContentPrefix;

/// The most of a content that is shown, in bytes.
const MAX_SHOWN: usize = 200;
/// The number of bytes that are shown before the first byte that differs.
const SHOWN_BEFORE: usize = 40;

/// The first difference between two outputs of an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// The part that differs, such as `status`.
    pub(crate) what: &'static str,
    pub(crate) first: String,
    pub(crate) second: String,
}

impl Difference {
    pub(super) fn of_statuses(first: String, second: String) -> Self {
        Self {
            what: "status",
            first,
            second,
        }
    }

    pub(super) fn of_fields(what: &'static str, first: &HeaderMap, second: &HeaderMap) -> Self {
        Self {
            what,
            first: show_fields(first),
            second: show_fields(second),
        }
    }

    /// Shows the surroundings of the first byte that differs.
    pub(super) fn of_contents(first: &ContentPrefix, second: &ContentPrefix) -> Self {
        let pairs = first.kept().iter().zip(second.kept());
        let equal = pairs.take_while(|(first, second)| first == second).count();
        let from = match first.length().max(second.length()) {
            length if length <= MAX_SHOWN => 0,
            _ => equal.saturating_sub(SHOWN_BEFORE),
        };
        Self {
            what: "content",
            first: show_content(first, from),
            second: show_content(second, from),
        }
    }

    pub(super) fn of_events(first: Option<&SendEvent>, second: Option<&SendEvent>) -> Self {
        Self {
            what: "event",
            first: show_event(first),
            second: show_event(second),
        }
    }
}

fn show_fields(fields: &HeaderMap) -> String {
    let lines = fields
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.as_bytes().escape_ascii()));
    match lines.collect::<Vec<_>>() {
        lines if lines.is_empty() => "none".to_owned(),
        lines => lines.join(", "),
    }
}

fn show_content(content: &ContentPrefix, from: usize) -> String {
    let rest = content.kept().get(from..).unwrap_or_default();
    let shown = &rest[..rest.len().min(MAX_SHOWN)];
    let text = shown.escape_ascii();
    match content.length() {
        length if length == shown.len() => format!("\"{text}\" ({length} bytes)"),
        length => format!("\"{text}\" (from byte {from} of {length})"),
    }
}

/// Shows an event as a transcript does.
fn show_event(event: Option<&SendEvent>) -> String {
    event.map_or_else(
        || "nothing".to_owned(),
        |event| {
            let line = Entry::Sent(event.clone(), Ok(())).to_string();
            line.trim_start_matches("sent").trim_start().to_owned()
        },
    )
}
