//! A client of HTTP/2 that writes any frames. Its fields are neither indexed nor compressed.

use crate::Verdict;
use crate::server_suite::http1::Http1;
use crate::server_suite::result::{CaseResult, must};

/// The beginning of a connection (RFC 9113, 3.4), without the settings after it.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The types of frames.
pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;

/// The flags of frames.
pub(super) const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// The largest frame that is read: the default of SETTINGS_MAX_FRAME_SIZE.
const MAX_FRAME: usize = 16 * 1024;

/// The number of frames that a case reads while it waits for a certain frame.
const MAX_FRAMES: usize = 64;

/// A frame of the server.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    pub(super) payload: Vec<u8>,
}

/// How the server has answered a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// A whole response, whose first field is written like this: its status.
    Whole(Vec<u8>),
    /// The stream or the connection was ended.
    Ended,
}

/// Returns a frame.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len())
        .unwrap_or(u32::MAX)
        .to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// Returns the HEADERS frame of a request with these fields, after which content follows or does not.
pub(super) fn headers(stream: u32, fields: &[(&str, &str)], has_content: bool) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        // A literal field without indexing, with a new name (RFC 7541, 6.2.2).
        block.push(0);
        for text in [name, value] {
            integer(text.len(), &mut block);
            block.extend_from_slice(text.as_bytes());
        }
    }
    let flags = if has_content { 0 } else { END_STREAM } | END_HEADERS;
    frame(HEADERS, flags, stream, &block)
}

/// Returns a DATA frame that ends the content.
pub(super) fn last_data(stream: u32, content: &str) -> Vec<u8> {
    frame(DATA, END_STREAM, stream, content.as_bytes())
}

/// Writes the length of a text, with a prefix of 7 bits (RFC 7541, 5.1).
fn integer(number: usize, block: &mut Vec<u8>) {
    match u8::try_from(number) {
        Ok(small @ ..127) => block.push(small),
        _ => {
            block.push(127);
            let mut rest = number - 127;
            while rest >= 128 {
                block.push((rest % 128) as u8 | 128);
                rest /= 128;
            }
            block.push(rest as u8);
        }
    }
}

/// Sends the preface and empty settings, and reads up to the server's settings, which are acknowledged.
pub(super) async fn begin(client: &mut Http1) -> CaseResult {
    client
        .send([PREFACE, &frame(SETTINGS, 0, 0, &[])].concat())
        .await?;
    loop {
        let frame = read(client).await?;
        must!(
            frame.kind == SETTINGS,
            "the first frame is of type {}",
            frame.kind
        );
        if frame.flags & ACK == 0 {
            return client.send(self::frame(SETTINGS, ACK, 0, &[])).await;
        }
    }
}

/// Reads a frame.
pub(super) async fn read(client: &mut Http1) -> CaseResult<Frame> {
    let head = client.read_exactly(9).await?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
    must!(
        length <= MAX_FRAME,
        "the server sends a frame of {length} bytes"
    );
    let payload = client.read_exactly(length).await?;
    Ok(Frame {
        kind: head[3],
        flags: head[4],
        stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & 0x7fff_ffff,
        payload: payload.to_vec(),
    })
}

/// Reads frames up to the first that `is_wanted`.
pub(super) async fn wait_for(
    client: &mut Http1,
    is_wanted: impl Fn(&Frame) -> bool,
) -> CaseResult<Frame> {
    for _ in 0..MAX_FRAMES {
        let frame = read(client).await?;
        if is_wanted(&frame) {
            return Ok(frame);
        }
    }
    Err(Verdict::failed(format!("{MAX_FRAMES} other frames came")))
}

/// Reads the answer on this stream.
pub(super) async fn answer(client: &mut Http1, stream: u32) -> CaseResult<Answer> {
    let mut status = None;
    loop {
        if client.is_at_end().await? {
            return Ok(Answer::Ended);
        }
        let frame = read(client).await?;
        match frame.kind {
            GOAWAY if frame.payload.get(4..8) != Some(&[0; 4]) => return Ok(Answer::Ended),
            RST_STREAM if frame.stream == stream => return Ok(Answer::Ended),
            HEADERS if frame.stream == stream && status.is_none() => {
                status = Some(first_field(&frame.payload));
            }
            HEADERS | DATA if frame.stream == stream => {}
            _ => continue,
        }
        if frame.flags & END_STREAM != 0 {
            return Ok(Answer::Whole(status.unwrap_or_default()));
        }
    }
}

/// Reads up to the end of the connection, or the error of the connection.
pub(super) async fn expect_connection_error(client: &mut Http1) -> CaseResult {
    for _ in 0..MAX_FRAMES {
        if client.is_at_end().await? {
            return Ok(());
        }
        let frame = read(client).await?;
        if frame.kind == GOAWAY && frame.payload.get(4..8) != Some(&[0; 4]) {
            return Ok(());
        }
    }
    Err(Verdict::failed(format!("{MAX_FRAMES} other frames came")))
}

/// Returns the octets of the first field of a block, which is the status, after changes of the table's size.
fn first_field(block: &[u8]) -> Vec<u8> {
    let mut rest = block;
    while let [first, after @ ..] = rest
        && first & 0xe0 == 0x20
    {
        rest = after;
        if first & 0x1f == 0x1f {
            let end = rest.iter().position(|octet| octet & 0x80 == 0);
            rest = &rest[end.map_or(rest.len(), |end| end + 1)..];
        }
    }
    // An indexed status is one octet; a literal one has its name, its length and its value.
    let length = match rest {
        [first, ..] if first & 0x80 != 0 => 1,
        [_, length, ..] => 2 + usize::from(length & 0x7f),
        _ => 0,
    };
    rest[..length.min(rest.len())].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_comes_after_changes_of_the_size_of_the_table() {
        for (block, field) in [
            (&b"\x88rest"[..], &b"\x88"[..]),
            (b"\x20\x88rest", b"\x88"),
            (b"\x3f\xe1\x1f\x88rest", b"\x88"),
            (b"\x48\x03302rest", b"\x48\x03302"),
            (b"", b""),
        ] {
            assert_eq!(first_field(block), field);
        }
    }

    #[test]
    fn long_texts_have_their_length_in_several_octets() {
        for (number, octets) in [(126, &[126][..]), (127, &[127, 0]), (300, &[127, 173, 1])] {
            let mut block = Vec::new();
            integer(number, &mut block);
            assert_eq!(block, octets);
        }
    }
}
