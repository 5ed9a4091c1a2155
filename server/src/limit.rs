//! The limits of the server, and how often each has been reached.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::deadline::Wait;
use crate::rejection::Rejection;

/// A limit on what clients may ask of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Limit {
    /// The connections of the server (`--max-connections`).
    Connections,
    /// The connections of one client (`--max-client-connections`).
    ClientConnections,
    /// The files that the system lets the process open.
    OpenFiles,
    /// The time of a TLS handshake (`--timeout-tls-handshake`).
    TlsHandshakeTime,
    /// The exchanges in flight (`--limit-concurrency`).
    Concurrency,
    /// The requests of one connection (`--max-requests-per-connection`).
    RequestsPerConnection,
    /// The WebSockets that are open (`--max-websockets`).
    WebSockets,
    /// The time for the application to answer a handshake (`--timeout-websocket-handshake`).
    WebSocketHandshakeTime,
    /// The size of the head of a request (`--max-request-head`).
    RequestHead,
    /// The time for the head of a request (`--timeout-request-head`).
    RequestHeadTime,
    /// The calls that go on after their client is gone (`--max-abandoned-calls`).
    AbandonedCalls,
    /// The size of a request's content (`--max-request-body`).
    RequestBody,
    /// The time of the whole exchange (`--timeout-request`).
    RequestTime,
    /// The control frames of an HTTP/2 connection (`--http2-max-control-frames`).
    Http2ControlFrames,
    /// The time without progress of a request's content (`--timeout-request-content`).
    RequestContentTime,
    /// The time in which a client takes nothing of its response (`--timeout-write`).
    WriteTime,
    /// The size of a WebSocket message (`--ws-max-size`).
    WebSocketMessageSize,
    /// The frames of a WebSocket message (`--ws-max-frames`).
    WebSocketMessageFrames,
    /// The streams of an HTTP/2 connection that are reset before the server has taken them
    /// (`--http2-max-pending-resets`), or by the server (`--http2-max-stream-errors`).
    Http2Resets,
}

impl Limit {
    /// All limits.
    pub(crate) const ALL: [Self; 19] = [
        Self::Connections,
        Self::ClientConnections,
        Self::OpenFiles,
        Self::TlsHandshakeTime,
        Self::Concurrency,
        Self::RequestsPerConnection,
        Self::WebSockets,
        Self::WebSocketHandshakeTime,
        Self::RequestHead,
        Self::RequestHeadTime,
        Self::AbandonedCalls,
        Self::RequestBody,
        Self::RequestTime,
        Self::Http2ControlFrames,
        Self::RequestContentTime,
        Self::WriteTime,
        Self::WebSocketMessageSize,
        Self::WebSocketMessageFrames,
        Self::Http2Resets,
    ];

    /// Returns the name, as the label of a metric.
    #[cfg(any(test, feature = "metrics"))]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::ClientConnections => "client_connections",
            Self::OpenFiles => "open_files",
            Self::TlsHandshakeTime => "tls_handshake_time",
            Self::Concurrency => "concurrency",
            Self::RequestsPerConnection => "requests_per_connection",
            Self::WebSockets => "websockets",
            Self::WebSocketHandshakeTime => "websocket_handshake_time",
            Self::RequestHead => "request_head",
            Self::RequestHeadTime => "request_head_time",
            Self::AbandonedCalls => "abandoned_calls",
            Self::RequestBody => "request_body",
            Self::RequestTime => "request_time",
            Self::Http2ControlFrames => "http2_control_frames",
            Self::RequestContentTime => "request_content_time",
            Self::WriteTime => "write_time",
            Self::WebSocketMessageSize => "websocket_message_size",
            Self::WebSocketMessageFrames => "websocket_message_frames",
            Self::Http2Resets => "http2_resets",
        }
    }
}

/// Counts how often each limit has been reached.
#[derive(Debug, Default)]
pub(crate) struct LimitCounters([AtomicU64; Limit::ALL.len()]);

impl LimitCounters {
    /// Counts that a limit has been reached.
    pub(crate) fn reached(&self, limit: Limit) {
        self.0[limit as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts the limit that a client has reached whose wait has expired.
    pub(crate) fn expired(&self, wait: Wait) {
        if let Some(limit) = wait.limit() {
            self.reached(limit);
        }
    }

    /// Counts the limit for which a request is rejected.
    pub(crate) fn rejected(&self, rejection: &Rejection) {
        if let Some(limit) = rejection.reached() {
            self.reached(limit);
        }
    }

    /// Returns how often a limit has been reached.
    #[cfg(any(test, feature = "metrics"))]
    pub(crate) fn count(&self, limit: Limit) -> u64 {
        self.0[limit as usize].load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_limit_has_a_name_and_a_counter_of_its_own() {
        let counters = LimitCounters::default();
        let mut names = HashSet::new();
        for (index, limit) in Limit::ALL.into_iter().enumerate() {
            assert_eq!(limit as usize, index);
            assert!(names.insert(limit.name()));
            for _ in 0..=index {
                counters.reached(limit);
            }
        }
        for (count, limit) in (1..).zip(Limit::ALL) {
            assert_eq!(counters.count(limit), count);
        }
    }
}
