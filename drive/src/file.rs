//! Files as content: the path send feature.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use callgate::SendError;
use tokio::fs::File;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::task::JoinHandle;

/// How much of a file is read at once, in bytes.
const CHUNK: usize = 64 * 1024;

/// A file that is being opened, on a thread where that may block.
#[derive(Debug)]
pub(crate) struct Opening {
    path: PathBuf,
    task: JoinHandle<io::Result<(std::fs::File, u64)>>,
}

impl Opening {
    pub(crate) fn new(path: &Path) -> Self {
        let path = path.to_owned();
        let task = tokio::task::spawn_blocking({
            let path = path.clone();
            move || {
                // Asked first, as opening what is no file (a pipe, say) might never return.
                if !std::fs::metadata(&path)?.is_file() {
                    return Err(io::Error::other("not a regular file"));
                }
                let file = std::fs::File::open(&path)?;
                let length = file.metadata()?.len();
                Ok((file, length))
            }
        });
        Self { path, task }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<FileBody, SendError>> {
        let opened =
            ready!(Pin::new(&mut self.task).poll(cx)).unwrap_or_else(|error| Err(error.into()));
        Poll::Ready(match opened {
            Ok((file, length)) => Ok(FileBody {
                file: File::from_std(file),
                remaining: length,
            }),
            Err(reason) => Err(SendError::File {
                path: self.path.clone(),
                reason: Arc::new(reason),
            }),
        })
    }
}

/// An open file and how much of it is still to be sent.
#[derive(Debug)]
pub(crate) struct FileBody {
    file: File,
    remaining: u64,
}

impl FileBody {
    /// Bytes still to be sent.
    pub(crate) fn remaining(&self) -> u64 {
        self.remaining
    }

    /// The next bytes; none when all have been sent. A file that has become shorter is an error.
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
