//! Requests over HTTP/2, whose frames are written and read here: the client takes less time than a
//! server.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;

use bytes::{Buf as _, BufMut as _, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Progress, connect, unexpected};
use crate::work::HELLO;

/// The types of frames (RFC 9113, 6).
mod kind {
    pub(super) const DATA: u8 = 0;
    pub(super) const HEADERS: u8 = 1;
    pub(super) const RST_STREAM: u8 = 3;
    pub(super) const SETTINGS: u8 = 4;
    pub(super) const PING: u8 = 6;
    pub(super) const GOAWAY: u8 = 7;
    pub(super) const WINDOW_UPDATE: u8 = 8;
}

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

/// The code of a GOAWAY frame after which the streams in flight are answered.
const NO_ERROR: &[u8] = &[0; 4];

/// The length of the head of a frame.
const FRAME_HEAD: usize = 9;
/// The flow-control window of the connection at its start.
const FIRST_WINDOW: u32 = 65_535;
const LARGEST_WINDOW: u32 = (1 << 31) - 1;

/// `GET http://localhost/` in indexed fields and one literal (RFC 7541, 6).
const REQUEST: &[u8] = b"\x82\x86\x84\x01\x09localhost";
/// The first byte of the header block of a response with status 200.
const STATUS_200: u8 = 0x88;

/// Sends requests, of which this many are in flight at any time. Goes on with a new connection when the server wants
/// no more requests on one that has had answers.
pub(crate) async fn repeat(
    address: SocketAddr,
    streams: usize,
    progress: Progress,
) -> io::Result<Infallible> {
    let mut is_first = true;
    loop {
        repeat_on_one(address, streams, &progress, is_first).await?;
        is_first = false;
    }
}

/// Sends requests until the server wants no more of them.
async fn repeat_on_one(
    address: SocketAddr,
    streams: usize,
    progress: &Progress,
    is_first: bool,
) -> io::Result<()> {
    let mut stream = connect(address).await?;
    let mut connection = Connection {
        output: BytesMut::new(),
        next_stream: 1,
        window: LARGEST_WINDOW,
        is_ending: false,
    };
    let (mut in_flight, mut total) = (streams, 0);
    connection
        .output
        .put_slice(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    connection.frame(kind::SETTINGS, 0, 0, b"");
    let more = LARGEST_WINDOW - FIRST_WINDOW;
    connection.frame(kind::WINDOW_UPDATE, 0, 0, &more.to_be_bytes());
    if is_first {
        progress.all_ready().await;
    }
    for _ in 0..streams {
        connection.request();
    }
    let mut input = BytesMut::with_capacity(64 * 1024);
    loop {
        stream.write_all_buf(&mut connection.output).await?;
        input.reserve(16 * 1024);
        if stream.read_buf(&mut input).await? == 0 {
            if connection.is_ending && total > 0 {
                return Ok(());
            }
            return Err(io::Error::other("the HTTP/2 connection ended"));
        }
        let mut ended = 0;
        while let Some(frame) = Frame::split_from(&mut input) {
            ended += usize::from(connection.receive(&frame)?);
        }
        (in_flight, total) = (in_flight - ended, total + ended);
        progress.add(ended);
        if !connection.is_ending {
            (0..ended).for_each(|_| connection.request());
            in_flight += ended;
        } else if in_flight == 0 {
            return Ok(());
        }
    }
}

struct Frame {
    kind: u8,
    flags: u8,
    payload: BytesMut,
}

impl Frame {
    /// Takes the first frame from `input`, if it is complete.
    fn split_from(input: &mut BytesMut) -> Option<Self> {
        let head = input.first_chunk::<FRAME_HEAD>()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let (kind, flags) = (head[3], head[4]);
        if input.len() < FRAME_HEAD + length {
            return None;
        }
        input.advance(FRAME_HEAD);
        Some(Self {
            kind,
            flags,
            payload: input.split_to(length),
        })
    }
}

struct Connection {
    output: BytesMut,
    next_stream: u32,
    /// What the server may still send.
    window: u32,
    /// Whether the server wants no more requests.
    is_ending: bool,
}

impl Connection {
    fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).expect("a short frame");
        self.output.put_slice(&length.to_be_bytes()[1..]);
        self.output.put_slice(&[kind, flags]);
        self.output.put_u32(stream);
        self.output.put_slice(payload);
    }

    fn request(&mut self) {
        let stream = self.next_stream;
        self.next_stream += 2;
        self.frame(kind::HEADERS, END_STREAM | END_HEADERS, stream, REQUEST);
    }

    /// Answers a frame where it needs an answer. Returns whether a response has ended.
    fn receive(&mut self, frame: &Frame) -> io::Result<bool> {
        let payload = &frame.payload;
        match frame.kind {
            kind::DATA => {
                if !payload.is_empty() && **payload != *HELLO.as_bytes() {
                    return Err(unexpected("not the expected content", payload));
                }
                self.window -= u32::try_from(payload.len()).expect("a frame is short");
                if self.window < LARGEST_WINDOW / 2 {
                    let more = (LARGEST_WINDOW - self.window).to_be_bytes();
                    self.frame(kind::WINDOW_UPDATE, 0, 0, &more);
                    self.window = LARGEST_WINDOW;
                }
                Ok(frame.flags & END_STREAM != 0)
            }
            kind::HEADERS if payload.first() == Some(&STATUS_200) => {
                Ok(frame.flags & END_STREAM != 0)
            }
            kind::SETTINGS | kind::PING if frame.flags & ACK == 0 => {
                let payload: &[u8] = if frame.kind == kind::PING {
                    payload
                } else {
                    b""
                };
                self.frame(frame.kind, ACK, 0, payload);
                Ok(false)
            }
            kind::GOAWAY if payload.get(4..8) == Some(NO_ERROR) => {
                self.is_ending = true;
                Ok(false)
            }
            kind::HEADERS | kind::RST_STREAM | kind::GOAWAY => Err(io::Error::other(format!(
                "the HTTP/2 server sent a frame of type {}: {payload:?}",
                frame.kind
            ))),
            _ => Ok(false),
        }
    }
}
