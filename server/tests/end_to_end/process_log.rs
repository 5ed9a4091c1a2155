//! The log of the command line as a process: files, forms, and a log that nobody reads.

use std::time::Duration;

use callgate::{AppError, Receiver, Scope, Sender};
use rustix::process::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::listeners::ask;
use crate::support::process::{Process, is_server, serve};
use crate::support::{get, whole, within};

async fn serves(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
    scope.into_http()?;
    whole(&sender, "served").await
}

/// Makes requests whose lines of the access log fill the pipe and the queue of the log.
async fn fill_log(address: &str) {
    const REQUESTS: usize = 400;
    let request = get(&format!("/{}", "x".repeat(6000)));
    for _ in 0..REQUESTS {
        let mut client = within(TcpStream::connect(address)).await.unwrap();
        client.write_all(request.as_bytes()).await.unwrap();
        let mut response = [0; 15];
        within(client.read_exact(&mut response)).await.unwrap();
        assert_eq!(response, *b"HTTP/1.1 200 OK");
    }
}

#[tokio::test]
async fn a_log_that_nobody_reads_stops_neither_the_server_nor_its_end() {
    if is_server() {
        serve(serves);
    }
    let mut process = Process::start(
        "process_log::a_log_that_nobody_reads_stops_neither_the_server_nor_its_end",
        &[("CALLGATE_ACCESS_LOG", "true")],
    );
    let address = process.address().await;
    fill_log(&address).await;
    // The lines are read again, and say how many are missing.
    process.line_with(" lines of the log were lost: ").await;
    fill_log(&address).await;
    process.signal(Signal::TERM);
    assert_eq!(process.status().await, Some(0));
}

#[tokio::test]
async fn log_files_have_their_form_and_are_opened_again_at_a_signal() {
    if is_server() {
        serve(serves);
    }
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let process = Process::start(
        "process_log::log_files_have_their_form_and_are_opened_again_at_a_signal",
        &[
            ("CALLGATE_LOG_FILE", path("log").to_str().unwrap()),
            ("CALLGATE_LOG_FORMAT", "json"),
            ("CALLGATE_ACCESS_LOG", "true"),
            ("CALLGATE_ACCESS_LOG_FORMAT", "combined"),
            ("CALLGATE_ACCESS_LOG_FILE", path("access").to_str().unwrap()),
        ],
    );
    let log_of = async |name: &str, text: &str| {
        within(async {
            loop {
                let log = std::fs::read_to_string(path(name)).unwrap_or_default();
                match log.contains(text) && log.ends_with('\n') {
                    true => return log,
                    false => tokio::time::sleep(Duration::from_millis(2)).await,
                }
            }
        })
        .await
    };
    let log = log_of("log", "running on").await;
    let line: serde_json::Value = serde_json::from_str(&log).unwrap();
    let message = line["message"].as_str().unwrap();
    assert_eq!(line["level"], "INFO", "{line}");
    let (_, rest) = message.split_once("http://").unwrap();
    let (address, _) = rest.split_once(' ').unwrap();
    ask(within(TcpStream::connect(address)).await.unwrap()).await;
    let log = log_of("access", "GET").await;
    assert!(
        log.contains("] \"GET / HTTP/1.1\" 200 6 \"-\" \"-\""),
        "{log}"
    );

    for name in ["log", "access"] {
        std::fs::rename(path(name), path(&format!("{name}.1"))).unwrap();
    }
    process.signal(Signal::HUP);
    while !std::fs::read_to_string(path("access")).is_ok_and(|log| log.contains("GET")) {
        ask(within(TcpStream::connect(address)).await.unwrap()).await;
    }
    assert!(path("log").exists());
    process.signal(Signal::TERM);
    let (status, output) = process.ended().await;
    assert_eq!((status, output), (Some(0), String::new()));

    let mut process = Process::start(
        "process_log::log_files_have_their_form_and_are_opened_again_at_a_signal",
        &[("CALLGATE_LOG_FILE", "/no/such/directory/log")],
    );
    let line = process.line_with("error: cannot open the log file").await;
    assert!(
        line.ends_with(" (choose another with --log-file)\n"),
        "{line}"
    );
    assert_eq!(process.ended().await.0, Some(3));
}
