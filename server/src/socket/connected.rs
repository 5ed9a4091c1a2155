//! The streams of the runtime, whole or in halves.

use std::io;

use tokio::net::{TcpStream, tcp};
#[cfg(unix)]
use tokio::net::{UnixStream, unix};

/// A stream, by reference.
pub(super) enum Connected<'a> {
    Tcp(&'a TcpStream),
    #[cfg(unix)]
    Unix(&'a UnixStream),
}

impl Connected<'_> {
    pub(super) fn try_write(&self, octets: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_write(octets),
            #[cfg(unix)]
            Self::Unix(stream) => stream.try_write(octets),
        }
    }

    pub(super) async fn writable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.writable().await,
            #[cfg(unix)]
            Self::Unix(stream) => stream.writable().await,
        }
    }
}

/// The receiving side of a stream.
#[derive(Debug)]
pub(super) enum ReadHalf {
    Tcp(tcp::OwnedReadHalf),
    #[cfg(unix)]
    Unix(unix::OwnedReadHalf),
}

impl ReadHalf {
    pub(super) fn connected(&self) -> Connected<'_> {
        match self {
            Self::Tcp(half) => Connected::Tcp(half.as_ref()),
            #[cfg(unix)]
            Self::Unix(half) => Connected::Unix(half.as_ref()),
        }
    }
}

/// The sending side of a stream.
#[derive(Debug)]
pub(super) enum WriteHalf {
    Tcp(tcp::OwnedWriteHalf),
    #[cfg(unix)]
    Unix(unix::OwnedWriteHalf),
}

impl WriteHalf {
    pub(super) fn connected(&self) -> Connected<'_> {
        match self {
            Self::Tcp(half) => Connected::Tcp(half.as_ref()),
            #[cfg(unix)]
            Self::Unix(half) => Connected::Unix(half.as_ref()),
        }
    }

    /// Drops the half without the end of the output that a drop announces otherwise.
    pub(super) fn forget(self) {
        match self {
            Self::Tcp(half) => half.forget(),
            #[cfg(unix)]
            Self::Unix(half) => half.forget(),
        }
    }
}
