//! The rules of features.

use callgate::conversation::HttpPhase;
use callgate::{
    Feature, Features, HttpResponseBody, HttpResponseDebug, HttpResponseEarlyHint, SendError,
};

use crate::support::{Conversation, is_disconnected, path_send, sized, start, trailers};

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
        "age",
        "authorization",
        "cache-control",
        "connection",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "cookie",
        "date",
        "expect",
        "expires",
        "host",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "keep-alive",
        "location",
        "max-forwards",
        "pragma",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "range",
        "retry-after",
        "set-cookie",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "vary",
        "warning",
        "www-authenticate",
    ] {
        let mut conversation =
            Conversation::with_start(start().header("trailer", name).with_trailers());
        conversation.allow(HttpResponseBody::end());
        conversation.refuse("EXT-05", trailers(&[(name, "1")]));
    }
}

#[test]
fn ext_05_every_other_field_may_be_a_trailer_field() {
    for name in [
        "etag",
        "server-timing",
        "content-digest",
        "grpc-status",
        "x-sum",
    ] {
        let mut conversation =
            Conversation::with_start(start().header("trailer", name).with_trailers());
        conversation.allow(HttpResponseBody::end());
        conversation.allow(trailers(&[(name, "1")]));
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
