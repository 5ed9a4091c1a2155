//! The process of Python with the application in it, and the connection to the process.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::Shutdown;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;

use super::message::{HostCommand, HostMessage};
use super::{AsgiTarget, lock};

/// The host, which the interpreter is given as its program.
const HOST: &str = include_str!("../../asgi_host.py");

/// The time in which a process ends by itself, so that it can end what it has begun.
const EXIT_TIMEOUT: Duration = Duration::from_secs(1);

/// A process with an application in it.
pub(super) struct HostProcess {
    process: Mutex<Child>,
    connection: Mutex<Connection>,
    state: Arc<HostState>,
    patience: Duration,
}

/// The direction of the connection to the host.
struct Connection {
    stream: UnixStream,
    written: u64,
    next_call: u64,
}

/// What the host has sent.
#[derive(Default)]
struct HostState {
    inner: Mutex<Inner>,
    /// Notified when the event loop is idle, or the process has ended.
    changed: Condvar,
}

#[derive(Default)]
struct Inner {
    /// The number of commands that the host had handled when it was last idle.
    handled: u64,
    /// Whether the connection has ended, and with it the process.
    is_gone: bool,
    calls: HashMap<u64, Inbox>,
}

/// The messages for one call that have not been read.
#[derive(Default)]
struct Inbox {
    messages: VecDeque<HostMessage>,
    waker: Option<Waker>,
}

impl HostState {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }
}

impl HostProcess {
    /// Starts a process and imports the application there.
    ///
    /// # Errors
    ///
    /// One line that says why there is no such application.
    pub(super) fn start(target: &AsgiTarget) -> Result<Arc<Self>, String> {
        let python = target.python.display();
        let no_start = |error: io::Error| format!("cannot start `{python}`: {error}");
        let (ours, its) = UnixStream::pair().map_err(no_start)?;
        // A report on standard output stays whole, whatever the application prints.
        let errors = io::stderr()
            .as_fd()
            .try_clone_to_owned()
            .map_err(no_start)?;
        let factory = if target.is_factory { "factory" } else { "app" };
        let child = Command::new(&target.python)
            .args(["-c", HOST, &target.name, factory])
            .arg(&target.directory)
            .stdin(Stdio::from(OwnedFd::from(its)))
            .stdout(Stdio::from(errors))
            .process_group(0)
            .spawn()
            .map_err(|error| {
                format!("cannot start `{python}`: {error} (--python names another interpreter)")
            })?;
        let reading = ours.try_clone().map_err(no_start)?;
        let process = Arc::new(Self {
            process: Mutex::new(child),
            connection: Mutex::new(Connection {
                stream: ours,
                written: 0,
                next_call: 0,
            }),
            state: Arc::default(),
            patience: target.patience,
        });
        let mut reading = BufReader::new(reading);
        process.await_import(&mut reading, target.import_timeout)?;
        let state = process.state.clone();
        std::thread::Builder::new()
            .name("callgate-asgi-host".into())
            .spawn(move || read_all(reading, &state))
            .map_err(no_start)?;
        Ok(process)
    }

    /// Waits until the application has been imported.
    fn await_import(
        &self,
        reading: &mut BufReader<UnixStream>,
        timeout: Duration,
    ) -> Result<(), String> {
        let limit = |limit| reading.get_ref().set_read_timeout(limit);
        let mut line = String::new();
        let read = limit(Some(timeout)).and_then(|()| reading.read_line(&mut line));
        match read {
            Ok(0) => Err(format!("the import ended the process {}", self.end())),
            Ok(_) => match serde_json::from_str(&line) {
                Ok(HostMessage::Loaded) => reading
                    .get_ref()
                    .set_read_timeout(None)
                    .map_err(|error| error.to_string()),
                Ok(HostMessage::Unloadable { reason }) => Err(reason),
                other => Err(format!("the host began with {other:?}")),
            },
            Err(_) => Err(format!(
                "the import took longer than {} s",
                timeout.as_secs_f32()
            )),
        }
    }

    /// Calls the application. Returns the number of the call.
    pub(super) fn begin(&self, scope: Value) -> u64 {
        let call = {
            let mut connection = self.connection();
            connection.next_call += 1;
            connection.next_call
        };
        self.state.lock().calls.insert(call, Inbox::default());
        self.command(&HostCommand::Call { call, scope });
        call
    }

