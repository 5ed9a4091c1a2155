//! The process that is to take over, as its predecessor sees it.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

use super::wire;
use crate::listener::PassedSocket;

/// A process that has been started to take over. It stops to start, or to serve, when this is dropped
/// before [`hand_over`](Self::hand_over).
#[derive(Debug)]
pub(super) struct Successor {
    child: Child,
    connection: UnixStream,
}

impl Successor {
    /// Starts the process, and sends it the sockets.
    pub(super) fn start(mut command: Command, sockets: &[PassedSocket]) -> io::Result<Self> {
        let (connection, of_child) = StdUnixStream::pair()?;
        let child = command.stdin(OwnedFd::from(of_child)).spawn()?;
        // The end of the child is open in the child only, so its end is noticed.
        drop(command);
        if let Err(error) = wire::send(&connection, sockets) {
            tracing::debug!("cannot send the sockets: {error}");
        }
        connection.set_nonblocking(true)?;
        Ok(Self {
            child,
            connection: UnixStream::from_std(connection)?,
        })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id().unwrap_or(0)
    }

    /// Completes when the process is ready to serve. The error is the reason why it will not be.
    pub(super) async fn ready(&mut self) -> Result<(), String> {
        let answer = tokio::select! {
            biased;
            answer = self.connection.read_u8() => answer.ok(),
            _ = self.child.wait() => None,
        };
        match answer {
            Some(wire::READY) => Ok(()),
            Some(wire::FAILED) => {
                let mut reason = Vec::new();
                let _ = self.connection.read_to_end(&mut reason).await;
                Err(String::from_utf8_lossy(&reason).into_owned())
            }
            // The process has closed the connection. Usually it has ended.
            _ => Err(format!("it ended with {}", self.kill().await)),
        }
    }

    /// Gives the sockets and their files to the process.
    pub(super) fn hand_over(&self) -> io::Result<()> {
        // There is room for one octet.
        self.connection.try_write(&[wire::HANDED_OVER]).map(drop)
    }

    /// Asks the process to stop, also if its program has not come to the server.
    pub(super) fn terminate(&self) {
        terminate(&self.child);
    }

    /// Kills the process, unless it has ended, and returns how it has ended. A program that has not come to the
    /// server does not notice that the connection is closed.
    pub(super) async fn kill(&mut self) -> String {
        let _ = self.child.start_kill();
        self.ended().await
    }

    /// Closes the connection, by which a process that has not been left alone stops. Returns the process.
    pub(super) fn release(self) -> Child {
        self.child
    }

    /// Completes when the process has ended. Returns how it has ended.
    pub(super) async fn ended(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        }
    }
}

/// Sends SIGTERM to a process.
pub(super) fn terminate(child: &Child) {
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
    if let Some(pid) = pid.and_then(Pid::from_raw) {
        // This fails when the process has ended.
        let _ = kill_process(pid, Signal::TERM);
    }
}
