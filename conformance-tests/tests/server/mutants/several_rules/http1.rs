//! Servers that are wrong on the wire of HTTP/1.

use super::several_rules;
use crate::connection_filter::{ConnectionFilter, Replacement, find};
use crate::in_process::InProcess;
use crate::mutants::with_connection_filter;

several_rules! {
    malformed_requests_are_answered_422: {
        MALFORMED_REQUEST: [
            "octets_that_are_no_text",
            "a_method_that_is_no_token",
            "a_target_that_is_none",
            "a_target_with_a_space",
            "a_space_in_a_field_name",
            "a_space_before_the_colon",
            "a_space_before_the_first_field",
            "a_field_without_a_colon",
            "a_field_without_a_name",
            "a_folded_field",
            "a_nul_in_a_value",
            "a_bare_carriage_return_in_a_value",
            "a_length_that_is_no_number",
            "a_length_with_a_sign",
            "a_length_beyond_64_bits",
        ],
        CONFLICTING_LENGTHS: ["two_lengths_in_one_field"],
        BAD_TRANSFER_ENCODING: ["chunks_in_http10"],
    },
    a_date_has_another_name: {
        DEFAULT_HEADERS: ["a_date_by_default", "fields_of_the_applications_own"],
    },
    a_response_that_is_cut_looks_whole: {
        FAILURE_AFTER_SENDING_RESETS: [
            "ending_before_the_length",
            "exceeding_the_length",
            "failing_while_streaming_to_http10",
        ],
    },
    something_follows_the_last_response: {
        SHUTDOWN_FINISHES_EXCHANGES: ["shutdown_while_streaming"],
    },
}

fn malformed_requests_are_answered_422() -> InProcess {
    with_connection_filter(|| {
        Box::new(Replacement(
            "HTTP/1.1 400 Bad Request",
            "HTTP/1.1 422 Unprocessable Content",
        ))
    })
}

fn a_date_has_another_name() -> InProcess {
    with_connection_filter(|| Box::new(Replacement("\r\ndate: ", "\r\nx-date: ")))
}

fn a_response_that_is_cut_looks_whole() -> InProcess {
    /// Completes content that has a length, and ends every connection in order.
    #[derive(Default)]
    struct Completes {
        missing: usize,
    }
    impl ConnectionFilter for Completes {
        fn to_client(&mut self, octets: Vec<u8>) -> Vec<u8> {
            const LENGTH: &str = "content-length: 8\r\n";
            let content = match find(&octets, "\r\n\r\n") {
                Some(end) if find(&octets, LENGTH).is_some() => {
                    self.missing = 8;
                    octets.len() - end - 4
                }
                _ => octets.len(),
            };
            self.missing = self.missing.saturating_sub(content);
            octets
        }

        fn passes_reset(&self) -> bool {
            false
        }

        fn after_end(&mut self) -> Vec<u8> {
            vec![b'.'; self.missing]
        }
    }
    with_connection_filter(|| Box::new(Completes::default()))
}

fn something_follows_the_last_response() -> InProcess {
    #[derive(Default)]
    struct GoesOn {
        is_streamed: bool,
    }
    impl ConnectionFilter for GoesOn {
        fn to_client(&mut self, octets: Vec<u8>) -> Vec<u8> {
            self.is_streamed |= find(&octets, "transfer-encoding: chunked\r\n").is_some();
            octets
        }

        fn after_end(&mut self) -> Vec<u8> {
            match self.is_streamed {
                true => b"more".to_vec(),
                false => Vec::new(),
            }
        }
    }
    with_connection_filter(|| Box::new(GoesOn::default()))
}
