//! Tests of the events that an application may send on a WebSocket, rule by rule.

use callgate::conversation::{WebSocketConversation, WebSocketPhase};
use callgate::{
    ByteString, Feature, Features, HttpResponseBody, HttpResponseStart, LifespanStartupComplete,
    Message, SendError, SendEvent, WebSocketAccept, WebSocketClose, WebSocketScope,
};
use http::{StatusCode, Version};

/// The conversation of one exchange, with the steps of the application.
struct Conversation(WebSocketConversation);

impl Conversation {
    /// Creates a conversation whose client offers two subprotocols, and whose server offers denial
    /// responses.
    fn new() -> Self {
        Self::with(Features::NONE.with(Feature::DenialResponse))
    }

    fn with(features: Features) -> Self {
        let mut scope = WebSocketScope::new("/chat".parse().unwrap());
        scope.subprotocols = ["chat.v2", "chat.v1"].map(ByteString::from).to_vec();
        scope.features = features;
        Self(WebSocketConversation::new(&scope))
    }

    fn open() -> Self {
        let mut conversation = Self::new();
        conversation.allow(WebSocketAccept::new());
        conversation
    }

    fn send(&mut self, event: impl Into<SendEvent>) -> Result<(), SendError> {
        self.0.send(&event.into())
    }

    #[track_caller]
    fn allow(&mut self, event: impl Into<SendEvent>) {
        let event = event.into();
        self.0
            .send(&event)
            .unwrap_or_else(|error| panic!("{event:?}: {error}"));
    }

    /// Expects that `event` breaks the rule `id`, and that every later send fails with it.
    #[track_caller]
    fn refuse(&mut self, id: &str, event: impl Into<SendEvent>) {
        let error = self.send(event).expect_err("a violation");
        assert_eq!(
            error.rule().map(|rule| rule.id),
            Some(id),
            "refused with: {error}"
        );
        assert!(matches!(self.0.phase(), WebSocketPhase::Broken(_)));
        for later in [
            SendEvent::from(WebSocketAccept::new()),
            Message::text("later").into(),
            WebSocketClose::new(1000).into(),
        ] {
            assert_eq!(self.send(later).unwrap_err().rule().unwrap().id, id);
        }
    }

    /// Expects that returning now breaks the rule `id`.
    #[track_caller]
    fn refuse_return(&mut self, id: &str) {
        assert_eq!(self.0.returned().expect_err("a violation").rule.id, id);
    }
}

fn deny() -> SendEvent {
    SendEvent::DenialResponseStart(HttpResponseStart::new(StatusCode::UNAUTHORIZED))
}

fn is_disconnected(result: &Result<(), SendError>) -> bool {
    matches!(result, Err(SendError::Disconnected))
}

// Permitted events.

#[test]
fn accepting_talking_and_closing_is_allowed() {
    let mut conversation = Conversation::new();
    assert!(matches!(conversation.0.phase(), WebSocketPhase::Connecting));
    conversation.allow(
        WebSocketAccept::new()
            .subprotocol("chat.v1")
            .header("set-cookie", "a=1"),
    );
    conversation.allow(Message::text(""));
    conversation.allow(Message::binary("x"));
    conversation.allow(WebSocketClose::new(4000).reason("done"));
    assert!(matches!(conversation.0.phase(), WebSocketPhase::Closed));
    conversation.0.returned().unwrap();
}

#[test]
fn refusing_is_allowed() {
    let mut conversation = Conversation::new();
    conversation.allow(WebSocketClose::default());
    conversation.0.returned().unwrap();
}

#[test]
fn denying_with_a_response_is_allowed() {
    let mut conversation = Conversation::new();
    conversation.allow(deny());
    assert!(matches!(conversation.0.phase(), WebSocketPhase::Denying(_)));
    conversation.allow(SendEvent::DenialResponseBody(HttpResponseBody::part(
        "not ",
    )));
    conversation.allow(SendEvent::DenialResponseBody(HttpResponseBody::last("you")));
    assert!(matches!(conversation.0.phase(), WebSocketPhase::Closed));
    conversation.0.returned().unwrap();
}

