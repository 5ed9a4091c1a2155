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

use crate::report;

/// The most bytes that are read from a file at once.
const CHUNK: usize = 64 * 1024;

/// The most bytes that are sent from a file at once.
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
            Ok((file, length)) => {
                Opened::File(FileBody::new(std::mem::take(&mut self.path), file, length))
            }
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
    let not_regular = || io::Error::other("not a regular file");
    // Checked before the file is opened, because opening a device can have effects.
    if !std::fs::metadata(path)?.is_file() {
        return Err(not_regular());
    }
    let mut options = std::fs::OpenOptions::new();
    options.read(true);
    // Opening a pipe that has taken the place of the file since then would wait for its writer.
    #[cfg(target_os = "linux")]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        &mut options,
        rustix::fs::OFlags::NONBLOCK.bits().cast_signed(),
    );
    let file = options.open(path)?;
    let metadata = file.metadata()?;
    match metadata.is_file() {
        true => Ok((file, metadata.len())),
        false => Err(not_regular()),
    }
}

/// Opens a regular file if the system has its path in memory. Fails with the path otherwise, and when
/// the file cannot be opened: [`Opening`] then says why.
pub(crate) fn open_cached(path: PathBuf) -> Result<FileBody, PathBuf> {
    let file = cached::open(&path);
    let length = file.as_ref().and_then(|file| {
        let metadata = file.metadata().ok()?;
        metadata.is_file().then_some(metadata.len())
    });
    match file.zip(length) {
        Some((file, length)) => Ok(FileBody::new(path, file, length)),
        None => Err(path),
    }
}

/// The content of a response that is in a file, for a transport that sends files by itself: it sends
/// what [`can_send`](Self::can_send) allows, and reads the rest.
#[derive(Debug)]
pub struct FileBody {
    path: PathBuf,
    file: File,
    position: u64,
    length: u64,
    /// The last chunk. Its memory is used again once the transport has dropped its own.
    last: Bytes,
    /// Whether a thread for blocking work reads from the file.
    is_reading: bool,
    /// Up to this position, the bytes are likely to be in memory.
    cached_until: u64,
    /// Up to this position, the bytes are read by a thread. To ask whether they are in memory makes the
    /// system read the byte that was asked for, so that a second answer would be wrong.
    uncached_until: u64,
}

impl FileBody {
    fn new(path: PathBuf, file: std::fs::File, length: u64) -> Self {
        Self {
            path,
            file: File::from_std(file),
            position: 0,
            length,
            last: Bytes::new(),
            is_reading: false,
            cached_until: 0,
            uncached_until: 0,
        }
    }

