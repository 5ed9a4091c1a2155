//! Files as content: the path send feature.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use callgate::{PendingSend, SendError};
use tokio::fs::File;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The most bytes that are read from a file at once.
const CHUNK: usize = 64 * 1024;

/// A path send whose file is being opened, on a thread for blocking work.
#[derive(Debug)]
pub(crate) struct Opening {
    path: PathBuf,
    task: JoinHandle<io::Result<(std::fs::File, u64)>>,
    /// Passes the result to the send, which waits for it.
    result: Option<oneshot::Sender<Result<(), SendError>>>,
}

/// The result of an [`Opening`].
#[derive(Debug)]
pub(crate) enum Opened {
    File(FileBody),
    Failed(SendError),
    /// The application has dropped the send.
    Cancelled,
}

impl Opening {
    /// Begins to open the file. Returns the future of the send as well.
    pub(crate) fn new(path: PathBuf) -> (Self, PendingSend) {
        let task = tokio::task::spawn_blocking({
            let path = path.clone();
            move || open(&path)
        });
        let (result, outcome) = oneshot::channel();
        let opening = Self {
            path,
            task,
            result: Some(result),
        };
        let rest = async { outcome.await.unwrap_or(Err(SendError::Disconnected)) };
        (opening, Box::pin(rest))
    }

    /// Polls for the file.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Opened> {
        let result = self.result.as_mut().expect("not finished");
        if result.poll_closed(cx).is_ready() {
            return Poll::Ready(Opened::Cancelled);
        }
        let opened =
            ready!(Pin::new(&mut self.task).poll(cx)).unwrap_or_else(|error| Err(error.into()));
        Poll::Ready(match opened {
            Ok((file, length)) => Opened::File(FileBody {
                file: File::from_std(file),
                remaining: length,
            }),
            Err(reason) => Opened::Failed(SendError::File {
                path: std::mem::take(&mut self.path),
                reason: Arc::new(reason),
            }),
        })
    }

    /// Resolves the send. The caller holds no lock, as this wakes the application.
    pub(crate) fn finish(mut self, result: Result<(), SendError>) {
        if let Some(sender) = self.result.take() {
            // The application may have dropped the send.
            let _ = sender.send(result);
        }
    }
}

/// Opens a regular file, and returns its length in bytes.
fn open(path: &Path) -> io::Result<(std::fs::File, u64)> {
    // Checked before the file is opened: opening a pipe, for example, might never return.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let file = std::fs::File::open(path)?;
    let length = file.metadata()?.len();
    Ok((file, length))
}

/// An open file, of which a part is still to be sent.
#[derive(Debug)]
pub(crate) struct FileBody {
    file: File,
    remaining: u64,
}

impl FileBody {
    /// Returns the number of bytes still to be sent.
    pub(crate) fn remaining(&self) -> u64 {
        self.remaining
    }

    /// Reads the next bytes; `None` at the end. A file that has become shorter is an error.
    pub(crate) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        if self.remaining == 0 {
            return Poll::Ready(Ok(None));
        }
        let size = usize::try_from(self.remaining).unwrap_or(CHUNK).min(CHUNK);
        let mut chunk = BytesMut::zeroed(size);
        let mut buffer = ReadBuf::new(&mut chunk);
        ready!(Pin::new(&mut self.file).poll_read(cx, &mut buffer))?;
        let length = buffer.filled().len();
        if length == 0 {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        self.remaining -= length as u64;
        chunk.truncate(length);
        Poll::Ready(Ok(Some(chunk.freeze())))
    }
}
