//! The content of a response, for hyper.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use callgate::HttpResponseStart;
use callgate_drive::{Incomplete, ResponseBody};
use http::{HeaderMap, Response};
use http_body::{Body, Frame, SizeHint};

use super::response_data::ResponseData;
use super::stream_state::StreamState;

/// The largest data frame for hyper, in octets.
const MAX_FRAME: usize = 64 * 1024;

/// The largest data frame that ends a response at once, in octets.
///
/// hyper has no handle by which a stream could be reset once hyper has the end of its response. The
/// end of other responses is held back until their content has been written, so that they can be
/// reset if they stall.
const MAX_LAST_FRAME: usize = 16 * 1024;

/// Creates a response with this head.
pub(super) fn respond<B>(head: HttpResponseStart, body: B) -> Response<B> {
    let mut response = Response::new(body);
    *response.status_mut() = head.status;
    *response.headers_mut() = head.headers;
    response
}

/// The content of a response, in data frames that record what is written of them.
///
/// hyper resets a stream as soon as the body fails, and drops what has not been written. So the body
/// fails only when all content before has been written.
#[derive(Debug)]
pub(super) struct ResponseContent {
    body: ResponseBody,
    /// `None` for the empty content of a handshake, whose stream belongs to a session.
    stream: Option<Arc<StreamState>>,
    /// The rest of a part that is larger than a frame.
    rest: Bytes,
    progress: Progress,
}

/// What hyper has been given.
#[derive(Debug)]
enum Progress {
    /// No content.
    None,
    /// Content, and more may follow.
    Started,
    /// All content. The end is held back until the content has been written.
    Ending(End),
    /// Everything.
    Ended,
}

#[derive(Debug)]
enum End {
    Complete,
    Trailers(HeaderMap),
    Failed(Incomplete),
}

impl ResponseContent {
    pub(super) fn new(body: ResponseBody, stream: Option<Arc<StreamState>>) -> Self {
        Self {
            body,
            stream,
            rest: Bytes::new(),
            progress: Progress::None,
        }
    }

    /// Returns the next frame of `rest`.
    fn next_frame(&mut self, stream: &Arc<StreamState>) -> Frame<ResponseData> {
        let octets = self.rest.split_to(self.rest.len().min(MAX_FRAME));
        let is_last = self.rest.is_empty()
            && octets.len() <= MAX_LAST_FRAME
            && stream.is_written()
            && self.body.is_end_stream();
        self.progress = match is_last {
            true => Progress::Ended,
            false => Progress::Started,
        };
        Frame::data(ResponseData::new(octets, stream.clone(), is_last))
    }
}

impl Body for ResponseContent {
    type Data = ResponseData;
    type Error = Incomplete;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<ResponseData>, Incomplete>>> {
        let this = self.get_mut();
        let Some(stream) = this.stream.clone() else {
            return Poll::Ready(None);
        };
        loop {
            match &this.progress {
                Progress::Ended => return Poll::Ready(None),
                Progress::Ending(_) => {
                    ready!(stream.poll_written(cx));
                    let ending = std::mem::replace(&mut this.progress, Progress::Ended);
                    return Poll::Ready(match ending {
                        Progress::Ending(End::Trailers(trailers)) => {
                            Some(Ok(Frame::trailers(trailers)))
                        }
                        Progress::Ending(End::Failed(error)) => Some(Err(error)),
                        _ => None,
                    });
                }
                Progress::None | Progress::Started => {}
            }
            ready!(stream.poll_room(cx));
            if !this.rest.is_empty() {
                return Poll::Ready(Some(Ok(this.next_frame(&stream))));
            }
            match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    // hyper sends an end of its own.
                    Ok(data)
                        if data.is_empty() && this.body.is_end_stream() && !stream.is_written() =>
                    {
                        this.progress = Progress::Ending(End::Complete);
                    }
                    Ok(data) => {
                        this.rest = data;
                        return Poll::Ready(Some(Ok(this.next_frame(&stream))));
                    }
                    Err(frame) => {
                        let trailers = frame.into_trailers().unwrap_or_default();
                        this.progress = Progress::Ending(End::Trailers(trailers));
                    }
                },
                Some(Err(error)) => this.progress = Progress::Ending(End::Failed(error)),
                None => this.progress = Progress::Ending(End::Complete),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self.progress {
            Progress::None => self.body.is_end_stream(),
            Progress::Started | Progress::Ending(_) => false,
            Progress::Ended => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
