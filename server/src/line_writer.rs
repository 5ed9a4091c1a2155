//! Writes the lines of a log on a thread of its own, so that a slow reader of the log delays nobody.
//!
//! Lines are collected in a buffer with a bound. The thread writes what has been collected in one write. A
//! line for which there is no room is lost, and counted; the server log reports how many lines were lost as
//! soon as the thread has written again.

use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How much is collected while the thread writes, in octets.
const BUFFER: usize = 1024 * 1024;

/// The lines of all logs that were lost.
static LOST: AtomicU64 = AtomicU64::new(0);

/// Returns how many lines of all logs of the process were lost.
#[cfg(any(test, feature = "metrics"))]
pub(crate) fn lost_lines() -> u64 {
    LOST.load(Ordering::Relaxed)
}

/// The end of a log to which lines are handed. The thread ends after the last clone is dropped.
#[derive(Clone)]
pub(crate) struct LineWriter(Arc<Handle>);

/// Closes the log when it is dropped.
struct Handle(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Notified when there is something to do for the thread.
    work: Condvar,
    /// Notified when the thread has nothing left to write.
    written: Condvar,
}

#[derive(Default)]
struct State {
    lines: Vec<u8>,
    /// The lines that were lost since the last report.
    lost: u64,
    /// The output from the next write on.
    next_output: Option<Box<dyn Write + Send>>,
    is_writing: bool,
    is_closed: bool,
    /// How long each line is waited for; `None` while the process goes on.
    patience: Option<Duration>,
}

