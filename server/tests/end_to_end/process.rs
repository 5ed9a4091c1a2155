//! The command line as a process: signals, although the application blocks threads.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use callgate::{AppError, LifespanStartupComplete, Receiver, Scope, Sender};
use rustix::process::{Resource, Signal, getrlimit, setrlimit};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpStream, UnixDatagram, UnixStream};

use crate::listeners::ask;
use crate::support::process::{Process, block, is_server, serve};
use crate::support::{Client, get, whole, within};

async fn blocks_in_a_request(scope: Scope, _: Receiver, _: Sender) -> Result<(), AppError> {
    match scope {
        Scope::Http(_) => block(),
        _ => Err(AppError::Unsupported),
    }
}

const STILL_RUNNING: &str = "error: still running after the time for shutdown: 1 connections or \
                             applications (an application blocks its thread)\n";

#[tokio::test]
async fn a_second_signal_ends_a_process_whose_only_thread_is_blocked() {
    if is_server() {
        serve(blocks_in_a_request);
    }
    let mut process = Process::start(
        "process::a_second_signal_ends_a_process_whose_only_thread_is_blocked",
        &[("CALLGATE_TIMEOUT_GRACEFUL_SHUTDOWN", "none")],
    );
    let _client = process.request().await;
    process.line_with("blocked").await;
    process.signal(Signal::TERM);
    process.line_with("waiting for connections").await;
    process.signal(Signal::TERM);
    let (status, log) = process.ended().await;
    assert_eq!(status, Some(1), "{log}");
    assert!(log.ends_with(STILL_RUNNING), "{log}");
}

#[tokio::test]
async fn the_graceful_time_out_ends_a_process_whose_only_thread_is_blocked() {
    if is_server() {
        serve(blocks_in_a_request);
    }
    let mut process = Process::start(
        "process::the_graceful_time_out_ends_a_process_whose_only_thread_is_blocked",
        &[("CALLGATE_TIMEOUT_GRACEFUL_SHUTDOWN", "0.1")],
    );
    let _client = process.request().await;
    process.line_with("blocked").await;
    process.signal(Signal::INT);
    let (status, log) = process.ended().await;
    assert_eq!(status, Some(1), "{log}");
    assert!(log.ends_with(STILL_RUNNING), "{log}");
}

async fn blocks_in_startup(_: Scope, _: Receiver, _: Sender) -> Result<(), AppError> {
    block()
}

#[tokio::test]
async fn a_signal_ends_a_process_whose_start_up_blocks_its_only_thread() {
    if is_server() {
        serve(blocks_in_startup);
    }
    let mut process = Process::start(
        "process::a_signal_ends_a_process_whose_start_up_blocks_its_only_thread",
        &[],
    );
    process.line_with("blocked").await;
    process.signal(Signal::TERM);
    assert_eq!(process.ended().await, (Some(0), String::new()));
}

/// An application that blocks the thread on which the server drops it.
#[derive(Debug)]
struct BlocksWhenDropped;

impl Drop for BlocksWhenDropped {
    fn drop(&mut self) {
        block();
    }
}

#[tokio::test]
async fn a_second_signal_ends_a_process_whose_last_thread_is_blocked() {
    if is_server() {
        let state = BlocksWhenDropped;
        serve(move |_: Scope, _: Receiver, _: Sender| {
            let _ = &state;
            async { Err(AppError::Unsupported) }
        });
    }
    let mut process = Process::start(
        "process::a_second_signal_ends_a_process_whose_last_thread_is_blocked",
        &[],
    );
    process.line_with("running on").await;
    process.signal(Signal::TERM);
    process.line_with("blocked").await;
    process.signal(Signal::TERM);
    let (status, log) = process.ended().await;
    assert_eq!(status, Some(1));
    // The server itself has ended as it should.
    assert!(!log.to_lowercase().contains("error"), "{log}");
}