    /// Returns the number of bytes still to be sent.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.length - self.position
    }

    /// Returns whether [`send`](Self::send) may send the next bytes: they are likely to be in memory, so
    /// that the socket does not wait for the disk. Returns false where the system does not know.
    pub fn can_send(&mut self) -> bool {
        if self.is_reading || self.position < self.uncached_until {
            return false;
        }
        if self.position < self.cached_until {
            return true;
        }
        let end = self.length.min(self.position + WINDOW);
        // The system reads files ahead and forgets the oldest parts first, so that the first byte and the
        // last stand for those between them.
        let is_cached = end > self.position
            && cached::has(&self.file, self.position)
            && cached::has(&self.file, end - 1);
        match is_cached {
            true => self.cached_until = end,
            false => self.uncached_until = end,
        }
        is_cached
    }

    /// Sends the next bytes to a socket, without a copy in this process. Returns their number, which is 0
    /// unless [`can_send`](Self::can_send) has just returned true.
    ///
    /// The system raises SIGPIPE when the peer is gone. Programs of Rust ignore the signal, unless they
    /// have set it otherwise.
    ///
    /// # Errors
    ///
    /// Returns the error of the socket, as `WouldBlock`, and `UnexpectedEof` if the file has become
    /// shorter.
    #[cfg(target_os = "linux")]
    pub fn send(&mut self, socket: impl std::os::fd::AsFd) -> io::Result<usize> {
        let cached = self.cached_until.saturating_sub(self.position);
        let Ok(length @ 1..) = usize::try_from(cached) else {
            return Ok(0);
        };
        match rustix::fs::sendfile(socket, &self.file, None, length)? {
            0 => Err(self.is_shorter()),
            sent => {
                self.position += sent as u64;
                Ok(sent)
            }
        }
    }

    /// Reads the next bytes, or returns `None` at the end. Waits for the disk if they are not in memory.
    ///
    /// # Errors
    ///
    /// Returns the error of the system, which is logged, and `UnexpectedEof` if the file has become
    /// shorter.
    pub fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        if self.remaining() == 0 {
            return Poll::Ready(Ok(None));
        }
        let size = usize::try_from(self.remaining())
            .unwrap_or(CHUNK)
            .min(CHUNK);
        let mut chunk = self.take_memory(size);
        let read = self.poll_read(&mut chunk, cx);
        let chunk = chunk.freeze();
        self.last = chunk.clone();
        let length = match ready!(read) {
            Ok(0) => return Poll::Ready(Err(self.is_shorter())),
            Ok(length) => length,
            Err(error) => {
                report::file_failed(&self.path, &error);
                return Poll::Ready(Err(error));
            }
        };
        self.position += length as u64;
        Poll::Ready(Ok(Some(chunk.slice(..length))))
    }

    #[cold]
    fn is_shorter(&self) -> io::Error {
        let error = io::Error::new(io::ErrorKind::UnexpectedEof, "the file has become shorter");
        report::file_failed(&self.path, &error);
        error
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
            && self.position >= self.uncached_until
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

/// System calls that fail when they would have to wait for a local disk. A network file system may still
/// ask its server.
#[cfg(target_os = "linux")]
mod cached {
    use std::fs::File;
    use std::io::IoSliceMut;
    use std::os::fd::AsFd;
    use std::path::Path;

    use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
    use rustix::io::{ReadWriteFlags, preadv2};

    /// Reads at the position of the file, and moves the position.
    const AT_POSITION: u64 = u64::MAX;

    /// Opens a file whose path is in memory.
    pub(super) fn open(path: &Path) -> Option<File> {
        // A pipe or a device does not hold up an open that is not blocking.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = openat2(CWD, path, flags, Mode::empty(), ResolveFlags::CACHED);
        file.ok().map(File::from)
    }

    /// Returns whether the byte at this position is in memory. File systems that cannot tell, as tmpfs,
    /// say no.
    pub(super) fn has(file: impl AsFd, position: u64) -> bool {
        let mut octet = [0];
        let mut buffers = [IoSliceMut::new(&mut octet)];
        preadv2(file, &mut buffers, position, ReadWriteFlags::NOWAIT) == Ok(1)
    }

    /// Reads bytes that are in memory. Returns `None` if there are none, or on any error, which a read
    /// that waits then reports.
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

    pub(super) fn has(_: &tokio::fs::File, _: u64) -> bool {
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
        let mut body = open_cached(file.path().to_owned()).unwrap();
        assert_eq!(collected(&mut body).await, content);
        // The system forgets what is on the disk: from the second chunk on, reads have to wait.
        body = open_cached(file.path().to_owned()).unwrap();
        body.file.sync_all().await.unwrap();
        fadvise(&body.file, CHUNK as u64, None, Advice::DontNeed).unwrap();
        assert_eq!(collected(&mut body).await, content);
    }

    #[tokio::test]
    async fn a_file_that_has_become_shorter_is_an_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), vec![0; LENGTH]).unwrap();
        let mut body = open_cached(file.path().to_owned()).unwrap();
        file.as_file().set_len(0).unwrap();
        let error = poll_fn(|cx| body.poll_chunk(cx)).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn a_part_that_is_not_in_memory_is_read_before_more_is_sent() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), vec![0; LENGTH]).unwrap();
        file.as_file().sync_all().unwrap();
        fadvise(file.as_file(), 0, None, Advice::DontNeed).unwrap();
        let mut body = open_cached(file.path().to_owned()).unwrap();
        if body.can_send() {
            // The file system keeps all files in memory.
            return;
        }
        // The question has made the system read the bytes that were asked for.
        while !cached::has(&body.file, 0) || !cached::has(&body.file, LENGTH as u64 - 1) {
            tokio::task::yield_now().await;
        }
        assert!(!body.can_send());
        assert_eq!(collected(&mut body).await.len(), LENGTH);
    }

    #[tokio::test]
    async fn a_file_in_memory_is_sent_to_a_socket_as_far_as_it_was_found() {
        let content: Vec<u8> = (0..LENGTH).map(|index| (index % 251) as u8).collect();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &content).unwrap();
        let mut body = open_cached(file.path().to_owned()).unwrap();
        let (sender, mut receiver) = std::os::unix::net::UnixStream::pair().unwrap();
        assert_eq!(body.send(&sender).unwrap(), 0);
        if !body.can_send() {
            // The file system cannot tell what is in memory.
            return;
        }
        let receiving = std::thread::spawn(move || {
            let mut received = Vec::new();
            io::Read::read_to_end(&mut receiver, &mut received).map(|_| received)
        });
        while body.can_send() {
            assert_ne!(body.send(&sender).unwrap(), 0);
        }
        assert_eq!((body.remaining(), body.send(&sender).unwrap()), (0, 0));
        drop(sender);
        assert_eq!(receiving.join().unwrap().unwrap(), content);
    }
}
