//! How content ends, and what the connection does then.

use crate::support::{head, refusal, request};
use callgate_http1::{DecodeError, Expectation, Next, Persistence};

fn remaining(lines: &[&str]) -> Option<u64> {
    match head(request("POST", lines)).1 {
        Next::Content(content) => content.remaining(),
        Next::Head(_) => Some(0),
    }
}

#[test]
fn a_content_length_is_digits_by_rfc_9110_section_8_6() {
    for (value, length) in [
        ("0", 0),
        ("5", 5),
        ("007", 7),
        ("18446744073709551615", u64::MAX),
        (" 5 ", 5),
    ] {
        assert_eq!(
            remaining(&[&format!("content-length: {value}")]),
            Some(length),
            "{value}"
        );
    }
    for value in [
        "", "+5", "-5", "5.0", "0x5", "5e1", "5 5", "a", "5a", "5;a", "\u{ff15}", ",", "5,", ",5",
        "5,,5", "5_0", "\"5\"",
    ] {
        let input = request("POST", &[&format!("content-length: {value}")]);
        assert_eq!(refusal(input), DecodeError::ContentLength, "{value}");
    }
}

#[test]
fn a_content_length_of_2_64_is_refused_by_rfc_9110_section_8_6() {
    for value in [
        "18446744073709551616",
        "99999999999999999999999999",
        "5, 18446744073709551616",
    ] {
        let error = refusal(request("POST", &[&format!("content-length: {value}")]));
        assert_eq!(error, DecodeError::ContentLengthTooLarge, "{value}");
        assert_eq!(error.status(), 400);
    }
}

#[test]
fn content_lengths_that_agree_become_one_by_rfc_9110_section_8_6() {
    for lines in [
        &["content-length: 5", "content-length: 5"][..],
        &["content-length: 5, 5"],
        &["content-length: 5 ,05", "content-length: 5"],
    ] {
        let (request, next) = head(request("POST", lines));
        let values: Vec<_> = request.headers.get_all("content-length").iter().collect();
        assert_eq!(values, ["5"]);
        assert!(matches!(next, Next::Content(content) if content.remaining() == Some(5)));
    }
}

#[test]
fn content_lengths_that_differ_are_refused_by_rfc_9112_section_6_3() {
    for lines in [
        &["content-length: 5", "content-length: 6"][..],
        &["content-length: 5, 6"],
        &["content-length: 0", "content-length: 5"],
    ] {
        assert_eq!(
            refusal(request("POST", lines)),
            DecodeError::ContentLengthConflict,
            "{lines:?}"
        );
    }
}

#[test]
fn exactly_chunked_is_the_coding_that_is_read_by_rfc_9112_section_6_1() {
    for value in ["chunked", "Chunked", "CHUNKED", " chunked ", "\tchunked"] {
        assert_eq!(
            remaining(&[&format!("transfer-encoding:{value}")]),
            None,
            "{value}"
        );
    }
}

#[test]
fn a_coding_before_chunked_is_answered_with_501_by_rfc_9112_section_6_1() {
    for lines in [
        &["transfer-encoding: gzip, chunked"][..],
        &["transfer-encoding: gzip", "transfer-encoding: chunked"],
        &["transfer-encoding: gzip;q=1, deflate, chunked"],
        &["transfer-encoding: identity, chunked"],
    ] {
        let error = refusal(request("POST", lines));
        assert_eq!(error, DecodeError::TransferCoding, "{lines:?}");
        assert_eq!(error.status(), 501);
    }
}

#[test]
fn codings_that_do_not_end_with_one_chunked_are_refused_by_rfc_9112_section_6_3() {
    for value in [
        "gzip",
        "identity",
        "",
        "chunked, gzip",
        "chunked, chunked",
        "xchunked",
        "chunkedx",
        "chunked;a=b",
        "chunked ;a",
        ",",
        "chunked,",
        ",chunked",
        "\"chunked\"",
        "'chunked'",
        "chun ked",
        "chunked chunked",
        "chunked\tx",
        "\u{e9}",
        "gzip chunked",
        "gzip,, chunked",
    ] {
        let input = request("POST", &[&format!("transfer-encoding: {value}")]);
        assert_eq!(refusal(input), DecodeError::TransferEncoding, "{value}");
    }
    let twice = request(
        "POST",
        &["transfer-encoding: chunked", "transfer-encoding: chunked"],
    );
    assert_eq!(refusal(twice), DecodeError::TransferEncoding);
    let not_last = request(
        "POST",
        &["transfer-encoding: chunked", "transfer-encoding: identity"],
    );
    assert_eq!(refusal(not_last), DecodeError::TransferEncoding);
}

