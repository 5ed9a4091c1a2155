//! Tests of the events that an application may send in an HTTP exchange, rule by rule.

use callgate::conversation::{HttpConversation, HttpPhase};
use callgate::{
    Feature, Features, HttpResponseBody, HttpResponseDebug, HttpResponseEarlyHint,
    HttpResponsePathSend, HttpResponseStart, HttpResponseTrailers, HttpScope,
    LifespanShutdownComplete, Message, SendError, SendEvent,
};
use http::header::{HeaderName, HeaderValue};
use http::{Method, StatusCode, Version};

/// The conversation of one exchange, with the steps of the application.
struct Conversation(HttpConversation);

impl Conversation {
    /// Creates the conversation of a GET request over HTTP/1.1 with every feature.
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut HttpScope)) -> Self {
        let mut scope = HttpScope::new(Method::GET, "/".parse().unwrap());
        scope.features = Feature::ALL.into_iter().collect();
        change(&mut scope);
        Self(HttpConversation::new(&scope))
    }

    /// Creates a conversation in which the application has sent this head.
    fn with_start(start: HttpResponseStart) -> Self {
        let mut conversation = Self::new();
        conversation.allow(start);
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

    /// Expects that `event` breaks the rule `id`, and that every later send fails.
    #[track_caller]
    fn refuse(&mut self, id: &str, event: impl Into<SendEvent>) {
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
    fn expect_broken(&mut self, id: &str) {
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
    fn expect_ended(&self) {
        assert_eq!(*self.0.phase(), HttpPhase::Ended);
    }

    /// Expects that returning now breaks the rule `id`.
    #[track_caller]
    fn refuse_return(&mut self, id: &str) {
        assert_eq!(self.0.returned().expect_err("a violation").rule.id, id);
    }
}

fn start() -> HttpResponseStart {
    HttpResponseStart::ok()
}

fn start_with(status: u16) -> HttpResponseStart {
    HttpResponseStart::new(StatusCode::from_u16(status).unwrap())
}

fn sized(length: &str) -> HttpResponseStart {
    start().header("content-length", length)
}

fn trailers(fields: &[(&'static str, &'static str)]) -> HttpResponseTrailers {
    let fields = fields.iter().map(|(name, value)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    });
    HttpResponseTrailers::last(fields.collect())
}

fn path_send(path: &str) -> HttpResponsePathSend {
    HttpResponsePathSend::new(path)
}

fn is_disconnected(result: &Result<(), SendError>) -> bool {
    matches!(result, Err(SendError::Disconnected))
}

// Permitted events.

#[test]
fn a_response_in_one_piece_is_allowed() {
    let mut conversation = Conversation::new();
    conversation.allow(start());
    conversation.allow(HttpResponseBody::last("whole"));
    conversation.expect_ended();
    conversation.0.returned().unwrap();
}

#[test]
fn a_response_in_parts_is_allowed() {
    let mut conversation = Conversation::with_start(start());
    conversation.allow(HttpResponseBody::part(""));
    assert!(matches!(conversation.0.phase(), HttpPhase::Streaming(_)));
    conversation.allow(HttpResponseBody::part("one"));
    conversation.allow(HttpResponseBody::end());
    conversation.expect_ended();
}

#[test]
fn content_that_agrees_with_its_length_is_allowed() {
    let mut conversation = Conversation::with_start(sized("6"));
    conversation.allow(HttpResponseBody::part("one"));
    conversation.allow(HttpResponseBody::last("two"));
    conversation.expect_ended();
}

#[test]
fn trailer_fields_after_the_content_are_allowed() {
    let mut conversation =
        Conversation::with_start(start().header("trailer", "X-Sum, x-time").with_trailers());
    conversation.allow(HttpResponseBody::last("content"));
    assert!(matches!(conversation.0.phase(), HttpPhase::Trailers(_)));
    conversation.allow(HttpResponseTrailers::part(
        trailers(&[("x-sum", "1")]).headers,
    ));
    conversation.allow(trailers(&[("x-time", "2")]));
    conversation.expect_ended();
}

#[test]
fn trailer_fields_over_http_2_need_no_names_and_may_follow_a_length() {
    let mut conversation = Conversation::with(|scope| scope.version = Version::HTTP_2);
    conversation.allow(sized("2").with_trailers());
    conversation.allow(HttpResponseBody::last("ok"));
    conversation.allow(trailers(&[("grpc-status", "0")]));
    conversation.expect_ended();
}

#[test]
fn a_file_is_the_whole_content() {
    let mut conversation = Conversation::with_start(sized("5"));
    conversation.allow(path_send("/srv/logo.png"));
    assert!(conversation.0.is_replaceable());
    conversation.0.file(5).unwrap();
    conversation.expect_ended();
}

#[test]
fn a_file_that_cannot_be_opened_leaves_room_for_body_events() {
    let mut conversation = Conversation::with_start(start());
    conversation.allow(path_send("/nowhere"));
    conversation.allow(HttpResponseBody::last("not found"));
    conversation.expect_ended();
}

#[test]
fn trailer_fields_may_follow_a_file() {
    let mut conversation =
        Conversation::with_start(start().header("trailer", "x-sum").with_trailers());
    conversation.allow(path_send("/srv/logo.png"));
    conversation.0.file(5).unwrap();
    conversation.allow(trailers(&[("x-sum", "1")]));
    conversation.expect_ended();
}

#[test]
fn hints_and_debug_facts_may_come_before_the_start() {
    let mut conversation = Conversation::new();
    conversation.allow(HttpResponseEarlyHint::default());
    conversation.allow(HttpResponseDebug::default());
    conversation.allow(HttpResponseEarlyHint::default());
    conversation.allow(start());
    conversation.allow(HttpResponseDebug::default());
}

#[test]
fn a_response_is_replaceable_until_its_first_body_event() {
    let mut conversation = Conversation::new();
    assert!(conversation.0.is_replaceable());
    conversation.allow(start());
    assert!(conversation.0.is_replaceable());
    conversation.allow(HttpResponseBody::part("x"));
    assert!(!conversation.0.is_replaceable());
}

// CORE

#[test]
fn core_03_sends_fail_as_disconnected_once_the_client_is_gone() {
    for events in 0..3 {
        let mut conversation = Conversation::new();
        let sent: [SendEvent; 2] = [start().into(), HttpResponseBody::part("x").into()];
        sent.into_iter()
            .take(events)
            .for_each(|event| conversation.allow(event));
        conversation.0.disconnect();
        assert!(is_disconnected(&conversation.send(HttpResponseBody::end())));
        assert!(is_disconnected(
            &conversation.send(Message::text("foreign"))
        ));
        conversation.0.returned().unwrap();
    }
}

#[test]
fn core_03_a_disconnect_after_the_end_or_a_violation_changes_nothing() {
    let mut ended = Conversation::with_start(start());
    ended.allow(HttpResponseBody::end());
    ended.0.disconnect();
    ended.refuse("HTTP-16", HttpResponseBody::end());
    ended.0.disconnect();
    ended.expect_broken("HTTP-16");
}

#[test]
fn core_05_every_send_after_a_violation_fails_with_the_same_rule() {
    let mut conversation = Conversation::new();
    conversation.refuse("HTTP-14", HttpResponseBody::end());
    for event in [
        SendEvent::from(HttpResponseEarlyHint::default()),
        HttpResponseDebug::default().into(),
        path_send("/x").into(),
        trailers(&[]).into(),
        Message::text("foreign").into(),
    ] {
        assert_eq!(
            conversation.send(event).unwrap_err().rule().unwrap().id,
            "HTTP-14"
        );
    }
    conversation.refuse_return("HTTP-14");
}

#[test]
fn core_06_an_event_of_another_scope_is_refused() {
    for event in [
        SendEvent::from(Message::text("hello")),
        LifespanShutdownComplete::new().into(),
        SendEvent::DenialResponseStart(start()),
    ] {
        Conversation::new().refuse("CORE-06", event);
    }
}

#[test]
fn core_11_sends_after_the_call_has_returned_fail_as_disconnected() {
    let mut ended = Conversation::with_start(start());
    ended.allow(HttpResponseBody::end());
    ended.0.returned().unwrap();
    assert!(is_disconnected(&ended.send(HttpResponseBody::end())));

    let mut broken = Conversation::new();
    broken.refuse("HTTP-14", HttpResponseBody::end());
    broken.refuse_return("HTTP-14");
    assert!(is_disconnected(&broken.send(start())));
    broken.0.returned().unwrap();
}

// HTTP

#[test]
fn http_14_a_body_before_the_start_is_refused() {
    Conversation::new().refuse("HTTP-14", HttpResponseBody::last("early"));
    Conversation::new().refuse("HTTP-14", path_send("/srv/logo.png"));
}

#[test]
fn http_15_a_second_start_is_refused_and_ends_the_exchange() {
    Conversation::with_start(start()).refuse("HTTP-15", start());
    let mut streaming = Conversation::with_start(start());
    streaming.allow(HttpResponseBody::part("x"));
    streaming.refuse("HTTP-15", start());
}

#[test]
fn http_16_an_event_after_the_end_is_refused() {
    for event in [
        SendEvent::from(start()),
        HttpResponseBody::end().into(),
        trailers(&[]).into(),
        path_send("/srv/logo.png").into(),
        HttpResponseEarlyHint::default().into(),
        HttpResponseDebug::default().into(),
    ] {
        let mut conversation = Conversation::with_start(start());
        conversation.allow(HttpResponseBody::last("whole"));
        conversation.refuse("HTTP-16", event);
    }
}

#[test]
fn http_17_a_status_that_is_not_final_is_refused() {
    for status in [100, 101, 103, 199, 600, 999] {
        Conversation::new().refuse("HTTP-17", start_with(status));
    }
    for status in [200, 299, 418, 599] {
        Conversation::new().allow(start_with(status));
    }
}

#[test]
fn http_18_a_field_of_the_connection_is_refused() {
    for name in [
        "connection",
        "keep-alive",
        "proxy-connection",
        "transfer-encoding",
        "upgrade",
    ] {
        Conversation::new().refuse("HTTP-18", start().header(name, "x"));
    }
    Conversation::new().allow(start().header("te", "trailers"));
}

#[test]
fn http_19_a_length_that_is_no_number_or_is_repeated_is_refused() {
    for length in [
        "",
        "x",
        "-1",
        "+1",
        " 1",
        "1, 1",
        "0x10",
        "18446744073709551616",
    ] {
        Conversation::new().refuse("HTTP-19", sized(length));
    }
    Conversation::new().refuse("HTTP-19", sized("1").header("content-length", "1"));
    Conversation::new().allow(sized("18446744073709551615"));
}

#[test]
fn http_20_more_content_than_the_length_says_is_refused() {
    Conversation::with_start(sized("3")).refuse("HTTP-20", HttpResponseBody::last("four"));
    let mut in_parts = Conversation::with_start(sized("3"));
    in_parts.allow(HttpResponseBody::part("123"));
    in_parts.refuse("HTTP-20", HttpResponseBody::part("4"));
    let mut head = Conversation::with(|scope| scope.method = Method::HEAD);
    head.allow(sized("3"));
    head.refuse("HTTP-20", HttpResponseBody::last("four"));
}

#[test]
fn http_20_a_file_longer_than_the_length_is_refused() {
    let mut conversation = Conversation::with_start(sized("3"));
    conversation.allow(path_send("/srv/logo.png"));
    assert_eq!(
        conversation.0.file(4).unwrap_err().rule().unwrap().id,
        "HTTP-20"
    );
    conversation.expect_broken("HTTP-20");
}

#[test]
fn http_21_less_content_than_the_length_says_is_refused() {
    Conversation::with_start(sized("3")).refuse("HTTP-21", HttpResponseBody::last("ab"));
    let mut in_parts = Conversation::with_start(sized("3"));
    in_parts.allow(HttpResponseBody::part("a"));
    in_parts.refuse("HTTP-21", HttpResponseBody::end());
    let mut file = Conversation::with_start(sized("3"));
    file.allow(path_send("/srv/logo.png"));
    assert_eq!(file.0.file(2).unwrap_err().rule().unwrap().id, "HTTP-21");
    file.expect_broken("HTTP-21");
}

#[test]
fn http_21_less_content_is_allowed_for_head_and_304() {
    let mut head = Conversation::with(|scope| scope.method = Method::HEAD);
    head.allow(sized("3"));
    head.allow(HttpResponseBody::end());
    head.expect_ended();
    let mut head_of_file = Conversation::with(|scope| scope.method = Method::HEAD);
    head_of_file.allow(sized("3"));
    head_of_file.allow(path_send("/srv/logo.png"));
    head_of_file.0.file(2).unwrap();
    let mut not_modified = Conversation::with_start(start_with(304).header("content-length", "3"));
    not_modified.allow(HttpResponseBody::end());
    not_modified.expect_ended();
}

#[test]
fn http_22_content_with_a_status_that_has_none_is_refused() {
    for status in [204, 205, 304] {
        Conversation::with_start(start_with(status)).refuse("HTTP-22", HttpResponseBody::last("x"));
        let mut file = Conversation::with_start(start_with(status));
        file.allow(path_send("/srv/logo.png"));
        assert_eq!(file.0.file(1).unwrap_err().rule().unwrap().id, "HTTP-22");
        let mut empty = Conversation::with_start(start_with(status));
        empty.allow(HttpResponseBody::part(""));
        empty.allow(HttpResponseBody::end());
    }
}

#[test]
fn http_23_a_length_with_204_is_refused() {
    Conversation::new().refuse("HTTP-23", start_with(204).header("content-length", "0"));
    Conversation::new().allow(start_with(205).header("content-length", "0"));
}

#[test]
fn http_30_returning_before_the_start_is_refused() {
    Conversation::new().refuse_return("HTTP-30");
    let mut hinted = Conversation::new();
    hinted.allow(HttpResponseEarlyHint::default());
    hinted.refuse_return("HTTP-30");
}

#[test]
fn http_31_returning_before_the_end_is_refused() {
    Conversation::with_start(start()).refuse_return("HTTP-31");
    let mut streaming = Conversation::with_start(start());
    streaming.allow(HttpResponseBody::part("x"));
    streaming.refuse_return("HTTP-31");
}

// Features

#[test]
fn ext_01_an_event_that_is_not_offered_fails_and_the_exchange_goes_on() {
    let mut conversation = Conversation::with(|scope| scope.features = Features::NONE);
    let not_offered = |result: Result<(), SendError>| match result {
        Err(SendError::NotOffered(feature)) => feature,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        not_offered(conversation.send(HttpResponseEarlyHint::default())),
        Feature::EarlyHints
    );
    assert_eq!(
        not_offered(conversation.send(start().with_trailers())),
        Feature::ResponseTrailers
    );
    assert_eq!(*conversation.0.phase(), HttpPhase::Waiting);
    conversation.allow(start());
    assert_eq!(
        not_offered(conversation.send(path_send("relative"))),
        Feature::PathSend
    );
    assert_eq!(
        not_offered(conversation.send(HttpResponseDebug::default())),
        Feature::Debug
    );
    assert_eq!(
        not_offered(conversation.send(trailers(&[]))),
        Feature::ResponseTrailers
    );
    conversation.allow(HttpResponseBody::last("all the same"));
    conversation.expect_ended();
}

#[test]
fn ext_03_trailer_fields_come_after_the_content_and_only_when_announced() {
    Conversation::new().refuse("EXT-03", trailers(&[]));
    Conversation::with_start(start().with_trailers()).refuse("EXT-03", trailers(&[]));
    let mut unannounced = Conversation::with_start(start());
    unannounced.allow(HttpResponseBody::part("x"));
    unannounced.refuse("EXT-03", trailers(&[]));
}

#[test]
fn ext_03_announced_trailer_fields_must_come() {
    let mut conversation = Conversation::with_start(start().with_trailers());
    conversation.allow(HttpResponseBody::end());
    conversation.refuse_return("EXT-03");
    let mut body_instead = Conversation::with_start(start().with_trailers());
    body_instead.allow(HttpResponseBody::end());
    body_instead.refuse("EXT-03", HttpResponseBody::end());
}

#[test]
fn ext_05_a_field_that_may_not_be_a_trailer_field_is_refused() {
    for name in [
        "content-length",
        "content-encoding",
        "content-type",
        "content-range",
        "trailer",
        "host",
        "authorization",
        "cache-control",
        "max-forwards",
        "te",
        "set-cookie",
        "connection",
        "transfer-encoding",
    ] {
        let mut conversation =
            Conversation::with_start(start().header("trailer", name).with_trailers());
        conversation.allow(HttpResponseBody::end());
        conversation.refuse("EXT-05", trailers(&[(name, "1")]));
    }
}

#[test]
fn ext_06_a_trailer_field_that_is_not_named_is_refused() {
    let mut conversation =
        Conversation::with_start(start().header("trailer", "x-sum").with_trailers());
    conversation.allow(HttpResponseBody::end());
    conversation.refuse("EXT-06", trailers(&[("x-sum", "1"), ("x-other", "1")]));
}

#[test]
fn ext_07_a_relative_path_is_refused() {
    Conversation::with_start(start()).refuse("EXT-07", path_send("logo.png"));
}

#[test]
fn ext_10_a_file_and_body_events_exclude_each_other() {
    let mut body_first = Conversation::with_start(start());
    body_first.allow(HttpResponseBody::part("x"));
    body_first.refuse("EXT-10", path_send("/srv/logo.png"));

    let mut body_meanwhile = Conversation::with_start(start());
    body_meanwhile.allow(path_send("/srv/logo.png"));
    body_meanwhile.allow(HttpResponseBody::part("x"));
    let error = body_meanwhile.0.file(5).unwrap_err();
    assert_eq!(error.rule().unwrap().id, "EXT-10");
    body_meanwhile.expect_broken("EXT-10");

    let mut disconnected_meanwhile = Conversation::with_start(start());
    disconnected_meanwhile.allow(path_send("/srv/logo.png"));
    disconnected_meanwhile.0.disconnect();
    assert!(is_disconnected(&disconnected_meanwhile.0.file(5)));
}

#[test]
fn ext_11_hints_after_the_start_are_refused() {
    Conversation::with_start(start()).refuse("EXT-11", HttpResponseEarlyHint::default());
}

#[test]
fn ext_16_a_length_and_trailer_fields_exclude_each_other_in_http_1() {
    Conversation::new().refuse("EXT-16", sized("2").with_trailers());
}
