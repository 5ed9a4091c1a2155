//! The syntax of request lines and field lines.

use crate::reading::End;
use crate::support::{decode, decode_with, head, refusal, refusal_with, request};
use callgate_http1::{Config, DecodeError, DecodedHead, HeadDecoder};
use http::Version;

#[test]
fn a_request_line_has_a_method_a_target_and_a_version_by_rfc_9112_section_3() {
    let (request, _) = head("GET /a?b HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(request.method, "GET");
    assert_eq!(request.target, "/a?b");
    assert_eq!(request.version, Version::HTTP_11);

    for line in [
        "GET /",
        "GET / ",
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET / a HTTP/1.1",
        "GET\t/ HTTP/1.1",
        "GET /\tHTTP/1.1",
        " GET / HTTP/1.1",
        "GET / HTTP/1.1 HTTP/1.1",
        "GET HTTP/1.1",
        "GET",
        "/ HTTP/1.1",
        "GET / HTTP/1.1\t",
        "GET / HTTP/1.1\u{b}",
    ] {
        let error = refusal(format!("{line}\r\nhost: a\r\n\r\n"));
        let is_right = matches!(
            error,
            DecodeError::RequestLine
                | DecodeError::Method
                | DecodeError::Target
                | DecodeError::Version
        );
        assert!(is_right, "{line:?}: {error:?}");
        assert_eq!(error.status(), 400, "{line:?}");
    }
}

#[test]
fn a_method_is_a_token_by_rfc_9110_section_5_6_2() {
    for method in ["GET", "get", "M-SEARCH", "!#$%&'*+-.^_`|~09azAZ"] {
        assert_eq!(head(request(method, &[])).0.method, method);
    }
    for method in [
        "G(T",
        "G@T",
        "G\0T",
        "G\u{e9}T",
        "\u{16}\u{3}\u{1}",
        "G:T",
        "\"GET\"",
        "{",
        "G\tT",
    ] {
        assert_eq!(
            refusal(request(method, &[])),
            DecodeError::Method,
            "{method:?}"
        );
    }
}

#[test]
fn octets_that_begin_no_method_are_refused_before_the_line_ends() {
    assert_eq!(refusal("\u{16}\u{3}\u{1}"), DecodeError::Method);
    assert_eq!(refusal("\0"), DecodeError::Method);
    assert_eq!(refusal(" GET"), DecodeError::Method);
}

#[test]
fn a_malformed_line_is_refused_before_the_head_ends() {
    assert_eq!(refusal("GET /\r\n"), DecodeError::RequestLine);
    assert_eq!(
        refusal("GET / HTTP/1.1\r\na b: c\r\n"),
        DecodeError::FieldName
    );
    let unfinished = "GET / HTTP/1.1\r\na b: c";
    assert_eq!(decode(unfinished).end, End::InHead);
}

#[test]
fn a_higher_minor_version_is_read_as_1_1_by_rfc_9110_section_2_5() {
    for minor in 1..=9 {
        let (request, _) = head(format!("GET / HTTP/1.{minor}\r\nhost: a\r\n\r\n"));
        assert_eq!(request.version, Version::HTTP_11, "1.{minor}");
        let decoded = decode(format!("GET / HTTP/1.{minor}\r\nhost: a\r\n\r\n"));
        assert_eq!(decoded.end, End::Idle, "1.{minor}");
    }
    let (request, _) = head("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(request.version, Version::HTTP_10);
}

#[test]
fn a_version_of_another_major_is_answered_with_505_by_rfc_9110_section_15_6_6() {
    for version in ["HTTP/2.0", "HTTP/0.9", "HTTP/3.1", "HTTP/9.9"] {
        let error = refusal(format!("GET / {version}\r\nhost: a\r\n\r\n"));
        assert_eq!(error, DecodeError::UnsupportedVersion, "{version}");
        assert_eq!(error.status(), 505);
    }
}

#[test]
fn a_malformed_version_is_refused_by_rfc_9112_section_2_3() {
    for version in [
        "http/1.1",
        "HTTP/1",
        "HTTP/1.",
        "HTTP/.1",
        "HTTP/1,1",
        "HTTP/a.1",
        "HTTP/1.a",
        "HTTPS/1.1",
        "HTTP /1.1",
        "HTTP/11",
        "HTTP-1.1",
        "FTP/1.1",
        "HTTP/1.1.1",
        "HTTP/01.1",
        "HTTP/1.10",
        "HTTP/ 1.1",
        "HTTP/+1.1",
        "",
    ] {
        let error = refusal(format!("GET / {version}\r\nhost: a\r\n\r\n"));
        assert_eq!(error.status(), 400, "{version:?}: {error:?}");
    }
}

#[test]
fn a_request_of_http_0_9_is_refused() {
    assert_eq!(refusal("GET /\r\n"), DecodeError::RequestLine);
}

#[test]
fn a_bare_lf_is_refused_by_rfc_9112_section_2_2() {
    for input in [
        "\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET / HTTP/1.1\nhost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\n\n",
        "GET / HTTP/1.1\r\nhost: a\nb: c\r\n\r\n",
        "GET / HTTP/1.1\r\nhost:\n a\r\n\r\n",
        "GET / HTTP/1.1\n\n",
    ] {
        assert_eq!(refusal(input), DecodeError::BareLf, "{input:?}");
    }
}

#[test]
fn a_bare_cr_is_refused_by_rfc_9112_section_2_2() {
    for input in [
        "\rGET / HTTP/1.1\r\nhost: a\r\n\r\n",
        "\r\rGET / HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET\r/ HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /\rHTTP/1.1\r\nhost: a\r\n\r\n",
        "GET / HTTP/1.1\r\r\nhost: a\r\n\r\n",
        "GET / HTTP/1.1\rhost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\rb\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\r\n\r\n",
        "GET / HTTP/1.1\r\nho\rst: a\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\n\r\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\n\rb: c\r\n\r\n",
    ] {
        assert_eq!(refusal(input), DecodeError::BareCr, "{input:?}");
    }
}

#[test]
fn a_setting_allows_a_bare_lf_in_heads_as_rfc_9112_section_2_2_lets_it() {
    let config = Config {
        allow_bare_lf: true,
        ..Config::default()
    };
    let decoded = decode_with(
        &config,
        "\n\r\nGET / HTTP/1.1\nhost: a\nb: c\r\n\nGET / HTTP/1.5\nhost: b\n\n",
    );
    assert_eq!(decoded.requests.len(), 2, "{decoded:?}");
    assert_eq!(decoded.end, End::Idle);

    let cr = "GET / HTTP/1.1\nhost: a\rb\n\n";
    assert_eq!(refusal_with(&config, cr), DecodeError::BareCr);
    let chunk = "POST / HTTP/1.1\nhost: a\ntransfer-encoding: chunked\n\n1\nx";
    assert_eq!(refusal_with(&config, chunk), DecodeError::BareLf);
    let trailers = "POST / HTTP/1.1\nhost: a\ntransfer-encoding: chunked\n\n0\r\na: b\n\r\n";
    assert_eq!(refusal_with(&config, trailers), DecodeError::BareLf);
}

#[test]
fn two_empty_lines_may_precede_a_request_line_by_rfc_9112_section_2_2() {
    let request = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    let decoded = decode(format!(
        "\r\n\r\n{request}\r\n{request}\r\n\r\n{request}\r\n"
    ));
    assert_eq!(decoded.requests.len(), 3);
    assert_eq!(decoded.end, End::Idle);
    assert_eq!(
        refusal(format!("\r\n\r\n\r\n{request}")),
        DecodeError::EmptyLines
    );
}

#[test]
fn a_field_line_that_begins_with_a_blank_is_refused_by_rfc_9112_sections_2_2_and_5_2() {
    for lines in [
        " a: b",
        "\ta: b",
        "a: b\r\n c",
        "a: b\r\n\tc: d",
        "a: b\r\n ",
        "a:\r\n b",
    ] {
        assert_eq!(
            refusal(request("GET", &[lines])),
            DecodeError::FoldedLine,
            "{lines:?}"
        );
    }
    assert_eq!(
        refusal("GET / HTTP/1.1\r\n host: a\r\n\r\n"),
        DecodeError::FoldedLine
    );
}

#[test]
fn a_blank_before_the_colon_is_refused_by_rfc_9112_section_5_1() {
    for line in ["a : b", "a\t: b", "a  :b", "content-length : 5"] {
        assert_eq!(
            refusal(request("GET", &[line])),
            DecodeError::BlankBeforeColon,
            "{line:?}"
        );
    }
}

#[test]
fn a_field_name_is_a_token_by_rfc_9110_section_5_1() {
    for line in [
        ": b",
        "a",
        "a b: c",
        "a(b): c",
        "a\0: b",
        "a\u{e9}: b",
        "\"a\": b",
        "a;b: c",
        "a/b: c",
        "a@b: c",
        "[a]: b",
        "a\\b: c",
        "{a}: b",
        "=",
        "a\u{7f}: b",
    ] {
        assert_eq!(
            refusal(request("GET", &[line])),
            DecodeError::FieldName,
            "{line:?}"
        );
    }
    let name = "!#$%&'*+-.^_`|~09az";
    let (request, _) = head(request("GET", &[&format!("{name}: b")]));
    assert_eq!(request.headers[name], "b");
}

#[test]
fn a_field_value_has_no_control_octet_by_rfc_9110_section_5_5() {
    for octet in (0..=0x1f).chain([0x7f]) {
        if matches!(octet, b'\t' | b'\n' | b'\r') {
            continue;
        }
        for value in [
            &[octet][..],
            &[b'a', octet],
            &[octet, b'a'],
            &[b' ', octet, b'a'],
        ] {
            let value = [b"GET / HTTP/1.1\r\nhost: a\r\nb: ", value, b"\r\n\r\n"].concat();
            assert_eq!(refusal(&value), DecodeError::FieldValue, "{octet:#x}");
        }
    }
}

#[test]
fn a_field_value_has_no_blanks_around_it_by_rfc_9112_section_5() {
    let lines = [
        "b: c",
        "d:e",
        "f: \t g h \t",
        "i:",
        "j: \t ",
        "k: l\tm",
        "n: \u{e9}",
        "O: p",
    ];
    let (request, _) = head(request("GET", &lines));
    for (name, value) in [
        ("b", "c"),
        ("d", "e"),
        ("f", "g h"),
        ("i", ""),
        ("j", ""),
        ("k", "l\tm"),
        ("n", "\u{e9}"),
        ("o", "p"),
    ] {
        assert_eq!(request.headers[name].as_bytes(), value.as_bytes(), "{name}");
    }
}

#[test]
fn fields_of_one_name_keep_their_order_by_rfc_9110_section_5_3() {
    let (request, _) = head(request("GET", &["b: 1", "c: x", "B: 2", "b: 3"]));
    let values: Vec<_> = request.headers.get_all("b").iter().collect();
    assert_eq!(values, ["1", "2", "3"]);
}

#[test]
fn more_fields_are_read_than_fit_on_the_stack() {
    let lines: Vec<String> = (0..99)
        .map(|number| format!("x-{number}: {number}"))
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let (head, _) = head(request("GET", &lines));
    assert_eq!(head.headers.len(), 100);
    assert_eq!(head.headers["x-98"], "98");
}

#[test]
fn pipelined_requests_are_read_one_after_another_by_rfc_9112_section_9_3_2() {
    let input = "GET /1 HTTP/1.1\r\nhost: a\r\n\r\n\
                 POST /2 HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi\
                 GET /3 HTTP/1.1\r\nhost: a\r\n\r\nGE";
    let decoded = decode(input);
    assert_eq!(decoded.requests.len(), 3, "{decoded:?}");
    assert_eq!(decoded.requests[1].content, "hi");
    assert_eq!(decoded.end, End::InHead);
}

#[test]
fn the_values_of_fields_share_the_read_buffer() {
    let mut input = bytes::BytesMut::from("GET / HTTP/1.1\r\nhost: example.com\r\n\r\n");
    let memory = input.as_ptr_range();
    let decoder = HeadDecoder::new(Config::default());
    let decoded = decoder.decode(&mut input).unwrap();
    let DecodedHead::Complete(head, _) = decoded else {
        panic!("the head is whole");
    };
    assert!(memory.contains(&head.headers["host"].as_bytes().as_ptr()));
}

#[test]
fn the_memory_of_a_map_is_reused_for_the_next_head() {
    let mut input = bytes::BytesMut::from("GET / HTTP/1.1\r\nhost: a\r\nb: c\r\n\r\n");
    let mut decoder = HeadDecoder::new(Config::default());
    let mut used = http::HeaderMap::with_capacity(12);
    let capacity = used.capacity();
    used.insert("x", http::HeaderValue::from_static("y"));
    decoder.reuse(used);
    let Ok(DecodedHead::Complete(head, _)) = decoder.decode(&mut input) else {
        panic!("the head is whole");
    };
    assert_eq!(head.headers.capacity(), capacity);
    assert_eq!(head.headers.len(), 2, "{:?}", head.headers);
}
