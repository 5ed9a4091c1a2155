//! How much memory an entry takes, about.

use std::mem::size_of;

use callgate::{ReceiveEvent, Scope, SendEvent};
use callgate_conformance::RecordLine;
use http::HeaderMap;

use crate::exchange::{Entry, EntryKind};

impl Entry {
    /// Returns about how many octets of memory the entry takes.
    pub(crate) fn weight(&self) -> usize {
        let content = match &self.kind {
            EntryKind::Broken(violation) => violation.detail.len(),
            EntryKind::Line { line, .. } => {
                let called = line.called.as_ref().map_or(0, scope_weight);
                let received = line.received.as_ref().map_or(0, received_weight);
                let sent = line.sent.as_ref().map_or(0, sent_weight);
                let texts = [&line.failed, &line.error].into_iter().flatten();
                called + received + sent + texts.map(String::len).sum::<usize>()
            }
        };
        size_of::<Self>() + size_of::<RecordLine>() + content
    }
}

fn scope_weight(scope: &Scope) -> usize {
    let request = scope.request();
    let uri = request.map_or(0, |request| {
        request.raw_path().len() + request.query().len()
    });
    uri + request.map_or(0, |request| fields_weight(&request.headers))
}

/// Returns about how many octets of memory these fields take.
fn fields_weight(fields: &HeaderMap) -> usize {
    let values = fields.iter();
    values
        .map(|(name, value)| 64 + name.as_str().len() + value.len())
        .sum()
}

/// Returns about how many octets of memory the parts of `event` take.
fn received_weight(event: &ReceiveEvent) -> usize {
    match event {
        ReceiveEvent::HttpRequestBody(request) => {
            request.body.len() + request.trailers.as_deref().map_or(0, fields_weight)
        }
        ReceiveEvent::WebSocketReceive(message) => message.len(),
        ReceiveEvent::WebSocketDisconnect(disconnect) => disconnect.reason.len(),
        _ => 0,
    }
}

/// Returns about how many octets of memory the parts of `event` take.
fn sent_weight(event: &SendEvent) -> usize {
    match event {
        SendEvent::HttpResponseStart(start) | SendEvent::DenialResponseStart(start) => {
            fields_weight(&start.headers)
        }
        SendEvent::HttpResponseBody(body) | SendEvent::DenialResponseBody(body) => body.body.len(),
        SendEvent::HttpResponseTrailers(trailers) => fields_weight(&trailers.headers),
        SendEvent::HttpResponsePathSend(send) => send.path.as_os_str().len(),
        SendEvent::HttpResponseEarlyHint(hint) => {
            hint.links.iter().map(|link| 32 + link.len()).sum()
        }
        SendEvent::HttpResponseDebug(debug) => {
            let info = debug.info.iter();
            info.map(|(name, value)| 64 + name.len() + value.len())
                .sum()
        }
        SendEvent::WebSocketAccept(accept) => fields_weight(&accept.headers),
        SendEvent::WebSocketSend(message) => message.len(),
        SendEvent::WebSocketClose(close) => close.reason.len(),
        SendEvent::LifespanStartupFailed(failed) => failed.message.len(),
        SendEvent::LifespanShutdownFailed(failed) => failed.message.len(),
        _ => 0,
    }
}