#[test]
fn transfer_encoding_overrides_content_length_by_rfc_9112_sections_6_1_and_6_3() {
    for lines in [
        &["content-length: 5", "transfer-encoding: chunked"][..],
        &[
            "transfer-encoding: chunked",
            "content-length: 5",
            "connection: keep-alive",
        ],
        &["transfer-encoding: chunked", "content-length: 0, 0"],
    ] {
        let (request, next) = head(request("POST", lines));
        assert!(matches!(next, Next::Content(content) if content.remaining().is_none()));
        assert!(!request.headers.contains_key("content-length"), "{lines:?}");
        assert_eq!(request.persistence, Persistence::Close, "{lines:?}");
    }
    for (length, error) in [
        ("x", DecodeError::ContentLength),
        ("5, 6", DecodeError::ContentLengthConflict),
    ] {
        let lines = [
            "transfer-encoding: chunked",
            &format!("content-length: {length}"),
        ];
        assert_eq!(refusal(request("POST", &lines)), error, "{length}");
    }
    let lines = ["transfer-encoding: gzip", "content-length: 5"];
    assert_eq!(
        refusal(request("POST", &lines)),
        DecodeError::TransferEncoding
    );
}

#[test]
fn transfer_encoding_in_http_1_0_is_refused_by_rfc_9112_section_6_1() {
    for lines in [
        &["transfer-encoding: chunked"][..],
        &["transfer-encoding: chunked", "content-length: 5"],
    ] {
        let input = request("POST", lines).replace("HTTP/1.1", "HTTP/1.0");
        assert_eq!(refusal(input), DecodeError::TransferEncodingInHttp10);
    }
}

#[test]
fn a_request_without_framing_has_no_content_by_rfc_9112_section_6_3() {
    for method in ["GET", "POST", "PUT"] {
        assert!(
            matches!(head(request(method, &[])).1, Next::Head(_)),
            "{method}"
        );
    }
    assert!(matches!(
        head(request("POST", &["content-length: 0"])).1,
        Next::Head(_)
    ));
    assert!(matches!(
        head(request("GET", &["content-length: 1"])).1,
        Next::Content(_)
    ));
}

#[test]
fn persistence_follows_rfc_9112_section_9_3() {
    for (version, lines, persistence) in [
        ("1.1", &[][..], Persistence::KeepAlive),
        ("1.1", &["connection: close"], Persistence::Close),
        ("1.1", &["connection: x, Close"], Persistence::Close),
        (
            "1.1",
            &["connection: keep-alive, close"],
            Persistence::Close,
        ),
        (
            "1.1",
            &["connection: keep-alive", "connection: close"],
            Persistence::Close,
        ),
        ("1.1", &["connection: closed"], Persistence::KeepAlive),
        ("1.0", &[], Persistence::Close),
        ("1.0", &["connection: Keep-Alive"], Persistence::KeepAlive),
        (
            "1.0",
            &["connection: keep-alive, close"],
            Persistence::Close,
        ),
        ("1.5", &[], Persistence::KeepAlive),
    ] {
        let input = request("GET", lines).replace("HTTP/1.1", &format!("HTTP/{version}"));
        assert_eq!(
            head(input).0.persistence,
            persistence,
            "{version} {lines:?}"
        );
    }
}

#[test]
fn expectations_follow_rfc_9110_section_10_1_1() {
    let length = "content-length: 5";
    for (version, lines, expectation) in [
        ("1.1", &[length][..], Expectation::None),
        (
            "1.1",
            &[length, "expect: 100-continue"],
            Expectation::Continue,
        ),
        (
            "1.1",
            &[length, "expect: 100-Continue"],
            Expectation::Continue,
        ),
        (
            "1.1",
            &["transfer-encoding: chunked", "expect: 100-continue"],
            Expectation::Continue,
        ),
        ("1.1", &["expect: 100-continue"], Expectation::None),
        (
            "1.1",
            &["content-length: 0", "expect: 100-continue"],
            Expectation::None,
        ),
        ("1.1", &[length, "expect: a"], Expectation::Unknown),
        ("1.1", &["expect: a"], Expectation::Unknown),
        (
            "1.1",
            &[length, "expect: 100-continue, a"],
            Expectation::Unknown,
        ),
        (
            "1.1",
            &[length, "expect: a", "expect: 100-continue"],
            Expectation::Unknown,
        ),
        (
            "1.1",
            &[length, "expect: 100-continue;a"],
            Expectation::Unknown,
        ),
        ("1.1", &[length, "expect:"], Expectation::None),
        ("1.0", &[length, "expect: 100-continue"], Expectation::None),
    ] {
        let input = request("POST", lines).replace("HTTP/1.1", &format!("HTTP/{version}"));
        assert_eq!(
            head(input).0.expectation,
            expectation,
            "{version} {lines:?}"
        );
    }
}

#[test]
fn an_upgrade_is_offered_with_the_option_and_the_field_by_rfc_9110_section_7_8() {
    for (version, lines, offers) in [
        (
            "1.1",
            &["upgrade: websocket", "connection: Upgrade"][..],
            true,
        ),
        (
            "1.1",
            &["connection: keep-alive, upgrade", "upgrade: a"],
            true,
        ),
        ("1.1", &["upgrade: websocket"], false),
        ("1.1", &["connection: upgrade"], false),
        ("1.1", &["connection: upgrade", "upgrade:"], false),
        ("1.1", &["connection: upgrade", "upgrade: ,"], false),
        ("1.0", &["upgrade: websocket", "connection: upgrade"], false),
    ] {
        let input = request("GET", lines).replace("HTTP/1.1", &format!("HTTP/{version}"));
        assert_eq!(head(input).0.offers_upgrade, offers, "{version} {lines:?}");
    }
}
