//! The replacement of a process by another one that serves on the same sockets.

use std::fs;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;
use std::process::Stdio;

use callgate::{
    AppError, HttpResponseBody, HttpResponseStart, LifespanShutdownComplete,
    LifespanStartupComplete, LifespanStartupFailed, Receiver, Scope, Sender,
};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixDatagram, UnixListener, UnixStream};

use crate::listeners::ask;
use crate::support::frames::{FIN, TEXT, frame, handshake};
use crate::support::process::{Process, is_server, serve, signal};
use crate::support::websocket::exclaim;
use crate::support::{Client, get, whole, within};

/// The variable with the path of a [`Gate`].
const GATE: &str = "CALLGATE_TEST_GATE";

/// Answers with the number of the process. Its start-up asks the gate, if there is one.
pub(crate) async fn tells_process(
    scope: Scope,
    mut receiver: Receiver,
    sender: Sender,
) -> Result<(), AppError> {
    let scope = match scope {
        Scope::Http(scope) => scope,
        Scope::Lifespan(_) => {
            receiver.receive().await;
            if let Some(path) = std::env::var_os(GATE) {
                let mut reason = String::new();
                let mut gate = UnixStream::connect(path).await?;
                gate.read_to_string(&mut reason).await?;
                if !reason.is_empty() {
                    sender.send(LifespanStartupFailed::new(reason)).await?;
                    return Ok(());
                }
            }
            sender.send(LifespanStartupComplete::new()).await?;
            receiver.receive().await;
            sender.send(LifespanShutdownComplete::new()).await?;
            return Ok(());
        }
        Scope::WebSocket(_) => return exclaim(receiver, sender).await,
        _ => return Err(AppError::Unsupported),
    };
    let number = std::process::id().to_string();
    if scope.uri.path() != "/until-shutdown" {
        return whole(&sender, number).await;
    }
    receiver.receive().await;
    sender.send(HttpResponseStart::ok()).await?;
    sender.send(HttpResponseBody::part("begun, ")).await?;
    receiver.receive().await;
    sender
        .send(HttpResponseBody::last(format!("ended by {number}")))
        .await?;
    Ok(())
}

/// Lets each start-up of a server wait, complete or fail.
pub(crate) struct Gate {
    listener: UnixListener,
    directory: tempfile::TempDir,
}

impl Gate {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("gate.sock")).unwrap();
        Self {
            listener,
            directory,
        }
    }

    pub(crate) fn path(&self, name: &str) -> String {
        let path = self.directory.path().join(name);
        path.to_str().unwrap().to_owned()
    }

    pub(crate) fn variable(&self) -> (&'static str, String) {
        (GATE, self.path("gate.sock"))
    }

    /// Waits for the next start-up, which completes when the stream is dropped.
    pub(crate) async fn start_up(&self) -> UnixStream {
        within(self.listener.accept()).await.unwrap().0
    }

    pub(crate) async fn fail(&self, reason: &str) {
        let mut start_up = self.start_up().await;
        start_up.write_all(reason.as_bytes()).await.unwrap();
    }
}

/// Starts the test of this name as a server with variables, once its start-up is complete.
async fn start(gate: &Gate, test: &str, environment: &[(&str, &str)]) -> Process {
    start_with(Stdio::null(), gate, test, environment).await
}

async fn start_with(
    stdin: Stdio,
    gate: &Gate,
    test: &str,
    environment: &[(&str, &str)],
) -> Process {
    if is_server() {
        serve(tells_process);
    }
    let (name, path) = gate.variable();
    let environment = [environment, &[(name, &path)]].concat();
    let process = Process::start_with(stdin, &format!("upgrade::{test}"), &environment);
    drop(gate.start_up().await);
    process
}

/// Returns the number of the process that answers.
pub(crate) async fn serving(address: &str) -> u32 {
    let response = ask(within(TcpStream::connect(address)).await.unwrap()).await;
    let (_, number) = response.rsplit_once("\r\n").unwrap();
    number.parse().unwrap()
}