    /// Sends a command, and waits until the application can do no more without another.
    ///
    /// This blocks the thread, as an application in this process would that has so much to do. So the suite sees an
    /// application that has done what it could, and one that blocks its event loop.
    pub(super) fn command(&self, command: &HostCommand) {
        let number = self.write(command);
        let deadline = Instant::now() + self.patience;
        let mut inner = self.state.lock();
        while inner.handled < number && !inner.is_gone {
            let now = Instant::now();
            if now >= deadline {
                drop(inner);
                self.kill();
                return;
            }
            inner = self
                .state
                .changed
                .wait_timeout(inner, deadline - now)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Cancels a call that the suite has dropped.
    pub(super) fn cancel(&self, call: u64) {
        if self.state.lock().calls.remove(&call).is_some() {
            self.write(&HostCommand::Cancel { call });
        }
    }

    /// Forgets a call that has ended.
    pub(super) fn forget(&self, call: u64) {
        self.state.lock().calls.remove(&call);
    }

    /// Returns the next message for a call. If there is none, `waker` is woken by the next.
    ///
    /// # Errors
    ///
    /// The process has ended: how it ended.
    pub(super) fn next_message(
        &self,
        call: u64,
        waker: &Waker,
    ) -> Result<Option<HostMessage>, String> {
        let mut inner = self.state.lock();
        let is_gone = inner.is_gone;
        let Some(inbox) = inner.calls.get_mut(&call) else {
            return Ok(None);
        };
        if let Some(message) = inbox.messages.pop_front() {
            return Ok(Some(message));
        }
        if is_gone {
            drop(inner);
            return Err(self.end());
        }
        inbox.waker = Some(waker.clone());
        Ok(None)
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        lock(&self.connection)
    }

    /// Writes a command. Returns its number. An error means that the process has ended, which the reader sees.
    fn write(&self, command: &HostCommand) -> u64 {
        let value = serde_json::to_value(command).expect("commands have a form in JSON");
        let line = format!("{value}\n");
        let mut connection = self.connection();
        connection.written += 1;
        let _ = connection.stream.write_all(line.as_bytes());
        connection.written
    }

    /// Returns how the process ended, as the end of a sentence.
    fn end(&self) -> String {
        match self.wait(EXIT_TIMEOUT) {
            Some(status) => match (status.code(), status.signal()) {
                (Some(code), _) => format!("with status {code}"),
                (None, Some(signal)) => format!("by signal {signal}"),
                (None, None) => "in an unknown way".to_owned(),
            },
            None => "or closed its connection to the suite".to_owned(),
        }
    }

    /// Waits for the end of the process. Returns `None` if it does not end in `limit`, or is unknown.
    fn wait(&self, limit: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + limit;
        let mut process = lock(&self.process);
        loop {
            match process.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                _ => return None,
            }
        }
    }

    /// Kills the process and those that it has started.
    pub(super) fn kill(&self) {
        let mut process = lock(&self.process);
        let group = i32::try_from(process.id()).ok().and_then(Pid::from_raw);
        // A process that has been waited for has no number any more.
        if let (Some(group), Ok(None)) = (group, process.try_wait()) {
            let _ = kill_process_group(group, Signal::KILL);
            let _ = process.wait();
        }
    }
}

impl Drop for HostProcess {
    fn drop(&mut self) {
        let _ = self.connection().stream.shutdown(Shutdown::Both);
        if self.wait(EXIT_TIMEOUT).is_none() {
            self.kill();
        }
    }
}

impl fmt::Debug for HostProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HostProcess")
    }
}

/// Reads the messages of the host, up to the end of the connection.
fn read_all(reading: BufReader<UnixStream>, state: &HostState) {
    for line in reading.lines() {
        // `serde_json` parses a value by code that is optimised in builds of tests too.
        let message = line.ok().and_then(|line| line.parse::<Value>().ok());
        let Some(Ok(message)) = message.map(serde_json::from_value) else {
            break;
        };
        let mut inner = state.lock();
        let call = match &message {
            HostMessage::Idle { handled } => {
                inner.handled = *handled;
                state.changed.notify_all();
                continue;
            }
            HostMessage::Receive { call }
            | HostMessage::Send { call, .. }
            | HostMessage::Fault { call, .. }
            | HostMessage::Ended { call, .. } => *call,
            HostMessage::Loaded | HostMessage::Unloadable { .. } => continue,
        };
        // The suite may have dropped the call.
        if let Some(inbox) = inner.calls.get_mut(&call) {
            inbox.messages.push_back(message);
            if let Some(waker) = inbox.waker.take() {
                waker.wake();
            }
        }
    }
    let mut inner = state.lock();
    inner.is_gone = true;
    for inbox in inner.calls.values_mut() {
        if let Some(waker) = inbox.waker.take() {
            waker.wake();
        }
    }
    state.changed.notify_all();
}
