//! Messages over WebSockets.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::Notify;

use super::http1::{Answer, repeat_on};
use super::{Connections, Progress, connect, unexpected};

/// Returns the request of a handshake.
pub(crate) fn handshake(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

async fn open(address: SocketAddr, path: &str) -> io::Result<TcpStream> {
    let mut stream = connect(address).await?;
    stream.write_all(handshake(path).as_bytes()).await?;
    let mut response = Vec::with_capacity(1024);
    while !response.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut response).await? == 0 {
            return Err(unexpected("no response", &response));
        }
    }
    if response.starts_with(b"HTTP/1.1 101 ") {
        Ok(stream)
    } else {
        Err(unexpected("not the expected response", &response))
    }
}

/// The first byte of a frame that is a whole text.
const TEXT: u8 = 0x81;

/// Returns the frame of a client, and the length of the frame of a server, for a text of this many
/// bytes, at most 65,535.
fn frames(size: usize) -> (Vec<u8>, usize) {
    const MASK: [u8; 4] = [1, 2, 3, 4];
    let mut frame = vec![TEXT];
    match u8::try_from(size) {
        Ok(size @ ..=125) => frame.push(0x80 | size),
        _ => {
            frame.push(0x80 | 126);
            let size = u16::try_from(size).expect("a size of at most 16 bits");
            frame.extend(size.to_be_bytes());
        }
    }
    let head = frame.len();
    frame.extend(MASK);
    frame.extend(MASK.iter().cycle().map(|mask| b'x' ^ mask).take(size));
    (frame, head + size)
}

/// Sends a message again and again.
pub(super) async fn echo(
    address: SocketAddr,
    size: usize,
    progress: Progress,
) -> io::Result<Infallible> {
    let mut stream = open(address, "/messages").await?;
    let (frame, length) = frames(size);
    let answer = Answer::of_length(&[TEXT], length);
    repeat_on(&mut stream, &frame, answer, 1, &progress).await
}

/// Opens `members` WebSockets. The first sends a message as soon as all have the one before.
pub(super) fn broadcast(
    tasks: &mut Connections,
    address: SocketAddr,
    members: usize,
    progress: &Progress,
) {
    let (_, length) = frames(SIZE);
    let deliveries = Arc::new(Deliveries {
        round: (members * length) as u64,
        bytes: AtomicU64::new(0),
        complete: Notify::new(),
    });
    for member in 0..members {
        let (deliveries, progress) = (deliveries.clone(), progress.clone());
        tasks.spawn(async move {
            let mut stream = open(address, "/broadcast").await?;
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
        });
    }
}

/// The bytes of a message of a broadcast.
const SIZE: usize = 64;

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
        let (frame, _) = frames(SIZE);
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
