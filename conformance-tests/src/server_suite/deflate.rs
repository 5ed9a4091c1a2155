//! The client's side of permessage-deflate (RFC 7692).

use bytes::Bytes;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

use super::client_exchange::Transport;
use super::probe_call::ProbeCall;
use super::request::Response;
use super::result::{CaseResult, must};
use super::server::Server;
use super::websocket::{COMPRESSED, Frame, WebSocket, begin_handshake, handshake};
use crate::Verdict;
use callgate::WebSocketAccept;

/// The field of offers and of their answer.
pub(super) const EXTENSIONS: &str = "sec-websocket-extensions";
/// The octets that a sender removes from the end of a message (RFC 7692, 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// The largest message that is inflated, in bytes.
const MAX_INFLATED: usize = 1 << 20;

/// The parameters of an accepted offer, by their names.
#[derive(Debug)]
pub(super) struct Accepted(Vec<(String, Option<String>)>);

impl Accepted {
    /// Reads the answer to offers. Returns `None` if no offer is accepted.
    pub(super) fn of(response: &Response) -> CaseResult<Option<Self>> {
        let Some(answer) = response.field(EXTENSIONS) else {
            return Ok(None);
        };
        let mut parts = answer.split(';').map(str::trim);
        must!(
            parts.next() == Some("permessage-deflate"),
            "the server accepts `{answer}`"
        );
        let parameters = parts.map(|part| match part.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.trim_matches('"').to_owned())),
            None => (part.to_owned(), None),
        });
        Ok(Some(Self(parameters.collect())))
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.names().any(|listed| listed == name)
    }

    /// Returns the value of a parameter as a number.
    pub(super) fn bits(&self, name: &str) -> Option<u8> {
        let (_, value) = self.0.iter().find(|(listed, _)| listed == name)?;
        value.as_deref()?.parse().ok()
    }
}

/// Sends a handshake with these offers, which the application accepts. Returns the call, the
/// WebSocket and the accepted offer.
pub(super) async fn open_with_offers(
    server: &mut Server,
    transport: Transport,
    offers: &str,
) -> CaseResult<(ProbeCall, WebSocket, Option<Accepted>)> {
    let request = handshake().field(EXTENSIONS, offers);
    let pending = begin_handshake(server, transport, &request).await?;
    let mut app = server.call().await?;
    app.send(WebSocketAccept::new()).await?;
    let (response, client) = pending.answered(server).await?;
    must!(
        matches!(response.status, 101 | 200),
        "the handshake with `{offers}` was answered with {}",
        response.status
    );
    let accepted = Accepted::of(&response)?;
    Ok((app, client, accepted))
}

/// Opens a WebSocket whose messages are compressed. The case is not applicable if the server accepts
/// no offer.
pub(super) async fn open_compressed(
    server: &mut Server,
    transport: Transport,
    offers: &str,
) -> CaseResult<(ProbeCall, WebSocket, ClientDeflate)> {
    let (app, client, accepted) = open_with_offers(server, transport, offers).await?;
    let Some(accepted) = accepted else {
        return Err(Verdict::NotApplicable(
            "the server does not compress messages".into(),
        ));
    };
    Ok((app, client, ClientDeflate::new(&accepted)))
}

/// The contexts of a client.
pub(super) struct ClientDeflate {
    compress: Compress,
    keeps_own: bool,
    inflate: Decompress,
    keeps_servers: bool,
}

impl ClientDeflate {
    fn new(accepted: &Accepted) -> Self {
        let own = accepted.bits("client_max_window_bits").unwrap_or(15).max(9);
        let servers = accepted.bits("server_max_window_bits").unwrap_or(15).max(9);
        Self {
            compress: Compress::new_with_window_bits(Compression::default(), false, own),
            keeps_own: !accepted.has("client_no_context_takeover"),
            inflate: Decompress::new_with_window_bits(false, servers),
            keeps_servers: !accepted.has("server_no_context_takeover"),
        }
    }

    /// Returns the compressed payload of a message.
    pub(super) fn compress(&mut self, payload: &[u8]) -> Vec<u8> {
        if payload.is_empty() {
            // An empty block (RFC 7692, 7.2.3.6). After a flush, a compressor yields nothing for it.
            return vec![0];
        }
        // Enough for a payload that cannot be compressed.
        let mut compressed = Vec::with_capacity(payload.len() + payload.len() / 8 + 64);
        self.compress
            .compress_vec(payload, &mut compressed, FlushCompress::Sync)
            .expect("a compressor takes any input");
        if !self.keeps_own {
            self.compress.reset();
        }
        compressed.truncate(compressed.len() - TAIL.len());
        compressed
    }

    /// Returns the payload of a message of the server.
    pub(super) fn inflate(&mut self, message: &Frame) -> CaseResult<Bytes> {
        if message.first & COMPRESSED == 0 {
            return Ok(message.payload.clone());
        }
        let mut inflated = Vec::with_capacity(MAX_INFLATED);
        for part in [&message.payload[..], &TAIL] {
            let before = self.inflate.total_in();
            let status = self
                .inflate
                .decompress_vec(part, &mut inflated, FlushDecompress::Sync);
            let used = self.inflate.total_in() - before;
            must!(
                status.is_ok() && used == part.len() as u64,
                "the message `{}` cannot be inflated",
                message.payload.escape_ascii()
            );
        }
        if !self.keeps_servers {
            self.inflate.reset(false);
        }
        Ok(inflated.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_messages_are_compressed_in_a_row_with_a_kept_context() {
        let mut deflate = ClientDeflate::new(&Accepted(Vec::new()));
        for payload in ["", "", "text", "", "text"] {
            let message = Frame {
                first: COMPRESSED,
                payload: deflate.compress(payload.as_bytes()).into(),
            };
            let inflated = deflate.inflate(&message).expect("it was compressed");
            assert_eq!(inflated, payload);
        }
    }
}
