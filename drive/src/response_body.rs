//! The content of a response, for the transport.

use std::fmt;
use std::future::Future;
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

/// A future whose completion [cuts](ResponseBody::cut_when) a response.
pub struct CutSignal(Pin<Box<dyn Future<Output = ()> + Send>>);

impl CutSignal {
    /// Creates the signal that completes when this future does.
    pub fn new(future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(Box::pin(future))
    }

    /// Returns ready once the response is cut. Must not be polled again after that.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for CutSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CutSignal").finish_non_exhaustive()
    }
}

/// Large and rare variants are boxed, because transports move bodies.
#[derive(Debug)]
enum Kind {
    /// The whole content; `None` once it has been taken.
    Whole(Option<Bytes>),
    /// The whole content, in a file.
    File(Box<FileBody>),
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

    /// Takes the file that the rest of the content is in, for a transport that sends files by itself.
    #[inline]
    pub fn take_file(&mut self) -> Option<FileBody> {
        if !matches!(self.0, Kind::File(_)) {
            return None;
        }
        match std::mem::take(self).0 {
            Kind::File(file) => Some(*file),
            _ => None,
        }
    }

    /// Cuts the content when `signal` completes, unless the application has sent all of it: the body then ends
    /// with an error, and the application receives a disconnect.
    pub fn cut_when(&mut self, signal: CutSignal) {
        if let Kind::Streamed(stream) = &mut self.0 {
            stream.cut = Some(signal);
        }
    }

    /// Creates the body of a response that consists of this one piece.
    pub(crate) fn of(content: Piece) -> Self {
        match content {
            Piece::Data(data) => data.into(),
            Piece::File(file) => Self(Kind::File(file)),
            Piece::Trailers(_) => Self::empty(),
        }
    }

    /// Creates the body of a response whose content `source` yields.
    pub(crate) fn streamed(source: Arc<dyn OutputSource>, head: &HttpResponseStart) -> Self {
        Self(Kind::Streamed(Box::new(StreamedContent {
            source,
            remaining: content_length(head),
            file: None,
            cut: None,
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

/// Returns the next part of a file; `None` at its end.
fn poll_chunk(
    file: &mut FileBody,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Bytes, Incomplete>>> {
    let chunk = ready!(file.poll_chunk(cx)).map_err(|_| Incomplete);
    Poll::Ready(chunk.transpose())
}

/// The content of a streamed response.
#[derive(Debug)]
struct StreamedContent {
    source: Arc<dyn OutputSource>,
    /// The announced length minus the bytes that have been taken.
    remaining: Option<u64>,
    /// A file whose content has not all been taken from this body.
    file: Option<Box<FileBody>>,
    /// Completes when the response is cut.
    cut: Option<CutSignal>,
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
            if let Some(file) = &mut self.file {
                if let Some(chunk) = ready!(poll_chunk(file, cx)) {
                    return Poll::Ready(Some(chunk.map(|chunk| self.data(chunk))));
                }
                self.file = None;
            }
            if self.is_done {
                return Poll::Ready(None);
            }
            if let Some(cut) = &mut self.cut
                && cut.poll(cx).is_ready()
            {
                self.cut = None;
                self.is_done = true;
                self.source.disconnect();
                return Poll::Ready(Some(Err(Incomplete)));
            }
            let output = ready!(self.source.poll_output(cx));
            self.is_done = output.as_ref().map_or(true, |output| output.is_last);
            let Output { content, .. } = output?;
            match content {
                // An empty frame makes the transport send the head.
                Piece::Data(data) => return Poll::Ready(Some(Ok(self.data(data)))),
                Piece::Trailers(trailers) => {
                    return Poll::Ready(Some(Ok(Frame::trailers(*trailers))));
                }
                Piece::File(file) => self.file = Some(file),
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
            Kind::File(file) => {
                poll_chunk(file, cx).map(|chunk| chunk.map(|chunk| chunk.map(Frame::data)))
            }
            Kind::Streamed(stream) => stream.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(content) => content.is_none(),
            Kind::File(file) => file.remaining() == 0,
            Kind::Streamed(stream) => {
                let unread = stream.file.as_ref().map_or(0, |file| file.remaining());
                stream.is_done && unread == 0
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(content) => {
                SizeHint::with_exact(content.as_ref().map_or(0, |data| data.len() as u64))
            }
            Kind::File(file) => SizeHint::with_exact(file.remaining()),
            Kind::Streamed(stream) => stream
                .remaining
                .map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}
