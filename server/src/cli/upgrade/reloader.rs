//! A process that serves by a child, and replaces the child when its program changes, for development.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use tokio::process::Child;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::executable::Executable;
use super::successor::{Successor, terminate};
use crate::cli::pid_file::PidFile;
use crate::cli::systemd;
use crate::config::Config;
use crate::file_watch::FileWatch;
use crate::listener::PassedSocket;
use crate::{ServeError, Server};

/// The child is replaced when no file has changed for this time. A compiler writes more than once.
const QUIET: Duration = Duration::from_millis(200);

/// Serves by a child until SIGINT or SIGTERM.
pub(in crate::cli) async fn run(server: Server, config: &Config) -> Result<(), ServeError> {
    let executable = Executable::of_this_process();
    let mut events = Events::new(&executable, &config.process.reload_dir)?;
    let pid_file = config.process.pid.clone().map(PidFile::new);
    // The server is not run. It keeps the listeners, and removes the files of sockets at the end.
    let server = systemd::add_sockets(server, None)?.bound()?;
    let mut sockets = server.sockets_to_pass()?;
    for socket in &mut sockets {
        socket.file = None;
    }
    if let Some(file) = &pid_file {
        file.write().map_err(ServeError::PidFile)?;
    }
    let mut reloader = Reloader {
        executable,
        sockets,
        serving: None,
        ending: Vec::new(),
    };
    reloader.serve(&mut events).await;
    reloader.stop(&mut events).await;
    if let Some(file) = &pid_file {
        file.remove();
    }
    Ok(())
}

#[derive(Debug)]
struct Reloader {
    executable: Executable,
    sockets: Vec<PassedSocket>,
    /// The child that serves.
    serving: Option<Successor>,
    /// The children that drain.
    ending: Vec<Child>,
}

impl Reloader {
    /// Replaces the child at each change, until a signal to stop.
    async fn serve(&mut self, events: &mut Events) {
        tracing::info!(
            "the server starts again when {} changes",
            self.executable.path().display()
        );
        loop {
            let event = match self.start() {
                Ok(mut successor) => tokio::select! {
                    biased;
                    result = successor.ready() => {
                        self.replace(successor, result);
                        self.next(events).await
                    }
                    event = events.next() => {
                        match event {
                            // It may serve already, before it has said so. It is asked to stop, as the others are.
                            Event::Stop => self.retire(successor),
                            Event::Change => drop(successor.kill().await),
                        }
                        event
                    }
                },
                Err(error) => {
                    let path = self.executable.path().display();
                    tracing::error!("cannot start {path}: {error}");
                    self.next(events).await
                }
            };
            match event {
                Event::Stop => return,
                Event::Change => tracing::info!("a change: the server starts again"),
            }
        }
    }

    fn start(&self) -> io::Result<Successor> {
        let mut command = self.executable.command();
        // A terminal sends Ctrl-C to this process alone, which tells the child.
        command.process_group(0);
        Successor::start(command, &self.sockets)
    }

    /// Lets a child that is ready serve, and the child before it drain.
    fn replace(&mut self, successor: Successor, result: Result<(), String>) {
        let result = result.and_then(|()| successor.hand_over().map_err(|error| error.to_string()));
        match (result, &self.serving) {
            (Ok(()), _) => self.retire(successor),
            (Err(reason), Some(serving)) => {
                let pid = serving.pid();
                tracing::error!("the new process has failed, and process {pid} goes on: {reason}");
            }
            (Err(reason), None) => {
                tracing::error!("the process has failed, and requests wait for a change: {reason}");
            }
        }
    }

    /// Has the child that serves drain, and keeps `next` in its place.
    fn retire(&mut self, next: Successor) {
        self.ending
            .retain_mut(|child| matches!(child.try_wait(), Ok(None)));
        let before = self.serving.replace(next);
        self.ending.extend(before.map(Successor::release));
    }

    /// Completes at the next event. Reports a child that ends by itself.
    async fn next(&mut self, events: &mut Events) -> Event {
        if let Some(serving) = &mut self.serving {
            let status = tokio::select! {
                event = events.next() => return event,
                status = serving.ended() => status,
            };
            tracing::error!("the process has ended, and requests wait for a change: {status}");
            self.serving = None;
        }
        events.next().await
    }

    /// Stops all children, and waits for their end. At a second signal, they drop what still runs: each signal
    /// is passed on.
    async fn stop(&mut self, events: &mut Events) {
        self.terminate();
        tokio::select! {
            () = self.ended() => return,
            () = events.stop() => {}
        }
        self.terminate();
        self.ended().await;
    }

    fn terminate(&self) {
        self.serving.iter().for_each(Successor::terminate);
        self.ending.iter().for_each(terminate);
    }

    /// Completes when all children have ended.
    async fn ended(&mut self) {
        if let Some(serving) = &mut self.serving {
            serving.ended().await;
        }
        join_all(self.ending.iter_mut().map(Child::wait)).await;
    }
}

/// What the process waits for.
#[derive(Debug)]
enum Event {
    Stop,
    Change,
}

#[derive(Debug)]
struct Events {
    interrupt: Signal,
    terminate: Signal,
    upgrade: Signal,
    executable: (PathBuf, Option<Stamp>),
    executable_watch: FileWatch,
    folders_watch: FileWatch,
}

impl Events {
    fn new(executable: &Executable, folders: &[PathBuf]) -> Result<Self, ServeError> {
        let watch = |result: notify::Result<FileWatch>| {
            result.map_err(|error| ServeError::Reload(error.to_string()))
        };
        let listen = |kind| signal(kind).map_err(ServeError::Signals);
        let path = executable.path().to_owned();
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            upgrade: listen(SignalKind::user_defined2())?,
            executable_watch: watch(FileWatch::of_files(std::slice::from_ref(&path)))?,
            folders_watch: watch(FileWatch::of_folders(folders))?,
            executable: (path.clone(), stamp(&path)),
        })
    }

    async fn next(&mut self) -> Event {
        loop {
            tokio::select! {
                biased;
                _ = self.interrupt.recv() => return Event::Stop,
                _ = self.terminate.recv() => return Event::Stop,
                _ = self.upgrade.recv() => return Event::Change,
                () = self.folders_watch.changed(QUIET) => return Event::Change,
                () = self.executable_watch.changed(QUIET) => {}
            }
            // Other files of the folder change too. A file that is gone is about to be replaced.
            let now = stamp(&self.executable.0);
            if now.is_some() && now != self.executable.1 {
                self.executable.1 = now;
                return Event::Change;
            }
        }
    }

    async fn stop(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// The time and the length of a file.
type Stamp = (SystemTime, u64);

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}