#[test]
fn returning_while_open_is_allowed() {
    Conversation::open().0.returned().unwrap();
}

// CORE

#[test]
fn core_03_sends_fail_as_disconnected_once_the_client_is_gone() {
    let mut denying = Conversation::new();
    denying.allow(deny());
    for mut conversation in [Conversation::new(), Conversation::open(), denying] {
        conversation.0.disconnect();
        assert!(is_disconnected(&conversation.send(Message::text("x"))));
        assert!(is_disconnected(&conversation.send(WebSocketAccept::new())));
        assert!(is_disconnected(&conversation.send(HttpResponseStart::ok())));
        conversation.0.returned().unwrap();
    }
}

#[test]
fn core_03_a_disconnect_after_the_close_or_a_violation_changes_nothing() {
    let mut conversation = Conversation::open();
    conversation.allow(WebSocketClose::default());
    conversation.0.disconnect();
    conversation.refuse("WS-10", Message::text("late"));
    conversation.0.disconnect();
    assert_eq!(
        conversation.send(deny()).unwrap_err().rule().unwrap().id,
        "WS-10"
    );
}

#[test]
fn core_06_an_event_of_another_scope_is_refused() {
    for event in [
        SendEvent::from(HttpResponseStart::ok()),
        HttpResponseBody::end().into(),
        LifespanStartupComplete::new().into(),
    ] {
        Conversation::new().refuse("CORE-06", event.clone());
        Conversation::open().refuse("CORE-06", event);
    }
}

#[test]
fn core_11_sends_after_the_call_has_returned_fail_as_disconnected() {
    let mut open = Conversation::open();
    open.0.returned().unwrap();
    open.0.disconnect();
    assert!(is_disconnected(&open.send(Message::text("x"))));

    let mut broken = Conversation::open();
    broken.refuse("WS-04", WebSocketAccept::new());
    broken.refuse_return("WS-04");
    assert!(is_disconnected(&broken.send(Message::text("x"))));
}

// WS

#[test]
fn ws_03_a_message_before_accepting_is_refused() {
    Conversation::new().refuse("WS-03", Message::text("early"));
}

#[test]
fn ws_04_accepting_twice_is_refused() {
    Conversation::open().refuse("WS-04", WebSocketAccept::new());
}

#[test]
fn ws_06_a_subprotocol_that_is_not_offered_is_refused() {
    Conversation::new().refuse("WS-06", WebSocketAccept::new().subprotocol("chat.v3"));
    Conversation::new().refuse("WS-06", WebSocketAccept::new().subprotocol("CHAT.V1"));
    Conversation::new().allow(WebSocketAccept::new().subprotocol("chat.v2"));
}

#[test]
fn ws_07_a_field_of_the_handshake_is_refused() {
    for name in [
        "sec-websocket-accept",
        "sec-websocket-protocol",
        "sec-websocket-extensions",
        "content-length",
        "connection",
        "upgrade",
        "transfer-encoding",
    ] {
        Conversation::new().refuse("WS-07", WebSocketAccept::new().header(name, "x"));
    }
}

#[test]
fn ws_08_returning_before_an_answer_is_refused() {
    Conversation::new().refuse_return("WS-08");
}

#[test]
fn ws_10_an_event_after_the_end_is_refused() {
    let mut refused = Conversation::new();
    refused.allow(WebSocketClose::default());
    refused.refuse("WS-10", WebSocketAccept::new());

    let mut closed = Conversation::open();
    closed.allow(WebSocketClose::default());
    closed.refuse("WS-10", WebSocketClose::default());

    let mut denied = Conversation::new();
    denied.allow(deny());
    denied.allow(SendEvent::DenialResponseBody(HttpResponseBody::end()));
    denied.refuse("WS-10", Message::text("late"));
}

