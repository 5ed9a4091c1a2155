//! Requests over HTTP/1.1.

use std::convert::Infallible;
use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::websocket::frame_length;
use super::{Progress, connect, unexpected};
use crate::work::HELLO;

/// The first bytes of each response.
const OK: &[u8] = b"HTTP/1.1 200 ";
/// The last bytes of a response in chunks. No content of the measurements has a CR.
const LAST_CHUNK: &[u8] = b"\r\n0\r\n\r\n";
/// The most bytes that are read at once.
const BUFFER: usize = 256 * 1024;

/// Returns a request with this many bytes of content.
pub(super) fn request(path: &str, content: usize) -> Bytes {
    let method = if content == 0 { "GET" } else { "POST" };
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n");
    if content > 0 {
        request += &format!("content-length: {content}\r\n");
    }
    request += "\r\n";
    request += &"x".repeat(content);
    request.into()
}

/// Where an answer ends.
#[derive(Clone, Copy, Debug)]
enum End {
    /// After this many bytes.
    Length(usize),
    /// After these bytes.
    Bytes(&'static [u8]),
    /// With a WebSocket frame.
    Frame,
}

/// An answer that is the same each time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    /// The first bytes.
    begin: &'static [u8],
    end: End,
}

impl Answer {
    /// An answer that is one WebSocket frame.
    pub(super) const FRAME: Self = Self {
        begin: b"",
        end: End::Frame,
    };
}

/// Sends a request again and again.
pub(super) async fn repeat(
    address: SocketAddr,
    request: Bytes,
    response: usize,
    pipelined: usize,
    progress: Progress,
) -> io::Result<Infallible> {
    let mut stream = connect(address).await?;
    let answer = first(&mut stream, &request, response).await?;
    repeat_on(&mut stream, &request, answer, pipelined, &progress).await
}

/// Sends what has this answer again and again, this many at once.
pub(super) async fn repeat_on(
    stream: &mut TcpStream,
    request: &[u8],
    answer: Answer,
    pipelined: usize,
    progress: &Progress,
) -> io::Result<Infallible> {
    let requests = request.repeat(pipelined);
    let mut buffer = match answer.end {
        End::Length(length) => vec![0; (length * pipelined + 1).min(BUFFER)],
        End::Bytes(_) | End::Frame => vec![0; BUFFER],
    };
    progress.all_ready().await;
    loop {
        let (mut reader, mut writer) = stream.split();
        // A server that echoes may wait until its client reads, so both go on together.
        tokio::try_join!(
            writer.write_all(&requests),
            read(&mut reader, answer, pipelined, &mut buffer)
        )?;
        progress.add(pipelined);
    }
}

/// Reads this many answers.
async fn read(
    reader: &mut tokio::net::tcp::ReadHalf<'_>,
    answer: Answer,
    count: usize,
    buffer: &mut [u8],
) -> io::Result<()> {
    let mut filled = 0;
    let mut total = 0;
    loop {
        let read = reader.read(&mut buffer[filled..]).await?;
        let arrived = &buffer[..filled + read];
        if read == 0 || (total == 0 && !arrived.starts_with(answer.begin)) {
            return Err(unexpected("not the expected answer", arrived));
        }
        total += read;
        match answer.end {
            End::Length(length) if total == length * count => return Ok(()),
            End::Length(length) if total > length * count => {
                return Err(unexpected("more than the expected answer", arrived));
            }
            // The bytes that were read are not needed.
            End::Length(_) => {}
            End::Bytes(end) if arrived.ends_with(end) => return Ok(()),
            End::Frame if frame_length(arrived) == Some(arrived.len()) => return Ok(()),
            End::Bytes(_) | End::Frame => filled = arrived.len(),
        }
    }
}

