//! The encoder of content.

use std::ops::Deref;

use bytes::BytesMut;
use http::HeaderMap;

use super::EncodeError;
use crate::Persistence;
use crate::fields::is_forbidden_in_trailers;

/// Writes the content of a response with its framing. The call that ends the content moves the
/// encoder, so that nothing can be written behind the end.
#[derive(Debug)]
#[must_use = "the content has no end without `end`"]
pub struct ContentEncoder {
    framing: Framing,
    persistence: Persistence,
}

/// How the end of the content is told to the client (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// By `content-length`, of which so many octets are still to come.
    Length(u64),
    /// By the last chunk.
    Chunked,
    /// By the end of the connection.
    Close,
}

/// The octets in front of a piece of content and behind it, for a caller that writes without
/// copying the content.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    before: FrameHead,
    behind: &'static [u8],
}

/// The size of a chunk and its line end.
#[derive(Clone, Copy, Debug)]
struct FrameHead {
    octets: [u8; FRAME_HEAD],
    begin: u8,
}

/// The length of the longest size of a chunk with its line end.
const FRAME_HEAD: usize = 18;

impl Frame {
    const NONE: Self = Self {
        before: FrameHead {
            octets: [0; FRAME_HEAD],
            begin: FRAME_HEAD as u8,
        },
        behind: b"",
    };

    /// Creates the frame of a chunk. `length` is not 0, which would be the last chunk.
    #[inline]
    fn of_chunk(length: u64) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut octets = [0; FRAME_HEAD];
        octets[FRAME_HEAD - 2] = b'\r';
        octets[FRAME_HEAD - 1] = b'\n';
        let mut begin = FRAME_HEAD - 2;
        let mut rest = length;
        while rest > 0 {
            begin -= 1;
            octets[begin] = DIGITS[(rest & 15) as usize];
            rest >>= 4;
        }
        Self {
            before: FrameHead {
                octets,
                begin: begin as u8,
            },
            behind: b"\r\n",
        }
    }

    /// Returns the octets in front of the content. They are empty if the content is not chunked.
    #[inline]
    #[must_use]
    pub fn before(&self) -> &[u8] {
        &self.before
    }

    /// Returns the octets behind the content. They are empty if the content is not chunked.
    #[inline]
    #[must_use]
    pub fn behind(&self) -> &'static [u8] {
        self.behind
    }
}

impl Deref for FrameHead {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.octets[usize::from(self.begin)..]
    }
}

impl ContentEncoder {
    #[inline]
    pub(super) fn new(framing: Framing, persistence: Persistence) -> Self {
        Self {
            framing,
            persistence,
        }
    }

    /// Writes a piece of content with its framing. An empty piece writes nothing.
    ///
    /// # Errors
    ///
    /// Returns [`EncodeError::TooMuchContent`] if `content-length` leaves less.
    #[inline]
    pub fn encode(&mut self, data: &[u8], output: &mut BytesMut) -> Result<(), EncodeError> {
        let frame = self.frame(data.len() as u64)?;
        output.reserve(frame.before().len() + data.len() + frame.behind().len());
        output.extend_from_slice(frame.before());
        output.extend_from_slice(data);
        output.extend_from_slice(frame.behind());
        Ok(())
    }

    /// Returns the frame of a piece of content of this length, and counts the piece as written. The
    /// caller writes the octets of the frame in front of the content and behind it.
    ///
    /// # Errors
    ///
    /// Returns [`EncodeError::TooMuchContent`] if `content-length` leaves less.
    #[inline]
    pub fn frame(&mut self, length: u64) -> Result<Frame, EncodeError> {
        match &mut self.framing {
            Framing::Length(remaining) => {
                *remaining = remaining.checked_sub(length).ok_or({
                    EncodeError::TooMuchContent {
                        remaining: *remaining,
                        length,
                    }
                })?;
                Ok(Frame::NONE)
            }
            Framing::Chunked if length > 0 => Ok(Frame::of_chunk(length)),
            Framing::Chunked | Framing::Close => Ok(Frame::NONE),
        }
    }

    /// Returns how many octets of content are still to come, or `None` if the length is not known.
    #[must_use]
    pub fn remaining(&self) -> Option<u64> {
        match self.framing {
            Framing::Length(remaining) => Some(remaining),
            Framing::Chunked | Framing::Close => None,
        }
    }

    /// Returns whether the end of the connection is the end of the content, as in HTTP/1.0. Only a
    /// reset of the connection then shows that the content is incomplete.
    #[must_use]
    pub fn is_close_delimited(&self) -> bool {
        self.framing == Framing::Close
    }

    /// Returns whether the connection persists after the content.
    #[must_use]
    pub fn persistence(&self) -> Persistence {
        self.persistence
    }

    /// Ends the content. Returns whether the connection persists.
    ///
    /// # Errors
    ///
    /// Returns [`EncodeError::TooLittleContent`] if `content-length` leaves more. The connection
    /// must then be closed.
    #[inline]
    pub fn end(self, output: &mut BytesMut) -> Result<Persistence, EncodeError> {
        match self.framing {
            Framing::Length(0) | Framing::Close => {}
            Framing::Length(remaining) => return Err(EncodeError::TooLittleContent { remaining }),
            Framing::Chunked => output.extend_from_slice(b"0\r\n\r\n"),
        }
        Ok(self.persistence)
    }

    /// Ends the content with trailers. Trailers are written only if the content is chunked, and
    /// without the fields that trailers may not have (RFC 9110, section 6.5.1). Returns whether the
    /// connection persists.
    ///
    /// # Errors
    ///
    /// Returns [`EncodeError::TooLittleContent`] if `content-length` leaves more. The connection
    /// must then be closed.
    pub fn end_with_trailers(
        self,
        trailers: &HeaderMap,
        output: &mut BytesMut,
    ) -> Result<Persistence, EncodeError> {
        if self.framing != Framing::Chunked {
            return self.end(output);
        }
        output.extend_from_slice(b"0\r\n");
        for (name, value) in trailers {
            if !is_forbidden_in_trailers(name) {
                super::head_fields::write(output, name.as_str(), value.as_bytes());
            }
        }
        output.extend_from_slice(b"\r\n");
        Ok(self.persistence)
    }
}
