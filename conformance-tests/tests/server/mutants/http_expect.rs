//! Servers that break the rules checked in `cases/http_expect.rs`.

use callgate::rule;

use super::assert_breaks;
use crate::in_process::InProcess;
use crate::tamper::{InPlaceOf, Wire, find};

const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";

#[tokio::test]
async fn http_10_a_client_is_never_told_to_continue() {
    let mutant = InProcess {
        wire: Some(|| Box::new(InPlaceOf(CONTINUE, ""))),
        ..InProcess::default()
    };
    assert_breaks(rule::CONTINUE_ON_RECEIVE, mutant).await;
}

#[tokio::test]
async fn http_11_a_client_is_told_to_continue_in_any_case() {
    #[derive(Default)]
    struct Continues {
        is_expected: bool,
    }
    impl Wire for Continues {
        fn to_server(&mut self, octets: Vec<u8>) -> Vec<u8> {
            self.is_expected |= find(&octets, "expect: 100-continue").is_some();
            octets
        }

        fn to_client(&mut self, octets: Vec<u8>) -> Vec<u8> {
            let is_missing =
                std::mem::take(&mut self.is_expected) && !octets.starts_with(CONTINUE.as_bytes());
            match is_missing {
                true => [CONTINUE.as_bytes(), &octets].concat(),
                false => octets,
            }
        }
    }
    let mutant = InProcess {
        wire: Some(|| Box::new(Continues::default())),
        ..InProcess::default()
    };
    assert_breaks(rule::NO_CONTINUE_WITHOUT_RECEIVE, mutant).await;
}
