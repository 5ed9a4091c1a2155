//! A client of HTTP/1.1.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Stream;

/// A connection.
pub(crate) struct Connection {
    pub(crate) stream: Box<dyn Stream>,
    /// Octets that have been read and not used.
    pub(crate) read: Vec<u8>,
    /// The number of octets that have been read for the last response.
    pub(crate) received: usize,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

/// A whole response.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) content: Vec<u8>,
    pub(crate) is_kept_alive: bool,
}

impl Connection {
    /// Opens a connection in cleartext.
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self::over(stream))
    }

    pub(crate) fn over(stream: impl Stream + 'static) -> Self {
        Self {
            stream: Box::new(stream),
            read: Vec::new(),
            received: 0,
        }
    }

    /// Sends these octets.
    pub(crate) async fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        self.received = 0;
        self.stream.write_all(octets).await?;
        self.stream.flush().await
    }

    /// Reads more octets.
    pub(crate) async fn more(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.read).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            length => {
                self.received += length;
                Ok(())
            }
        }
    }

    /// Takes the octets up to and with `end`.
    pub(crate) async fn until(&mut self, end: &[u8]) -> io::Result<Vec<u8>> {
        loop {
            let mut windows = self.read.windows(end.len());
            if let Some(at) = windows.position(|window| window == end) {
                return Ok(self.read.drain(..at + end.len()).collect());
            }
            self.more().await?;
        }
    }

    /// Takes so many octets.
    pub(crate) async fn octets(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.read.len() < length {
            self.more().await?;
        }
        Ok(self.read.drain(..length).collect())
    }

    /// Reads a whole response.
    pub(crate) async fn response(&mut self) -> io::Result<Response> {
        let head = self.until(b"\r\n\r\n").await?;
        let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
        let status = head.get(9..12).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other("no status"))?;
        let mut content = Vec::new();
        if let Some((_, rest)) = head.split_once("\r\ncontent-length: ") {
            let length = rest.split("\r\n").next().and_then(|text| text.parse().ok());
            let length = length.ok_or_else(|| io::Error::other("no length"))?;
            content = self.octets(length).await?;
        } else if head.contains("\r\ntransfer-encoding: chunked\r\n") {
            loop {
                let size = self.until(b"\r\n").await?;
                let size = String::from_utf8_lossy(&size);
                let size = usize::from_str_radix(size.trim(), 16).map_err(io::Error::other)?;
                let chunk = self.octets(size + 2).await?;
                if size == 0 {
                    break;
                }
                content.extend_from_slice(&chunk[..size]);
            }
        }
        Ok(Response {
            status,
            content,
            is_kept_alive: !head.contains("\r\nconnection: close\r\n"),
        })
    }
}
