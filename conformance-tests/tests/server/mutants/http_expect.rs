//! Servers that break the rules checked in `cases/http_expect.rs`.

use super::{mutants, with_connection_filter};
use crate::connection_filter::{ConnectionFilter, Replacement, find};
use crate::in_process::InProcess;

mutants! {
    http_10_a_client_is_never_told_to_continue: CONTINUE_ON_RECEIVE ["continue_when_receiving"],
    http_11_a_client_is_told_to_continue_in_any_case: NO_CONTINUE_WITHOUT_RECEIVE [
        "an_answer_without_receiving",
        "a_receive_after_the_answer",
    ],
}

const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";

fn http_10_a_client_is_never_told_to_continue() -> InProcess {
    with_connection_filter(|| Box::new(Replacement(CONTINUE, "")))
}

fn http_11_a_client_is_told_to_continue_in_any_case() -> InProcess {
    #[derive(Default)]
    struct Continues {
        is_expected: bool,
    }
    impl ConnectionFilter for Continues {
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
    with_connection_filter(|| Box::new(Continues::default()))
}
