//! The flow-control windows of a connection, as its frames show them (RFC 9113, 5.2 and 6.9). hyper
//! does not expose them.
//!
//! The frames show what is left of the client's window only if no stream reserves a part of the window
//! that it does not use. hyper 1.12 reserves window for a stream when it holds content of the stream.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use super::refusal::{self, is_refused_head, limit_of_goaway};
use crate::limit::Limit;

/// The window of every new connection in both directions, in octets (RFC 9113, 6.9.2).
const INITIAL_WINDOW: i64 = 65_535;

/// The length of what a client sends before its frames (RFC 9113, 3.4).
const PREFACE: usize = 24;

/// The length of a frame's head, and of the payload of a WINDOW_UPDATE frame.
const HEAD: usize = 9;
const INCREMENT: usize = 4;

/// The longest payload that is read of a frame.
const PAYLOAD: usize = refusal::GOAWAY_OCTETS;

/// The types of the frames that change windows, begin a stream or end the connection (RFC 9113, 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

/// The flag of the last frame of a stream, and with it that of a whole header section.
const END_STREAM: u8 = 1;
const ENDS_STREAM: u8 = END_STREAM | 4;

/// The window of a connection in one direction.
///
/// No other memory is ordered by these fields.
#[derive(Debug)]
pub(super) struct Window {
    /// The octets that the sender may still send.
    octets: AtomicI64,
    /// How often the receiver has extended the window after it had been used up.
    reopened: AtomicU64,
}

impl Window {
    pub(super) fn new() -> Self {
        Self {
            octets: AtomicI64::new(INITIAL_WINDOW),
            reopened: AtomicU64::new(0),
        }
    }

    /// Returns whether the sender may send nothing.
    pub(super) fn is_used_up(&self) -> bool {
        self.octets.load(Ordering::Relaxed) <= 0
    }

    /// Returns how often the receiver has extended the window after it had been used up.
    pub(super) fn reopened(&self) -> u64 {
        self.reopened.load(Ordering::Relaxed)
    }

    fn consume(&self, octets: u32) {
        self.octets.fetch_sub(octets.into(), Ordering::Relaxed);
    }

