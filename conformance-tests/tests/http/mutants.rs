//! For each check a server that fails it: the good server behind a proxy that changes what passes.

use std::time::Duration;

use callgate_conformance::http_checks;

use crate::good::{Good, options, report};
use crate::proxy::{self, Changes};

/// Lists the servers, each by the check that it fails. The good server gets or sends the second octets in place
/// of the first, or what a function returns. Makes a test of each.
macro_rules! mutants {
    ($($check:ident: $direction:ident $($old:literal => $new:literal)? $(with $change:ident)?,)+) => {
        const MUTANTS: &[&str] = &[$(stringify!($check)),+];

        $(
            #[tokio::test]
            async fn $check() {
                let mut changes = UNCHANGED;
                $(changes.$direction = |octets| replace(&octets, $old, $new);)?
                $(changes.$direction = $change;)?
                assert_fails(stringify!($check), changes).await;
            }
        )+
    };
}

mutants! {
    a_field_that_is_large: to_client b"HTTP/1.1 431" => b"HTTP/1.1 500",
    a_date: to_client b"date: " => b"x-date: ",
    the_length_of_head: to_server b"HEAD /" => b"HEAD /longer",
    no_length_with_204: to_client b" 204 No Content\r\n" => b" 204 No Content\r\ncontent-length: 0\r\n",
    head_without_content: to_server b"HEAD " => b"GET ",
    expectation_is_answered: to_server b"expect: 100-continue\r\n" => b"",
    no_interim_answer_to_http10: to_client b"HTTP/1.1 200" => b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200",
    no_content_with_204: to_client with with_content,
    no_content_with_304: to_client with with_content,
    an_empty_line_before_a_request: to_server b"\r\nGET" => b"x\r\nGET",
    a_version_that_is_none: to_server b"HTTP/one" => b"HTTP/1.1",
    a_line_without_a_colon: to_server b"nonsense\r\n" => b"",
    a_blank_before_the_first_field: to_server b"\r\n content-length" => b"\r\ncontent-length",
    a_bare_carriage_return: to_server b"one\rcontent-length" => b"one\r\ncontent-length",
    a_blank_in_the_target: to_server b"GET /a b" => b"GET /ab",
    a_target_that_is_long: to_client b"HTTP/1.1 414" => b"HTTP/1.1 400",
    no_host: to_server b"accept: */*\r\n\r\n" => b"host: one\r\n\r\n",
    two_hosts: to_server b"host: another\r\n" => b"",
    an_invalid_host: to_server b"host: one host" => b"host: one",
    the_absolute_form: to_server b"GET http" => b"GET ht tp",
    a_blank_before_a_colon: to_server b"x-field : " => b"x-field: ",
    a_folded_line: to_server b"one\r\n content-length" => b"one\r\ncontent-length",
    a_length_and_chunks: to_server b"content-length: 3\r\n" => b"",
    chunks_in_http10: to_server b"HTTP/1.0" => b"HTTP/1.1",
    no_chunks_to_http10: to_server b"HTTP/1.0" => b"HTTP/1.1",
    no_chunks_with_204: to_client b" 204 No Content\r\n" => b" 204 No Content\r\ntransfer-encoding: chunked\r\n",
    chunked_before_another_coding: to_server b"chunked, gzip" => b"chunked",
    two_lengths: to_server b"content-length: 1\r\n" => b"",
    a_list_of_lengths: to_server b": 0, 1" => b": 0",
    a_length_with_a_sign: to_server b": +0" => b": 0",
    a_negative_length: to_server b"content-length: -1\r\n" => b"",
    a_hexadecimal_length: to_server b": 0x0" => b": 0",
    chunked_content: to_server b": chunked" => b": others!",
    a_size_that_overflows: to_server b"10000000000000005\r\n" => b"5\r\n",
    a_size_that_is_no_number: to_server b"zz\r\n" => b"5\r\n",
    a_chunk_without_its_end: to_server b"helloXX" => b"hello\r\n",
    a_chunk_extension: to_server b"5;one=two" => b"x;one=two",
    the_connection_is_used_again: to_server b" HTTP/1.1\r\n" => b" HTTP/1.1\r\nconnection: close\r\n",
    pipelined_requests: to_server with with_requests_swapped,
    close_is_honoured: to_server b"connection: close\r\n" => b"",
    close_is_announced: to_client b"connection: close\r\n" => b"",
    nothing_is_answered_after_close: to_server b"connection: close\r\n" => b"",
    head_without_content_over_http2: to_server b"\x04HEAD" => b"\x04POST",
    a_frame_of_an_unknown_type: to_server b"\x04\xee\0\0\0\0\0data" => b"\x04\x04\0\0\0\0\0data",
    a_stream_with_an_even_number: to_server b"\x01\x05\0\0\0\x02" => b"\x01\x05\0\0\0\x01",
    a_request_on_stream_0: to_server b"\x01\x05\0\0\0\0" => b"\x01\x05\0\0\0\x01",
    settings_are_acknowledged: to_client b"\0\0\0\x04\x01\0\0\0\0" => b"",
    a_ping_over_http2: to_server b"\0\0\x08\x06\0" => b"\0\0\x08\xee\0",
    a_window_update_of_zero: to_server b"\x04\x08\0\0\0\0\0\0\0\0\0" => b"\x04\x08\0\0\0\0\0\0\0\0\x01",
    a_length_that_does_not_match: to_server b"content-length\x013" => b"content-length\x015",
    a_name_in_upper_case: to_server b"X-Upper" => b"x-upper",
    a_field_of_the_connection: to_server b"\x0aconnection" => b"\x0aconnectiox",
    te_other_than_trailers: to_server b"\x02te\x04gzip" => b"\x02tx\x04gzip",
    a_field_of_no_pseudo_header: to_server b":other" => b"xother",
    a_pseudo_header_after_a_field: to_server with with_the_field_last,
    a_pseudo_header_twice: to_server b":path\x06/twice" => b"xpath\x06/twice",
    no_path: to_server b"xpath" => b":path",
    a_handshake_by_post: to_server b"POST /websocket" => b"GET /websocket",
    a_handshake_without_a_key: to_server b"x-websocket-key" => b"sec-websocket-key",
    a_key_of_another_length: to_server b"c2hvcnQ=" => b"dGhlIHNhbXBsZSBub25jZQ==",
    a_handshake: to_client b"sec-websocket-accept: " => b"sec-websocket-accept: x",
    a_version_that_is_unknown: to_server b"version: 12" => b"version: 13",
    a_frame_without_a_mask: to_server b"\x81\x05hello" => b"\x81\x85\0\0\0\0hello",
    a_reserved_bit: to_server b"\xa1\x85" => b"\x81\x85",
    a_close_is_answered: to_server b"\x88\x82" => b"\x8a\x82",
    a_ping_is_answered: to_server b"\x89\x84" => b"\x8a\x84",
    a_text_that_is_no_utf8: to_server b"\x81\x81\x12\x34\x56\x78\xed" => b"\x81\x81\x12\x34\x56\x78\x73",
}

