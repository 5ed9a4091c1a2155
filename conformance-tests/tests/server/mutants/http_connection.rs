//! Servers that break the rules checked in `cases/http_connection.rs`.

use callgate::rule;

use super::assert_breaks;
use crate::in_process::InProcess;
use crate::tamper::{InPlaceOf, Wire, find, replace};

#[tokio::test]
async fn http_39_the_last_of_several_requests_is_answered_first() {
    struct Reverses;
    impl Wire for Reverses {
        fn to_server(&mut self, octets: Vec<u8>) -> Vec<u8> {
            const NEXT: &str = "\r\n\r\nGET ";
            if !octets.starts_with(b"GET ") {
                return octets;
            }
            let mut requests = Vec::new();
            let mut rest = &octets[..];
            while let Some(at) = find(rest, NEXT) {
                let (request, others) = rest.split_at(at + 4);
                requests.push(request);
                rest = others;
            }
            requests.push(rest);
            requests.reverse();
            requests.concat()
        }
    }
    let mutant = InProcess {
        wire: Some(|| Box::new(Reverses)),
        ..InProcess::default()
    };
    assert_breaks(rule::PIPELINING, mutant).await;
}

#[tokio::test]
async fn http_40_a_space_before_the_colon_is_overlooked() {
    struct Overlooks;
    impl Wire for Overlooks {
        fn to_server(&mut self, octets: Vec<u8>) -> Vec<u8> {
            replace(&octets, " : ", ": ")
        }
    }
    let mutant = InProcess {
        wire: Some(|| Box::new(Overlooks)),
        ..InProcess::default()
    };
    assert_breaks(rule::MALFORMED_REQUEST, mutant).await;
}

#[tokio::test]
async fn http_41_a_large_head_is_answered_400() {
    let mutant = InProcess {
        wire: Some(|| {
            Box::new(InPlaceOf(
                "HTTP/1.1 431 Request Header Fields Too Large",
                "HTTP/1.1 400 Bad Request",
            ))
        }),
        ..InProcess::default()
    };
    assert_breaks(rule::OVERSIZED_HEAD, mutant).await;
}

#[tokio::test]
async fn http_42_another_version_is_answered_400() {
    let mutant = InProcess {
        wire: Some(|| {
            Box::new(InPlaceOf(
                "HTTP/1.1 505 HTTP Version Not Supported",
                "HTTP/1.1 400 Bad Request",
            ))
        }),
        ..InProcess::default()
    };
    assert_breaks(rule::UNSUPPORTED_VERSION, mutant).await;
}
