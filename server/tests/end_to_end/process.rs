//! The command line as a process: signals, although the application blocks threads.
//!
//! Each test starts itself again as the server, told apart by an environment variable.

use std::os::fd::OwnedFd;
use std::process::{ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use callgate::{App, AppError, LifespanStartupComplete, Receiver, Scope, Sender};
use callgate_server::cli::{self, Flags};
use rustix::process::{Pid, Resource, Signal, getrlimit, kill_process, setrlimit};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpStream, UnixDatagram, UnixStream};
use tokio::process::{Child, ChildStderr, Command};

use crate::listeners::ask;
use crate::support::{get, whole, within};

/// Set in the process that is the server.
const IS_SERVER: &str = "CALLGATE_TEST_IS_SERVER";

#[derive(clap::Parser)]
struct Server {
    #[command(flatten)]
    flags: Flags,
}

/// Serves `app` with the flags of the environment, and exits.
fn serve(app: impl App) -> ! {
    // The thread of the test has a runtime already.
    let main = thread::spawn(|| match cli::parse_from(["server".into()]) {
        Ok(Server { flags }) => cli::run(app, flags),
        Err(code) => code,
    });
    let code = main.join().unwrap();
    let status = (0..=3).find(|status| ExitCode::from(*status) == code);
    std::process::exit(status.map_or(-1, i32::from));
}

fn is_server() -> bool {
    std::env::var_os(IS_SERVER).is_some()
}

fn block() -> ! {
    eprintln!("blocked");
    loop {
        thread::park();
    }
}

/// A server that is a process of its own.
struct Process {
    child: Child,
    stderr: BufReader<ChildStderr>,
}

impl Process {
    /// Starts the test of this name as a server.
    fn start(test: &str, environment: &[(&str, &str)]) -> Self {
        Self::start_with(Stdio::null(), test, environment)
    }

    /// Starts the test of this name as a server, with this standard input.
    fn start_with(stdin: Stdio, test: &str, environment: &[(&str, &str)]) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &format!("process::{test}"), "--nocapture"])
            .env(IS_SERVER, "true")
            .env("CALLGATE_PORT", "0")
            .env("CALLGATE_THREADS", "1")
            .envs(environment.iter().copied())
            .stdin(stdin)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Self { child, stderr }
    }

    /// Reads standard error up to a line that has this text.
    async fn line_with(&mut self, text: &str) -> String {
        loop {
            let mut line = String::new();
            let read = within(self.stderr.read_line(&mut line)).await.unwrap();
            assert!(read > 0, "no line has {text:?}");
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Returns the address of the server once it runs.
    async fn address(&mut self) -> String {
        let line = self.line_with("running on http://").await;
        let (_, rest) = line.split_once("http://").unwrap();
        let (address, _) = rest.split_once(' ').unwrap();
        address.to_owned()
    }

    /// Sends a request once the server runs.
    async fn request(&mut self) -> TcpStream {
        let address = self.address().await;
        let mut client = within(TcpStream::connect(address)).await.unwrap();
        client.write_all(get("/").as_bytes()).await.unwrap();
        client
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id().unwrap()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// Waits for the end: the exit status, and the rest of standard error.
    async fn ended(mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        within(self.stderr.read_to_string(&mut rest)).await.unwrap();
        let status = within(self.child.wait()).await.unwrap();
        (status.code(), rest)
    }
}

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
        "a_second_signal_ends_a_process_whose_only_thread_is_blocked",
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
        "the_graceful_time_out_ends_a_process_whose_only_thread_is_blocked",
        &[("CALLGATE_TIMEOUT_GRACEFUL_SHUTDOWN", "1")],
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
        "a_signal_ends_a_process_whose_start_up_blocks_its_only_thread",
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
        "a_second_signal_ends_a_process_whose_last_thread_is_blocked",
        &[],
    );
    process.line_with("running on").await;
    process.signal(Signal::TERM);
    process.line_with("blocked").await;
    process.signal(Signal::TERM);
    assert_eq!(process.ended().await, (Some(1), String::new()));
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
        "the_graceful_time_out_ends_a_shutdown_that_blocks_the_only_thread",
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
            "a_server_serves_on_the_sockets_that_systemd_has_opened_and_on_no_other",
            &[("LISTEN_FDS", "1"), ("LISTEN_FDS_FIRST_FD", "0")],
        );
        let line = process.line_with("running on").await;
        assert!(line.contains(&format!("running on {address} ")), "{line}");
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
        "systemd_is_told_that_the_server_has_started_and_that_it_stops",
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
async fn silent_connections_make_room_when_no_more_files_can_be_opened() {
    const FILES: u64 = 64;
    if is_server() {
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = Some(FILES);
        setrlimit(Resource::Nofile, limit).unwrap();
        serve(serves);
    }
    let mut process = Process::start(
        "silent_connections_make_room_when_no_more_files_can_be_opened",
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
        "a_log_that_nobody_reads_stops_neither_the_server_nor_its_end",
        &[("CALLGATE_ACCESS_LOG", "true")],
    );
    let address = process.address().await;
    fill_log(&address).await;
    // The lines are read again, and say how many are missing.
    process.line_with(" lines of the log were lost: ").await;
    fill_log(&address).await;
    process.signal(Signal::TERM);
    let status = within(process.child.wait()).await.unwrap();
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn log_files_have_their_form_and_are_opened_again_at_a_signal() {
    if is_server() {
        serve(serves);
    }
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let process = Process::start(
        "log_files_have_their_form_and_are_opened_again_at_a_signal",
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
        "log_files_have_their_form_and_are_opened_again_at_a_signal",
        &[("CALLGATE_LOG_FILE", "/no/such/directory/log")],
    );
    let line = process.line_with("error: cannot open the log file").await;
    assert!(
        line.ends_with(" (choose another with --log-file)\n"),
        "{line}"
    );
    assert_eq!(process.ended().await.0, Some(3));
}
