//! Messages over WebSockets.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::{Compress, Compression, FlushCompress};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::Notify;

use super::http1::{Answer, repeat_on};
use super::{Connections, Progress, connect, start, unexpected};

/// What is sent over a WebSocket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Messages {
    /// The bytes of a message before its compression.
    pub(crate) size: usize,
    /// Whether messages are compressed with a server that can.
    pub(crate) is_compressed: bool,
}

/// The fields of a handshake that offers compression.
const OFFER: &str = "sec-websocket-extensions: permessage-deflate\r\n";

/// Returns the request of a handshake.
pub(crate) fn handshake(path: &str, is_compressed: bool) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
         {}sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        if is_compressed { OFFER } else { "" }
    )
}

/// Opens a WebSocket. Returns whether messages can be compressed, too.
async fn open(
    address: SocketAddr,
    path: &str,
    is_compressed: bool,
) -> io::Result<(TcpStream, bool)> {
    open_on(connect(address).await?, path, is_compressed).await
}

/// Opens a WebSocket over a connection, as [`open`] does.
pub(crate) async fn open_on(
    mut stream: TcpStream,
    path: &str,
    is_compressed: bool,
) -> io::Result<(TcpStream, bool)> {
    stream
        .write_all(handshake(path, is_compressed).as_bytes())
        .await?;
    let mut response = Vec::with_capacity(1024);
    while !response.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut response).await? == 0 {
            return Err(unexpected("no response", &response));
        }
    }
    if !response.starts_with(b"HTTP/1.1 101 ") {
        return Err(unexpected("not the expected response", &response));
    }
    let head = String::from_utf8_lossy(&response).to_ascii_lowercase();
    Ok((stream, head.contains("permessage-deflate")))
}

/// The first byte of a frame that is a whole text.
pub(crate) const TEXT: u8 = 0x81;
/// The bit of the first byte that says that the message is compressed.
const RSV1: u8 = 0x40;
/// The end of compressed data that a message is without (RFC 7692, 7.2.1).
const FLUSH: &[u8] = &[0, 0, 0xff, 0xff];

/// Returns the frame of a client for a message of at most 65,535 bytes.
pub(crate) fn frame(messages: Messages) -> Vec<u8> {
    let payload = text(messages.size);
    if messages.is_compressed {
        client_frame(TEXT | RSV1, &compress(&payload))
    } else {
        client_frame(TEXT, &payload)
    }
}

/// Returns the frame of a client with this first byte, and a payload of at most 65,535 bytes.
pub(crate) fn client_frame(first_byte: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [1, 2, 3, 4];
    let mut frame = vec![first_byte];
    match u8::try_from(payload.len()) {
        Ok(length @ ..=125) => frame.push(0x80 | length),
        _ => {
            frame.push(0x80 | 126);
            let length = u16::try_from(payload.len()).expect("a message of at most 16 bits");
            frame.extend(length.to_be_bytes());
        }
    }
    frame.extend(MASK);
    let masks = MASK.iter().cycle();
    frame.extend(payload.iter().zip(masks).map(|(byte, mask)| byte ^ mask));
    frame
}

/// Returns a text of this many bytes that compresses as texts do.
fn text(size: usize) -> Vec<u8> {
    let item = |number: usize| {
        let price = number * 7_919 % 10_000;
        format!(r#"{{"id":{number},"name":"item {number}","price":{price}}},"#)
    };
    let mut text = String::new();
    for number in 0.. {
        if text.len() >= size {
            break;
        }
        text += &item(number);
    }
    text.truncate(size);
    text.into_bytes()
}

fn compress(message: &[u8]) -> Vec<u8> {
    let mut compressed = Vec::with_capacity(message.len() + 64);
    Compress::new(Compression::default(), false)
        .compress_vec(message, &mut compressed, FlushCompress::Sync)
        .expect("the output has room");
    compressed.truncate(compressed.len() - FLUSH.len());
    compressed
}

/// Returns the length of the frame of a server that begins with these bytes, if they tell.
pub(super) fn frame_length(bytes: &[u8]) -> Option<usize> {
    match *bytes {
        [_, 126, high, low, ..] => Some(4 + usize::from(u16::from_be_bytes([high, low]))),
        [_, length @ ..=125, ..] => Some(2 + usize::from(length)),
        _ => None,
    }
}

/// Sends a message again and again.
pub(super) async fn echo(
    address: SocketAddr,
    mut messages: Messages,
    progress: Progress,
) -> io::Result<Infallible> {
    let (mut stream, is_compressed) = open(address, "/messages", messages.is_compressed).await?;
    messages.is_compressed = is_compressed;
    repeat_on(&mut stream, &frame(messages), Answer::FRAME, 1, &progress).await
}

/// Opens `members` WebSockets. The first sends a message as soon as all have the one before.
pub(super) fn broadcast(address: SocketAddr, members: usize) -> (Connections, Progress) {
    let length = 2 + MESSAGE.size;
    let deliveries = Arc::new(Deliveries {
        round: (members * length) as u64,
        bytes: AtomicU64::new(0),
        complete: Notify::new(),
    });
    start(members, |member, progress| {
        let deliveries = deliveries.clone();
        async move {
            let (mut stream, _) = open(address, "/broadcast", false).await?;
            progress.all_ready().await;
            let (mut reader, mut writer) = stream.split();
            let receive = deliveries.receive(&mut reader);
            if member > 0 {
                return receive.await;
            }
            tokio::select! {
                failed = deliveries.publish(&mut writer, &progress, members) => failed,
                failed = receive => failed,
            }
        }
    })
}

/// The message of a broadcast, whose frame has a head of two bytes.
const MESSAGE: Messages = Messages {
    size: 64,
    is_compressed: false,
};

/// What all members of a broadcast have received.
#[derive(Debug)]
struct Deliveries {
    /// The bytes of one message to all.
    round: u64,
    bytes: AtomicU64,
    /// Notified when all members have a message.
    complete: Notify,
}

impl Deliveries {
    async fn publish(
        &self,
        writer: &mut WriteHalf<'_>,
        progress: &Progress,
        members: usize,
    ) -> io::Result<Infallible> {
        let frame = frame(MESSAGE);
        loop {
            writer.write_all(&frame).await?;
            self.complete.notified().await;
            progress.add(members);
        }
    }

    async fn receive(&self, reader: &mut ReadHalf<'_>) -> io::Result<Infallible> {
        let mut buffer = [0; 1024];
        loop {
            let read = reader.read(&mut buffer).await? as u64;
            if read == 0 {
                return Err(unexpected("the connection ended", b""));
            }
            let total = self.bytes.fetch_add(read, Ordering::Relaxed) + read;
            if total.is_multiple_of(self.round) {
                self.complete.notify_one();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compressed_frame_has_the_text() {
        let messages = Messages {
            size: 16 * 1024,
            is_compressed: true,
        };
        let frame = frame(messages);
        assert_eq!(frame[..2], [TEXT | RSV1, 0x80 | 126]);
        let payload = frame[8..].iter().zip([1, 2, 3, 4].into_iter().cycle());
        let mut payload: Vec<u8> = payload.map(|(byte, mask)| byte ^ mask).collect();
        payload.extend(FLUSH);
        let mut inflated = Vec::with_capacity(messages.size);
        flate2::Decompress::new(false)
            .decompress_vec(&payload, &mut inflated, flate2::FlushDecompress::Sync)
            .unwrap();
        assert!(inflated == text(messages.size), "another text");
    }
}
