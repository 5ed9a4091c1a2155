//! The content of a response, as hyper takes it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use callgate::HttpResponseStart;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};

use crate::exchange::Guard;
use crate::file::FileBody;
use crate::mailbox::{Content, Output, Source};

/// The content of a response. hyper moves it about, so what is large and rare is boxed.
#[derive(Debug)]
pub(crate) enum ResponseBody {
    /// All of it; none once it has been taken.
    Whole(Option<Bytes>),
    /// All of a file.
    File(Box<FileBody>),
    /// What the application sends, as it sends it.
    Streamed(Box<Stream>),
}

impl ResponseBody {
    pub(crate) fn empty() -> Self {
        Self::Whole(None)
    }

    /// What `source` has to come, after this head.
    pub(crate) fn streamed(source: Arc<dyn Source>, head: &HttpResponseStart) -> Self {
        Self::Streamed(Box::new(Stream {
            source,
            remaining: content_length(head),
            file: None,
            is_done: false,
        }))
    }
}

impl From<Bytes> for ResponseBody {
    fn from(content: Bytes) -> Self {
        Self::Whole((!content.is_empty()).then_some(content))
    }
}

/// A response of these parts.
pub(crate) fn respond<B>(status: StatusCode, headers: HeaderMap, body: B) -> Response<B> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    // The map that is replaced is empty. Dropping it would cost more than making the response.
    std::mem::forget(std::mem::replace(response.headers_mut(), headers));
    response
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

/// The server's end of a streamed response.
#[derive(Debug)]
pub(crate) struct Stream {
    source: Arc<dyn Source>,
    /// What the head said of the length, less what has been taken.
    remaining: Option<u64>,
    file: Option<Box<FileBody>>,
    is_done: bool,
}

impl Stream {
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
            if self.is_done {
                return Poll::Ready(None);
            }
            let Output { content, is_last } =
                ready!(self.source.poll_output(cx)).map_err(|_| Incomplete)?;
            self.is_done = is_last;
            match content {
                Content::Data(data) => {
                    if let Some(remaining) = &mut self.remaining {
                        *remaining -= data.len() as u64;
                    }
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Content::Trailers(trailers) => {
                    return Poll::Ready(Some(Ok(Frame::trailers(*trailers))));
                }
                Content::File(file) => self.file = Some(file),
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
pub(crate) struct Incomplete;

impl std::fmt::Display for Incomplete {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the response is incomplete")
    }
}

impl std::error::Error for Incomplete {}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Incomplete;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Incomplete>>> {
        match self.get_mut() {
            Self::Whole(content) => Poll::Ready(content.take().map(|data| Ok(Frame::data(data)))),
            Self::File(file) => file
                .poll_chunk(cx)
                .map(|chunk| chunk.map_err(|_| Incomplete).transpose())
                .map(|chunk| chunk.map(|chunk| chunk.map(Frame::data))),
            Self::Streamed(stream) => stream.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(content) => content.is_none(),
            Self::File(file) => file.remaining() == 0,
            Self::Streamed(stream) => stream.is_done && stream.file.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(content) => {
                SizeHint::with_exact(content.as_ref().map_or(0, |data| data.len() as u64))
            }
            Self::File(file) => SizeHint::with_exact(file.remaining()),
            Self::Streamed(stream) => stream
                .remaining
                .map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}

/// A body that counts its exchange as running for as long as it is there.
#[derive(Debug)]
pub(crate) struct Guarded {
    body: ResponseBody,
    _guard: Option<Guard>,
}

impl Guarded {
    pub(crate) fn new(body: ResponseBody, guard: Option<Guard>) -> Self {
        Self {
            body,
            _guard: guard,
        }
    }
}

impl Body for Guarded {
    type Data = Bytes;
    type Error = Incomplete;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Incomplete>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
