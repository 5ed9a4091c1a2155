//! A client of HTTP/1 that sends exactly what it is told.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::within;

/// A connection over which a test sends bytes of its choice.
pub(crate) struct Client<S = TcpStream> {
    pub(crate) stream: S,
    /// What has been read and not been looked at.
    read: Vec<u8>,
}

impl Client {
    /// Whether bytes have come that no read has returned.
    pub(crate) fn has_input(&mut self) -> bool {
        let mut byte = [0];
        !self.read.is_empty()
            || match self.stream.try_read(&mut byte) {
                Ok(length) => {
                    self.read.extend_from_slice(&byte[..length]);
                    true
                }
                Err(error) => error.kind() != io::ErrorKind::WouldBlock,
            }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(crate) fn over(stream: S) -> Self {
        Self {
            stream,
            read: Vec::new(),
        }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        within(self.stream.write_all(bytes.as_ref())).await.unwrap();
    }

    /// Closes the sending side.
    pub(crate) async fn half_close(&mut self) {
        within(self.stream.shutdown()).await.unwrap();
    }

    /// Reads more. False at the end of the connection, clean or not.
    async fn more(&mut self) -> bool {
        match within(self.stream.read_buf(&mut self.read)).await {
            Ok(length) => length > 0,
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => false,
            Err(error) => panic!("cannot read: {error}"),
        }
    }

    /// Reads up to and with this text.
    pub(crate) async fn until(&mut self, end: &str) -> String {
        loop {
            if let Some(at) = find(&self.read, end.as_bytes()) {
                return text(self.read.drain(..at + end.len()).collect());
            }
            assert!(
                self.more().await,
                "no {end:?} in {:?}",
                String::from_utf8_lossy(&self.read)
            );
        }
    }

    /// Reads exactly this many bytes.
    pub(crate) async fn bytes(&mut self, length: usize) -> Vec<u8> {
        while self.read.len() < length {
            assert!(self.more().await, "the connection ended");
        }
        self.read.drain(..length).collect()
    }

    /// Reads until the server closes the connection.
    pub(crate) async fn rest(&mut self) -> String {
        text(self.rest_octets().await)
    }

    /// Reads until the server closes the connection, octets that are no text too.
    pub(crate) async fn rest_octets(&mut self) -> Vec<u8> {
        while self.more().await {}
        std::mem::take(&mut self.read)
    }

    /// Reads the head of a response, interim or final.
    pub(crate) async fn head(&mut self) -> Response {
        let head = self.until("\r\n\r\n").await;
        let mut lines = head.trim_end().split("\r\n");
        let status_line = lines.next().unwrap().to_owned();
        let fields = lines.map(|line| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_ascii_lowercase(), value.to_owned())
        });
        Response {
            status: status_line[9..12].parse().unwrap(),
            fields: fields.collect(),
            body: String::new(),
            trailers: String::new(),
        }
    }

    /// Reads a whole response to a request that was not HEAD.
    pub(crate) async fn response(&mut self) -> Response {
        let mut response = self.head().await;
        if let Some(length) = response.field("content-length") {
            let length = length.parse().unwrap();
            response.body = text(self.bytes(length).await);
        } else if response.field("transfer-encoding") == Some("chunked") {
            while let Some(chunk) = self.chunk().await {
                response.body.push_str(&chunk);
            }
            loop {
                match self.until("\r\n").await.as_str() {
                    "\r\n" => break,
                    field => response.trailers.push_str(field),
                }
            }
        } else if ![204, 304].contains(&response.status) {
            response.body = self.rest().await;
        }
        response
    }

    /// Reads one chunk of a chunked content; none for the last.
    pub(crate) async fn chunk(&mut self) -> Option<String> {
        let size = self.until("\r\n").await;
        let size = usize::from_str_radix(size.trim_end(), 16).unwrap();
        if size == 0 {
            return None;
        }
        let chunk = text(self.bytes(size).await);
        assert_eq!(self.bytes(2).await, b"\r\n");
        Some(chunk)
    }
}

/// A response as it came over the wire.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: String,
    /// The trailer fields as they came.
    pub(crate) trailers: String,
}

impl Response {
    /// The first field of this name.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    /// All fields of this name.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let fields = self.fields.iter();
        fields
            .filter(|field| field.0 == name)
            .map(|field| field.1.as_str())
            .collect()
    }
}

pub(crate) fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}
