//! The content of a response, for hyper.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use callgate_drive::{Incomplete, ResponseBody};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use super::response_data::ResponseData;
use super::stream_state::StreamState;
use crate::record::Outcome;

/// The largest data frame for hyper, in octets.
const MAX_FRAME: usize = 64 * 1024;

/// The largest data frame that ends a response at once, in octets.
///
/// hyper has no handle by which a stream could be reset once hyper has the end of its response. The
/// end of other responses is held back until their content has been written, so that they can be
/// reset if they stall.
const MAX_LAST_FRAME: usize = 16 * 1024;

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
    /// The octets in memory that are in no data frame yet, as [`Load::hold`](super::load::Load::hold) counts them.
    held: usize,
    progress: Progress,
}

/// The part of the response that hyper has.
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
        // hyper does not poll the content of a response without content.
        if let Some(stream) = &stream
            && body.is_end_stream()
        {
            stream.set_outcome(Outcome::Complete);
        }
        let mut content = Self {
            body,
            stream,
            rest: Bytes::new(),
            held: 0,
            progress: Progress::None,
        };
        content.count_held();
        content
    }

    /// Counts the octets that are in memory.
    fn count_held(&mut self) {
        let Some(stream) = &self.stream else { return };
        count_held(&mut self.held, &self.rest, &self.body, stream);
    }
}

fn count_held(held: &mut usize, rest: &Bytes, body: &ResponseBody, stream: &StreamState) {
    let whole = match body.is_in_memory() {
        true => body.size_hint().lower(),
        false => 0,
    };
    let now = rest.len() + usize::try_from(whole).unwrap_or(usize::MAX);
    match now.checked_sub(*held) {
        Some(more) => stream.load().hold(more),
        None => stream.load().release(*held - now),
    }
    *held = now;
}

impl Drop for ResponseContent {
    fn drop(&mut self) {
        if let Some(stream) = &self.stream {
            stream.load().release(self.held);
        }
    }
}

/// Reads the next part of `body` into `rest`, which is empty. Returns the end after the last part.
fn poll_part(
    body: &mut ResponseBody,
    rest: &mut Bytes,
    stream: &StreamState,
    cx: &mut Context<'_>,
) -> Poll<Option<End>> {
    let frame = match ready!(Pin::new(&mut *body).poll_frame(cx)) {
        Some(Ok(frame)) => frame,
        Some(Err(error)) => return Poll::Ready(Some(End::Failed(error))),
        None => return Poll::Ready(Some(End::Complete)),
    };
    match frame.into_data() {
        Ok(data) => *rest = data,
        Err(frame) => {
            let trailers = frame.into_trailers().unwrap_or_default();
            return Poll::Ready(Some(End::Trailers(trailers)));
        }
    }
    // An empty last part would be sent beside hyper's own end.
    let is_end = rest.is_empty() && body.is_end_stream() && !stream.is_written();
    Poll::Ready(is_end.then_some(End::Complete))
}

/// Returns the next frame of `rest`, which is of `body`.
fn next_frame(
    rest: &mut Bytes,
    body: &ResponseBody,
    stream: &Arc<StreamState>,
) -> (ResponseData, Progress) {
    let octets = rest.split_to(rest.len().min(MAX_FRAME));
    let is_last = rest.is_empty()
        && octets.len() <= MAX_LAST_FRAME
        && stream.is_written()
        && body.is_end_stream();
    let data = ResponseData::new(octets, stream.clone(), is_last);
    match is_last {
        true => (data, Progress::Ended),
        false => (data, Progress::Started),
    }
}

impl Body for ResponseContent {
    type Data = ResponseData;
    type Error = Incomplete;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<ResponseData>, Incomplete>>> {
        let Self {
            body,
            stream,
            rest,
            held,
            progress,
        } = self.get_mut();
        let Some(stream) = stream else {
            return Poll::Ready(None);
        };
        loop {
            match progress {
                Progress::Ended => return Poll::Ready(None),
                Progress::Ending(_) => {
                    ready!(stream.poll_written(cx));
                    let ending = std::mem::replace(progress, Progress::Ended);
                    stream.set_outcome(match ending {
                        Progress::Ending(End::Failed(_)) => Outcome::CutByApplication,
                        _ => Outcome::Complete,
                    });
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
            if rest.is_empty()
                && let Some(end) = ready!(poll_part(body, rest, stream, cx))
            {
                *progress = Progress::Ending(end);
                continue;
            }
            count_held(held, rest, body, stream);
            // Only the first frame may be empty: with it, the head is sent before a failure.
            if rest.is_empty() && matches!(progress, Progress::Started) {
                continue;
            }
            let (data, next) = next_frame(rest, body, stream);
            // The octets of the frame are released when they are written.
            *held -= data.remaining();
            *progress = next;
            if let Progress::Ended = progress {
                stream.set_outcome(Outcome::Complete);
            }
            return Poll::Ready(Some(Ok(Frame::data(data))));
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
