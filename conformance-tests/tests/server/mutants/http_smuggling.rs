//! Servers that break the rules checked in `cases/http_smuggling.rs`.

use super::{mutants, with_connection_filter};
use crate::connection_filter::{ConnectionFilter, find};
use crate::in_process::InProcess;

mutants! {
    http_43_the_first_of_two_lengths_counts: CONFLICTING_LENGTHS ["two_lengths"],
    http_44_a_length_beside_chunks_is_overlooked: LENGTH_AND_CHUNKED [
        "a_length_and_chunks",
        "chunks_and_a_length",
    ],
    http_45_a_coding_other_than_chunked_is_overlooked: BAD_TRANSFER_ENCODING [
        "a_coding_that_is_not_chunked",
        "chunked_before_another_coding",
        "chunked_before_another_coding_in_a_field_of_its_own",
        "a_coding_that_ends_like_chunked",
        "a_bad_coding_and_a_length",
    ],
}

/// Has the server read only those lines of a head that a function of the head and the line keeps.
struct Keeps(fn(&Head<'_>, &str) -> bool);

/// The lines of a head before a line.
struct Head<'a> {
    all: &'a str,
    before: &'a str,
}

impl ConnectionFilter for Keeps {
    fn to_server(&mut self, octets: Vec<u8>) -> Vec<u8> {
        let Some(end) = find(&octets, "\r\n\r\n") else {
            return octets;
        };
        let Ok(all) = std::str::from_utf8(&octets[..end + 2]) else {
            return octets;
        };
        let mut kept = String::new();
        for line in all.split_inclusive("\r\n") {
            let at = line.as_ptr().addr() - all.as_ptr().addr();
            let before = &all[..at];
            if (self.0)(&Head { all, before }, line) {
                kept.push_str(line);
            }
        }
        [kept.as_bytes(), &octets[end + 2..]].concat()
    }
}

fn http_43_the_first_of_two_lengths_counts() -> InProcess {
    with_connection_filter(|| {
        Box::new(Keeps(|head, line| {
            !(line.starts_with("content-length: ") && head.before.contains("content-length: "))
        }))
    })
}

fn http_44_a_length_beside_chunks_is_overlooked() -> InProcess {
    with_connection_filter(|| {
        Box::new(Keeps(|head, line| {
            !(line.starts_with("content-length: ")
                && head.all.contains("transfer-encoding: chunked\r\n"))
        }))
    })
}

fn http_45_a_coding_other_than_chunked_is_overlooked() -> InProcess {
    with_connection_filter(|| {
        Box::new(Keeps(|_, line| {
            !line.starts_with("transfer-encoding: ") || line == "transfer-encoding: chunked\r\n"
        }))
    })
}
