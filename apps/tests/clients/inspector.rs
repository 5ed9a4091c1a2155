//! `--inspect`, over sockets.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Instant;

use crate::support::{Server, TIMEOUT, callgate, curl, signal};

/// Returns the address of the page of the inspector in this line of the log, and its token.
fn inspector_address(line: &str) -> (String, String) {
    let (_, address) = line.split_once("The inspector is at ").unwrap();
    let (url, token) = address.split_once("#token=").unwrap();
    let token = token.split(',').next().unwrap();
    (url.to_owned(), token.to_owned())
}

/// Returns the status of the feed of the inspector, and the beginning of what it says.
fn inspector_feed(url: &str, token: &str) -> (u16, String) {
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    let request = format!(
        "GET /feed HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    let status = lines.next().unwrap();
    let status = status.split(' ').nth(1).unwrap().parse().unwrap();
    let said = lines.find(|line| line.starts_with('{') || line.starts_with("data: "));
    (status, said.unwrap_or_default())
}

#[test]
fn the_inspector_is_on_an_address_of_its_own_and_has_a_token() {
    let server = Server::start(&["run", "hello", "--inspect=127.0.0.1:0"]);
    let (url, token) = inspector_address(server.startup_line("The inspector is at"));
    assert_eq!(token.len(), 32);
    assert_eq!(inspector_feed(&url, "0123456789abcdef").0, 401);
    let (status, said) = inspector_feed(&url, &token);
    assert_eq!(status, 200);
    assert!(said.contains(r#""kind":"lifespan""#), "{said}");
    // The address for clients does not have the page.
    let page = curl(&["--include", &format!("{}/feed", server.url)]);
    assert!(
        !String::from_utf8(page.stdout)
            .unwrap()
            .contains("text/event-stream")
    );
    server.stop();
}

#[test]
fn an_inspector_that_cannot_be_started_is_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let flag = format!("--inspect={}", taken.local_addr().unwrap());
    let reasons = [
        (&[][..], "for the inspector: "),
        (
            &[("CALLGATE_INSPECT_TOKEN", "short")],
            "CALLGATE_INSPECT_TOKEN needs at least 16 characters",
        ),
    ];
    for (environment, reason) in reasons {
        let output = callgate(&["run", "hello", "--port", "0", &flag])
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        let last = stderr.lines().last().unwrap();
        assert!(
            last.starts_with("error: ") && last.contains(reason),
            "{stderr}"
        );
        assert_eq!(output.status.code(), Some(3));
    }
}

/// Ends the process whose number is in this file, if a test has failed before.
struct EndedByFile(PathBuf);

impl Drop for EndedByFile {
    fn drop(&mut self) {
        if let Ok(process) = std::fs::read_to_string(&self.0) {
            let command = format!("kill -KILL {}", process.trim());
            let _ = Command::new("sh").args(["-c", &command]).status();
        }
    }
}

#[test]
fn a_process_that_replaces_another_gets_the_page_of_the_inspector() {
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let pid_file = directory.path().join("pid");
    let flag = format!("--inspect={free}");
    let pid_flag = format!("--pid={}", pid_file.display());
    let mut server = Server::start_alone(&["run", "hello", &flag, &pid_flag]);
    let _guard = EndedByFile(pid_file.clone());
    let (url, token) = inspector_address(server.startup_line("The inspector is at"));
    assert_eq!(inspector_feed(&url, &token).0, 200);

    signal("USR2", server.process.id());
    let line = server.logged("The inspector is at");
    assert!(
        line.contains(", when the process before this one has ended"),
        "{line}"
    );
    let (_, token_of_successor) = inspector_address(&line);
    assert_ne!(token_of_successor, token);
    assert_eq!(server.process.wait().unwrap().code(), Some(0));
    // The successor looks for the address ten times a second.
    let deadline = Instant::now() + TIMEOUT;
    while TcpStream::connect(free).is_err() {
        assert!(Instant::now() < deadline, "nobody has the address");
        thread::yield_now();
    }
    assert_eq!(inspector_feed(&url, &token_of_successor).0, 200);
    let successor = std::fs::read_to_string(&pid_file).unwrap();
    signal("INT", successor.trim().parse().unwrap());
    // The successor has the standard error of the first process, and closes it at its end.
    while server.log.recv_timeout(TIMEOUT).is_ok() {}
}
