//! The content of a response, as the user of the service takes it.

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

/// One piece of output, and whether it is the last.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) content: Content,
    pub(super) is_last: bool,
}

/// What a piece of output consists of.
#[derive(Debug)]
pub(super) enum Content {
    Data(Bytes),
    Trailers(Box<HeaderMap>),
}

/// Where a streamed response comes from.
pub(super) trait Source: Send + Sync + fmt::Debug {
    /// The next output. An error means that the response will never be whole.
    fn poll_output(&self, cx: &mut Context<'_>) -> Poll<Result<Output, Incomplete>>;

    /// Notes that the client is gone, and tells the application.
    fn disconnect(&self);

    /// Notes that all that `content-length` says has been taken, and that nothing is wanted but the
    /// end.
    fn taken(&self);
}

/// The content of a response that an application makes.
///
/// Its error says that the response is not whole: the application failed or broke a rule in the
/// middle. Whoever sends it must cut the connection, or reset the stream; hyper does.
#[derive(Debug)]
pub struct ResponseBody(Kind);

#[derive(Debug)]
enum Kind {
    /// All of it; none once it has been taken.
    Whole(Option<Bytes>),
    /// What the application sends, as it sends it.
    Streamed(Stream),
}

impl Default for ResponseBody {
    fn default() -> Self {
        Self::empty()
    }
}

impl ResponseBody {
    pub(super) fn empty() -> Self {
        Self(Kind::Whole(None))
    }

    pub(super) fn whole(content: impl Into<Bytes>) -> Self {
        let content = content.into();
        Self(Kind::Whole((!content.is_empty()).then_some(content)))
    }

    /// What `source` has to come, after this head.
    pub(super) fn streamed(source: Arc<dyn Source>, head: &HttpResponseStart) -> Self {
        Self(Kind::Streamed(Stream {
            source,
            remaining: content_length(head),
            is_done: false,
        }))
    }
}

/// What the application said of the length of its content. The conversation has checked it.
fn content_length(head: &HttpResponseStart) -> Option<u64> {
    let length = head.headers.get(CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}

#[derive(Debug)]
struct Stream {
    source: Arc<dyn Source>,
    /// What the head said of the length, less what has been taken.
    remaining: Option<u64>,
    is_done: bool,
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

impl Stream {
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Incomplete>>> {
        if self.is_done {
            return Poll::Ready(None);
        }
        let Output { content, is_last } = match ready!(self.source.poll_output(cx)) {
            Ok(output) => output,
            Err(incomplete) => {
                self.is_done = true;
                return Poll::Ready(Some(Err(incomplete)));
            }
        };
        self.is_done = is_last;
        Poll::Ready(Some(Ok(match content {
            Content::Data(data) => {
                if let Some(remaining) = &mut self.remaining {
                    *remaining = remaining.saturating_sub(data.len() as u64);
                }
                Frame::data(data)
            }
            Content::Trailers(trailers) => Frame::trailers(*trailers),
        })))
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
            Kind::Streamed(stream) => stream.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(content) => content.is_none(),
            Kind::Streamed(stream) => stream.is_done,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(content) => {
                SizeHint::with_exact(content.as_ref().map_or(0, |data| data.len() as u64))
            }
            Kind::Streamed(stream) => stream
                .remaining
                .map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}

/// Why a response is cut: what is missing is not coming. The reason is the application's, and was
/// reported where it arose.
#[derive(Debug)]
#[non_exhaustive]
pub struct Incomplete;

impl fmt::Display for Incomplete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the response is incomplete: the application did not end it")
    }
}

impl Error for Incomplete {}
