//! The JSON that the page reads.

use std::time::{Duration, UNIX_EPOCH};

use callgate_conformance::{CallEnd, RecordLine};
use http::Method;
use serde::Serialize;

use crate::exchange::{Entry, EntryKind, Exchange, ExchangeKind, Summary};
use crate::replay::Replayed;
use crate::watch::Changes;

/// What has changed, as an event of the feed.
#[derive(Serialize)]
pub(super) struct ChangesView<'a> {
    pub(super) changed: Vec<SummaryView<'a>>,
    pub(super) missed: u64,
    pub(super) cleared: bool,
    /// The number of exchanges that are kept at most.
    pub(super) keeps: usize,
}

#[derive(Serialize)]
pub(super) struct SummaryView<'a> {
    number: u64,
    kind: &'static str,
    method: Option<&'a str>,
    target: &'a str,
    /// Milliseconds since 1970.
    began: u128,
    /// Microseconds.
    duration: Option<u128>,
    status: Option<u16>,
    end: Option<CallEnd>,
    events: u64,
    violations: u64,
    replay_of: Option<u64>,
}

/// An exchange, or its entries from one on.
#[derive(Serialize)]
pub(super) struct ExchangeView<'a> {
    summary: SummaryView<'a>,
    /// The index of the first of these entries.
    from: usize,
    entries: Vec<EntryView<'a>>,
    left_out: u64,
    left_out_after: usize,
    /// Why the exchange cannot be replayed, if it cannot.
    cannot_replay: Option<String>,
}

#[derive(Serialize)]
struct EntryView<'a> {
    /// Microseconds since the call.
    at: u128,
    #[serde(flatten)]
    line: Option<&'a RecordLine>,
    /// Microseconds.
    waited: u128,
    full_length: Option<usize>,
    broken: Option<RuleView<'a>>,
}

#[derive(Serialize)]
struct RuleView<'a> {
    id: &'a str,
    role: String,
    level: String,
    sentence: &'a str,
    detail: &'a str,
    url: String,
}

#[derive(Serialize)]
pub(super) struct ReplayView<'a> {
    exchange: Option<u64>,
    is_masked: bool,
    difference: Option<DifferenceView<'a>>,
}

#[derive(Serialize)]
struct DifferenceView<'a> {
    what: &'a str,
    recorded: &'a str,
    replayed: &'a str,
}

impl<'a> ChangesView<'a> {
    pub(super) fn new(changes: &'a Changes, keeps: usize) -> Self {
        Self {
            changed: changes.summaries.iter().map(SummaryView::new).collect(),
            missed: changes.missed,
            cleared: changes.is_cleared,
            keeps,
        }
    }
}

impl<'a> SummaryView<'a> {
    fn new(summary: &'a Summary) -> Self {
        let began = summary.began.duration_since(UNIX_EPOCH);
        Self {
            number: summary.number,
            kind: match summary.kind {
                ExchangeKind::Http => "http",
                ExchangeKind::WebSocket => "websocket",
                ExchangeKind::Lifespan => "lifespan",
                ExchangeKind::Other => "other",
            },
            method: summary.method.as_ref().map(Method::as_str),
            target: &summary.target,
            began: began.unwrap_or_default().as_millis(),
            duration: summary.duration.as_ref().map(Duration::as_micros),
            status: summary.status,
            end: summary.end,
            events: summary.events,
            violations: summary.violations,
            replay_of: summary.replay_of,
        }
    }
}

impl<'a> ExchangeView<'a> {
    /// Creates a view of the entries from the one with the index `from`; of all where entries were left out.
    pub(super) fn new(exchange: &'a Exchange, from: usize, cannot_replay: Option<String>) -> Self {
        let from = match exchange.left_out {
            0 => from.min(exchange.entries.len()),
            _ => 0,
        };
        let entries = exchange.entries[from..].iter();
        Self {
            summary: SummaryView::new(&exchange.summary),
            from,
            entries: entries.map(|entry| EntryView::new(entry)).collect(),
            left_out: exchange.left_out,
            left_out_after: exchange.left_out_after,
            cannot_replay,
        }
    }
}

impl<'a> EntryView<'a> {
    fn new(entry: &'a Entry) -> Self {
        let mut view = Self {
            at: entry.at.as_micros(),
            line: None,
            waited: 0,
            full_length: None,
            broken: None,
        };
        match &entry.kind {
            EntryKind::Line {
                line,
                waited,
                full_length,
            } => {
                view.line = Some(line);
                view.waited = waited.as_micros();
                view.full_length = *full_length;
            }
            EntryKind::Broken(violation) => {
                view.broken = Some(RuleView {
                    id: violation.rule.id,
                    role: violation.rule.role.to_string(),
                    level: violation.rule.level.to_string(),
                    sentence: violation.rule.sentence,
                    detail: &violation.detail,
                    url: violation.rule.document_url(),
                });
            }
        }
        view
    }
}

impl<'a> ReplayView<'a> {
    pub(super) fn new(replayed: &'a Replayed) -> Self {
        let difference = replayed.difference.as_ref();
        Self {
            exchange: replayed.exchange,
            is_masked: replayed.is_masked,
            difference: difference.map(|difference| DifferenceView {
                what: difference.what,
                recorded: &difference.recorded,
                replayed: &difference.replayed,
            }),
        }
    }
}
