//! The server as a process.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::app::COLD_START;
use crate::client::http1::Connection;

/// The longest time for which a scenario waits for the server.
const LONGEST_WAIT: Duration = Duration::from_secs(120);
/// The longest time until the calls of connections that are gone have ended, with their memory.
const SETTLING: Duration = Duration::from_secs(15);
/// The time between two looks at the server.
pub(crate) const LOOK: Duration = Duration::from_millis(20);

/// A server process. It is killed, with its successors, when this value is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    group: Pid,
    pub(crate) address: SocketAddr,
    folder: TempDir,
    panics: Arc<AtomicU64>,
}

impl Drop for Server {
    fn drop(&mut self) {
        // The processes may have ended.
        let _ = kill_process_group(self.group, Signal::KILL);
    }
}

impl Server {
    /// Starts this program as a server with these flags.
    pub(crate) async fn start(flags: &[String], cold_start: Duration) -> io::Result<Self> {
        let cold_start = cold_start.as_millis().to_string();
        Self::start_with(flags, &[(COLD_START, cold_start)]).await
    }

    /// Starts this program as a server with these flags and variables.
    pub(crate) async fn start_with(
        flags: &[String],
        variables: &[(&str, String)],
    ) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let pid_file = folder.path().join("pid");
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", "--port", "0", "--pid"])
            .arg(&pid_file)
            .arg("--admin")
            .arg(format!("unix:{}", admin(&folder).display()))
            .args(flags)
            .envs(variables.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let group = pid(child.id())?;
        let stderr = child.stderr.take().expect("piped");
        let mut lines = BufReader::new(stderr).lines();
        let mut before = String::new();
        let address = loop {
            let line = lines.next_line().await?;
            let line = line.ok_or_else(|| io::Error::other(format!("no start: {before}")))?;
            if let Some(address) = address(&line) {
                break address;
            }
            before += &line;
        };
        let panics = Arc::new(AtomicU64::new(0));
        let counter = panics.clone();
        // The log is read, so that the pipe does not fill.
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                if line.contains("panicked") {
                    eprintln!("{line}");
                    counter.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Ok(Self {
            child,
            group,
            address,
            folder,
            panics,
        })
    }

    /// Returns the process that serves: the one that was started, or its latest successor.
    pub(crate) fn pid(&self) -> io::Result<u32> {
        let text = fs::read_to_string(self.folder.path().join("pid"))?;
        text.trim().parse().map_err(io::Error::other)
    }

    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(kill_process(pid(Some(self.pid()?))?, signal)?)
    }

    /// Waits until another process than `old` serves.
    pub(crate) async fn succeeded(&self, old: u32) -> io::Result<()> {
        self.until("no successor", || {
            Ok(self.pid().is_ok_and(|pid| pid != old))
        })
        .await
    }

    /// Waits until the server has at most so many open files. Returns how long it took.
    pub(crate) async fn released(&self, files: usize) -> io::Result<Duration> {
        let begun = Instant::now();
        self.until(
            "connections are not released",
            || Ok(self.files()? <= files),
        )
        .await?;
        Ok(begun.elapsed())
    }

    async fn until(&self, failure: &str, is_so: impl Fn() -> io::Result<bool>) -> io::Result<()> {
        let begun = Instant::now();
        while !is_so()? {
            if begun.elapsed() > LONGEST_WAIT {
                return Err(io::Error::other(failure.to_owned()));
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// Returns the resident memory, in octets.
    pub(crate) fn memory(&self) -> io::Result<u64> {
        let status = fs::read_to_string(self.proc()?.join("status"))?;
        resident(&status).ok_or_else(|| io::Error::other("the server has no VmRSS"))
    }

    /// Waits some time for the memory to be at most so many octets. Returns the memory, and
    /// how long it took.
    pub(crate) async fn settled_memory(&self, most: u64) -> io::Result<(u64, Duration)> {
        let begun = Instant::now();
        while self.memory()? > most && begun.elapsed() < SETTLING {
            sleep(LOOK).await;
        }
        Ok((self.memory()?, begun.elapsed()))
    }

    /// Returns the number of open files.
    pub(crate) fn files(&self) -> io::Result<usize> {
        Ok(fs::read_dir(self.proc()?.join("fd"))?.count())
    }

    /// Waits some time for the admin listener to list no connection. Returns the number of those that it lists.
    pub(crate) async fn listed(&self) -> io::Result<u64> {
        let begun = Instant::now();
        loop {
            let listed = self.ask_admin("/connections").await?;
            let listed = listed.matches("\"id\":").count();
            if listed == 0 || begun.elapsed() > SETTLING {
                return Ok(listed as u64);
            }
            sleep(LOOK).await;
        }
    }

    /// Returns the metrics.
    pub(crate) async fn metrics(&self) -> io::Result<String> {
        self.ask_admin("/metrics").await
    }

    async fn ask_admin(&self, path: &str) -> io::Result<String> {
        let stream = UnixStream::connect(admin(&self.folder)).await?;
        let mut connection = Connection::over(stream);
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        connection.send(request.as_bytes()).await?;
        let content = connection.response().await?.content;
        Ok(String::from_utf8_lossy(&content).into_owned())
    }

    /// Returns how often a line of the log told of a panic.
    pub(crate) fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    fn proc(&self) -> io::Result<PathBuf> {
        Ok(PathBuf::from(format!("/proc/{}", self.pid()?)))
    }

    /// Ends the server with SIGTERM. Returns whether it ended in order.
    pub(crate) async fn terminate(mut self) -> io::Result<bool> {
        let serving = self.pid()?;
        self.signal(Signal::TERM)?;
        let process = PathBuf::from(format!("/proc/{serving}"));
        if self.child.id() == Some(serving) {
            let ended = timeout(LONGEST_WAIT, self.child.wait()).await;
            return Ok(ended.is_ok_and(|status| status.is_ok_and(|status| status.success())));
        }
        // A successor is no child of this process, so its status is not known.
        let is_gone = || {
            let stat = fs::read_to_string(process.join("stat")).unwrap_or_default();
            Ok(stat.is_empty() || stat.contains(") Z "))
        };
        Ok(self.until("the server does not end", is_gone).await.is_ok())
    }
}

/// Returns the path of the admin listener.
fn admin(folder: &TempDir) -> PathBuf {
    folder.path().join("admin.sock")
}

/// Returns the resident memory in octets, from the `status` of a process.
pub(crate) fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes: u64 = line?.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1024)
}

pub(crate) fn pid(number: Option<u32>) -> io::Result<Pid> {
    let number = number.and_then(|number| i32::try_from(number).ok());
    number
        .and_then(Pid::from_raw)
        .ok_or_else(|| io::Error::other("no process"))
}

/// Returns the address in a line that has a URL.
fn address(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("://")?;
    rest.split_whitespace().next()?.parse().ok()
}
