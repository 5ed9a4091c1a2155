//! Checks an entry of the corpus.

use std::fmt::Write as _;

use callgate_http1::{Expectation, Persistence, TargetForm};
use http::Version;

use crate::entry::{self, Entry, Expect, Form};
use crate::reading::{End, Reading, Request, read_pieces};

/// Reads the entry in one piece, in two pieces split at every octet, and an octet at a time.
///
/// # Errors
///
/// Returns the name of the entry, the first split that is read otherwise, and the difference.
pub(crate) fn check(entry: &Entry) -> Result<(), String> {
    let config = entry.settings.config();
    let input = entry.input();
    let read = |pieces: &[&[u8]]| read_pieces(&config, entry.stop_after, pieces.iter().copied());
    let expected = expected(entry);

    compare(entry, &expected, "in one piece", &read(&[&input]))?;
    for at in 1..input.len() {
        let (first, second) = input.split_at(at);
        let split = format!("split before octet {at}");
        compare(entry, &expected, &split, &read(&[first, second]))?;
    }
    let octets: Vec<&[u8]> = input.chunks(1).collect();
    compare(entry, &expected, "an octet at a time", &read(&octets))
}

fn compare(entry: &Entry, expected: &str, split: &str, reading: &Reading) -> Result<(), String> {
    let read = describe(reading);
    if *expected == read {
        return Ok(());
    }
    let mut report = format!("`{}` ({}), {split}:\n", entry.name, entry.section);
    let (expected, read): (Vec<_>, Vec<_>) = (expected.lines().collect(), read.lines().collect());
    for line in expected.iter().filter(|line| !read.contains(line)) {
        writeln!(report, "  - {line}").expect("a string takes it");
    }
    for line in read.iter().filter(|line| !expected.contains(line)) {
        writeln!(report, "  + {line}").expect("a string takes it");
    }
    if !report.contains("  - ") && !report.contains("  + ") {
        writeln!(report, "  the same lines in another order or number").expect("a string takes it");
    }
    Err(report)
}

/// Describes what the entry says, a fact a line.
fn expected(entry: &Entry) -> String {
    let requests = entry.requests.iter().map(request).collect();
    let end = match (&entry.error, entry.end) {
        (Some(_), _) | (None, entry::End::Idle) => End::Idle,
        (None, entry::End::InHead) => End::InHead,
        (None, entry::End::InContent) => End::InContent,
        (None, entry::End::Stopped) => End::Stopped,
    };
    let reading = Reading {
        requests,
        end,
        unread: entry.unread.clone(),
    };
    match &entry.error {
        Some(error) => describe_with(&reading, &refusal(&error.name, error.status)),
        None => describe(&reading),
    }
}

fn request(request: &entry::Request) -> Request {
    Request {
        method: request.method.clone(),
        target: request.target.clone(),
        form: match request.form {
            Form::Origin => TargetForm::Origin,
            Form::Absolute => TargetForm::Absolute,
            Form::Authority => TargetForm::Authority,
            Form::Asterisk => TargetForm::Asterisk,
        },
        version: match &*request.version {
            "1.0" => Version::HTTP_10,
            "1.1" => Version::HTTP_11,
            other => panic!("a request has no version {other}"),
        },
        fields: sorted(&request.fields),
        persistence: match request.close {
            true => Persistence::Close,
            false => Persistence::KeepAlive,
        },
        expectation: match request.expect {
            Expect::None => Expectation::None,
            Expect::Continue => Expectation::Continue,
            Expect::Unknown => Expectation::Unknown,
        },
        offers_upgrade: request.upgrade,
        content: request.content.clone(),
        trailers: sorted(&request.trailers),
        is_complete: !request.incomplete,
    }
}

/// Returns the fields in the order of their names.
fn sorted(fields: &[String]) -> Vec<String> {
    let mut fields = fields.to_vec();
    fields.sort_by(|one, other| name(one).cmp(name(other)));
    fields
}

fn name(field: &str) -> &str {
    field.split_once(": ").map_or(field, |(name, _)| name)
}

fn describe(reading: &Reading) -> String {
    let end = match reading.end {
        End::Refused(error) => refusal(&format!("{error:?}"), error.status().as_u16()),
        end => format!("end: {end:?}"),
    };
    describe_with(reading, &end)
}

fn refusal(name: &str, status: u16) -> String {
    format!("end: refused as {name} with status {status}")
}

fn describe_with(reading: &Reading, end: &str) -> String {
    let mut lines = Vec::new();
    for request in &reading.requests {
        lines.push(format!(
            "{} {} {:?} {:?} {:?} expectation: {:?}, upgrade: {}",
            request.method,
            request.target,
            request.form,
            request.version,
            request.persistence,
            request.expectation,
            request.offers_upgrade,
        ));
        lines.push(format!("fields: {:?}", request.fields));
        lines.push(format!("content: {:?}", request.content));
        lines.push(format!("trailers: {:?}", request.trailers));
        lines.push(format!("complete: {}", request.is_complete));
    }
    lines.push(end.to_owned());
    lines.push(format!("unread: {:?}", reading.unread));
    lines.join("\n")
}
