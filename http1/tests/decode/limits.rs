//! Limits, each with its own error. At a limit the decoder accepts, and above the limit it refuses.

use bytes::BytesMut;
use callgate_http1::{Config, DecodeError, DecodedHead, HeadDecoder, Limits};

use crate::reading::End;
use crate::support::{decode_with, refusal_with, request};

fn with_limits(change: impl FnOnce(&mut Limits)) -> Config {
    let mut config = Config::default();
    change(&mut config.limits);
    config
}

/// Checks that the input at a limit is read, and that the input above is refused with this error,
/// also before its end has come.
#[track_caller]
fn check(config: &Config, at: &str, above: &str, error: DecodeError, status: u16) {
    assert!(
        !matches!(decode_with(config, at).end, End::Refused(_)),
        "{at:?}: {:?}",
        decode_with(config, at)
    );
    assert_eq!(refusal_with(config, above), error, "{above:?}");
    assert_eq!(error.status(), status);
}

#[test]
fn a_method_above_its_limit_is_answered_with_501_by_rfc_9112_section_3() {
    let config = with_limits(|limits| limits.method = 5);
    let error = DecodeError::MethodTooLong;
    check(
        &config,
        &request("ABCDE", &[]),
        &request("ABCDEF", &[]),
        error,
        501,
    );
    let endless = "A".repeat(9000);
    assert_eq!(refusal_with(&config, endless), error);
}

#[test]
fn a_target_above_its_limit_is_answered_with_414_by_rfc_9112_section_3() {
    let config = with_limits(|limits| limits.target = 100);
    let error = DecodeError::TargetTooLong;
    let target = |length: usize| {
        format!(
            "GET /{} HTTP/1.1\r\nhost: a\r\n\r\n",
            "a".repeat(length - 1)
        )
    };
    check(&config, &target(100), &target(101), error, 414);
    let endless = format!("GET /{}", "a".repeat(9000));
    assert_eq!(refusal_with(&config, endless), error);

    let config = with_limits(|limits| limits.target = 1 << 20);
    assert!(!matches!(
        decode_with(&config, target(65_534)).end,
        End::Refused(_)
    ));
    assert_eq!(refusal_with(&config, target(65_535)), error);
}

#[test]
fn fields_above_their_count_are_answered_with_431_by_rfc_6585_section_5() {
    let config = with_limits(|limits| limits.field_count = 3);
    let error = DecodeError::TooManyFields;
    let at = request("GET", &["b: c"; 2]);
    check(&config, &at, &request("GET", &["b: c"; 3]), error, 431);
    let endless = format!("GET / HTTP/1.1\r\n{}", "a: b\r\n".repeat(100));
    assert_eq!(refusal_with(&config, endless), error);
    let trailers = |count: usize| {
        let fields = "a: b\r\n".repeat(count);
        request("POST", &["transfer-encoding: chunked"]) + &format!("0\r\n{fields}\r\n")
    };
    check(&config, &trailers(3), &trailers(4), error, 431);
}

#[test]
fn more_fields_than_a_map_holds_are_refused_whatever_the_limit() {
    let config = with_limits(|limits| {
        limits.field_count = usize::MAX;
        limits.fields = usize::MAX;
    });
    let with_fields = |count: usize| {
        let fields: String = (1..count)
            .map(|number| format!("x-{number}: a\r\n"))
            .collect();
        BytesMut::from(format!("GET / HTTP/1.1\r\nhost: a\r\n{fields}\r\n").as_str())
    };
    let decode = |mut input| HeadDecoder::new(config.clone()).decode(&mut input);
    assert!(matches!(
        decode(with_fields(24_576)),
        Ok(DecodedHead::Complete(..))
    ));
    assert!(matches!(
        decode(with_fields(24_577)),
        Err(DecodeError::TooManyFields)
    ));
}

#[test]
fn a_field_line_above_its_limit_is_answered_with_431_by_rfc_6585_section_5() {
    let config = with_limits(|limits| limits.field = 20);
    let error = DecodeError::FieldTooLong;
    let line = |length: usize| request("GET", &[&format!("b: {}", "c".repeat(length - 3))]);
    check(&config, &line(20), &line(21), error, 431);
    let endless = format!("GET / HTTP/1.1\r\na: {}", "b".repeat(9000));
    assert_eq!(refusal_with(&config, endless), error);

    let config = Config {
        allow_bare_lf: true,
        ..config
    };
    for line_end in ["\n", "\r\n"] {
        let with_line_end = |length| line(length).replace("\r\n", line_end);
        check(&config, &with_line_end(20), &with_line_end(21), error, 431);
    }
}