#[test]
fn ws_11_a_close_code_that_may_not_be_sent_is_refused() {
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, u16::MAX] {
        Conversation::open().refuse("WS-11", WebSocketClose::new(code));
        Conversation::new().refuse("WS-11", WebSocketClose::new(code));
    }
    for code in [1000, 1003, 1007, 1014, 3000, 4999] {
        Conversation::open().allow(WebSocketClose::new(code));
    }
}

#[test]
fn ws_12_a_close_reason_that_is_too_long_is_refused() {
    Conversation::open().refuse("WS-12", WebSocketClose::new(1000).reason("x".repeat(124)));
    Conversation::open().refuse("WS-12", WebSocketClose::new(1000).reason("é".repeat(62)));
    Conversation::open().allow(WebSocketClose::new(1000).reason("x".repeat(123)));
}

// Denial

#[test]
fn ext_01_a_denial_that_is_not_offered_leaves_the_handshake_as_it_was() {
    let mut conversation = Conversation::with(Features::NONE);
    let result = conversation.send(deny());
    assert!(matches!(
        result,
        Err(SendError::NotOffered(Feature::DenialResponse))
    ));
    conversation.allow(WebSocketAccept::new());
}

#[test]
fn ext_01_trailer_fields_of_a_denial_are_not_offered_and_leave_the_handshake_as_it_was() {
    let mut conversation = Conversation::new();
    let result = conversation.send(SendEvent::DenialResponseStart(
        HttpResponseStart::ok().with_trailers(),
    ));
    assert!(matches!(
        result,
        Err(SendError::NotOffered(Feature::ResponseTrailers))
    ));
    assert!(matches!(conversation.0.phase(), WebSocketPhase::Connecting));
    conversation.allow(WebSocketAccept::new());
}

#[test]
fn ext_12_denying_an_open_websocket_is_refused() {
    Conversation::open().refuse("EXT-12", deny());
    Conversation::open().refuse(
        "EXT-12",
        SendEvent::DenialResponseBody(HttpResponseBody::end()),
    );
}

#[test]
fn ext_13_a_denial_keeps_the_rules_of_a_response() {
    Conversation::new().refuse(
        "EXT-13",
        SendEvent::DenialResponseBody(HttpResponseBody::end()),
    );
    let mut twice = Conversation::new();
    twice.allow(deny());
    twice.refuse("EXT-13", deny());

    let mut short = Conversation::new();
    short.allow(SendEvent::DenialResponseStart(
        HttpResponseStart::ok().header("content-length", "3"),
    ));
    let event = SendEvent::DenialResponseBody(HttpResponseBody::last("ab"));
    let error = short.send(event).unwrap_err();
    assert_eq!(error.rule().unwrap().id, "EXT-13");
    assert!(error.to_string().contains("HTTP-21"), "{error}");
}

#[test]
fn ext_13_a_denial_does_not_open_the_websocket() {
    let deny = || SendEvent::DenialResponseStart(HttpResponseStart::ok());
    let over = |version| {
        let mut scope = WebSocketScope::new("/chat".parse().unwrap());
        scope.version = version;
        scope.features = Features::NONE.with(Feature::DenialResponse);
        Conversation(WebSocketConversation::new(&scope))
    };
    over(Version::HTTP_11).allow(deny());
    over(Version::HTTP_2).refuse("EXT-13", deny());
}

#[test]
fn ext_13_a_denial_that_is_started_excludes_any_other_answer() {
    for event in [
        SendEvent::from(WebSocketAccept::new()),
        WebSocketClose::default().into(),
    ] {
        let mut conversation = Conversation::new();
        conversation.allow(deny());
        conversation.refuse("EXT-13", event);
    }
}

#[test]
fn ext_13_returning_within_a_denial_is_refused() {
    let mut conversation = Conversation::new();
    conversation.allow(deny());
    conversation.refuse_return("EXT-13");
}