    fn extend(&self, octets: u32) {
        if self.octets.fetch_add(octets.into(), Ordering::Relaxed) <= 0 {
            self.reopened.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Reads the heads of the frames that one side sends, and counts them.
#[derive(Clone, Debug)]
pub(super) struct FrameReader {
    /// The beginning of the present frame: its head, and the payload of a short one.
    frame: [u8; HEAD + PAYLOAD],
    filled: usize,
    /// The octets before the next frame.
    skipped: usize,
    /// The number of DATA frames with content.
    data_frames: u64,
    window_updates: u64,
    /// The number of the other frames that carry neither a request nor content nor its end.
    control_frames: u64,
    /// The last stream of a HEADERS frame.
    last_stream: u32,
    /// The number of the responses 431 of `h2`.
    refused_heads: u64,
    /// The limit that a GOAWAY frame of `h2` names.
    goaway: Option<Limit>,
}

impl FrameReader {
    /// Creates the reader of what the client sends.
    pub(super) fn of_client() -> Self {
        Self {
            skipped: PREFACE,
            ..Self::of_server()
        }
    }

    /// Creates the reader of what the server sends.
    pub(super) fn of_server() -> Self {
        Self {
            frame: [0; HEAD + PAYLOAD],
            filled: 0,
            skipped: 0,
            data_frames: 0,
            window_updates: 0,
            control_frames: 0,
            last_stream: 0,
            refused_heads: 0,
            goaway: None,
        }
    }

    pub(super) fn data_frames(&self) -> u64 {
        self.data_frames
    }

    pub(super) fn window_updates(&self) -> u64 {
        self.window_updates
    }

    pub(super) fn control_frames(&self) -> u64 {
        self.control_frames
    }

    /// Returns the number of the requests that `h2` has answered with 431.
    pub(super) fn refused_heads(&self) -> u64 {
        self.refused_heads
    }

    /// Takes the limit that a GOAWAY frame of `h2` names.
    pub(super) fn take_goaway(&mut self) -> Option<Limit> {
        self.goaway.take()
    }

    pub(super) fn last_stream(&self) -> u32 {
        self.last_stream
    }

    /// Returns whether the octets end with a frame.
    pub(super) fn is_between_frames(&self) -> bool {
        self.skipped == 0 && self.filled == 0
    }

    /// Reads octets of a side. `own` is the window for what this side sends, and `other` the window
    /// that this side extends.
    pub(super) fn read(&mut self, mut octets: &[u8], own: &Window, other: &Window) {
        while !octets.is_empty() {
            if self.skipped > 0 {
                let skipped = self.skipped.min(octets.len());
                self.skipped -= skipped;
                octets = &octets[skipped..];
                continue;
            }
            let needed = if self.filled < HEAD {
                HEAD
            } else {
                HEAD + self.read_payload()
            };
            let taken = (needed - self.filled).min(octets.len());
            self.frame[self.filled..self.filled + taken].copy_from_slice(&octets[..taken]);
            self.filled += taken;
            octets = &octets[taken..];
            if self.filled == needed {
                self.read_frame(own, other);
            }
        }
    }

    /// Returns how much is read of the payload of the present frame: the increment of a window of the
    /// connection, a short header section that ends its stream, or the beginning of a GOAWAY frame.
    fn read_payload(&self) -> usize {
        let length = number(&self.frame[..3]) as usize;
        let (kind, flags) = (self.frame[3], self.frame[4]);
        let is_read = match kind {
            WINDOW_UPDATE => length == INCREMENT && number(&self.frame[5..HEAD]) == 0,
            HEADERS => length <= refusal::HEAD_OCTETS && flags & ENDS_STREAM == ENDS_STREAM,
            GOAWAY => length >= PAYLOAD,
            _ => false,
        };
        if is_read { length.min(PAYLOAD) } else { 0 }
    }

    fn count(&mut self, kind: u8, flags: u8, length: u32, stream: u32) {
        match kind {
            DATA if length > 0 => self.data_frames += 1,
            DATA if flags & END_STREAM != 0 => {}
            HEADERS => self.last_stream = self.last_stream.max(stream),
            WINDOW_UPDATE => self.window_updates += 1,
            _ => self.control_frames += 1,
        }
    }

    /// Applies the frame whose head or increment is complete.
    fn read_frame(&mut self, own: &Window, other: &Window) {
        let length = number(&self.frame[..3]);
        let kind = self.frame[3];
        let stream = number(&self.frame[5..HEAD]);
        let is_read = self.read_payload() > 0;
        if is_read && self.filled == HEAD {
            return;
        }
        let payload = &self.frame[HEAD..self.filled];
        let has_increment = kind == WINDOW_UPDATE && is_read;
        match kind {
            HEADERS if is_read && is_refused_head(payload, self.refused_heads > 0) => {
                self.refused_heads += 1;
            }
            GOAWAY if is_read => self.goaway = limit_of_goaway(payload),
            _ => {}
        }
        self.count(kind, self.frame[4], length, stream);
        match kind {
            DATA => own.consume(length),
            _ if has_increment => other.extend(number(&self.frame[HEAD..HEAD + INCREMENT])),
            _ => {}
        }
        self.skipped = HEAD + length as usize - self.filled;
        self.filled = 0;
    }
}

/// Returns the number in these octets of a frame. The first bit of four octets is reserved.
fn number(octets: &[u8]) -> u32 {
    let number = octets
        .iter()
        .fold(0, |number, octet| number << 8 | u32::from(*octet));
    number & (u32::MAX >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        frame.extend_from_slice(&[kind, 0]);
        frame.extend_from_slice(&stream.to_be_bytes());
        frame.extend_from_slice(payload);
        frame
    }

    #[test]
    fn windows_follow_the_frames_however_the_octets_are_divided() {
        let octets = [
            vec![DATA; PREFACE],
            frame(HEADERS, 1, &[DATA; 100]),
            frame(DATA, 1, &[WINDOW_UPDATE; 1000]),
            frame(DATA, 3, &[]),
            frame(WINDOW_UPDATE, 1, &5_u32.to_be_bytes()),
            frame(WINDOW_UPDATE, 0, &7_u32.to_be_bytes()),
            frame(DATA, 3, &[0; 34]),
        ]
        .concat();
        for size in 1..octets.len() {
            let (own, other) = (Window::new(), Window::new());
            let mut reader = FrameReader::of_client();
            for octets in octets.chunks(size) {
                reader.read(octets, &own, &other);
            }
            let left = |window: &Window| window.octets.load(Ordering::Relaxed);
            assert_eq!(left(&own), INITIAL_WINDOW - 1034, "{size}");
            assert_eq!(left(&other), INITIAL_WINDOW + 7, "{size}");
        }
    }

    #[test]
    fn a_window_is_reopened_only_if_it_was_used_up() {
        let window = Window::new();
        window.extend(1);
        window.consume(65_535);
        assert!(!window.is_used_up());
        window.consume(1);
        assert!(window.is_used_up());
        assert_eq!(window.reopened(), 0);
        window.extend(1);
        assert!(!window.is_used_up());
        assert_eq!(window.reopened(), 1);
    }
}