async fn blocks_in_shutdown(
    scope: Scope,
    mut receiver: Receiver,
    sender: Sender,
) -> Result<(), AppError> {
    let Scope::Lifespan(_) = scope else {
        return whole(&sender, "served").await;
    };
    receiver.receive().await;
    sender.send(LifespanStartupComplete::new()).await?;
    receiver.receive().await;
    block()
}

#[tokio::test]
async fn the_graceful_time_out_ends_a_shutdown_that_blocks_the_only_thread() {
    if is_server() {
        serve(blocks_in_shutdown);
    }
    let mut process = Process::start(
        "process::the_graceful_time_out_ends_a_shutdown_that_blocks_the_only_thread",
        &[("CALLGATE_TIMEOUT_GRACEFUL_SHUTDOWN", "1")],
    );
    process.line_with("running on").await;
    process.signal(Signal::TERM);
    let (status, log) = process.ended().await;
    assert_eq!(status, Some(1), "{log}");
    let expected = "error: the application failed to shut down: it did not answer in time\n";
    assert!(log.ends_with(expected), "{log}");
}

async fn serves(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
    scope.into_http()?;
    whole(&sender, "served").await
}

#[tokio::test]
async fn a_server_serves_on_the_sockets_that_systemd_has_opened_and_on_no_other() {
    if is_server() {
        serve(serves);
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.sock");
    let sockets: [(OwnedFd, String); 2] = [
        {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap().to_string();
            (listener.into(), format!("http://{address}"))
        },
        {
            let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
            (listener.into(), format!("unix:{}", path.display()))
        },
    ];
    for (socket, address) in sockets {
        let mut process = Process::start_with(
            socket.into(),
            "process::a_server_serves_on_the_sockets_that_systemd_has_opened_and_on_no_other",
            &[("LISTEN_FDS", "1"), ("LISTEN_FDS_FIRST_FD", "0")],
        );
        let line = process.line_with("running on").await;
        let expected = format!("running on {address} (press CTRL+C to quit)");
        assert!(line.contains(&expected), "{line}");
        let response = match address.strip_prefix("http://") {
            Some(address) => ask(within(TcpStream::connect(address)).await.unwrap()).await,
            None => ask(within(UnixStream::connect(&path)).await.unwrap()).await,
        };
        assert!(response.ends_with("served"), "{response}");
        process.signal(Signal::TERM);
        let (status, log) = process.ended().await;
        assert_eq!(status, Some(0), "{log}");
        assert!(!log.contains("running on"), "{log}");
    }
    assert!(path.exists(), "the socket belongs to systemd");
}

#[tokio::test]
async fn systemd_is_told_that_the_server_has_started_and_that_it_stops() {
    if is_server() {
        serve(serves);
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify.sock");
    let notifications = UnixDatagram::bind(&path).unwrap();
    let mut process = Process::start(
        "process::systemd_is_told_that_the_server_has_started_and_that_it_stops",
        &[("NOTIFY_SOCKET", path.to_str().unwrap())],
    );
    let next = async || {
        let mut buffer = [0; 64];
        let length = within(notifications.recv(&mut buffer)).await.unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    assert_eq!(next().await, "READY=1\n");
    process.line_with("running on").await;
    process.signal(Signal::TERM);
    assert_eq!(next().await, "STOPPING=1\n");
    assert_eq!(process.ended().await.0, Some(0));
}

#[tokio::test]
async fn systemd_is_told_that_the_threads_of_a_watched_server_are_not_blocked() {
    if is_server() {
        serve(serves);
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify.sock");
    let notifications = UnixDatagram::bind(&path).unwrap();
    let _process = Process::start(
        "process::systemd_is_told_that_the_threads_of_a_watched_server_are_not_blocked",
        &[
            ("NOTIFY_SOCKET", path.to_str().unwrap()),
            ("WATCHDOG_USEC", "20000"),
        ],
    );
    for expected in ["READY=1\n", "WATCHDOG=1\n", "WATCHDOG=1\n"] {
        let mut buffer = [0; 64];
        let length = within(notifications.recv(&mut buffer)).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&buffer[..length]), expected);
    }
}

/// Sets the number of files that this process may open.
fn limit_files(files: u64) {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(files);
    setrlimit(Resource::Nofile, limit).unwrap();
}

#[tokio::test]
async fn silent_connections_make_room_when_no_more_files_can_be_opened() {
    const FILES: u64 = 64;
    if is_server() {
        limit_files(FILES);
        serve(serves);
    }
    let mut process = Process::start(
        "process::silent_connections_make_room_when_no_more_files_can_be_opened",
        &[("CALLGATE_MAX_CONNECTIONS", "1000")],
    );
    let address = process.address().await;
    let mut silent = Vec::new();
    for _ in 0..FILES + 20 {
        silent.push(within(TcpStream::connect(&address)).await.unwrap());
    }
    let since = Instant::now();
    for _ in 0..2 {
        let response = ask(within(TcpStream::connect(&address)).await.unwrap()).await;
        assert!(response.ends_with("served"), "{response}");
    }
    // The time for the first request has the default of 30 s.
    assert!(since.elapsed() < Duration::from_secs(15), "{since:?}");
    process.signal(Signal::TERM);
    let (status, log) = process.ended().await;
    assert_eq!(status, Some(0), "{log}");
    assert_eq!(log.matches("cannot accept").count(), 1, "{log}");
}

async fn serves_after_a_pause(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
    let scope = scope.into_http()?;
    if scope.raw_path() == "/" {
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    whole(&sender, "served").await
}

#[tokio::test]
async fn the_admin_listener_is_reached_when_clients_in_flight_have_taken_all_files() {
    const FILES: u64 = 64;
    if is_server() {
        limit_files(FILES);
        serve(serves_after_a_pause);
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("admin.sock");
    let mut process = Process::start(
        "process::the_admin_listener_is_reached_when_clients_in_flight_have_taken_all_files",
        &[
            ("CALLGATE_MAX_CONNECTIONS", "1000"),
            ("CALLGATE_ADMIN", &format!("unix:{}", path.display())),
        ],
    );
    let address = process.address().await;
    let mut in_flight = Vec::new();
    for _ in 0..FILES {
        let mut client = within(TcpStream::connect(&address)).await.unwrap();
        client.write_all(get("/").as_bytes()).await.unwrap();
        in_flight.push(client);
    }
    process.line_with("cannot accept a connection").await;
    let response = ask(within(UnixStream::connect(&path)).await.unwrap()).await;
    assert!(response.starts_with("HTTP/1.1 404 "), "{response}");
    process.signal(Signal::TERM);
    process.line_with("waiting for connections").await;
    process.signal(Signal::TERM);
    assert_eq!(process.ended().await.0, Some(0));
}

#[tokio::test]
async fn idle_clients_make_room_for_the_admin_listener() {
    const FILES: u64 = 64;
    if is_server() {
        limit_files(FILES);
        serve(serves);
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("admin.sock");
    let mut process = Process::start(
        "process::idle_clients_make_room_for_the_admin_listener",
        &[("CALLGATE_ADMIN", &format!("unix:{}", path.display()))],
    );
    let address = process.address().await;
    let mut idle = Vec::new();
    for _ in 0..30 {
        let mut client = Client::over(within(TcpStream::connect(&address)).await.unwrap());
        client.send(get("/")).await;
        client.response().await;
        idle.push(client);
    }
    let mut admin = Vec::new();
    for _ in 0..FILES / 2 {
        let mut client = Client::over(within(UnixStream::connect(&path)).await.unwrap());
        client.send(get("/livez")).await;
        assert_eq!(client.response().await.status, 200);
        admin.push(client);
    }
    assert_eq!(idle.remove(0).rest().await, "");
    process.signal(Signal::TERM);
    drop((idle, admin));
    assert_eq!(process.ended().await.0, Some(0));
}