/// Waits for the end of a process, which answers until then, and returns the number of its successor.
async fn successor(process: &mut Process, address: &str) -> u32 {
    assert_eq!(process.status().await, Some(0));
    let successor = serving(address).await;
    assert_ne!(successor, process.id());
    successor
}

/// Ends the successor of a process that has ended, and returns the rest of the log of both.
async fn end(process: Process, successor: u32) -> String {
    signal(successor, Signal::TERM);
    let (status, log) = process.ended().await;
    assert_eq!(status, Some(0), "{log}");
    log
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap()
}

#[tokio::test]
async fn an_upgrade_under_load_fails_no_request() {
    let gate = Gate::new();
    let test = "an_upgrade_under_load_fails_no_request";
    let mut process = start(&gate, test, &[]).await;
    let address = process.address().await;
    let mut stream = TcpStream::connect(&address).await.unwrap();
    stream
        .write_all(get("/until-shutdown").as_bytes())
        .await
        .unwrap();
    let (stop, is_stopped) = tokio::sync::watch::channel(false);
    let load = async || {
        let mut processes = Vec::new();
        while !*is_stopped.borrow() {
            processes.push(serving(&address).await);
        }
        processes
    };
    let upgrade = async {
        process.signal(Signal::USR2);
        drop(gate.start_up().await);
        process
            .line_with("has taken over, and this process ends")
            .await;
        assert_eq!(process.status().await, Some(0));
        stop.send_replace(true);
    };
    // The response that is in flight is that of the old process.
    let in_flight = async {
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        drop(stream);
        response
    };
    let (first, second, response, ()) = tokio::join!(load(), load(), in_flight, upgrade);
    assert_eq!(first[0], process.id());
    assert_eq!(second[0], process.id());
    let expected = format!("ended by {}", process.id());
    assert!(response.contains(&expected), "{response}");
    let successor = serving(&address).await;
    assert_ne!(successor, process.id());
    end(process, successor).await;
}

#[tokio::test]
async fn a_websocket_is_closed_with_1012_when_the_successor_has_taken_over() {
    let gate = Gate::new();
    let test = "a_websocket_is_closed_with_1012_when_the_successor_has_taken_over";
    let mut process = start(&gate, test, &[]).await;
    let address = process.address().await;
    let open = async || {
        let stream = within(TcpStream::connect(&address)).await.unwrap();
        let mut client = Client::over(stream);
        client.send(handshake("/chat", "")).await;
        assert_eq!(client.head().await.status, 101);
        client
    };
    let mut client = open().await;
    process.signal(Signal::USR2);
    let start_up = gate.start_up().await;
    // The old process serves until the new one is ready.
    client.send(frame(FIN | TEXT, "hello")).await;
    assert_eq!(client.message().await, "hello!");
    drop(start_up);
    client.closed_with(1012).await;
    let successor = successor(&mut process, &address).await;
    // The client connects again, to the new process.
    let mut client = open().await;
    client.send(frame(FIN | TEXT, "again")).await;
    assert_eq!(client.message().await, "again!");
    end(process, successor).await;
}

#[tokio::test]
async fn an_address_with_any_port_that_is_given_twice_has_two_sockets_also_after_an_upgrade() {
    let gate = Gate::new();
    let test = "an_address_with_any_port_that_is_given_twice_has_two_sockets_also_after_an_upgrade";
    let bind = "127.0.0.1:0,127.0.0.1:0";
    let environment = [("CALLGATE_PORT", "8000"), ("CALLGATE_BIND", bind)];
    let mut process = start(&gate, test, &environment).await;
    let addresses = [process.address().await, process.address().await];
    process.signal(Signal::USR2);
    drop(gate.start_up().await);
    let of_successor = [process.address().await, process.address().await];
    assert_eq!(of_successor, addresses);
    let successor = successor(&mut process, &addresses[0]).await;
    assert_eq!(serving(&addresses[1]).await, successor);
    let log = end(process, successor).await;
    assert!(!log.contains("running on"), "{log}");
}

