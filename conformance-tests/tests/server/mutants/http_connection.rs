//! Servers that break the rules checked in `cases/http_connection.rs`.

use super::{mutants, with_connection_filter};
use crate::connection_filter::{ConnectionFilter, Replacement, find, replace};
use crate::in_process::InProcess;

mutants! {
    http_39_the_last_of_several_requests_is_answered_first: PIPELINING [
        "pipelined_requests",
        "pipelined_requests_with_content",
    ],
    http_40_a_space_before_the_colon_is_overlooked: MALFORMED_REQUEST ["a_space_before_the_colon"],
    http_41_a_large_head_is_answered_400: OVERSIZED_HEAD [
        "a_field_of_256_kilobytes",
        "fields_of_256_kilobytes",
        "a_target_of_256_kilobytes",
    ],
    http_42_another_version_is_answered_400: UNSUPPORTED_VERSION [
        "http_3_0",
        "http_2_0_in_a_request_line",
    ],
}

fn http_39_the_last_of_several_requests_is_answered_first() -> InProcess {
    struct Reverses;
    impl ConnectionFilter for Reverses {
        fn to_server(&mut self, octets: Vec<u8>) -> Vec<u8> {
            let next = match &octets[..] {
                [b'G', b'E', b'T', b' ', ..] => "\r\n\r\nGET ",
                [b'P', b'O', b'S', b'T', b' ', ..] => "\r\n\r\nPOST ",
                _ => return octets,
            };
            let mut requests = Vec::new();
            let mut rest = &octets[..];
            while let Some(at) = find(rest, next) {
                let (request, others) = rest.split_at(at + 4);
                requests.push(request);
                rest = others;
            }
            requests.push(rest);
            requests.reverse();
            requests.concat()
        }
    }
    with_connection_filter(|| Box::new(Reverses))
}

fn http_40_a_space_before_the_colon_is_overlooked() -> InProcess {
    struct Overlooks;
    impl ConnectionFilter for Overlooks {
        fn to_server(&mut self, octets: Vec<u8>) -> Vec<u8> {
            replace(&octets, " : ", ": ")
        }
    }
    with_connection_filter(|| Box::new(Overlooks))
}

fn http_41_a_large_head_is_answered_400() -> InProcess {
    struct BadRequest;
    impl ConnectionFilter for BadRequest {
        fn to_client(&mut self, octets: Vec<u8>) -> Vec<u8> {
            let bad_request = "HTTP/1.1 400 Bad Request";
            let fields = "HTTP/1.1 431 Request Header Fields Too Large";
            let octets = replace(&octets, fields, bad_request);
            replace(&octets, "HTTP/1.1 414 URI Too Long", bad_request)
        }
    }
    with_connection_filter(|| Box::new(BadRequest))
}

fn http_42_another_version_is_answered_400() -> InProcess {
    with_connection_filter(|| {
        Box::new(Replacement(
            "HTTP/1.1 505 HTTP Version Not Supported",
            "HTTP/1.1 400 Bad Request",
        ))
    })
}
