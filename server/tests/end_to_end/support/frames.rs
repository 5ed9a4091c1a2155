//! WebSocket frames, byte by byte (RFC 6455, 5.2).

use tokio::io::{AsyncRead, AsyncWrite};

use super::{Client, Response, Server};

/// A handshake with these further fields, each ended by a line end.
pub(crate) fn handshake(target: &str, fields: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nhost: test\r\nconnection: keep-alive, Upgrade\r\n\
         upgrade: WebSocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{fields}\r\n"
    )
}

/// Opens a WebSocket.
pub(crate) async fn open(server: &Server, target: &str) -> Client {
    open_over(server.connect().await, target).await
}

/// Opens a WebSocket over this connection.
pub(crate) async fn open_over(client: Client, target: &str) -> Client {
    let (client, response) = ask_over(client, target, "").await;
    assert_eq!(response.status, 101, "{response:?}");
    client
}

/// Asks for a WebSocket, and reads the head of the answer.
pub(crate) async fn ask(server: &Server, target: &str, fields: &str) -> (Client, Response) {
    ask_over(server.connect().await, target, fields).await
}

async fn ask_over(mut client: Client, target: &str, fields: &str) -> (Client, Response) {
    client.send(handshake(target, fields)).await;
    let response = client.head().await;
    (client, response)
}

pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;
/// Set in the first byte of a message's last frame.
pub(crate) const FIN: u8 = 0x80;

/// A client's frame: masked, and with this first byte.
pub(crate) fn frame(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    const MASK: [u8; 4] = [0x12, 0x34, 0x56, 0x78];
    let payload = payload.as_ref();
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
    frame.extend_from_slice(&MASK);
    let masked = payload.iter().zip(MASK.iter().cycle());
    frame.extend(masked.map(|(byte, mask)| byte ^ mask));
    frame
}

/// A close frame with this code and reason.
pub(crate) fn close(code: u16, reason: &str) -> Vec<u8> {
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend_from_slice(reason.as_bytes());
    frame(FIN | CLOSE, payload)
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// Reads a frame of the server: its first byte and its payload.
    pub(crate) async fn frame(&mut self) -> (u8, Vec<u8>) {
        let head = self.bytes(2).await;
        let length = match head[1] {
            126 => u16::from_be_bytes(self.bytes(2).await.try_into().unwrap()).into(),
            127 => u64::from_be_bytes(self.bytes(8).await.try_into().unwrap()),
            length => length.into(),
        };
        let payload = self.bytes(usize::try_from(length).unwrap()).await;
        (head[0], payload)
    }

    /// Reads a text message that came in one frame.
    pub(crate) async fn message(&mut self) -> String {
        let (first, payload) = self.frame().await;
        assert_eq!(first, FIN | TEXT, "{payload:?}");
        String::from_utf8(payload).unwrap()
    }

    /// Reads a close frame: its code and reason.
    pub(crate) async fn close_frame(&mut self) -> (u16, String) {
        let (first, payload) = self.frame().await;
        assert_eq!(first, FIN | CLOSE, "{payload:?}");
        let code = u16::from_be_bytes([payload[0], payload[1]]);
        (code, String::from_utf8(payload[2..].to_vec()).unwrap())
    }

    /// Reads a close frame with this code, answers it, and reads to the end of the connection.
    pub(crate) async fn closed_with(&mut self, code: u16) {
        assert_eq!(self.close_frame().await.0, code);
        self.send(close(code, "")).await;
        assert_eq!(self.rest().await, "");
    }
}