#[tokio::test]
async fn a_process_is_replaced_after_its_limit_of_requests() {
    let gate = Gate::new();
    let test = "a_process_is_replaced_after_its_limit_of_requests";
    let mut process = start(&gate, test, &[("CALLGATE_LIMIT_MAX_REQUESTS", "2")]).await;
    let address = process.address().await;
    for _ in 0..2 {
        assert_eq!(serving(&address).await, process.id());
    }
    drop(gate.start_up().await);
    let successor = successor(&mut process, &address).await;
    let log = end(process, successor).await;
    assert!(log.contains("(2 requests have been served)"), "{log}");
}

#[tokio::test]
async fn a_process_is_replaced_at_its_age() {
    let gate = Gate::new();
    let test = "a_process_is_replaced_at_its_age";
    let mut process = start(&gate, test, &[("CALLGATE_LIMIT_MAX_AGE", "0.1")]).await;
    let successor = gate.start_up().await;
    drop(successor);
    assert_eq!(process.status().await, Some(0));
}

#[tokio::test]
async fn the_files_of_sockets_and_of_the_process_number_pass_to_the_successor() {
    let gate = Gate::new();
    let test = "the_files_of_sockets_and_of_the_process_number_pass_to_the_successor";
    let [path, pid_file] = [gate.path("app.sock"), gate.path("app.pid")];
    let environment = [
        ("CALLGATE_PORT", "8000"),
        ("CALLGATE_UDS", path.as_str()),
        ("CALLGATE_PID", &pid_file),
    ];
    let mut process = start(&gate, test, &environment).await;
    process.line_with("running on").await;
    assert_eq!(read(&pid_file), format!("{}\n", process.id()));
    process.signal(Signal::USR2);
    gate.fail("not yet").await;
    process.line_with("the upgrade has failed").await;
    assert_eq!(read(&pid_file), format!("{}\n", process.id()));
    process.signal(Signal::USR2);
    drop(gate.start_up().await);
    process.line_with("this process has taken over").await;
    assert_eq!(process.status().await, Some(0));
    let response = ask(within(UnixStream::connect(&path)).await.unwrap()).await;
    let (_, number) = response.rsplit_once("\r\n").unwrap();
    assert_eq!(read(&pid_file), format!("{number}\n"));
    end(process, number.parse().unwrap()).await;
    assert!(!Path::new(&path).exists());
    assert!(!Path::new(&pid_file).exists());
}

