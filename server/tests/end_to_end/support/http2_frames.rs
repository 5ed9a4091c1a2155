//! A client of HTTP/2 that sends the frames of a test's choice (RFC 9113, 4.1 and 6).

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Server, within};

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;

/// The first octets of a client (RFC 9113, 3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The flag of the last frame of a stream.
pub(crate) const END_STREAM: u8 = 1;
/// The flag of an acknowledgement.
pub(crate) const ACK: u8 = 1;
/// The flag of a header section that needs no CONTINUATION.
const END_HEADERS: u8 = 4;

/// The setting of the windows of new streams.
pub(crate) const INITIAL_WINDOW_SIZE: u16 = 4;

/// The largest window.
pub(crate) const LARGEST_WINDOW: u32 = i32::MAX as u32;

/// A frame that the server sent.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The error code of a RST_STREAM frame.
    pub(crate) fn reset_code(&self) -> u32 {
        assert_eq!(self.kind, RST_STREAM, "{self:?}");
        u32::from_be_bytes(self.payload[..4].try_into().unwrap())
    }
}

/// A connection over which a test sends frames.
pub(crate) struct RawClient {
    pub(crate) stream: TcpStream,
}

impl RawClient {
    /// Opens a connection with these settings.
    pub(crate) async fn connect(server: &Server, settings: &[(u16, u32)]) -> Self {
        let stream = within(TcpStream::connect(server.address)).await.unwrap();
        Self::over(stream, settings).await
    }

    /// Opens a connection whose system buffers little of what the server sends.
    pub(crate) async fn connect_with_small_buffer(
        server: &Server,
        settings: &[(u16, u32)],
    ) -> Self {
        Self::over(server.connect_with_buffer(8192).await, settings).await
    }

    async fn over(stream: TcpStream, settings: &[(u16, u32)]) -> Self {
        // Each frame leaves at once, and does not wait for the acknowledgement of the frame before it.
        stream.set_nodelay(true).unwrap();
        let mut client = Self { stream };
        let mut payload = Vec::new();
        for (id, value) in settings {
            payload.extend_from_slice(&id.to_be_bytes());
            payload.extend_from_slice(&value.to_be_bytes());
        }
        within(client.stream.write_all(PREFACE)).await.unwrap();
        client.send(SETTINGS, 0, 0, &payload).await;
        client
    }

    /// Sends a frame. The next read shows if the connection has ended.
    pub(crate) async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let frame = frame(kind, flags, stream, payload);
        within(self.stream.write_all(&frame)).await.ok();
    }

    /// Sends a header section of these fields, pseudo-fields included.
    pub(crate) async fn send_fields(&mut self, flags: u8, stream: u32, fields: &[(&str, &str)]) {
        let section = section(fields);
        self.send(HEADERS, flags | END_HEADERS, stream, &section)
            .await;
    }

    /// Sends a GET request without content.
    pub(crate) async fn get(&mut self, stream: u32, path: &str) {
        self.send_fields(END_STREAM, stream, &head("GET", path))
            .await;
    }

    pub(crate) async fn acknowledge_settings(&mut self) {
        self.send(SETTINGS, ACK, 0, &[]).await;
    }

    /// Extends a window; that of the connection for stream 0.
    pub(crate) async fn extend_window(&mut self, stream: u32, octets: u32) {
        self.send(WINDOW_UPDATE, 0, stream, &octets.to_be_bytes())
            .await;
    }

    /// Reads the next frame. `None` at the end of the connection, in order or not.
    pub(crate) async fn frame(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        if !self.read(&mut head).await {
            return None;
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        if !self.read(&mut payload).await {
            return None;
        }
        Some(Frame {
            kind: head[3],
            flags: head[4],
            stream: u32::from_be_bytes(head[5..].try_into().unwrap()),
            payload,
        })
    }

    /// Reads up to a frame of this kind, and acknowledges settings on the way.
    pub(crate) async fn frame_of(&mut self, kind: u8) -> Option<Frame> {
        loop {
            let frame = self.frame().await?;
            if frame.kind == kind {
                return Some(frame);
            }
            if frame.kind == SETTINGS && frame.flags & ACK == 0 {
                self.acknowledge_settings().await;
            }
        }
    }

    /// Reads up to the end of the connection, and returns the frames of a kind.
    pub(crate) async fn rest(&mut self, kind: u8) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.frame_of(kind).await {
            frames.push(frame);
        }
        frames
    }

    async fn read(&mut self, octets: &mut [u8]) -> bool {
        match within(self.stream.read_exact(octets)).await {
            Ok(_) => true,
            Err(error) => match error.kind() {
                io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => false,
                _ => panic!("cannot read: {error}"),
            },
        }
    }
}

/// The fields of a request without further fields.
pub(crate) fn head<'a>(method: &'a str, path: &'a str) -> [(&'a str, &'a str); 4] {
    [
        (":method", method),
        (":scheme", "http"),
        (":authority", "test.example"),
        (":path", path),
    ]
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    frame.extend_from_slice(&[kind, flags]);
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// Encodes fields as literals without indexing (RFC 7541, 6.2.2).
pub(crate) fn section(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut section = Vec::new();
    for (name, value) in fields {
        section.push(0);
        for text in [name, value] {
            // A longer text has its length in more than one octet.
            section.push(
                u8::try_from(text.len())
                    .ok()
                    .filter(|it| *it < 127)
                    .unwrap(),
            );
            section.extend_from_slice(text.as_bytes());
        }
    }
    section
}
