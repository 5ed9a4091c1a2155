//! Servers that are wrong on the wire of HTTP/2.

use super::several_rules;
use crate::connection_filter::ConnectionFilter;
use crate::in_process::InProcess;
use crate::mutants::with_connection_filter;

several_rules! {
    every_response_over_http2_has_the_status_299: {
        BAD_PERCENT_ENCODING: ["broken_escapes_over_http2"],
        CONNECT_REFUSED: ["connect_over_http2"],
        FAILURE_BEFORE_SENDING_IS_500: [
            "failing_before_sending_over_http2",
            "breaking_a_rule_before_sending_over_http2",
        ],
        OVERSIZED_HEAD: ["fields_of_70_kilobytes_over_http2"],
        CLOSE_BEFORE_ACCEPT_IS_403: ["close_before_accept_over_http2"],
        FAILURE_BEFORE_ACCEPT_IS_500: [
            "return_before_accept_over_http2",
            "failure_before_accept_over_http2",
            "panic_before_accept_over_http2",
            "broken_rule_before_accept_over_http2",
        ],
        UNSUPPORTED_WEBSOCKET_VERSION: ["other_version_over_http2", "no_version_over_http2"],
        SHUTDOWN_BEFORE_ACCEPT_IS_503: ["shutdown_before_accept_over_http2"],
    },
    a_stream_ends_in_place_of_being_reset: {
        FAILURE_AFTER_SENDING_RESETS: [
            "returning_while_streaming_over_http2",
            "failing_while_streaming_over_http2",
            "breaking_a_rule_while_streaming_over_http2",
        ],
    },
    content_follows_the_head_of_every_response: {
        HEAD_HAS_NO_BODY: [
            "head_of_a_whole_response_over_http2",
            "head_of_a_streamed_response_over_http2",
        ],
    },
    a_connection_ends_without_goaway: {
        SHUTDOWN_FINISHES_EXCHANGES: [
            "shutdown_while_waiting_over_http2",
            "shutdown_while_streaming_over_http2",
        ],
    },
}

/// The types of frames.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;
/// The flag of the last frame of a stream.
const END_STREAM: u8 = 1;
/// The bytes of a frame's head: its length, its type, its flags and its stream.
const HEAD: usize = 9;

struct Frame {
    kind: u8,
    flags: u8,
    stream: [u8; 4],
    payload: Vec<u8>,
}

/// Passes the server's frames through a function before the client reads them.
struct Frames {
    change: fn(Frame) -> Vec<Frame>,
    is_http2: bool,
    unread: Vec<u8>,
}

impl ConnectionFilter for Frames {
    fn to_server(&mut self, octets: Vec<u8>) -> Vec<u8> {
        self.is_http2 |= octets.starts_with(b"PRI * HTTP/2.0\r\n");
        octets
    }

    fn to_client(&mut self, octets: Vec<u8>) -> Vec<u8> {
        if !self.is_http2 {
            return octets;
        }
        self.unread.extend(octets);
        let mut passed = Vec::new();
        while let Some(frame) = self.next() {
            for frame in (self.change)(frame) {
                let length = u32::try_from(frame.payload.len()).unwrap().to_be_bytes();
                passed.extend_from_slice(&length[1..]);
                passed.extend([frame.kind, frame.flags]);
                passed.extend(frame.stream);
                passed.extend(frame.payload);
            }
        }
        passed
    }
}

impl Frames {
    /// Returns the next frame, once all of it has arrived.
    fn next(&mut self) -> Option<Frame> {
        let head: [u8; HEAD] = self.unread.get(..HEAD)?.try_into().ok()?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        let payload = self.unread.get(HEAD..HEAD + length)?.to_vec();
        self.unread.drain(..HEAD + length);
        Some(Frame {
            kind,
            flags,
            stream,
            payload,
        })
    }
}

macro_rules! with_frames {
    ($change:expr) => {
        with_connection_filter(|| {
            Box::new(Frames {
                change: $change,
                is_http2: false,
                unread: Vec::new(),
            })
        })
    };
}

fn every_response_over_http2_has_the_status_299() -> InProcess {
    with_frames!(|mut frame| {
        if frame.kind == HEADERS {
            // The status comes first (RFC 7541): indexed, or by the index of its name and a value
            // that the client then has an index for, too.
            let (head, length) = match frame.payload[..] {
                [first, ..] if first & 0x80 != 0 => (0x08, 1),
                [0x48, length, ..] => (0x48, 2 + usize::from(length & 0x7f)),
                _ => return vec![frame],
            };
            frame.payload.splice(..length, [head, 3, b'2', b'9', b'9']);
        }
        vec![frame]
    })
}

fn a_stream_ends_in_place_of_being_reset() -> InProcess {
    with_frames!(|frame| vec![match frame.kind {
        RST_STREAM => Frame {
            kind: DATA,
            flags: END_STREAM,
            payload: Vec::new(),
            ..frame
        },
        _ => frame,
    }])
}

fn content_follows_the_head_of_every_response() -> InProcess {
    with_frames!(|mut frame| {
        let is_last = frame.flags & END_STREAM != 0;
        match frame.kind {
            HEADERS if is_last => {
                frame.flags &= !END_STREAM;
                let content = Frame {
                    kind: DATA,
                    flags: END_STREAM,
                    payload: b"content".to_vec(),
                    ..frame
                };
                vec![frame, content]
            }
            DATA if is_last && frame.payload.is_empty() => {
                frame.payload = b"content".to_vec();
                vec![frame]
            }
            _ => vec![frame],
        }
    })
}

fn a_connection_ends_without_goaway() -> InProcess {
    with_frames!(|frame| match frame.kind {
        GOAWAY => Vec::new(),
        _ => vec![frame],
    })
}
