//! The content of a response, for the transport.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use callgate::HttpResponseStart;
use http::header::CONTENT_LENGTH;
use http_body::{Body, Frame, SizeHint};

use crate::file::FileBody;
use crate::output::{Incomplete, Output, OutputSource, Piece};

/// The content of a response.
///
/// An error means that the response is incomplete: the application failed or broke a rule in the
/// middle. The transport must then close the connection or reset the stream, as hyper does. When
/// the body is dropped before its end, the application receives a disconnect.
#[derive(Debug)]
pub struct ResponseBody(Kind);

/// Large and rare variants are boxed, because transports move bodies.
#[derive(Debug)]
enum Kind {
    /// The whole content; `None` once it has been taken.
    Whole(Option<Bytes>),
    /// The whole content, handed on in pieces.
    Pieces(Box<Pieces>),
    /// Content that the application still sends.
    Streamed(Box<StreamedContent>),
}

impl Default for ResponseBody {
    fn default() -> Self {
        Self::empty()
    }
}

impl ResponseBody {
    /// Creates a body without content.
    #[must_use]
    pub fn empty() -> Self {
        Self(Kind::Whole(None))
    }

    /// Returns whether all of the content is known and in memory.
    #[must_use]
    pub fn is_in_memory(&self) -> bool {
        matches!(self.0, Kind::Whole(_))
    }

    /// Limits each data frame of the body to `piece` bytes. The last frame of any content over 1 KiB
    /// has at most 1 KiB.
    ///
    /// This is for a transport that asks for the next frame while it still holds the one before,
    /// and drops the body with the last. With it, the body is dropped only when the client has room
    /// for nearly all of the content.
    pub fn set_piece(&mut self, piece: usize) {
        match &mut self.0 {
            Kind::Whole(Some(content)) if content.len() > SMALL => {
                self.0 = Kind::Pieces(Box::new(Pieces {
                    rest: std::mem::take(content),
                    file: None,
                    piece: Some(piece),
                }));
            }
            Kind::Whole(_) => {}
            Kind::Pieces(pieces) => pieces.piece = Some(piece),
            Kind::Streamed(stream) => stream.pieces.piece = Some(piece),
        }
    }

    /// Creates the body of a response that consists of this one piece.
    pub(crate) fn of(content: Piece) -> Self {
        match content {
            Piece::Data(data) => data.into(),
            Piece::File(file) => Self(Kind::Pieces(Box::new(Pieces {
                file: Some(file),
                ..Pieces::default()
            }))),
            Piece::Trailers(_) => Self::empty(),
        }
    }

    /// Creates the body of a response whose content `source` yields.
    pub(crate) fn streamed(source: Arc<dyn OutputSource>, head: &HttpResponseStart) -> Self {
        Self(Kind::Streamed(Box::new(StreamedContent {
            source,
            remaining: content_length(head),
            pieces: Pieces::default(),
            is_done: false,
        })))
    }
}

impl From<Bytes> for ResponseBody {
    fn from(content: Bytes) -> Self {
        Self(Kind::Whole((!content.is_empty()).then_some(content)))
    }
}

/// The length that the head announces. The conversation has checked it.
fn content_length(head: &HttpResponseStart) -> Option<u64> {
    head.headers
        .get(CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

/// The largest content that is one frame whatever the limit, in bytes.
const SMALL: usize = 1024;

/// Content that is divided into pieces: first the bytes in memory, then those of the file.
#[derive(Debug, Default)]
struct Pieces {
    rest: Bytes,
    file: Option<Box<FileBody>>,
    /// The limit of a piece in bytes; `None` for no limit.
    piece: Option<usize>,
}

impl Pieces {
    /// Returns the next piece; `None` at the end.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Incomplete>>> {
        if self.rest.is_empty()
            && let Some(file) = &mut self.file
        {
            match ready!(file.poll_chunk(cx)).map_err(|_| Incomplete)? {
                Some(chunk) => self.rest = chunk,
                None => self.file = None,
            }
        }
        let length = match (self.rest.len(), self.piece) {
            (length, Some(piece)) if length > SMALL => piece.min(length - 1),
            (length, _) => length,
        };
        Poll::Ready((length > 0).then(|| Ok(self.rest.split_to(length))))
    }

    /// Returns the number of bytes that have not been taken.
    fn remaining(&self) -> u64 {
        let file = self.file.as_ref().map_or(0, |file| file.remaining());
        self.rest.len() as u64 + file
    }
}

/// The content of a streamed response.
#[derive(Debug)]
struct StreamedContent {
    source: Arc<dyn OutputSource>,
    /// The announced length minus the bytes that have been taken.
    remaining: Option<u64>,
    /// Output of the source that has not been taken from this body.
    pieces: Pieces,
    is_done: bool,
}

impl StreamedContent {
    fn data(&mut self, data: Bytes) -> Frame<Bytes> {
        if let Some(remaining) = &mut self.remaining {
            *remaining -= data.len() as u64;
        }
        Frame::data(data)
    }

    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Incomplete>>> {
        loop {
            if let Some(piece) = ready!(self.pieces.poll_next(cx)) {
                return Poll::Ready(Some(piece.map(|piece| self.data(piece))));
            }
            if self.is_done {
                return Poll::Ready(None);
            }
            let output = ready!(self.source.poll_output(cx));
            self.is_done = output.as_ref().map_or(true, |output| output.is_last);
            let Output { content, .. } = output?;
            match content {
                // An empty frame makes the transport send the head.
                Piece::Data(data) if data.is_empty() => {
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Piece::Data(data) => self.pieces.rest = data,
                Piece::Trailers(trailers) => {
                    return Poll::Ready(Some(Ok(Frame::trailers(*trailers))));
                }
                Piece::File(file) => self.pieces.file = Some(file),
            }
        }
    }
}

impl Drop for StreamedContent {
    fn drop(&mut self) {
        match self.remaining {
            _ if self.is_done => {}
            // hyper does not ask for the end of content whose length it knows.
            Some(0) => self.source.content_complete(),
            _ => self.source.disconnect(),
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Incomplete;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Incomplete>>> {
        match &mut self.get_mut().0 {
            Kind::Whole(content) => Poll::Ready(content.take().map(|data| Ok(Frame::data(data)))),
            Kind::Pieces(pieces) => pieces
                .poll_next(cx)
                .map(|piece| piece.map(|piece| piece.map(Frame::data))),
            Kind::Streamed(stream) => stream.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(content) => content.is_none(),
            Kind::Pieces(pieces) => pieces.remaining() == 0,
            Kind::Streamed(stream) => stream.is_done && stream.pieces.remaining() == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(content) => {
                SizeHint::with_exact(content.as_ref().map_or(0, |data| data.len() as u64))
            }
            Kind::Pieces(pieces) => SizeHint::with_exact(pieces.remaining()),
            Kind::Streamed(stream) => stream
                .remaining
                .map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}