#[tokio::test]
async fn the_admin_listener_answers_for_the_process_that_serves() {
    let gate = Gate::new();
    let test = "the_admin_listener_answers_for_the_process_that_serves";
    let path = gate.path("admin.sock");
    let admin = format!("unix:{path}");
    let mut process = start(&gate, test, &[("CALLGATE_ADMIN", &admin)]).await;
    let address = process.address().await;
    let ask = async |target: &str| {
        let mut stream = within(UnixStream::connect(&path)).await.unwrap();
        let request = format!("GET {target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut response = String::new();
        within(stream.read_to_string(&mut response)).await.unwrap();
        response
    };
    let ready = async || ask("/readyz").await;
    assert!(ready().await.starts_with("HTTP/1.1 200"));
    process.signal(Signal::USR2);
    gate.fail("not yet").await;
    process.line_with("the upgrade has failed").await;
    let metrics = ask("/metrics").await;
    for line in [
        "upgrades_total{outcome=\"completed\"} 0",
        "upgrades_total{outcome=\"failed\"} 1",
    ] {
        assert!(
            metrics.contains(&format!("\ncallgate_{line}\n")),
            "{metrics}"
        );
    }
    process.signal(Signal::USR2);
    let start_up = gate.start_up().await;
    // The successor has the socket, but is not ready.
    for _ in 0..5 {
        assert!(ready().await.starts_with("HTTP/1.1 200"));
    }
    drop(start_up);
    process.line_with("this process has taken over").await;
    let successor = successor(&mut process, &address).await;
    assert!(ready().await.starts_with("HTTP/1.1 200"));
    let metrics = ask("/metrics").await;
    let line = "\ncallgate_upgrades_total{outcome=\"completed\"} 1\n";
    assert!(metrics.contains(line), "{metrics}");
    end(process, successor).await;
    assert!(!Path::new(&path).exists());
}

#[tokio::test]
async fn the_admin_listener_does_not_become_one_for_clients() {
    let gate = Gate::new();
    let test = "the_admin_listener_does_not_become_one_for_clients";
    // Clients are served on a free port of the same address.
    let mut process = start(&gate, test, &[("CALLGATE_ADMIN", "127.0.0.1:0")]).await;
    let address = process.address().await;
    process.signal(Signal::USR2);
    drop(gate.start_up().await);
    assert_eq!(process.address().await, address);
    loop {
        let line = process.line_with("").await;
        assert!(!line.contains("running on"), "{line}");
        if line.contains("this process has taken over") {
            break;
        }
    }
    let successor = successor(&mut process, &address).await;
    end(process, successor).await;
}

/// Receives a notification of systemd.
async fn notification(notifications: &UnixDatagram) -> String {
    let mut buffer = [0; 128];
    let length = within(notifications.recv(&mut buffer)).await.unwrap();
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

#[tokio::test]
async fn systemd_is_told_the_main_process_and_its_sockets_are_kept() {
    let gate = Gate::new();
    let test = "systemd_is_told_the_main_process_and_its_sockets_are_kept";
    let notify = gate.path("notify.sock");
    let notifications = UnixDatagram::bind(&notify).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let environment = [
        ("LISTEN_FDS", "1"),
        ("LISTEN_FDS_FIRST_FD", "0"),
        ("NOTIFY_SOCKET", &notify),
    ];
    let mut process = start_with(OwnedFd::from(listener).into(), &gate, test, &environment).await;
    assert_eq!(notification(&notifications).await, "READY=1\n");
    process.signal(Signal::USR2);
    gate.fail("not yet").await;
    let reloading = notification(&notifications).await;
    assert!(
        reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="),
        "{reloading}"
    );
    assert_eq!(notification(&notifications).await, "READY=1\n");
    process.line_with("the upgrade has failed").await;
    process.signal(Signal::USR2);
    drop(gate.start_up().await);
    assert!(
        notification(&notifications)
            .await
            .starts_with("RELOADING=1\n")
    );
    let main = notification(&notifications).await;
    let successor = successor(&mut process, &address).await;
    assert_eq!(main, format!("MAINPID={successor}\nREADY=1\n"));
    end(process, successor).await;
    // The old process does not say that the service stops.
    assert_eq!(notification(&notifications).await, "STOPPING=1\n");
    assert!(notifications.try_recv(&mut [0; 1]).is_err());
}

#[tokio::test]
async fn an_inherited_descriptor_is_served_on_and_passes_to_the_successor() {
    let gate = Gate::new();
    let test = "an_inherited_descriptor_is_served_on_and_passes_to_the_successor";
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    fcntl_setfd(&listener, FdFlags::empty()).unwrap();
    let number = listener.as_raw_fd().to_string();
    let environment = [("CALLGATE_PORT", "8000"), ("CALLGATE_FD", &number)];
    let mut process = start(&gate, test, &environment).await;
    drop(listener);
    assert_eq!(process.address().await, address);
    assert_eq!(serving(&address).await, process.id());
    process.signal(Signal::USR2);
    drop(gate.start_up().await);
    let successor = successor(&mut process, &address).await;
    end(process, successor).await;
}
