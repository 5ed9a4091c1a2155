//! The output of a connection that is still to be written.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use callgate_drive::FileBody;
use callgate_http1::Frame;
use tokio::io::AsyncWrite as _;

use crate::stream::Stream;

/// Data up to this size is copied behind other output, in octets: the system takes longer to collect
/// many pieces than it takes to copy them.
const SMALL: usize = 4 * 1024;

/// Files up to this size are read and leave with the head of their response, in octets.
const SMALL_FILE: u64 = 16 * 1024;

/// The octets of files after which the other tasks of the thread run.
const SENT_AT_ONCE: usize = 1024 * 1024;

/// Requests are decoded ahead of the output until there is as much of it, in octets.
const PIPELINED: u64 = 16 * 1024;

/// The most pieces of one write.
const PIECES: usize = 32;

/// Output that is collected, so that it leaves in few writes.
#[derive(Debug, Default)]
pub(super) struct Output {
    /// Pieces that are not copied, each with the encoded octets before it.
    pieces: VecDeque<Piece>,
    /// Octets after the pieces.
    buffer: BytesMut,
    /// The number of octets in all.
    length: u64,
    /// The number of octets that have been written. The number wraps.
    written: u64,
    /// Whether the stream may hold octets that it has taken.
    is_unflushed: bool,
    /// Whether the last write has waited for the client.
    is_blocked: bool,
}

#[derive(Debug)]
enum Piece {
    Data(Bytes),
    File(FileBody),
}

impl Output {
    pub(super) fn is_empty(&self) -> bool {
        self.length == 0 && !self.is_unflushed
    }

    /// Returns whether no further request is begun before output has been written: there is much of it,
    /// or a file, so that a connection has one file open at a time.
    pub(super) fn is_full(&self) -> bool {
        self.length >= PIPELINED || matches!(self.pieces.back(), Some(Piece::File(_)))
    }

    /// Returns the number of octets that are still to be written.
    pub(super) fn len(&self) -> u64 {
        self.length
    }

    /// Returns the number of octets that are in memory.
    #[inline]
    pub(super) fn buffered(&self) -> usize {
        let pieces = self.pieces.iter().map(|piece| match piece {
            Piece::Data(data) => data.len(),
            Piece::File(_) => 0,
        });
        self.buffer.capacity() + pieces.sum::<usize>()
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
        self.length += (self.buffer.len() - before) as u64;
        result
    }

    /// Appends data. Only small data is copied.
    pub(super) fn push(&mut self, data: Bytes) {
        self.length += data.len() as u64;
        if data.len() <= SMALL {
            self.buffer.extend_from_slice(&data);
        } else {
            self.push_piece(Piece::Data(data));
        }
    }

    /// Appends data with the frame of its chunk.
    pub(super) fn push_framed(&mut self, frame: Frame, data: Bytes) {
        self.encode(|octets| octets.extend_from_slice(frame.before()));
        self.push(data);
        self.encode(|octets| octets.extend_from_slice(frame.behind()));
    }

    /// Appends the rest of a file.
    pub(super) fn push_file(&mut self, mut file: FileBody, cx: &mut Context<'_>) {
        if file.remaining() <= SMALL_FILE
            && let Poll::Ready(Ok(Some(content))) = file.poll_chunk(cx)
        {
            self.push(content);
        }
        if file.remaining() > 0 {
            self.length += file.remaining();
            self.push_piece(Piece::File(file));
        }
    }

    fn push_piece(&mut self, piece: Piece) {
        if !self.buffer.is_empty() {
            let encoded = self.buffer.split().freeze();
            self.pieces.push_back(Piece::Data(encoded));
        }
        self.pieces.push_back(piece);
    }

    /// Writes as much as the client takes. Returns ready when all has been written.
    pub(super) fn poll_write(
        &mut self,
        stream: &mut Stream,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let mut of_files = 0;
        while self.length > 0 {
            let written = match self.pieces.front_mut() {
                None => Pin::new(&mut *stream).poll_write(cx, &self.buffer),
                Some(Piece::Data(_)) => self.poll_write_data(stream, cx),
                Some(Piece::File(_)) if of_files >= SENT_AT_ONCE => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Some(Piece::File(file)) => {
                    if !stream.can_send_files() || !file.can_send() {
                        // The client does not hold up the output.
                        self.is_blocked = false;
                        let content = ready!(file.poll_chunk(cx))?;
                        of_files += content.as_ref().map_or(0, Bytes::len);
                        if file.remaining() == 0 {
                            self.pieces.pop_front();
                        }
                        (self.pieces).push_front(Piece::Data(content.unwrap_or_default()));
                        continue;
                    }
                    let sent = stream.poll_send_file(cx, file);
                    if let Poll::Ready(Ok(sent)) = sent {
                        of_files += sent;
                    }
                    sent
                }
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
        if self.is_unflushed {
            self.is_blocked = true;
            ready!(Pin::new(stream).poll_flush(cx))?;
            self.is_blocked = false;
            self.is_unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Writes the pieces of data before the first file, or all of them and the buffer.
    // Not inlined, so that the slices are not on the stack of every write.
    #[inline(never)]
    fn poll_write_data(
        &mut self,
        stream: &mut Stream,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let mut pieces = self.pieces.iter_mut().take(PIECES);
        let can_send_file = pieces.find_map(|piece| match piece {
            Piece::File(file) => Some(stream.can_send_files() && file.can_send()),
            Piece::Data(_) => None,
        });
        let mut slices = [IoSlice::new(&[]); PIECES];
        let mut count = 0;
        for piece in self.pieces.iter().take(PIECES) {
            let Piece::Data(data) = piece else { break };
            slices[count] = IoSlice::new(data);
            count += 1;
        }
        if count == self.pieces.len() && count < PIECES {
            slices[count] = IoSlice::new(&self.buffer);
            count += 1;
        }
        match can_send_file {
            Some(true) => stream.poll_write_more(cx, &slices[..count]),
            _ => Pin::new(stream).poll_write_vectored(cx, &slices[..count]),
        }
    }

    fn advance(&mut self, mut written: usize) {
        self.is_blocked = false;
        self.is_unflushed = true;
        self.written = self.written.wrapping_add(written as u64);
        self.length -= written as u64;
        if let Some(Piece::File(file)) = self.pieces.front() {
            // The file counts by itself what is sent.
            if file.remaining() == 0 {
                self.pieces.pop_front();
            }
            return;
        }
        while let Some(Piece::Data(data)) = self.pieces.front_mut() {
            if written < data.len() {
                data.advance(written);
                return;
            }
            written -= data.len();
            self.pieces.pop_front();
        }
        if self.length == 0 {
            self.buffer.clear();
        } else if self.pieces.is_empty() {
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
