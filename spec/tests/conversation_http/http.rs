//! The rules of responses.

use callgate::{HttpResponseBody, HttpResponseDebug, HttpResponseEarlyHint, SendEvent};
use http::Method;

use crate::support::{Conversation, path_send, sized, start, start_with, trailers};

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
