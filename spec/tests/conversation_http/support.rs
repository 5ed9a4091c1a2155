//! A conversation with the steps of an application, and its events.

use callgate::conversation::{HttpConversation, HttpPhase};
use callgate::{
    Feature, HttpResponseBody, HttpResponsePathSend, HttpResponseStart, HttpResponseTrailers,
    HttpScope, SendError, SendEvent,
};
use http::header::{HeaderName, HeaderValue};
use http::{Method, StatusCode};

/// The conversation of one exchange, with the steps of the application.
pub(crate) struct Conversation(pub(crate) HttpConversation);

impl Conversation {
    /// Creates the conversation of a GET request over HTTP/1.1 with every feature.
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut HttpScope)) -> Self {
        let mut scope = HttpScope::new(Method::GET, "/".parse().unwrap());
        scope.features = Feature::ALL.into_iter().collect();
        change(&mut scope);
        Self(HttpConversation::new(&scope))
    }

    /// Creates a conversation in which the application has sent this head.
    pub(crate) fn with_start(start: HttpResponseStart) -> Self {
        let mut conversation = Self::new();
        conversation.allow(start);
        conversation
    }

    pub(crate) fn send(&mut self, event: impl Into<SendEvent>) -> Result<(), SendError> {
        self.0.send(&event.into())
    }

    #[track_caller]
    pub(crate) fn allow(&mut self, event: impl Into<SendEvent>) {
        let event = event.into();
        self.0
            .send(&event)
            .unwrap_or_else(|error| panic!("{event:?}: {error}"));
    }

    /// Expects that `event` breaks the rule `id`, and that every later send fails.
    #[track_caller]
    pub(crate) fn refuse(&mut self, id: &str, event: impl Into<SendEvent>) {
        let error = self.send(event).expect_err("a violation");
        assert_eq!(
            error.rule().map(|rule| rule.id),
            Some(id),
            "refused with: {error}"
        );
        self.expect_broken(id);
    }

    /// Expects that every later send fails with the rule `id`.
    #[track_caller]
    pub(crate) fn expect_broken(&mut self, id: &str) {
        assert!(matches!(self.0.phase(), HttpPhase::Broken(_)));
        let later = [
            self.send(HttpResponseStart::ok()),
            self.send(HttpResponseBody::end()),
        ];
        for result in later {
            assert_eq!(result.unwrap_err().rule().unwrap().id, id);
        }
    }

    #[track_caller]
    pub(crate) fn expect_ended(&self) {
        assert_eq!(*self.0.phase(), HttpPhase::Ended);
    }

    /// Expects that returning now breaks the rule `id`.
    #[track_caller]
    pub(crate) fn refuse_return(&mut self, id: &str) {
        assert_eq!(self.0.returned().expect_err("a violation").rule.id, id);
    }
}

pub(crate) fn start() -> HttpResponseStart {
    HttpResponseStart::ok()
}

pub(crate) fn start_with(status: u16) -> HttpResponseStart {
    HttpResponseStart::new(StatusCode::from_u16(status).unwrap())
}

pub(crate) fn sized(length: &str) -> HttpResponseStart {
    start().header("content-length", length)
}

pub(crate) fn trailers(fields: &[(&'static str, &'static str)]) -> HttpResponseTrailers {
    let fields = fields.iter().map(|(name, value)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    });
    HttpResponseTrailers::last(fields.collect())
}

pub(crate) fn path_send(path: &str) -> HttpResponsePathSend {
    HttpResponsePathSend::new(path)
}

pub(crate) fn is_disconnected(result: &Result<(), SendError>) -> bool {
    matches!(result, Err(SendError::Disconnected))
}