impl LineWriter {
    /// Starts the thread that writes to `output`. `name` is that of the log, for the report of lines that
    /// were lost.
    pub(crate) fn start(
        name: &'static str,
        output: impl Write + Send + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            work: Condvar::new(),
            written: Condvar::new(),
        });
        let of_thread = shared.clone();
        let thread = thread::Builder::new().name("callgate-log".into());
        thread.spawn(move || run(name, &of_thread, Box::new(output)))?;
        Ok(Self(Arc::new(Handle(shared))))
    }

    /// Hands over a line, which ends with a line end. Does not wait for the thread to write, except at the
    /// end of the process.
    pub(crate) fn write_line(&self, line: &[u8]) {
        let mut state = self.0.0.lock();
        if state.lines.len() + line.len() > BUFFER {
            state.lost += 1;
            LOST.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let is_idle = state.lines.is_empty();
        state.lines.extend_from_slice(line);
        let patience = state.patience;
        drop(state);
        if is_idle {
            self.0.0.work.notify_one();
        }
        if let Some(limit) = patience {
            self.flush_at_end(limit);
        }
    }

    /// Waits until all lines have been written, for at most `limit`, and so for each line that follows:
    /// the process may end at any time. After a wait that was too short, no line is waited for.
    pub(crate) fn flush_at_end(&self, limit: Duration) {
        let patience = self.flush(limit).then_some(limit);
        self.0.0.lock().patience = patience;
    }

    /// Writes the lines that follow to another output.
    pub(crate) fn reopen(&self, output: impl Write + Send + 'static) {
        let mut state = self.0.0.lock();
        state.next_output = Some(Box::new(output));
        drop(state);
        self.0.0.work.notify_one();
    }

    /// Waits until all lines have been written, for at most `limit`. Returns whether they have.
    pub(crate) fn flush(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let shared = &self.0.0;
        let mut state = shared.lock();
        while state.is_writing || !state.lines.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = shared.written.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for lines, another output, or the end.
    fn wait(&self) -> MutexGuard<'_, State> {
        let waited = self.work.wait_while(self.lock(), |state| {
            state.lines.is_empty() && state.next_output.is_none() && !state.is_closed
        });
        waited.unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes lines until the log is closed and all of them have been written.
fn run(name: &str, shared: &Shared, mut output: Box<dyn Write + Send>) {
    let mut lines = Vec::new();
    loop {
        let mut state = shared.wait();
        if let Some(next) = state.next_output.take() {
            output = next;
        }
        if state.lines.is_empty() {
            shared.written.notify_all();
            if state.is_closed {
                return;
            }
            continue;
        }
        std::mem::swap(&mut lines, &mut state.lines);
        state.is_writing = true;
        drop(state);
        let written = output.write_all(&lines).and_then(|()| output.flush());
        let unwritten = match written {
            Ok(()) => 0,
            Err(_) => lines.iter().filter(|octet| **octet == b'\n').count() as u64,
        };
        lines.clear();
        LOST.fetch_add(unwritten, Ordering::Relaxed);
        let mut state = shared.lock();
        state.is_writing = false;
        state.lost += unwritten;
        // A report about an output that fails would be lost as well, and be followed by the next.
        let lost = match written {
            Ok(()) => std::mem::take(&mut state.lost),
            Err(_) => 0,
        };
        if state.lines.is_empty() {
            shared.written.notify_all();
        }
        drop(state);
        if lost > 0 {
            tracing::warn!("{lost} lines of {name} were lost: it is written too slowly");
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.lock().is_closed = true;
        self.0.work.notify_one();
    }
}

impl fmt::Debug for LineWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LineWriter").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Passes each write on, and waits for the permission of the test before it ends.
    struct Gated {
        written: mpsc::Sender<Vec<u8>>,
        permission: mpsc::Receiver<io::Result<()>>,
    }

    impl Write for Gated {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.written.send(octets.to_vec()).unwrap();
            self.permission.recv().unwrap().map(|()| octets.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn gated() -> (
        LineWriter,
        mpsc::Receiver<Vec<u8>>,
        mpsc::Sender<io::Result<()>>,
    ) {
        let (written, is_written) = mpsc::channel();
        let (permit, permission) = mpsc::channel();
        let output = Gated {
            written,
            permission,
        };
        let writer = LineWriter::start("the log", output).unwrap();
        (writer, is_written, permit)
    }

    #[test]
    fn lines_without_room_are_lost_and_counted_and_the_others_are_written_in_their_order() {
        let (writer, written, permit) = gated();
        let before = lost_lines();
        writer.write_line(b"first\n");
        assert_eq!(written.recv().unwrap(), b"first\n");
        let line = [b"x".repeat(BUFFER / 4 - 1), b"\n".to_vec()].concat();
        for _ in 0..7 {
            writer.write_line(&line);
        }
        assert!(lost_lines() >= before + 3);
        permit.send(Ok(())).unwrap();
        assert_eq!(written.recv().unwrap(), line.repeat(4));
        permit.send(Ok(())).unwrap();
        writer.flush(Duration::from_secs(30));
        writer.write_line(b"last\n");
        drop(writer);
        assert_eq!(written.recv().unwrap(), b"last\n");
    }

    #[test]
    fn at_the_end_of_the_process_each_line_is_waited_for() {
        let (writer, written, permit) = gated();
        writer.flush_at_end(Duration::from_secs(30));
        permit.send(Ok(())).unwrap();
        writer.write_line(b"last\n");
        assert_eq!(written.try_recv().unwrap(), b"last\n");
        // Nobody takes this line, and no line after it is waited for.
        writer.flush_at_end(Duration::from_millis(1));
        writer.write_line(b"not taken\n");
        writer.0.0.lock().patience.ok_or(()).unwrap_err();
    }

    #[test]
    fn a_flush_waits_for_an_output_that_does_not_take_the_lines_for_its_limit_only() {
        let (writer, written, permit) = gated();
        writer.write_line(b"line\n");
        written.recv().unwrap();
        let limit = Duration::from_millis(20);
        let start = Instant::now();
        writer.flush(limit);
        assert!(start.elapsed() >= limit);
        permit.send(Ok(())).unwrap();
        writer.flush(Duration::from_secs(30));
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted_and_the_next_ones_are_written() {
        let (writer, written, permit) = gated();
        let before = lost_lines();
        writer.write_line(b"one\ntwo\n");
        written.recv().unwrap();
        permit.send(Err(io::ErrorKind::StorageFull.into())).unwrap();
        writer.flush(Duration::from_secs(30));
        assert!(lost_lines() >= before + 2);
        writer.write_line(b"three\n");
        assert_eq!(written.recv().unwrap(), b"three\n");
        permit.send(Ok(())).unwrap();
    }
}
