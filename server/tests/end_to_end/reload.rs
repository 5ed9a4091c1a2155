//! Development: a server that starts again when its program changes.

use std::fs;
use std::future::pending;

use callgate::{AppError, Receiver, Scope, Sender};
use rustix::process::Signal;
use tokio::net::TcpStream;

use crate::listeners::ask;
use crate::support::process::{Process, is_server, serve};
use crate::support::within;
use crate::upgrade::{Gate, tells_process};
use crate::upgrade_failure::Replaceable;

async fn serving(address: &str) -> String {
    let response = ask(within(TcpStream::connect(address)).await.unwrap()).await;
    response.rsplit_once("\r\n").unwrap().1.to_owned()
}

#[tokio::test]
async fn a_build_is_served_when_it_has_started_and_one_that_fails_is_not() {
    if is_server() {
        serve(tells_process);
    }
    let gate = Gate::new();
    let program = gate.path("app");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let (name, path) = gate.variable();
    let pid_file = gate.path("app.pid");
    let mut process = Process::start_program(
        &program,
        "reload::a_build_is_served_when_it_has_started_and_one_that_fails_is_not",
        &[
            (name, &path),
            ("CALLGATE_RELOAD", "true"),
            ("CALLGATE_PID", &pid_file),
        ],
    );
    // A build that fails to start at first leaves requests to the next.
    gate.fail("no database").await;
    process.line_with("requests wait for a change: ").await;
    let build = || {
        let new = gate.path("new");
        fs::copy(&program, &new).unwrap();
        fs::rename(&new, &program).unwrap();
    };
    build();
    drop(gate.start_up().await);
    let address = process.address().await;
    let first = serving(&address).await;
    build();
    gate.fail("no table").await;
    let line = process.line_with("goes on").await;
    assert!(line.contains(&format!("process {first} goes on")), "{line}");
    assert!(line.contains("no table"), "{line}");
    assert_eq!(serving(&address).await, first);
    build();
    let start_up = gate.start_up().await;
    assert_eq!(serving(&address).await, first);
    drop(start_up);
    process.line_with("running on").await;
    let second = async {
        loop {
            let number = serving(&address).await;
            if number != first {
                return number;
            }
        }
    };
    within(second).await;
    let own = process.id().to_string();
    assert_eq!(fs::read_to_string(&pid_file).unwrap().trim_end(), own);
    process.signal(Signal::TERM);
    // The log ends when all processes have ended.
    let (status, log) = process.ended().await;
    assert_eq!(status, Some(0), "{log}");
    assert!(!fs::exists(&pid_file).unwrap());
}

#[tokio::test]
async fn a_change_in_a_folder_starts_the_server_again() {
    if is_server() {
        serve(tells_process);
    }
    let gate = Gate::new();
    let templates = gate.path("templates");
    fs::create_dir(&templates).unwrap();
    let (name, path) = gate.variable();
    let process = Process::start(
        "reload::a_change_in_a_folder_starts_the_server_again",
        &[
            (name, &path),
            ("CALLGATE_RELOAD", "true"),
            ("CALLGATE_RELOAD_DIR", &templates),
        ],
    );
    drop(gate.start_up().await);
    fs::write(format!("{templates}/page.html"), "new").unwrap();
    drop(gate.start_up().await);
    process.signal(Signal::INT);
    assert_eq!(process.ended().await.0, Some(0));
}

#[tokio::test]
async fn a_program_that_has_not_started_is_asked_to_stop_at_the_end() {
    if is_server() {
        serve(tells_process);
    }
    let program = Replaceable::new();
    let mut process = program.start(
        "reload::a_program_that_has_not_started_is_asked_to_stop_at_the_end",
        &[("CALLGATE_RELOAD", "true")],
    );
    process.line_with("running on").await;
    program.replace_by(
        "trap 'echo asked to stop >&2; exit' TERM
echo waiting >&2
for _ in $(seq 600); do sleep 0.1; done",
    );
    process.line_with("waiting").await;
    process.signal(Signal::INT);
    // The log ends when all processes have ended.
    let (status, log) = process.ended().await;
    assert_eq!(status, Some(0));
    assert!(log.contains("asked to stop"), "{log}");
}

async fn goes_on(scope: Scope, _: Receiver, _: Sender) -> Result<(), AppError> {
    scope.into_http()?;
    eprintln!("called");
    pending().await
}

#[tokio::test]
async fn a_second_signal_ends_a_request_that_goes_on() {
    if is_server() {
        serve(goes_on);
    }
    let mut process = Process::start(
        "reload::a_second_signal_ends_a_request_that_goes_on",
        &[
            ("CALLGATE_RELOAD", "true"),
            ("CALLGATE_TIMEOUT_GRACEFUL_SHUTDOWN", "none"),
        ],
    );
    let _client = process.request().await;
    process.line_with("called").await;
    process.signal(Signal::INT);
    process.line_with("waiting for connections").await;
    process.signal(Signal::INT);
    assert_eq!(process.ended().await.0, Some(0));
}
