//! Targets and `host` fields.

use crate::support::{head, head_with, refusal, request};
use callgate_http1::{Config, DecodeError, TargetForm, TargetGrammar};

fn with_target(method: &str, target: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nhost: a\r\n\r\n")
}

#[test]
fn a_target_in_origin_form_is_a_path_with_an_optional_query_by_rfc_9112_section_3_2_1() {
    for target in [
        "/",
        "//",
        "/a/b",
        "/a?b=c",
        "/?",
        "/?a?b",
        "/a;b=c",
        "/%20%e9",
        "/-._~!$&'()*+,;=:@",
        "/?-._~!$&'()*+,;=:@/?",
        "//a/b",
        "/a//b",
        "/..",
        "/*",
    ] {
        let (request, _) = head(with_target("GET", target));
        assert_eq!(request.target_form, TargetForm::Origin, "{target}");
        assert_eq!(request.target.to_string(), target);
        assert_eq!(request.target.authority(), None, "{target}");
    }
}

#[test]
fn an_octet_outside_of_the_grammar_is_refused_by_rfc_9112_section_3_2() {
    for octet in 0x21..=0xff {
        let is_uri = matches!(octet, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9')
            || b"-._~!$&'()*+,;=:@/?".contains(&octet);
        for before in ["/", "/?"] {
            let target = [
                b"GET ",
                before.as_bytes(),
                &[octet],
                b" HTTP/1.1\r\nhost: a\r\n\r\n",
            ]
            .concat();
            if is_uri {
                head(&target);
            } else {
                assert_eq!(
                    refusal(&target),
                    DecodeError::Target,
                    "{octet:#x} behind {before}"
                );
            }
        }
    }
    for octet in (0..0x20).filter(|octet| !matches!(octet, b'\r' | b'\n')) {
        let target = [b"GET /", &[octet][..], b" HTTP/1.1\r\nhost: a\r\n\r\n"].concat();
        assert_eq!(refusal(&target), DecodeError::Target, "{octet:#x}");
    }
}

#[test]
fn a_target_has_no_fragment_by_rfc_9112_section_3_2() {
    for target in ["/#", "/a#b", "/a?b#c", "http://a/#b", "http://a#b"] {
        assert_eq!(
            refusal(with_target("GET", target)),
            DecodeError::Target,
            "{target}"
        );
    }
}

#[test]
fn a_percent_has_two_hexadecimal_digits_behind_it_by_rfc_3986_section_2_1() {
    for target in ["/%", "/%2", "/%zz", "/%2g", "/?%", "/?a=%1x", "/%%20"] {
        assert_eq!(
            refusal(with_target("GET", target)),
            DecodeError::Target,
            "{target}"
        );
    }
}

#[test]
fn a_setting_allows_the_octets_that_browsers_send() {
    let config = Config {
        target_grammar: TargetGrammar::Url,
        ..Config::default()
    };
    for target in [
        "/?page[number]=2",
        "/?a={b}|c^d`e\\f",
        "/a|b[c]",
        "/?100%",
        "/?a=%zz",
    ] {
        let (request, _) = head_with(&config, with_target("GET", target));
        assert_eq!(request.target.to_string(), target);
        assert_eq!(
            refusal(with_target("GET", target)),
            DecodeError::Target,
            "{target}"
        );
    }
    for target in ["/`", "/\"", "/<", "/>", "/#", "/\u{e9}", "/%zz"] {
        let error = crate::support::refusal_with(&config, with_target("GET", target));
        assert_eq!(error, DecodeError::Target, "{target}");
    }
}

#[test]
fn a_target_in_absolute_form_is_read_by_rfc_9112_section_3_2_2() {
    for (target, authority, path) in [
        ("http://example.com/a?b", "example.com", "/a?b"),
        ("HTTP://example.com:80/", "example.com:80", "/"),
        ("https://[::1]:443/", "[::1]:443", "/"),
        ("http://example.com", "example.com", "/"),
        ("http://example.com?a", "example.com", "/?a"),
    ] {
        let (request, _) = head(with_target("GET", target));
        assert_eq!(request.target_form, TargetForm::Absolute, "{target}");
        assert_eq!(request.target.authority().unwrap(), authority);
        let path_and_query = request.target.path_and_query().unwrap();
        let query = path_and_query.query().map(|query| format!("?{query}"));
        assert_eq!(
            format!("{}{}", path_and_query.path(), query.unwrap_or_default()),
            path
        );
    }
}

#[test]
fn an_authority_of_a_target_has_a_host_and_no_userinfo_by_rfc_9110_sections_4_2_1_and_4_2_4() {
    for target in [
        "http:///",
        "http://",
        "http://:80/",
        "http://u@a/",
        "http://u:p@a/",
        "http://a:b/",
        "http://a b/",
        "http://[::1/",
        "http://a:80:80/",
        "http://?a",
        "http://%zz/",
        "http://@a/",
        "http://a\\b/",
    ] {
        let error = refusal(with_target("GET", target));
        let is_right = match target {
            "http://a b/" => error == DecodeError::RequestLine,
            _ => error == DecodeError::TargetAuthority,
        };
        assert!(is_right, "{target}: {error:?}");
    }
}

#[test]
fn a_target_with_another_scheme_is_refused_by_rfc_9110_section_4_2() {
    for target in ["ftp://a/", "ws://a/", "file:///a", "://a/", "httpx://a/"] {
        assert_eq!(
            refusal(with_target("GET", target)),
            DecodeError::TargetScheme,
            "{target}"
        );
    }
}

#[test]
fn the_authority_form_is_for_connect_only_by_rfc_9112_section_3_2_3() {
    for (target, host) in [
        ("example.com:443", "example.com"),
        ("[::1]:443", "[::1]"),
        ("1.2.3.4:5", "1.2.3.4"),
    ] {
        let (request, _) = head(with_target("CONNECT", target));
        assert_eq!(request.target_form, TargetForm::Authority);
        assert_eq!(request.target.host(), Some(host));
    }
    for target in ["example.com:443", "example.com", "a", "index.html"] {
        assert_eq!(
            refusal(with_target("GET", target)),
            DecodeError::TargetForm,
            "{target}"
        );
    }
    for target in ["example.com", "example.com:", "example.com:65536"] {
        assert_eq!(
            refusal(with_target("CONNECT", target)),
            DecodeError::TargetAuthority,
            "{target}"
        );
    }
    for target in ["/", "/a", "http://a/", "u@a:80", ":80"] {
        assert_eq!(
            refusal(with_target("CONNECT", target)),
            DecodeError::TargetForm,
            "{target}"
        );
    }
}

#[test]
fn the_asterisk_form_is_for_options_only_by_rfc_9112_section_3_2_4() {
    let (request, _) = head(with_target("OPTIONS", "*"));
    assert_eq!(request.target_form, TargetForm::Asterisk);
    assert_eq!(request.target, "*");
    assert_eq!(refusal(with_target("GET", "*")), DecodeError::TargetForm);
    for target in ["**", "*/"] {
        let error = refusal(with_target("OPTIONS", target));
        let is_right = matches!(error, DecodeError::Target | DecodeError::TargetForm);
        assert!(is_right, "{target}: {error:?}");
    }
}

#[test]
fn other_targets_are_refused() {
    for target in ["?a", "a/b", "../a", "\\", "mailto:a@b", "%2f", "\u{e9}"] {
        let error = refusal(with_target("GET", target));
        let is_right = matches!(error, DecodeError::Target | DecodeError::TargetForm);
        assert!(is_right, "{target}: {error:?}");
    }
}

#[test]
fn a_request_of_http_1_1_has_one_host_by_rfc_9112_section_3_2() {
    assert_eq!(refusal("GET / HTTP/1.1\r\n\r\n"), DecodeError::HostMissing);
    assert_eq!(
        refusal("GET http://a/ HTTP/1.1\r\n\r\n"),
        DecodeError::HostMissing
    );
    head("GET / HTTP/1.0\r\n\r\n");
    for other in ["a", "b", ""] {
        let repeated = request("GET", &[&format!("Host: {other}")]);
        assert_eq!(refusal(&repeated), DecodeError::HostRepeated, "{other}");
        let repeated = repeated.replace("HTTP/1.1", "HTTP/1.0");
        assert_eq!(refusal(repeated), DecodeError::HostRepeated, "{other}");
    }
}

#[test]
fn a_host_follows_its_grammar_in_both_versions_by_rfc_9110_section_7_2() {
    for version in ["1.0", "1.1"] {
        for host in [
            "a",
            "a.example:8000",
            "",
            "[::1]:80",
            "1.2.3.4",
            "a:",
            "a%41",
        ] {
            let (request, _) = head(format!("GET / HTTP/{version}\r\nhost: {host}\r\n\r\n"));
            assert_eq!(request.headers["host"], host);
        }
        for host in [
            "a b", "a/b", "u@a", "u:p@a", "a:b", "a:80:80", "[::1", "a?b", "a#b", "a\\b",
            "http://a", ":80", "a\u{e9}", "a%", "a\tb", "<a>", "a\"b",
        ] {
            let input = format!("GET / HTTP/{version}\r\nhost: {host}\r\n\r\n");
            assert_eq!(refusal(input), DecodeError::Host, "{host}");
        }
    }
}
