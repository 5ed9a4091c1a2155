//! Permitted events.

use callgate::conversation::HttpPhase;
use callgate::{HttpResponseBody, HttpResponseDebug, HttpResponseEarlyHint, HttpResponseTrailers};
use http::Version;

use crate::support::{Conversation, path_send, sized, start, trailers};

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
