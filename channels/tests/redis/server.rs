//! A Redis of a test's own, which the test can break.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use tempfile::TempDir;

use crate::harness::shared_url;

/// A Redis that keeps nothing on the disk.
#[derive(Debug)]
pub(crate) struct RedisServer {
    directory: TempDir,
    process: Option<Child>,
}

impl RedisServer {
    /// Starts a Redis, and waits until it serves.
    pub(crate) async fn start() -> Self {
        let mut server = Self::stopped();
        server.restart().await;
        server
    }

    /// Returns a Redis that does not run.
    pub(crate) fn stopped() -> Self {
        // The command that starts the shared Redis has installed the program as well.
        let _ = shared_url();
        Self {
            directory: tempfile::tempdir().expect("a directory"),
            process: None,
        }
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("redis.sock")
    }

    pub(crate) fn url(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Starts a Redis without data, and waits until it serves.
    pub(crate) async fn restart(&mut self) {
        assert!(self.process.is_none(), "the Redis is stopped");
        let process = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "no"])
            .arg("--unixsocket")
            .arg(self.socket())
            .arg("--dir")
            .arg(self.directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed");
        self.process = Some(process);
        while self.connect().await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Ends the Redis without warning.
    pub(crate) fn kill(&mut self) {
        let mut process = self.process.take().expect("the Redis runs");
        process.kill().expect("killed");
        process.wait().expect("ended");
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
        let mut connection = self.connect().await.expect("a connection");
        for kind in ["pubsub", "normal"] {
            redis::cmd("CLIENT")
                .arg("KILL")
                .arg("TYPE")
                .arg(kind)
                .arg("SKIPME")
                .arg("yes")
                .query_async::<()>(&mut connection)
                .await
                .expect("cut");
        }
    }

    pub(crate) async fn connect(&self) -> redis::RedisResult<MultiplexedConnection> {
        let client = redis::Client::open(self.url())?;
        client.get_multiplexed_async_connection().await
    }

    fn signal(&self, signal: &str) {
        let process = self.process.as_ref().expect("the Redis runs");
        let status = Command::new("kill")
            .arg(format!("-{signal}"))
            .arg(process.id().to_string())
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
