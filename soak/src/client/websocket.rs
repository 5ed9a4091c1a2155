//! A client of WebSockets, whose masks are zeros.

use std::io;

use super::http1::Connection;

/// The handshake.
pub(crate) const HANDSHAKE: &str = "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\n\
    upgrade: websocket\r\nsec-websocket-version: 13\r\n\
    sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

pub(crate) const FIN: u8 = 0x80;
/// Marks a compressed message (RFC 7692, 7.2.3).
pub(crate) const COMPRESSED: u8 = 0x40;
pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// Makes the handshake, with permessage-deflate if asked for.
pub(crate) async fn open(connection: &mut Connection, is_compressed: bool) -> io::Result<()> {
    let extensions = match is_compressed {
        true => "sec-websocket-extensions: permessage-deflate\r\n",
        false => "",
    };
    shake_hands(connection, &format!("{HANDSHAKE}{extensions}\r\n")).await
}

/// Makes the handshake for a path.
pub(crate) async fn open_at(connection: &mut Connection, path: &str) -> io::Result<()> {
    let handshake = HANDSHAKE.replacen(" / ", &format!(" {path} "), 1);
    shake_hands(connection, &format!("{handshake}\r\n")).await
}

async fn shake_hands(connection: &mut Connection, handshake: &str) -> io::Result<()> {
    connection.send(handshake.as_bytes()).await?;
    let head = connection.until(b"\r\n\r\n").await?;
    match head.starts_with(b"HTTP/1.1 101 ") {
        true => Ok(()),
        false => Err(io::Error::other("the handshake is refused")),
    }
}

/// Returns a frame of a client.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ ..126 => frame.push(0x80 | length as u8),
        length @ ..0x1_0000 => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

/// Reads a frame of the server: its opcode and its payload.
pub(crate) async fn read(connection: &mut Connection) -> io::Result<(u8, Vec<u8>)> {
    let head = connection.octets(2).await?;
    let length = match head[1] {
        126 => {
            let length = connection.octets(2).await?;
            usize::from(u16::from_be_bytes([length[0], length[1]]))
        }
        127 => return Err(io::Error::other("a frame is too long")),
        length => length.into(),
    };
    Ok((head[0] & 0xf, connection.octets(length).await?))
}

/// Reads up to the close frame, and returns its code.
pub(crate) async fn close_code(connection: &mut Connection) -> io::Result<u16> {
    loop {
        if let (CLOSE, payload) = read(connection).await? {
            return Ok(match payload[..] {
                [high, low, ..] => u16::from_be_bytes([high, low]),
                _ => 1005,
            });
        }
    }
}
