//! Requests, before they are written in a version of HTTP.

use callgate::{HttpResponseBody, HttpResponseStart, SendEvent};
use http::{HeaderMap, StatusCode};

use crate::probe::{PROBE_FIELD, Step};

/// A request with the first steps of the application.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) target: String,
    /// As they are to be written; `host` comes first.
    pub(super) fields: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    steps: Vec<Step>,
}

impl Request {
    pub(super) fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.into(),
            target: target.into(),
            fields: vec![("host".into(), "test".into())],
            body: Vec::new(),
            steps: Vec::new(),
        }
    }

    pub(super) fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// A request that shows that the server has come to it: the answer has no content, for which
    /// there may be no room on an HTTP/2 connection.
    pub(super) fn fence() -> Self {
        Self::get("/callgate-fence")
            .sends(HttpResponseStart::new(StatusCode::NO_CONTENT))
            .sends(HttpResponseBody::end())
            .step(Step::Return)
    }

    pub(super) fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// With this content, and its length.
    pub(super) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        let length = self.body.len().to_string();
        self.field("content-length", &length)
    }

    /// The application does this at once, after the steps before.
    pub(super) fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// The application sends this at once, after the steps before.
    pub(super) fn sends(self, event: impl Into<SendEvent>) -> Self {
        self.step(Step::Send(event.into()))
    }

    /// The field with the steps, if there are any.
    pub(super) fn probe_field(&self) -> Option<(String, String)> {
        let steps = (!self.steps.is_empty())
            .then(|| serde_json::to_string(&self.steps).expect("steps have a serialised form"))?;
        Some((PROBE_FIELD.into(), steps))
    }

    /// As HTTP/1.1 writes it.
    pub(super) fn http1(&self) -> Vec<u8> {
        self.written("HTTP/1.1")
    }

    /// As HTTP/1.0 writes it.
    pub(super) fn http10(&self) -> Vec<u8> {
        self.written("HTTP/1.0")
    }

    fn written(&self, version: &str) -> Vec<u8> {
        let mut text = format!("{} {} {version}\r\n", self.method, self.target);
        for (name, value) in self.fields.iter().cloned().chain(self.probe_field()) {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        let mut octets = text.into_bytes();
        octets.extend_from_slice(&self.body);
        octets
    }
}

/// A response, as it came over the wire and without its framing.
#[derive(Clone, Debug, Default)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) fields: HeaderMap,
    pub(super) body: Vec<u8>,
    pub(super) trailers: HeaderMap,
}

impl Response {
    /// The value of a field; of several, the first.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name)?.to_str().ok()
    }

    /// Whether a field lists this token.
    pub(super) fn lists(&self, name: &str, token: &str) -> bool {
        self.fields
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|listed| listed.trim().eq_ignore_ascii_case(token))
    }

    /// The content as a text, for comparing and showing.
    pub(super) fn text(&self) -> String {
        self.body.escape_ascii().to_string()
    }
}