/// Sends a request, and returns its answer, whose content must have `response` bytes.
async fn first(stream: &mut TcpStream, request: &[u8], response: usize) -> io::Result<Answer> {
    let (mut reader, mut writer) = stream.split();
    let read = async {
        let mut buffer = vec![0; BUFFER];
        let mut filled = 0;
        let head = loop {
            let read = reader.read(&mut buffer[filled..]).await?;
            filled += read;
            let arrived = &buffer[..filled];
            if let Some(end) = arrived.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            if read == 0 {
                return Err(unexpected("no response", arrived));
            }
        };
        let text = String::from_utf8_lossy(&buffer[..head]).to_ascii_lowercase();
        if !buffer.starts_with(OK) {
            return Err(unexpected("not the expected response", &buffer[..head]));
        }
        if text.contains("\r\ntransfer-encoding: chunked\r\n") {
            while !buffer[..filled].ends_with(LAST_CHUNK) {
                match reader.read(&mut buffer[filled..]).await? {
                    0 => return Err(unexpected("not all of the response", &buffer[..head])),
                    read => filled += read,
                }
            }
            let content = buffer[head..filled].iter().filter(|&&byte| byte == b'x');
            if content.count() != response {
                return Err(unexpected("not the expected content", &buffer[..head]));
            }
            return Ok(Answer {
                begin: OK,
                end: End::Bytes(LAST_CHUNK),
            });
        }
        if !text.contains(&format!("\r\ncontent-length: {response}\r\n")) {
            return Err(unexpected("not the expected length", &buffer[..head]));
        }
        let mut left = head + response - filled;
        while left > 0 {
            match reader.read(&mut buffer).await? {
                0 => return Err(unexpected("not all of the response", text.as_bytes())),
                read => left -= read,
            }
        }
        Ok(Answer {
            begin: OK,
            end: End::Length(head + response),
        })
    };
    let ((), answer) = tokio::try_join!(writer.write_all(request), read)?;
    Ok(answer)
}

/// Opens a connection for each request.
pub(super) async fn reconnect(address: SocketAddr, progress: Progress) -> io::Result<Infallible> {
    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let mut buffer = Vec::with_capacity(1024);
    progress.all_ready().await;
    loop {
        buffer.clear();
        let mut stream = connect(address).await?;
        stream.write_all(REQUEST).await?;
        // The server closes first.
        while stream.read_buf(&mut buffer).await? > 0 {}
        if !buffer.starts_with(OK) || !buffer.ends_with(HELLO.as_bytes()) {
            return Err(unexpected("not the expected response", &buffer));
        }
        progress.add(1);
    }
}

/// A client without a runtime, which does one plain exchange after the other on one connection.
#[derive(Debug)]
pub(crate) struct ExchangeClient(std::net::TcpStream);

impl ExchangeClient {
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = std::net::TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(std::time::Duration::from_secs(10)))?;
        Ok(Self(stream))
    }

    /// Sends a request with three fields, and reads its response.
    pub(crate) fn exchange(&mut self) -> io::Result<()> {
        self.0.write_all(
            b"GET / HTTP/1.1\r\nhost: localhost\r\nuser-agent: curl\r\naccept: */*\r\n\r\n",
        )?;
        self.read_until(HELLO.as_bytes(), OK)
    }

    /// Sends `request`, whose answer has these first and last bytes.
    pub(crate) fn ask(&mut self, request: &[u8], begin: &[u8], end: &[u8]) -> io::Result<()> {
        self.0.write_all(request)?;
        self.read_until(end, begin)
    }

    /// Sends a message, and reads the frame that is its answer.
    pub(crate) fn ask_for_frame(&mut self, message: &[u8]) -> io::Result<()> {
        self.0.write_all(message)?;
        let mut buffer = [0; 1024];
        let mut filled = 0;
        while frame_length(&buffer[..filled]) != Some(filled) {
            match self.0.read(&mut buffer[filled..])? {
                0 => return Err(unexpected("not all of the frame", &buffer[..filled])),
                read => filled += read,
            }
        }
        Ok(())
    }

    /// Returns whether the connection is open, and nothing has arrived on it.
    pub(crate) fn is_idle(&self) -> io::Result<bool> {
        self.0.set_nonblocking(true)?;
        let peeked = self.0.peek(&mut [0]);
        self.0.set_nonblocking(false)?;
        Ok(peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock))
    }

    fn read_until(&mut self, end: &[u8], begin: &[u8]) -> io::Result<()> {
        let mut buffer = [0; 1024];
        let mut filled = 0;
        while !buffer[..filled].ends_with(end) {
            match self.0.read(&mut buffer[filled..])? {
                0 => return Err(unexpected("not all of the answer", &buffer[..filled])),
                read => filled += read,
            }
        }
        if buffer.starts_with(begin) {
            Ok(())
        } else {
            Err(unexpected("not the expected answer", &buffer[..filled]))
        }
    }
}
