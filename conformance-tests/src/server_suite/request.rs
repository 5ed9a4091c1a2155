//! Requests and responses without the framing of a version of HTTP.

use callgate::{HttpResponseBody, HttpResponseStart, SendEvent};
use http::{HeaderMap, StatusCode};

use crate::probe::{PROBE_FIELD, Step};

/// The target of [`Request::fence`].
pub(crate) const FENCE: &str = "/callgate-fence";

/// A request, with the first steps of the application.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    /// The fields in the order in which they are written; `host` comes first.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    steps: Vec<Step>,
}

impl Request {
    pub(crate) fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.into(),
            target: target.into(),
            fields: vec![("host".into(), "test".into())],
            body: Vec::new(),
            steps: Vec::new(),
        }
    }

    pub(crate) fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// Returns a request whose answer shows that the server has read up to it. The answer has no content,
    /// for which the flow-control window of an HTTP/2 connection may have no room.
    pub(crate) fn fence() -> Self {
        Self::get(FENCE)
            .sends(HttpResponseStart::new(StatusCode::NO_CONTENT))
            .sends(HttpResponseBody::end())
            .step(Step::Return)
    }

    pub(crate) fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// Adds content, and its length.
    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        let length = self.body.len().to_string();
        self.field("content-length", &length)
    }

    /// Adds a step that the application takes at once, after the earlier steps.
    pub(crate) fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Adds an event that the application sends at once, after the earlier steps.
    pub(crate) fn sends(self, event: impl Into<SendEvent>) -> Self {
        self.step(Step::Send(event.into()))
    }

    /// Returns the field with the steps, if there are any.
    pub(crate) fn probe_field(&self) -> Option<(String, String)> {
        let steps = (!self.steps.is_empty())
            .then(|| serde_json::to_string(&self.steps).expect("steps have a serialised form"))?;
        Some((PROBE_FIELD.into(), steps))
    }

    /// Returns the octets of the request over HTTP/1.1.
    pub(crate) fn http1(&self) -> Vec<u8> {
        self.written("HTTP/1.1")
    }

    /// Returns the octets of the request over HTTP/1.0.
    pub(crate) fn http10(&self) -> Vec<u8> {
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

/// A response without its framing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) fields: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: HeaderMap,
}

impl Response {
    /// Returns the value of a field, of the first one where there are several.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name)?.to_str().ok()
    }

    /// Returns whether a field lists this token.
    pub(crate) fn lists(&self, name: &str, token: &str) -> bool {
        self.fields
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|listed| listed.trim().eq_ignore_ascii_case(token))
    }

    /// Returns the content as a text, for comparing and showing.
    pub(crate) fn text(&self) -> String {
        self.body.escape_ascii().to_string()
    }
}
