//! The output of a connection that is still to be written.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes, BytesMut};
use callgate_http1::Frame;
use tokio::io::AsyncWrite;

/// Data up to this size is copied behind other output, in octets: the system takes longer to collect
/// many pieces than it takes to copy them.
const SMALL: usize = 4 * 1024;

/// The most pieces of one write.
const PIECES: usize = 32;

/// Output that is collected, so that it leaves in few writes.
#[derive(Debug, Default)]
pub(super) struct Output {
    /// Pieces that are not copied, each with the encoded octets before it.
    pieces: VecDeque<Bytes>,
    /// Octets after the pieces.
    buffer: BytesMut,
    /// The number of octets in all.
    length: usize,
    /// The number of octets that have been written. The number wraps.
    written: u64,
    /// Whether the last write has waited for the client.
    is_blocked: bool,
}

impl Output {
    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Returns the number of octets that are still to be written.
    pub(super) fn len(&self) -> usize {
        self.length
    }

    pub(super) fn is_blocked(&self) -> bool {
        self.is_blocked
    }

    /// Returns the number of octets that have been written. The number wraps.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Has `encode` append octets.
    pub(super) fn encode<T>(&mut self, encode: impl FnOnce(&mut BytesMut) -> T) -> T {
        let before = self.buffer.len();
        let result = encode(&mut self.buffer);
        self.length += self.buffer.len() - before;
        result
    }

    /// Appends data. Only small data is copied.
    pub(super) fn push(&mut self, data: Bytes) {
        self.length += data.len();
        if data.len() <= SMALL {
            self.buffer.extend_from_slice(&data);
            return;
        }
        if !self.buffer.is_empty() {
            self.pieces.push_back(self.buffer.split().freeze());
        }
        self.pieces.push_back(data);
    }

    /// Appends data with the frame of its chunk.
    pub(super) fn push_framed(&mut self, frame: Frame, data: Bytes) {
        self.encode(|octets| octets.extend_from_slice(frame.before()));
        self.push(data);
        self.encode(|octets| octets.extend_from_slice(frame.behind()));
    }

    /// Writes as much as the client takes. Returns ready when all has been written.
    pub(super) fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while self.length > 0 {
            let stream = Pin::new(&mut *stream);
            let written = if self.pieces.is_empty() {
                stream.poll_write(cx, &self.buffer)
            } else {
                self.poll_write_pieces(stream, cx)
            };
            match written {
                Poll::Pending => {
                    self.is_blocked = true;
                    return Poll::Pending;
                }
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(written)) => self.advance(written),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    // Not inlined, so that the slices are not on the stack of every write.
    #[inline(never)]
    fn poll_write_pieces<S: AsyncWrite>(
        &self,
        stream: Pin<&mut S>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let mut slices = [IoSlice::new(&[]); PIECES];
        let mut count = 0;
        let pieces = self.pieces.iter().map(|piece| &piece[..]);
        for piece in pieces.chain([&self.buffer[..]]).take(PIECES) {
            slices[count] = IoSlice::new(piece);
            count += 1;
        }
        stream.poll_write_vectored(cx, &slices[..count])
    }

    fn advance(&mut self, mut written: usize) {
        self.is_blocked = false;
        self.written = self.written.wrapping_add(written as u64);
        self.length -= written;
        while let Some(piece) = self.pieces.front_mut() {
            if written < piece.len() {
                piece.advance(written);
                return;
            }
            written -= piece.len();
            self.pieces.pop_front();
        }
        if self.length == 0 {
            self.buffer.clear();
        } else {
            self.buffer.advance(written);
        }
    }

    /// Frees the memory of a buffer that is empty.
    pub(super) fn shrink(&mut self) {
        if self.is_empty() {
            self.buffer = BytesMut::new();
            self.pieces = VecDeque::new();
        }
    }
}
