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
    /// All of it, to be taken in pieces.
    Pieces(Box<Pieces>),
    /// All of a file.
    File(Box<FileBody>),
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

    /// Hands on the content in pieces of at most `piece` bytes: for a transport that holds all that
    /// it is given, and lets go of the body, however slowly the client takes it.
    pub fn set_piece(&mut self, piece: usize) {
        match &mut self.0 {
            Kind::Whole(Some(content)) if content.len() > piece => {
                let rest = std::mem::take(content);
                self.0 = Kind::Pieces(Box::new(Pieces { rest, piece }));
            }
            Kind::Streamed(stream) => stream.pieces.piece = piece,
            _ => {}
        }
    }

    /// All of a response whose only output is this.
    pub(crate) fn of(content: Piece) -> Self {
        match content {
            Piece::Data(data) => data.into(),
            Piece::File(file) => Self(Kind::File(file)),
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
            file: None,
            pieces: Pieces {
                rest: Bytes::new(),
                piece: usize::MAX,
            },
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

/// Content that is handed on piece by piece.
#[derive(Debug)]
struct Pieces {
    rest: Bytes,
    /// The most that is handed on at a time, in bytes.
    piece: usize,
}

impl Pieces {
    fn next(&mut self) -> Option<Bytes> {
        let length = self.rest.len().min(self.piece);
        (length > 0).then(|| self.rest.split_to(length))
    }
}

/// The server's end of a streamed response.
#[derive(Debug)]
struct Stream {
    source: Arc<dyn Source>,
    /// What the head said of the length, less what has been taken.
    remaining: Option<u64>,
    file: Option<Box<FileBody>>,
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
            if let Some(file) = &mut self.file {
                match ready!(file.poll_chunk(cx)).map_err(|_| Incomplete)? {
                    Some(chunk) => return Poll::Ready(Some(Ok(Frame::data(chunk)))),
                    None => self.file = None,
                }
            }
            if let Some(piece) = self.pieces.next() {
                return Poll::Ready(Some(Ok(self.data(piece))));
            }
            if self.is_done {
                return Poll::Ready(None);
            }
            let output = ready!(self.source.poll_output(cx));
            self.is_done = output.as_ref().map_or(true, |output| output.is_last);
            let Output { content, .. } = output?;
            match content {
                Piece::Data(data) if data.len() <= self.pieces.piece => {
                    return Poll::Ready(Some(Ok(self.data(data))));
                }
                Piece::Data(data) => self.pieces.rest = data,
                Piece::Trailers(trailers) => {
                    return Poll::Ready(Some(Ok(Frame::trailers(*trailers))));
                }
                Piece::File(file) => self.file = Some(file),
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
            Kind::File(file) => file
                .poll_chunk(cx)
                .map(|chunk| chunk.map_err(|_| Incomplete).transpose())
                .map(|chunk| chunk.map(|chunk| chunk.map(Frame::data))),
            Kind::Pieces(pieces) => Poll::Ready(pieces.next().map(|data| Ok(Frame::data(data)))),
            Kind::Streamed(stream) => stream.poll_frame(cx),
            Kind::ToCome => Poll::Ready(Some(Err(Incomplete))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(content) => content.is_none(),
            Kind::File(file) => file.remaining() == 0,
            Kind::Pieces(pieces) => pieces.rest.is_empty(),
            Kind::Streamed(stream) => {
                stream.is_done && stream.file.is_none() && stream.pieces.rest.is_empty()
            }
            Kind::ToCome => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(content) => {
                SizeHint::with_exact(content.as_ref().map_or(0, |data| data.len() as u64))
            }
            Kind::File(file) => SizeHint::with_exact(file.remaining()),
            Kind::Pieces(pieces) => SizeHint::with_exact(pieces.rest.len() as u64),
            Kind::ToCome => SizeHint::default(),
            Kind::Streamed(stream) => stream
                .remaining
                .map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}
