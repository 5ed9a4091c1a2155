//! Frames of HTTP/2 (RFC 9113, 4.1 and 6).

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// A GET request of `/`, from the static table and with a literal authority (RFC 7541, 6).
pub(crate) const GET: &[u8] = b"\x82\x86\x84\x41\x09localhost";
/// A GET request of `/large`.
pub(crate) const GET_LARGE: &[u8] = b"\x82\x86\x04\x06/large\x41\x09localhost";

/// Opens a connection with this payload of SETTINGS.
pub(crate) async fn open(
    address: SocketAddr,
    settings: &[u8],
) -> io::Result<(OwnedReadHalf, OwnedWriteHalf)> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (reads, mut writes) = stream.into_split();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    let octets = [preface, frame(SETTINGS, 0, 0, settings)].concat();
    writes.write_all(&octets).await?;
    Ok((reads, writes))
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let mut frame = length.to_be_bytes()[1..].to_vec();
    frame.extend_from_slice(&[kind, flags]);
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// Reads up to the end of the connection.
pub(crate) async fn drain(mut reads: OwnedReadHalf) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(1..) = reads.read(&mut buffer).await {}
}
