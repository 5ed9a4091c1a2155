//! The Redis of the scenario `channels`.

use std::fs;
use std::io;
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};

use rustix::process::{Signal, kill_process};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::sleep;

use crate::server::{LOOK, pid, resident};

/// A Redis on a Unix socket, which keeps nothing on the disk. It is killed when this value is dropped.
#[derive(Debug)]
pub(crate) struct Redis {
    folder: TempDir,
    child: Mutex<Option<Child>>,
}

impl Redis {
    pub(crate) async fn start() -> io::Result<Self> {
        let redis = Self {
            folder: tempfile::tempdir()?,
            child: Mutex::default(),
        };
        redis.restart().await?;
        Ok(redis)
    }

    pub(crate) fn url(&self) -> String {
        format!("unix://{}", self.socket())
    }

    fn socket(&self) -> String {
        self.folder.path().join("redis.sock").display().to_string()
    }

    /// Starts the Redis without data, and waits until it serves.
    pub(crate) async fn restart(&self) -> io::Result<()> {
        let child = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "no"])
            .args(["--unixsocket", &self.socket(), "--dir"])
            .arg(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| io::Error::other(format!("redis-server: {error}")))?;
        *self.child.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
        while self.ask(&["PING"]).await?.trim() != "PONG" {
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// Ends the Redis without warning.
    pub(crate) async fn kill(&self) -> io::Result<()> {
        let child = self
            .child
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        match child {
            Some(mut child) => child.kill().await,
            None => Ok(()),
        }
    }

    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(kill_process(pid(self.id())?, signal)?)
    }

    /// Returns the resident memory in octets; 0 while the Redis does not run.
    pub(crate) fn memory(&self) -> u64 {
        let status = self
            .id()
            .map(|id| fs::read_to_string(format!("/proc/{id}/status")));
        let memory = status
            .and_then(Result::ok)
            .and_then(|status| resident(&status));
        memory.unwrap_or_default()
    }

    /// Returns the IDs of the connections.
    pub(crate) async fn connections(&self) -> io::Result<Vec<String>> {
        let list = self.ask(&["CLIENT", "LIST"]).await?;
        let ids = list
            .lines()
            .filter_map(|line| line.strip_prefix("id=")?.split(' ').next());
        Ok(ids.map(str::to_owned).collect())
    }

    /// Sends a command, and returns the answer as a text.
    pub(crate) async fn ask(&self, words: &[&str]) -> io::Result<String> {
        let output = Command::new("redis-cli")
            .args(["-s", &self.socket()])
            .args(words)
            .output()
            .await?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn id(&self) -> Option<u32> {
        let child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        child.as_ref()?.id()
    }
}
