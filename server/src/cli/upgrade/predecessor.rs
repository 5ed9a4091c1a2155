//! The process that a successor takes over from, as the successor sees it.

use std::env;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::os::unix::process::parent_id;

use rustix::stdio::dup2_stdin;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::executable::{COMPLETED_UPGRADES, PREDECESSOR};
use super::wire;
use crate::listener::{FileOwnership, Listener};

/// The process that has started this one as its successor.
#[derive(Debug)]
pub(in crate::cli) struct Predecessor {
    pid: u32,
    connection: StdUnixStream,
    files: FileOwnership,
    /// The number of upgrades of the server that have completed when this process takes over.
    completed_upgrades: u64,
}

/// The listeners of a predecessor, each with its origin.
pub(in crate::cli) type Inherited = Vec<(String, Listener)>;

impl Predecessor {
    /// Returns the predecessor of this process and its listeners. `None` for a process that has not been
    /// started as a successor.
    pub(in crate::cli) fn find() -> io::Result<Option<(Self, Inherited)>> {
        let pid = parent_id();
        // A process that a successor starts has the variable as well, but another parent.
        if env::var(PREDECESSOR).is_ok_and(|of| of == pid.to_string()) {
            return Self::receive(pid).map(Some);
        }
        Ok(None)
    }

    /// Receives the sockets. Standard input is the connection until then.
    fn receive(pid: u32) -> io::Result<(Self, Inherited)> {
        let connection = StdUnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        let files = FileOwnership::new(false);
        let (stdin, sockets) = wire::receive(&connection, &files)?;
        dup2_stdin(stdin)?;
        let listeners = sockets.into_iter().map(|socket| {
            let origin = socket.origin.clone();
            Ok((origin, socket.into_listener()?))
        });
        let listeners = listeners.collect::<io::Result<_>>()?;
        let predecessor = Self {
            pid,
            connection,
            files,
            completed_upgrades: env::var(COMPLETED_UPGRADES)
                .ok()
                .and_then(|number| number.parse().ok())
                .unwrap_or(0),
        };
        Ok((predecessor, listeners))
    }

    pub(in crate::cli) fn pid(&self) -> u32 {
        self.pid
    }

    pub(super) fn completed_upgrades(&self) -> u64 {
        self.completed_upgrades
    }

    pub(super) fn files(&self) -> FileOwnership {
        self.files.clone()
    }

    /// Returns a means to tell the predecessor that this process fails to start.
    pub(in crate::cli) fn failure(&self) -> io::Result<Failure> {
        self.connection.try_clone().map(Failure)
    }

    /// Registers the connection with the current runtime.
    pub(super) fn connection(self) -> io::Result<Connection> {
        self.connection.set_nonblocking(true)?;
        UnixStream::from_std(self.connection).map(Connection)
    }
}

/// Tells a predecessor that its successor fails to start.
#[derive(Debug)]
pub(in crate::cli) struct Failure(StdUnixStream);

impl Failure {
    pub(in crate::cli) fn tell(mut self, reason: &str) {
        let message = [&[wire::FAILED], reason.as_bytes()].concat();
        // The predecessor has gone on if it does not wait for this.
        let _ = self.0.write_all(&message);
    }
}

/// The connection to the predecessor.
#[derive(Debug)]
pub(super) struct Connection(UnixStream);

impl Connection {
    /// Tells the predecessor that this process is ready to serve.
    pub(super) async fn tell_ready(&mut self) -> io::Result<()> {
        self.0.write_u8(wire::READY).await
    }

    /// Completes when the predecessor has handed over. Returns whether it has; it has not when it has
    /// closed the connection.
    pub(super) async fn is_handed_over(&mut self) -> bool {
        matches!(self.0.read_u8().await, Ok(wire::HANDED_OVER))
    }

    /// Completes when the predecessor has closed the connection, or has ended.
    pub(super) async fn closed(mut self) {
        let _ = self.0.read_to_end(&mut Vec::new()).await;
    }
}
