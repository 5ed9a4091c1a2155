//! A Redis of a test's own, which the test can stop.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use callgate_apps::Settings;
use tempfile::TempDir;

/// A Redis that keeps nothing on the disk.
pub(crate) struct RedisServer {
    directory: TempDir,
    process: Option<Child>,
}

impl RedisServer {
    /// Starts a Redis, and waits until it serves.
    pub(crate) fn start() -> Self {
        let mut server = Self {
            directory: tempfile::tempdir().unwrap(),
            process: None,
        };
        server.restart();
        server
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("redis.sock")
    }

    pub(crate) fn url(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Returns settings with this Redis as the channel layer.
    pub(crate) fn settings(&self) -> Settings {
        let mut settings = Settings::default();
        settings.channels = Some(self.url().parse().unwrap());
        settings
    }

    /// Starts a Redis without data, and waits until it serves.
    pub(crate) fn restart(&mut self) {
        assert!(self.process.is_none(), "the Redis runs");
        let process = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "no"])
            .arg("--unixsocket")
            .arg(self.socket())
            .arg("--dir")
            .arg(self.directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect(
                "redis-server is installed: `cargo xtask test` and `cargo xtask redis cargo test` \
                 install it",
            );
        self.process = Some(process);
        while self.ping().is_err() {
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn ping(&self) -> std::io::Result<()> {
        let mut connection = UnixStream::connect(self.socket())?;
        connection.write_all(b"PING\r\n")?;
        connection.read_exact(&mut [0; 7])
    }

    /// Ends the Redis without warning.
    pub(crate) fn kill(&mut self) {
        let mut process = self.process.take().expect("the Redis runs");
        process.kill().unwrap();
        process.wait().unwrap();
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        if self.process.is_some() {
            self.kill();
        }
    }
}
