//! Runs of the command, for the tests.

use std::process::Command;

use callgate::rule::Rule;
use callgate_conformance::server_checks;
use serde_json::Value;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_callgate-conformance");

pub(crate) const CRATE: &str = env!("CARGO_MANIFEST_DIR");

/// The output and the exit status of the command.
pub(crate) struct Done {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) status: Option<i32>,
}

pub(crate) fn conformance(args: &[&str]) -> Done {
    conformance_with(args, &[])
}

/// Runs the command with these environment variables.
pub(crate) fn conformance_with(args: &[&str], variables: &[(&str, &str)]) -> Done {
    let output = Command::new(PROGRAM)
        .args(args)
        .env_clear()
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    Done {
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
        status: output.status.code(),
    }
}

pub(crate) fn json(args: &[&str]) -> Value {
    let done = conformance(args);
    serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{error}: {}", done.stderr))
}

pub(crate) fn assert_complains(args: &[&str], status: i32, line: &str) {
    let done = conformance(args);
    assert_eq!(done.stderr, format!("error: {line}\n"));
    assert_eq!((done.stdout.as_str(), done.status), ("", Some(status)));
}

/// Returns any rule that the server suite checks.
pub(crate) fn a_checked_rule() -> &'static Rule {
    server_checks().next().unwrap().rule
}
