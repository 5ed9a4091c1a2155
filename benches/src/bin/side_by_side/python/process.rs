//! A server with its worker processes.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// The longest time until a server listens.
const START: Duration = Duration::from_secs(20);
/// How long a server that was asked to end is waited for.
const END: Duration = Duration::from_secs(5);
/// The pause between two looks at a server.
const PAUSE: Duration = Duration::from_millis(10);
/// The longest time until a server that has started is idle.
const SETTLING: Duration = Duration::from_secs(10);
/// Workers that start take more than a tick in this time.
const REST: Duration = Duration::from_millis(300);
/// Linux shows times in hundredths of a second, whatever its clock.
const TICK: Duration = Duration::from_millis(10);

/// A server and its descendants, which are ended when this value is dropped.
#[derive(Debug)]
pub(super) struct Processes {
    child: Child,
    address: SocketAddr,
}

impl Processes {
    /// Starts a command, and waits until it listens at the address. What it writes goes to the file of the log.
    pub(super) fn start(mut command: Command, address: SocketAddr, log: &Path) -> io::Result<Self> {
        let output = File::create(log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()?;
        let mut processes = Self { child, address };
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            if processes.child.try_wait()?.is_some() {
                return Err(io::Error::other("it ended before it listened"));
            }
            if begun.elapsed() > START {
                return Err(io::Error::other("it does not listen"));
            }
            thread::sleep(PAUSE);
        }
        Ok(processes)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until all processes rest: workers may start after the first one serves.
    pub(super) fn settle(&self) -> io::Result<()> {
        let begun = Instant::now();
        let mut before = self.cpu_time()?;
        while begun.elapsed() < SETTLING {
            thread::sleep(REST);
            let now = self.cpu_time()?;
            if now.saturating_sub(before) <= TICK {
                break;
            }
            before = now;
        }
        Ok(())
    }

    /// Returns the processor time that all processes have taken, in user space and in the kernel.
    pub(super) fn cpu_time(&self) -> io::Result<Duration> {
        let times = self.all().into_iter().map(|process| {
            let fields = fields(process)?;
            let tick = |at: usize| fields.get(at).and_then(|field| field.parse::<u32>().ok());
            // `utime` and `stime` of proc(5), whose third field is the first here.
            Some(TICK * (tick(11)? + tick(12)?))
        });
        times
            .sum::<Option<_>>()
            .ok_or_else(|| io::Error::other("a process of the server has ended"))
    }

    /// Returns the memory of all processes, in bytes. A page that several of them have is counted once.
    pub(super) fn memory(&self) -> io::Result<u64> {
        let sizes = self.all().into_iter().map(|process| {
            let text = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).ok()?;
            let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
            let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
            Some(kilobytes * 1024)
        });
        sizes
            .sum::<Option<_>>()
            .ok_or_else(|| io::Error::other("the memory of the server is not to be seen"))
    }

    /// Returns the last line that the server has written.
    pub(super) fn last_words(log: &Path) -> String {
        let text = fs::read_to_string(log).unwrap_or_default();
        let last = text.lines().rfind(|line| !line.trim().is_empty());
        last.unwrap_or_default().trim().to_owned()
    }

    /// Returns the identifiers of the server and of its descendants.
    fn all(&self) -> Vec<u32> {
        let mut all = vec![self.child.id()];
        let mut seen = 0;
        while let Some(&process) = all.get(seen) {
            all.extend(children(process));
            seen += 1;
        }
        all
    }

    fn end(&mut self) -> io::Result<()> {
        let workers: Vec<_> = self.all()[1..]
            .iter()
            .map(|&worker| (worker, begin(worker)))
            .collect();
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let begun = Instant::now();
        while self.child.try_wait()?.is_none() && begun.elapsed() < END {
            thread::sleep(PAUSE);
        }
        // It may have ended by itself, as its workers may.
        let _ = self.child.kill();
        self.child.wait()?;
        for (worker, begun) in workers {
            let is_alive = begun.is_some() && begin(worker) == begun;
            let id = i32::try_from(worker).ok().and_then(Pid::from_raw);
            if let (true, Some(id)) = (is_alive, id) {
                let _ = kill_process(id, Signal::KILL);
            }
        }
        Ok(())
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            eprintln!("a server was not ended: {error}");
        }
    }
}

/// Returns an address that nothing listens at.
pub(super) fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// Returns the processes that the threads of a process have started.
fn children(process: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{process}/task"));
    let threads = threads.into_iter().flatten().filter_map(Result::ok);
    let children =
        threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let children: String = children.collect();
    let children = children.split_whitespace();
    children.filter_map(|child| child.parse().ok()).collect()
}

/// Returns the fields of `/proc/PID/stat` after the name of the program, which may have blanks inside.
fn fields(process: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}

/// Returns when a process has begun, which tells it from a later one with the same identifier.
fn begin(process: u32) -> Option<String> {
    fields(process)?.into_iter().nth(19)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A shell with a child that does not end at SIGTERM. Nothing listens, so `start` is not used.
    fn shell(script: &str) -> Processes {
        let child = Command::new("sh").args(["-c", script]).spawn();
        Processes {
            child: child.unwrap(),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        }
    }

    fn wait_for(mut is_so: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            assert!(begun.elapsed() < START, "waited in vain");
            thread::sleep(PAUSE);
        }
    }

    #[test]
    fn workers_are_counted_and_ended() {
        let script =
            "sh -c 'trap \"\" TERM; i=0; while [ $i -lt 99999999 ]; do i=$((i+1)); done' & wait";
        let processes = shell(script);
        wait_for(|| processes.all().len() == 2);
        let worker = processes.all()[1];
        // The shell itself waits: the time is that of the worker.
        wait_for(|| processes.cpu_time().unwrap() > 5 * TICK);
        assert!(processes.memory().unwrap() > 0);
        drop(processes);
        wait_for(|| begin(worker).is_none_or(|_| fields(worker).unwrap()[0] == "Z"));
    }
}
