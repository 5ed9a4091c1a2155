//! Lines of JSON: one object for each exchange.

use std::fmt::Write as _;
use std::time::Duration;

use callgate_drive::is_deceptive;
use serde_json::Value;

use super::text::Client;
use super::time::rfc3339;
use crate::record::ExchangeRecord;

/// Returns the line of an exchange. What a record does not have is `null`.
pub(super) fn line(record: &ExchangeRecord) -> String {
    let request = record.request.as_ref();
    let mut object = Object(String::with_capacity(512));
    object.field("time", rfc3339(record.time));
    object.field(
        "client",
        record.client.map(|it| Client(Some(it)).to_string()),
    );
    object.field("peer", record.peer.map(|it| it.to_string()));
    object.field("method", request.map(|it| it.method.as_str()));
    object.field("target", request.map(|it| &*it.target));
    object.field("version", request.map(|it| format!("{:?}", it.version)));
    object.field("websocket", request.is_some_and(|it| it.is_websocket));
    object.field("status", record.status.map(|status| status.as_u16()));
    object.field("bytes_in", record.octets_in);
    object.field("bytes_out", record.octets_out);
    object.field("duration", seconds(record.duration));
    object.field("until_response", record.until_response.map(seconds));
    let id = record.request_id.as_ref();
    object.field("request_id", id.and_then(|id| id.to_str().ok()));
    object.field(
        "user_agent",
        request.and_then(|it| it.user_agent.as_deref()),
    );
    object.field("referrer", request.and_then(|it| it.referrer.as_deref()));
    object.field("tls", record.tls_version.map(tls_name));
    object.field("outcome", record.outcome.name());
    object.field("reason", record.reason.as_deref());
    object.end()
}

/// Returns a time in seconds, with microseconds.
fn seconds(time: Duration) -> f64 {
    let micros = u32::try_from(time.as_micros());
    micros.map_or_else(|_| time.as_secs_f64(), |micros| f64::from(micros) / 1e6)
}

/// Returns the name of a version of TLS.
pub(crate) fn tls_name(version: u16) -> String {
    match version {
        0x0303 => "TLSv1.2".into(),
        0x0304 => "TLSv1.3".into(),
        other => format!("{other:#06x}"),
    }
}

/// An object that is being written.
struct Object(String);

impl Object {
    fn field(&mut self, name: &str, value: impl Into<Value>) {
        let separator = if self.0.is_empty() { '{' } else { ',' };
        let text = value.into().to_string();
        let _ = write!(self.0, "{separator}\"{name}\":");
        // JSON has control characters of ASCII escaped, and no others.
        let mut written = 0;
        for (at, character) in text.char_indices() {
            if is_deceptive(character) {
                self.0.push_str(&text[written..at]);
                for unit in character.encode_utf16(&mut [0; 2]) {
                    let _ = write!(self.0, "\\u{unit:04x}");
                }
                written = at + character.len_utf8();
            }
        }
        self.0.push_str(&text[written..]);
    }

    fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}