#[test]
fn fields_above_their_size_are_answered_with_431_by_rfc_6585_section_5() {
    let config = with_limits(|limits| limits.fields = 100);
    let error = DecodeError::FieldsTooLarge;
    let fields = |length: usize| {
        request(
            "GET",
            &["b: c", &format!("d: {}", "e".repeat(length - 9 - 6 - 5))],
        )
    };
    check(&config, &fields(100), &fields(101), error, 431);
    let endless = format!("GET / HTTP/1.1\r\na: {}", "b".repeat(9000));
    assert_eq!(refusal_with(&config, endless), error);
}

#[test]
fn the_limit_that_is_exceeded_first_is_the_error() {
    let config = with_limits(|limits| {
        limits.field = 20;
        limits.fields = 40;
    });
    let long_first = request("GET", &[&format!("b: {}", "c".repeat(30))]);
    assert_eq!(
        refusal_with(&config, &long_first),
        DecodeError::FieldTooLong
    );
    let large_first = request("GET", &["b: c", "d: e", &format!("f: {}", "g".repeat(30))]);
    assert_eq!(
        refusal_with(&config, large_first),
        DecodeError::FieldsTooLarge
    );
    // "host: a" has 9 octets with its line end: the field is too long at the 30th octet of all.
    for (section, error) in [
        (28, DecodeError::FieldsTooLarge),
        (29, DecodeError::FieldTooLong),
    ] {
        let config = with_limits(|limits| {
            limits.field = 20;
            limits.fields = section;
        });
        for behind in ["ccc", "\rcc"] {
            let line = format!("b: {}{behind}", "c".repeat(17));
            let section = match behind {
                "\rcc" => section + 1,
                _ => section,
            };
            let config = with_limits(|limits| {
                *limits = Limits {
                    fields: section,
                    ..config.limits
                }
            });
            assert_eq!(
                refusal_with(&config, request("GET", &[&line])),
                error,
                "{behind:?}"
            );
        }
    }
    let malformed_first = request("GET", &["b", &format!("f: {}", "g".repeat(30))]);
    assert_eq!(
        refusal_with(&config, malformed_first),
        DecodeError::FieldName
    );
}

#[test]
fn a_chunk_line_above_its_limit_is_refused_by_rfc_9112_section_7_1_1() {
    let config = with_limits(|limits| limits.chunk_line = 20);
    let error = DecodeError::ChunkLineTooLong;
    let line = |length: usize| {
        let line = format!("1;{}", "a".repeat(length - 2));
        request("POST", &["transfer-encoding: chunked"]) + &format!("{line}\r\nx\r\n")
    };
    check(&config, &line(20), &line(21), error, 400);
    let endless = line(9000).trim_ascii_end().to_owned();
    assert_eq!(refusal_with(&config, endless), error);
}

#[test]
fn trailers_above_their_size_are_answered_with_431_by_rfc_6585_section_5() {
    let config = with_limits(|limits| limits.trailers = 40);
    let error = DecodeError::TrailersTooLarge;
    let trailers = |length: usize| {
        let section = format!("a: b\r\nc: {}\r\n", "d".repeat(length - 6 - 5));
        request("POST", &["transfer-encoding: chunked"]) + &format!("0\r\n{section}\r\n")
    };
    check(&config, &trailers(40), &trailers(41), error, 431);
    let endless = trailers(9000).trim_ascii_end().to_owned();
    assert_eq!(refusal_with(&config, endless), error);

    let config = with_limits(|limits| limits.field = 20);
    assert_eq!(
        refusal_with(&config, trailers(40)),
        DecodeError::FieldTooLong
    );
}

#[test]
fn limits_of_any_size_do_not_overflow() {
    let config = with_limits(|limits| {
        *limits = Limits {
            method: usize::MAX,
            target: usize::MAX,
            field_count: usize::MAX,
            field: usize::MAX,
            fields: usize::MAX,
            chunk_line: usize::MAX,
            trailers: usize::MAX,
        };
    });
    let input = request("POST", &["transfer-encoding: chunked"]) + "1;a\r\nx\r\n0\r\na: b\r\n\r\n";
    assert_eq!(decode_with(&config, input).end, End::Idle);
    let nothing = with_limits(|limits| {
        *limits = Limits {
            method: 0,
            target: 0,
            field_count: 0,
            field: 0,
            fields: 0,
            chunk_line: 0,
            trailers: 0,
        };
    });
    assert_eq!(
        refusal_with(&nothing, request("GET", &[])),
        DecodeError::MethodTooLong
    );
}
