//! A server that is a process: a test starts itself again, told apart by an environment variable.

use std::ffi::OsStr;
use std::process::{ExitCode, Stdio};
use std::thread;

use callgate::App;
use callgate_server::cli::{self, Flags};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStderr, Command};

use super::{get, within};

/// Set in the process that is the server.
const IS_SERVER: &str = "CALLGATE_TEST_IS_SERVER";

#[derive(clap::Parser)]
struct Server {
    #[command(flatten)]
    flags: Flags,
}

/// Serves `app` with the flags of the environment, and exits.
pub(crate) fn serve(app: impl App) -> ! {
    // The thread of the test has a runtime already.
    let main = thread::spawn(|| match cli::parse_from(["server".into()]) {
        Ok(Server { flags }) => cli::run(app, flags),
        Err(code) => code,
    });
    let code = main.join().unwrap();
    let status = (0..=3).find(|status| ExitCode::from(*status) == code);
    std::process::exit(status.map_or(-1, i32::from));
}

pub(crate) fn is_server() -> bool {
    std::env::var_os(IS_SERVER).is_some()
}

pub(crate) fn block() -> ! {
    eprintln!("blocked");
    loop {
        thread::park();
    }
}

/// A server that is a process of its own.
pub(crate) struct Process {
    child: Child,
    stderr: BufReader<ChildStderr>,
    pid: Pid,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = kill_process_group(self.pid, Signal::KILL);
    }
}

impl Process {
    /// Starts the test of this name as a server.
    pub(crate) fn start(test: &str, environment: &[(&str, &str)]) -> Self {
        Self::start_with(Stdio::null(), test, environment)
    }

    /// Starts the test of this name as a server, with this standard input.
    pub(crate) fn start_with(stdin: Stdio, test: &str, environment: &[(&str, &str)]) -> Self {
        let program = std::env::current_exe().unwrap();
        Self::spawn(program.as_os_str(), stdin, test, environment)
    }

    /// Starts the test of this name as a server by a copy of this program.
    pub(crate) fn start_program(program: &str, test: &str, environment: &[(&str, &str)]) -> Self {
        Self::spawn(program.as_ref(), Stdio::null(), test, environment)
    }

    fn spawn(program: &OsStr, stdin: Stdio, test: &str, environment: &[(&str, &str)]) -> Self {
        let mut child = Command::new(program)
            .args(["--exact", test, "--nocapture"])
            .env(IS_SERVER, "true")
            .env("CALLGATE_PORT", "0")
            .env("CALLGATE_THREADS", "1")
            .envs(environment.iter().copied())
            .stdin(stdin)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // A test that fails ends the server and its successors.
            .process_group(0)
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let pid = pid(child.id().unwrap());
        Self { child, stderr, pid }
    }

    /// Reads standard error up to a line that has this text.
    pub(crate) async fn line_with(&mut self, text: &str) -> String {
        loop {
            let mut line = String::new();
            let read = within(self.stderr.read_line(&mut line)).await.unwrap();
            assert!(read > 0, "no line has {text:?}");
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Waits until the server runs, and returns its address.
    pub(crate) async fn address(&mut self) -> String {
        let line = self.line_with("running on http://").await;
        let (_, rest) = line.split_once("http://").unwrap();
        rest.split_once(' ').unwrap().0.to_owned()
    }

    /// Sends a request once the server runs.
    pub(crate) async fn request(&mut self) -> TcpStream {
        let address = self.address().await;
        let mut client = within(TcpStream::connect(address)).await.unwrap();
        client.write_all(get("/").as_bytes()).await.unwrap();
        client
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).unwrap();
    }

    /// Returns the number of the process.
    pub(crate) fn id(&self) -> u32 {
        self.pid.as_raw_nonzero().get().cast_unsigned()
    }

    /// Waits for the end of the process, which may have a successor: the exit status.
    pub(crate) async fn status(&mut self) -> Option<i32> {
        within(self.child.wait()).await.unwrap().code()
    }

    /// Waits for the end of the process and of its successors: the exit status, and the rest of standard error.
    pub(crate) async fn ended(mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        within(self.stderr.read_to_string(&mut rest)).await.unwrap();
        let status = within(self.child.wait()).await.unwrap();
        (status.code(), rest)
    }
}

fn pid(number: u32) -> Pid {
    Pid::from_raw(number.cast_signed()).unwrap()
}

/// Sends a signal to the process with this number.
pub(crate) fn signal(number: u32, signal: Signal) {
    kill_process(pid(number), signal).unwrap();
}
