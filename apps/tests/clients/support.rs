//! The command as a process, and curl.

use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// The time-out of a test's wait.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

/// A `callgate` process that serves.
pub(crate) struct Server {
    pub(crate) process: Child,
    pub(crate) url: String,
    pub(crate) log: Receiver<String>,
    /// The lines of the log before the server listened.
    startup: Vec<String>,
}

impl Server {
    /// Starts the command with the lint.
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::start_alone(&[args, &["--lint"]].concat())
    }

    pub(crate) fn start_alone(args: &[&str]) -> Self {
        let mut process = callgate(args)
            .args(["--port", "0"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(process.stderr.take().unwrap());
        let (lines, log) = channel();
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if lines.send(line).is_err() {
                    break;
                }
            }
        });
        let mut server = Self {
            process,
            url: String::new(),
            log,
            startup: Vec::new(),
        };
        loop {
            let line = server.log.recv_timeout(TIMEOUT).expect("it serves");
            if let Some((_, url)) = line.split_once("Callgate running on ") {
                server.url = url.split(' ').next().unwrap().to_owned();
                return server;
            }
            server.startup.push(line);
        }
    }

    /// Waits for the next line of the log with this text.
    pub(crate) fn logged(&self, text: &str) -> String {
        loop {
            let line = self.log.recv_timeout(TIMEOUT).expect(text);
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Returns the line with this text that was logged before the server listened.
    pub(crate) fn startup_line(&self, text: &str) -> &str {
        let mut lines = self.startup.iter();
        let line = lines.find(|line| line.contains(text));
        line.unwrap_or_else(|| panic!("{text:?} is not in {:?}", self.startup))
    }

    pub(crate) fn interrupt(&self) {
        signal("INT", self.process.id());
    }

    /// Waits for the end of the process and returns its status.
    pub(crate) fn ended(mut self) -> ExitStatus {
        // The standard error of the process is closed at its end.
        while let Ok(line) = self.log.recv_timeout(TIMEOUT) {
            drop(line);
        }
        self.process.wait().unwrap()
    }

    /// Stops the server. Fails if it ends with an error, or if a rule was broken.
    pub(crate) fn stop(self) {
        self.interrupt();
        let line = self.logged("Rules were broken ");
        assert!(line.contains("broken 0 times"), "{line}");
        assert_eq!(self.ended().code(), Some(0));
    }

    /// Opens a connection, with a time-out for reads.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.url.strip_prefix("http://").unwrap()).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        stream
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The process has ended already unless the test failed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn signal(name: &str, process: u32) {
    let command = format!("kill -{name} {process}");
    let status = Command::new("sh").args(["-c", &command]).status();
    assert!(status.unwrap().success());
}

pub(crate) fn callgate(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_callgate"));
    command.args(args).env_clear();
    command
}

pub(crate) fn curl(args: &[&str]) -> Output {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "60"])
        .args(args)
        .output()
        .expect("curl is needed for this test");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "curl {args:?}: {stderr}");
    output
}

pub(crate) fn curl_text(args: &[&str]) -> String {
    String::from_utf8(curl(args).stdout).unwrap()
}
