//! The reading of Python's h11.

use std::ffi::OsStr;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::thread;

use http::Uri;

use super::verdict::Verdict;
use crate::reading::text;

/// Reads the octets of each connection.
///
/// # Panics
///
/// Panics if Python or h11 is missing.
pub(crate) fn read(python: &OsStr, inputs: &[Vec<u8>]) -> Vec<Verdict> {
    let inputs: Vec<String> = inputs.iter().map(|input| text(input)).collect();
    let inputs = serde_json::to_vec(&inputs).expect("texts are JSON");
    let mut process = Command::new(python)
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/corpus/differential/h11_server.py"
        ))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("CALLGATE_PYTHON is an interpreter");
    let mut stdin = process.stdin.take().expect("it is piped");
    let writer = thread::spawn(move || stdin.write_all(&inputs));
    let output = process.wait_with_output().expect("it ends");
    assert!(output.status.success(), "h11 cannot be run");
    writer.join().expect("it writes").expect("all is read");
    let mut verdicts: Vec<Verdict> =
        serde_json::from_slice(&output.stdout).expect("verdicts are JSON");
    for request in verdicts.iter_mut().flat_map(|it| &mut it.requests) {
        // h11 does not parse targets.
        if let Ok(uri) = request.target.parse::<Uri>() {
            request.target = uri.to_string();
        }
    }
    verdicts
}