const UNCHANGED: Changes = Changes {
    to_server: |octets| octets,
    to_client: |octets| octets,
};

#[test]
fn each_check_has_a_server_that_fails_it() {
    let without: Vec<_> = http_checks()
        .map(|check| check.name)
        .filter(|name| !MUTANTS.contains(name))
        .collect();
    assert_eq!(without, [""; 0]);
}

/// Asserts that the good server with these changes fails this check.
async fn assert_fails(check: &str, changes: Changes) {
    let good = Good::start();
    let mut options = options();
    options.cases = vec![check.into()];
    // A mutant may never send what the check waits for.
    options.timeout = Duration::from_secs(2);
    let report = report(proxy::start(good.address, changes).await, &options).await;
    let failed: Vec<_> = report.failed().map(|finding| finding.check.name).collect();
    assert_eq!(failed, [check], "{report}");
}

#[tokio::test]
async fn a_rejection_has_another_status_where_the_sentence_names_none() {
    let good = Good::start();
    let mut changes = UNCHANGED;
    changes.to_client = |octets| replace(&octets, b"HTTP/1.1 400", b"HTTP/1.1 422");
    let mut options = options();
    options.cases = [
        "a_blank_before_the_first_field",
        "a_bare_carriage_return",
        "a_folded_line",
    ]
    .map(Into::into)
    .into();
    let report = report(proxy::start(good.address, changes).await, &options).await;
    let failed: Vec<_> = report.failed().map(|finding| finding.check.name).collect();
    assert_eq!(failed, ["a_folded_line"], "{report}");
}

/// Returns `octets` with `new` in place of each `old`.
fn replace(octets: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::new();
    let mut rest = octets;
    while let Some(at) = find(rest, old) {
        replaced.extend_from_slice(&rest[..at]);
        replaced.extend_from_slice(new);
        rest = &rest[at + old.len()..];
    }
    replaced.extend_from_slice(rest);
    replaced
}

fn find(octets: &[u8], wanted: &[u8]) -> Option<usize> {
    octets
        .windows(wanted.len())
        .position(|window| window == wanted)
}

/// Adds content to a response that has none.
fn with_content(octets: Vec<u8>) -> Vec<u8> {
    let has_none = octets.starts_with(b"HTTP/1.1 204") || octets.starts_with(b"HTTP/1.1 304");
    match has_none {
        true => replace(&octets, b"\r\n\r\n", b"\r\n\r\nhello"),
        false => octets,
    }
}

/// Swaps two requests.
fn with_requests_swapped(octets: Vec<u8>) -> Vec<u8> {
    match find(&octets[1..], b"GET ") {
        Some(second) => [&octets[second + 1..], &octets[..=second]].concat(),
        None => octets,
    }
}

/// Moves a field of HTTP/2 behind the others.
fn with_the_field_last(octets: Vec<u8>) -> Vec<u8> {
    const FIELD: &[u8] = b"\0\x07x-first\x011";
    match find(&octets, FIELD) {
        Some(_) => [&replace(&octets, FIELD, b""), FIELD].concat(),
        None => octets,
    }
}
