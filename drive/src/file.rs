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
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The most bytes that are read from a file at once.
const CHUNK: usize = 64 * 1024;

/// The most bytes that are sent from a file at once.
#[cfg(target_os = "linux")]
const WINDOW: u64 = 256 * 1024;

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
            Ok((file, length)) => Opened::File(FileBody::new(file, length)),
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

/// Opens a regular file without waiting for the disk. Returns `None` when the system does not have the
/// path in memory, or when the file cannot be opened: [`Opening`] then says why.
pub(crate) fn open_cached(path: &Path) -> Option<FileBody> {
    let file = cached::open(path)?;
    let metadata = file.metadata().ok()?;
    (metadata.is_file()).then(|| FileBody::new(file, metadata.len()))
}

/// The content of a response that is in a file, for a transport that sends files by itself.
#[derive(Debug)]
pub struct FileBody {
    file: File,
    length: u64,
    remaining: u64,
    /// The last chunk. Its memory is used again once the transport has dropped its own.
    last: Bytes,
    /// Whether a thread for blocking work reads from the file.
    is_reading: bool,
}

impl FileBody {
    fn new(file: std::fs::File, length: u64) -> Self {
        Self {
            file: File::from_std(file),
            length,
            remaining: length,
            last: Bytes::new(),
            is_reading: false,
        }
    }

    /// Returns the number of bytes still to be sent.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.remaining
    }

    /// Returns whether [`send`](Self::send) sends the next bytes without waiting for the disk. Returns
    /// false where the system does not know.
    #[must_use]
    pub fn is_in_memory(&self) -> bool {
        !self.is_reading
            && cached::is_in_memory(&self.file, self.length - self.remaining, self.remaining)
    }

    /// Sends the next bytes to a socket, without a copy in this process. Returns their number.
    ///
    /// # Errors
    ///
    /// Returns the error of the socket, as `WouldBlock`, and `UnexpectedEof` if the file has become
    /// shorter.
    #[cfg(target_os = "linux")]
    pub fn send(&mut self, socket: impl std::os::fd::AsFd) -> io::Result<usize> {
        let length = usize::try_from(self.remaining.min(WINDOW)).unwrap_or(CHUNK);
        let sent = rustix::fs::sendfile(socket, &self.file, None, length)?;
        if sent == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.remaining -= sent as u64;
        Ok(sent)
    }

    /// Reads the next bytes, or returns `None` at the end. Waits for the disk if they are not in memory.
    ///
    /// # Errors
    ///
    /// Returns the error of the system, and `UnexpectedEof` if the file has become shorter.
    pub fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        if self.remaining == 0 {
            return Poll::Ready(Ok(None));
        }
        let size = usize::try_from(self.remaining).unwrap_or(CHUNK).min(CHUNK);
        let mut chunk = self.take_memory(size);
        let read = self.poll_read(&mut chunk, cx);
        let chunk = chunk.freeze();
        self.last = chunk.clone();
        let length = ready!(read)?;
        if length == 0 {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        self.remaining -= length as u64;
        Poll::Ready(Ok(Some(chunk.slice(..length))))
    }

    /// Returns memory of this size.
    fn take_memory(&mut self, size: usize) -> BytesMut {
        match std::mem::take(&mut self.last).try_into_mut() {
            Ok(mut memory) if memory.len() >= size => {
                memory.truncate(size);
                memory
            }
            _ => BytesMut::zeroed(size),
        }
    }

    /// Reads what the system has in memory, or else has a thread for blocking work read from the disk.
    fn poll_read(&mut self, chunk: &mut [u8], cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if !self.is_reading
            && let Some(length) = cached::read(&self.file, chunk)
        {
            return Poll::Ready(Ok(length));
        }
        let mut buffer = ReadBuf::new(chunk);
        let result = Pin::new(&mut self.file).poll_read(cx, &mut buffer);
        self.is_reading = result.is_pending();
        result.map_ok(|()| buffer.filled().len())
    }
}

/// System calls that fail when they would have to wait for the disk.
#[cfg(target_os = "linux")]
mod cached {
    use std::fs::File;
    use std::io::IoSliceMut;
    use std::os::fd::AsFd;
    use std::path::Path;

    use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
    use rustix::io::{ReadWriteFlags, preadv2};

    use super::WINDOW;

    /// Reads at the position of the file, and moves the position.
    const AT_POSITION: u64 = u64::MAX;

    /// Opens a file whose path is in memory.
    pub(super) fn open(path: &Path) -> Option<File> {
        // A pipe or a device does not hold up an open that is not blocking.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = openat2(CWD, path, flags, Mode::empty(), ResolveFlags::CACHED);
        file.ok().map(File::from)
    }

    /// Returns whether the bytes that are sent next are in memory. The system reads files ahead, so the
    /// last byte stands for all of them.
    pub(super) fn is_in_memory(file: impl AsFd, position: u64, remaining: u64) -> bool {
        let last = position + remaining.min(WINDOW).saturating_sub(1);
        let mut octet = [0];
        let mut buffers = [IoSliceMut::new(&mut octet)];
        preadv2(file, &mut buffers, last, ReadWriteFlags::NOWAIT) == Ok(1)
    }

    /// Reads octets that are in memory. Returns `None` if there are none, or on any error, which a
    /// read that waits then reports.
    pub(super) fn read(file: impl AsFd, buffer: &mut [u8]) -> Option<usize> {
        let mut buffers = [IoSliceMut::new(buffer)];
        preadv2(file, &mut buffers, AT_POSITION, ReadWriteFlags::NOWAIT).ok()
    }
}

/// Other systems do not say whether they would have to wait.
#[cfg(not(target_os = "linux"))]
mod cached {
    use std::fs::File;
    use std::path::Path;

    pub(super) fn open(_: &Path) -> Option<File> {
        None
    }

    pub(super) fn is_in_memory(_: &tokio::fs::File, _: u64, _: u64) -> bool {
        false
    }

    pub(super) fn read(_: &tokio::fs::File, _: &mut [u8]) -> Option<usize> {
        None
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::future::poll_fn;

    use rustix::fs::{Advice, fadvise};

    use super::*;

    /// More than one chunk, so that the reads go on where the one before ended.
    const LENGTH: usize = 3 * CHUNK + 5;

    async fn collected(body: &mut FileBody) -> Vec<u8> {
        let mut content = Vec::new();
        while let Some(chunk) = poll_fn(|cx| body.poll_chunk(cx)).await.unwrap() {
            content.extend_from_slice(&chunk);
        }
        content
    }

    #[tokio::test]
    async fn a_file_is_read_in_order_whether_it_is_in_memory_or_on_the_disk() {
        let content: Vec<u8> = (0..LENGTH).map(|index| (index % 251) as u8).collect();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &content).unwrap();
        let mut body = open_cached(file.path()).unwrap();
        assert_eq!(collected(&mut body).await, content);
        // The system forgets what is on the disk: from the second chunk on, reads have to wait.
        body = open_cached(file.path()).unwrap();
        body.file.sync_all().await.unwrap();
        fadvise(&body.file, CHUNK as u64, None, Advice::DontNeed).unwrap();
        assert_eq!(collected(&mut body).await, content);
    }

    #[tokio::test]
    async fn a_file_that_has_become_shorter_is_an_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), vec![0; LENGTH]).unwrap();
        let mut body = open_cached(file.path()).unwrap();
        file.as_file().set_len(0).unwrap();
        let error = poll_fn(|cx| body.poll_chunk(cx)).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
