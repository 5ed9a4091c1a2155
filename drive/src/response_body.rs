//! The content of a response, as a transport takes it.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use callgate::HttpResponseStart;
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body::{Body, Frame, SizeHint};

use crate::call::ServerEnd;
use crate::file::FileBody;

/// One piece of output, and whether it is the last.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) content: Piece,
    pub(crate) is_last: bool,
}

/// What a piece of output consists of.
#[derive(Debug)]
pub(crate) enum Piece {
    Data(Bytes),
    File(Box<FileBody>),
    Trailers(Box<HeaderMap>),
}

/// Where a streamed response comes from.
pub(crate) trait Source: ServerEnd + fmt::Debug {
    /// The next output. An error means that the response will never be whole.
    fn poll_output(&self, cx: &mut Context<'_>) -> Poll<Result<Output, Incomplete>>;

    /// Notes that all that `content-length` says has been taken, and that nothing is wanted but the
    /// end.
    fn taken(&self);
}

/// The content of a response.
///
/// Its error says that the response is not whole: the application failed or broke a rule in the
/// middle. Whoever sends it must cut the connection, or reset the stream; hyper does. When it is
/// dropped before its end, the client is gone to the application.
#[derive(Debug)]
pub struct ResponseBody(Kind);

/// Transports move bodies about, so what is large and rare is boxed.
#[derive(Debug)]
enum Kind {
    /// All of it; none once it has been taken.
    Whole(Option<Bytes>),
    /// All of it, piece by piece.
    Pieces(Box<Pieces>),
    /// What the application sends, as it sends it.
    Streamed(Box<Stream>),
    /// Content to come, before it is known where from.
    ToCome,
}

impl Default for ResponseBody {
    fn default() -> Self {
        Self::empty()
    }
}

impl ResponseBody {
    /// No content.
    #[must_use]
    pub fn empty() -> Self {
        Self(Kind::Whole(None))
    }

    /// Whether this is all of the content, and none of it has to be read from anywhere.
    #[must_use]
    pub fn is_in_memory(&self) -> bool {
        matches!(self.0, Kind::Whole(_))
    }

    /// Hands on the content in pieces of at most `piece` bytes, and the last byte of what is not small
    /// by itself: for a transport that asks for a piece when the client has room for some of the one
    /// before, holds what it has, and lets go of the body with the last. So the body is there until
    /// there is room for nearly all of it.
    pub fn set_piece(&mut self, piece: usize) {
        match &mut self.0 {
            Kind::Whole(Some(content)) if content.len() > SMALL => {
                self.0 = Kind::Pieces(Box::new(Pieces {
                    rest: std::mem::take(content),
                    file: None,
                    piece: Some(piece),
                }));
            }
            Kind::Whole(_) | Kind::ToCome => {}
            Kind::Pieces(pieces) => pieces.piece = Some(piece),
            Kind::Streamed(stream) => stream.pieces.piece = Some(piece),
        }
    }

    /// All of a response whose only output is this.
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

    /// Stands in for content to come: [`Exchange::poll`](crate::http::Exchange::poll) replaces it.
    pub(crate) const TO_COME: Self = Self(Kind::ToCome);

    pub(crate) fn is_to_come(&self) -> bool {
        matches!(self.0, Kind::ToCome)
    }

    /// What `source` has to come, after this head.
    pub(crate) fn streamed(source: Arc<dyn Source>, head: &HttpResponseStart) -> Self {
        Self(Kind::Streamed(Box::new(Stream {
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

/// What the application said of the length of its content. The conversation has checked it.
fn content_length(head: &HttpResponseStart) -> Option<u64> {
    head.headers
        .get(CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

/// Content of no more bytes is handed on as it is.
const SMALL: usize = 1024;

/// Content that is handed on piece by piece: first what is in memory, then what is in the file.
#[derive(Debug, Default)]
struct Pieces {
    rest: Bytes,
    file: Option<Box<FileBody>>,
    /// The most that is handed on at a time, in bytes, where that matters.
    piece: Option<usize>,
}

impl Pieces {
    /// The next piece; none when all have been handed on.
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

    /// Bytes still to be handed on.
    fn remaining(&self) -> u64 {
        let file = self.file.as_ref().map_or(0, |file| file.remaining());
        self.rest.len() as u64 + file
    }
}

/// The server's end of a streamed response.
#[derive(Debug)]
struct Stream {
    source: Arc<dyn Source>,
    /// What the head said of the length, less what has been taken.
    remaining: Option<u64>,
    /// What has been taken from the source and not been handed on.
    pieces: Pieces,
    is_done: bool,
}

impl Stream {
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
                // No content shows that the head is to be sent.
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

impl Drop for Stream {
    fn drop(&mut self) {
        match self.remaining {
            _ if self.is_done => {}
            // hyper does not wait for the end when it can tell that this is all.
            Some(0) => self.source.taken(),
            _ => self.source.disconnect(),
        }
    }
}

/// Why a response is cut: what is missing is not coming. The reason is the application's and was
/// reported where it arose.
#[derive(Debug)]
pub struct Incomplete;

impl fmt::Display for Incomplete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the response is incomplete: the application did not end it")
    }
}

impl Error for Incomplete {}

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
            Kind::ToCome => Poll::Ready(Some(Err(Incomplete))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(content) => content.is_none(),
            Kind::Pieces(pieces) => pieces.remaining() == 0,
            Kind::Streamed(stream) => stream.is_done && stream.pieces.remaining() == 0,
            Kind::ToCome => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(content) => {
                SizeHint::with_exact(content.as_ref().map_or(0, |data| data.len() as u64))
            }
            Kind::Pieces(pieces) => SizeHint::with_exact(pieces.remaining()),
            Kind::ToCome => SizeHint::default(),
            Kind::Streamed(stream) => stream
                .remaining
                .map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}
