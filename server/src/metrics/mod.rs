//! Metrics: the counters of exchanges, and their form for Prometheus.
//!
//! The counters are atomics in arrays, so that an exchange is counted without a lock and without a search
//! for its labels. Exchanges are counted only if the server has an admin listener.

mod exposition;
mod histogram;
#[cfg(target_os = "linux")]
mod process;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use http::{Method, Version};

pub(crate) use self::exposition::{CONTENT_TYPE, write};
use self::histogram::Histogram;
use crate::record::{ExchangeRecord, Outcome};

/// The values of the label `method`. A WebSocket handshake is `WEBSOCKET` over either version.
const METHODS: [&str; 9] = [
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "WEBSOCKET",
    "other",
];

/// The values of the label `status`; `none` if there was no response.
const STATUSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// The values of the label `version`.
const VERSIONS: [&str; 3] = ["1.0", "1.1", "2"];

/// The counters of one server.
#[derive(Debug)]
pub(crate) struct Metrics {
    start: SystemTime,
    in_flight: AtomicU64,
    websockets: AtomicU64,
    requests: [[[AtomicU64; VERSIONS.len()]; STATUSES.len()]; METHODS.len()],
    /// By the index of the outcome in [`Outcome::ALL`].
    ended: [AtomicU64; Outcome::ALL.len()],
    duration: Histogram,
    until_response: Histogram,
    octets_in: AtomicU64,
    octets_out: AtomicU64,
    messages_in: AtomicU64,
    messages_out: AtomicU64,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        Self {
            start: SystemTime::now(),
            in_flight: AtomicU64::default(),
            websockets: AtomicU64::default(),
            requests: Default::default(),
            ended: Default::default(),
            duration: Histogram::default(),
            until_response: Histogram::default(),
            octets_in: AtomicU64::default(),
            octets_out: AtomicU64::default(),
            messages_in: AtomicU64::default(),
            messages_out: AtomicU64::default(),
        }
    }

    /// Counts an exchange that begins.
    pub(crate) fn exchange_begins(&self) {
        add(&self.in_flight, 1);
    }

    /// Counts a WebSocket that has been accepted.
    pub(crate) fn websocket_opens(&self) {
        add(&self.websockets, 1);
    }

    /// Counts an exchange that has ended.
    pub(crate) fn exchange_ends(&self, record: &ExchangeRecord) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        if record.is_open_websocket() {
            self.websockets.fetch_sub(1, Ordering::Relaxed);
        }
        let (method, version) = match &record.request {
            Some(request) if request.is_websocket => (7, version(request.version)),
            Some(request) => (method(&request.method), version(request.version)),
            None => (METHODS.len() - 1, 1),
        };
        let status = record
            .status
            .map_or(0, |it| usize::from(it.as_u16() / 100).min(5));
        add(&self.requests[method][status][version], 1);
        let outcome = Outcome::ALL.iter().position(|it| *it == record.outcome);
        add(&self.ended[outcome.unwrap_or(0)], 1);
        add(&self.octets_in, record.octets_in);
        add(&self.octets_out, record.octets_out);
        add(&self.messages_in, record.messages_in);
        add(&self.messages_out, record.messages_out);
        // The time of a WebSocket is that of its session, and says nothing about the others.
        if !record.is_open_websocket() {
            self.duration.add(record.duration);
        }
        if let Some(time) = record.until_response {
            self.until_response.add(time);
        }
    }
}

fn add(counter: &AtomicU64, number: u64) {
    if number > 0 {
        counter.fetch_add(number, Ordering::Relaxed);
    }
}

/// Returns the index of a method in [`METHODS`].
fn method(method: &Method) -> usize {
    let index = METHODS[..7].iter().position(|it| *it == method.as_str());
    index.unwrap_or(METHODS.len() - 1)
}

/// Returns the index of a version in [`VERSIONS`].
fn version(version: Version) -> usize {
    match version {
        Version::HTTP_2 => 2,
        Version::HTTP_11 => 1,
        _ => 0,
    }
}
