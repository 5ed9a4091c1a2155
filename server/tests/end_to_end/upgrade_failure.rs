//! Upgrades that fail: the process goes on, and its successor ends.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;

use crate::support::process::{Process, is_server, serve};
use crate::upgrade::{Gate, serving, tells_process};

/// Starts the test of this name as a server with variables, once its start-up is complete.
async fn start(gate: &Gate, test: &str, environment: &[(&str, &str)]) -> Process {
    let (name, path) = gate.variable();
    let environment = [environment, &[(name, &path)]].concat();
    let process = Process::start(&format!("upgrade_failure::{test}"), &environment);
    drop(gate.start_up().await);
    process
}

#[tokio::test]
async fn a_successor_that_fails_leaves_the_process_serving() {
    if is_server() {
        serve(tells_process);
    }
    let gate = Gate::new();
    let test = "a_successor_that_fails_leaves_the_process_serving";
    let mut process = start(&gate, test, &[]).await;
    let address = process.address().await;
    process.signal(Signal::USR2);
    let mut start_up = gate.start_up().await;
    process.signal(Signal::USR2);
    process
        .line_with("SIGUSR2 has no effect during an upgrade")
        .await;
    start_up.write_all(b"no database").await.unwrap();
    drop(start_up);
    let line = process.line_with("the upgrade has failed").await;
    assert!(
        line.contains("the application failed to start: no database"),
        "{line}"
    );
    assert_eq!(serving(&address).await, process.id());
    process.signal(Signal::TERM);
    assert_eq!(process.ended().await.0, Some(0));
}

/// A program that is replaced by a script, which starts no server.
pub(crate) struct Replaceable(TempDir);

impl Replaceable {
    /// Copies the program of this test.
    pub(crate) fn new() -> Self {
        let program = Self(tempfile::tempdir().unwrap());
        fs::copy(std::env::current_exe().unwrap(), program.path()).unwrap();
        program
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("app")
    }

    /// Starts the test of this name as a server, with variables.
    pub(crate) fn start(&self, test: &str, environment: &[(&str, &str)]) -> Process {
        Process::start_program(self.path().to_str().unwrap(), test, environment)
    }

    /// Replaces the program by one that says `waiting` and then does nothing.
    pub(crate) fn replace(&self, redirection: &str) {
        self.replace_by(&format!("echo waiting >&2\nexec sleep 60 {redirection}\n"));
    }

    /// Replaces the program by a script of the shell.
    pub(crate) fn replace_by(&self, text: &str) {
        let script = self.0.path().join("script");
        fs::write(&script, format!("#!/bin/sh\n{text}")).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
        fs::rename(&script, self.path()).unwrap();
    }
}

#[tokio::test]
async fn a_successor_that_is_not_ready_in_time_is_killed() {
    if is_server() {
        serve(tells_process);
    }
    let program = Replaceable::new();
    let mut process = program.start(
        "upgrade_failure::a_successor_that_is_not_ready_in_time_is_killed",
        &[("CALLGATE_TIMEOUT_UPGRADE", "0.1")],
    );
    let address = process.address().await;
    program.replace("");
    process.signal(Signal::USR2);
    process
        .line_with("the successor was not ready in time")
        .await;
    assert_eq!(serving(&address).await, process.id());
    process.signal(Signal::TERM);
    // The log ends when both processes have ended.
    assert_eq!(process.ended().await.0, Some(0));
}

#[tokio::test]
async fn a_successor_that_closes_the_connection_and_goes_on_is_killed() {
    if is_server() {
        serve(tells_process);
    }
    let program = Replaceable::new();
    let test = "upgrade_failure::a_successor_that_closes_the_connection_and_goes_on_is_killed";
    let mut process = program.start(test, &[]);
    process.line_with("running on").await;
    program.replace("< /dev/null");
    process.signal(Signal::USR2);
    process.line_with("it ended with signal: 9").await;
    process.signal(Signal::TERM);
    assert_eq!(process.ended().await.0, Some(0));
}

#[tokio::test]
async fn a_process_that_is_stopped_during_an_upgrade_ends_a_successor_that_has_not_started() {
    if is_server() {
        serve(tells_process);
    }
    let program = Replaceable::new();
    let test = "upgrade_failure::a_process_that_is_stopped_during_an_upgrade_ends_a_successor_that_has_not_started";
    let mut process = program.start(test, &[]);
    process.line_with("running on").await;
    program.replace("");
    process.signal(Signal::USR2);
    process.line_with("waiting").await;
    process.signal(Signal::TERM);
    assert_eq!(process.ended().await.0, Some(0));
}

#[tokio::test]
async fn a_process_that_is_stopped_during_an_upgrade_ends_its_successor() {
    if is_server() {
        serve(tells_process);
    }
    let gate = Gate::new();
    let test = "a_process_that_is_stopped_during_an_upgrade_ends_its_successor";
    let path = gate.path("app.sock");
    let environment = [("CALLGATE_PORT", "8000"), ("CALLGATE_UDS", &path)];
    let mut process = start(&gate, test, &environment).await;
    process.line_with("running on").await;
    process.signal(Signal::USR2);
    let _start_up = gate.start_up().await;
    process.signal(Signal::TERM);
    let (status, log) = process.ended().await;
    assert_eq!(status, Some(0), "{log}");
    assert!(!log.contains("running on"), "{log}");
    assert!(!Path::new(&path).exists());
}

#[tokio::test]
async fn a_successor_ends_when_its_predecessor_is_killed() {
    if is_server() {
        serve(tells_process);
    }
    let gate = Gate::new();
    let test = "a_successor_ends_when_its_predecessor_is_killed";
    let mut process = start(&gate, test, &[]).await;
    process.line_with("running on").await;
    process.signal(Signal::USR2);
    let _start_up = gate.start_up().await;
    process.signal(Signal::KILL);
    let (_, log) = process.ended().await;
    assert!(log.contains("this process does not take over"), "{log}");
}
