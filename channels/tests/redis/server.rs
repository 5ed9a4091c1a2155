//! A Redis of a test's own, which the test can break.

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use tempfile::TempDir;
use tokio::time::timeout;

use crate::harness::shared_url;

/// Runs a program for as long as standard input is open, and prints its process ID first. A server therefore ends with
/// the process of the tests, however that ends.
const RUN: &str = r#"
"$@" >/dev/null & echo $!
read -r _
kill -KILL $! 2>/dev/null
wait"#;

/// A Redis that keeps nothing on the disk. It listens on a Unix socket, and where its arguments say.
#[derive(Debug)]
pub(crate) struct RedisServer {
    directory: TempDir,
    arguments: Vec<String>,
    /// What the test sends to it first.
    password: Option<&'static str>,
    process: Option<Process>,
}

#[derive(Debug)]
struct Process {
    shell: Child,
    id: String,
}

impl RedisServer {
    /// Starts a Redis, and waits until it serves.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts a Redis with more arguments.
    pub(crate) async fn start_with(arguments: &[&str]) -> Self {
        let mut server = Self::stopped();
        server.arguments = arguments.iter().map(ToString::to_string).collect();
        server.restart().await;
        server
    }

    /// Starts a Redis that listens on a port of the loopback interface, and has a password.
    pub(crate) async fn start_on(port: u16, password: &'static str, arguments: &[&str]) -> Self {
        let port = port.to_string();
        let mut server = Self::stopped();
        server.password = Some(password);
        let listen = ["--bind", "127.0.0.1", "--port", &port];
        server.arguments = [arguments, &listen, &["--requirepass", password]]
            .concat()
            .iter()
            .map(ToString::to_string)
            .collect();
        server.restart().await;
        server
    }

    /// Returns a Redis that does not run.
    pub(crate) fn stopped() -> Self {
        // The command that starts the shared Redis has installed the program as well.
        let _ = shared_url();
        Self {
            directory: tempfile::tempdir().expect("a directory"),
            arguments: Vec::new(),
            password: None,
            process: None,
        }
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    fn socket(&self) -> PathBuf {
        self.directory().join("redis.sock")
    }

    pub(crate) fn url(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Starts a Redis, without data unless the old one has saved them, and waits until it serves.
    pub(crate) async fn restart(&mut self) {
        assert!(self.process.is_none(), "the Redis is stopped");
        // The file of a configuration comes first.
        let is_file = |argument: &&String| !argument.starts_with('-');
        let file = self.arguments.first().filter(is_file);
        let mut shell = Command::new("sh")
            .args(["-c", RUN, "sh", "redis-server"])
            .args(file)
            .args(["--port", "0", "--save", "", "--appendonly", "no"])
            .arg("--unixsocket")
            .arg(self.socket())
            .arg("--dir")
            .arg(self.directory())
            .args(&self.arguments[usize::from(file.is_some())..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let mut id = String::new();
        BufReader::new(shell.stdout.take().expect("piped"))
            .read_line(&mut id)
            .expect("the process ID");
        let id = id.trim().to_owned();
        self.process = Some(Process { shell, id });
        let serving = async {
            while self.connect().await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(20), serving)
            .await
            .expect("the Redis serves in time");
    }

    /// Ends the Redis without warning.
    pub(crate) fn kill(&mut self) {
        let mut process = self.process.take().expect("the Redis runs");
        drop(process.shell.stdin.take());
        process.shell.wait().expect("ended");
    }

    /// Stops the process, which keeps its connections and its data.
    pub(crate) fn pause(&self) {
        self.signal("STOP");
    }

    /// Lets the process go on.
    pub(crate) fn go_on(&self) {
        self.signal("CONT");
    }

    /// Cuts all connections of layers.
    pub(crate) async fn cut_connections(&self) {
        for kind in ["pubsub", "normal"] {
            self.command::<()>(&["CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes"])
                .await;
        }
    }

    /// Sends a command, and returns the answer.
    pub(crate) async fn command<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let mut connection = self.connect().await.expect("a connection");
        let answer = redis::cmd(words[0])
            .arg(&words[1..])
            .query_async(&mut connection)
            .await;
        answer.unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    pub(crate) async fn connect(&self) -> redis::RedisResult<MultiplexedConnection> {
        let password = self.password.map(|password| format!("?pass={password}"));
        let url = format!("{}{}", self.url(), password.unwrap_or_default());
        let client = redis::Client::open(url)?;
        client.get_multiplexed_async_connection().await
    }

    fn signal(&self, signal: &str) {
        let process = self.process.as_ref().expect("the Redis runs");
        let status = Command::new("kill")
            .arg(format!("-{signal}"))
            .arg(&process.id)
            .status();
        assert!(status.expect("kill is installed").success());
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        if self.process.is_some() {
            self.kill();
        }
    }
}

/// Returns a port of the loopback interface on which nothing listens, and that no other call returns. It is below those
/// that the system gives to connections, which would take it before the server does.
pub(crate) fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let random = RandomState::new().hash_one(()) % 20_000;
        let port = 10_000 + u16::try_from(random).expect("below 20,000");
        let is_new = GIVEN.lock().expect("the lock").insert(port);
        if is_new && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
