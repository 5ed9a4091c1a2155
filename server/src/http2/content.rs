//! The content of a request, which hyper reads.

use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http::header;
use http::{HeaderMap, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::load::Load;
use super::malformed::has_valid_values;
use super::stream_state::StreamState;
use crate::deadline::{CHECKS, Check, Deadline, Wait};
use crate::rejection::Rejection;

/// How often the deadline of content is put off after the last frame. The deadline is put off once in
/// an eighth of its limit, so it passes after about eleven limits.
const MAX_DELAYS: u32 = 10 * CHECKS;

/// The reason for which content cannot be read.
#[derive(Debug)]
pub(super) enum ContentError {
    /// The trailer fields are malformed.
    Malformed,
    /// There is more content than the settings allow.
    TooLarge,
    /// The client made no progress in time.
    TooSlow,
    /// The client sent no content, because it waits for a `100 Continue` that hyper cannot send.
    ExpectationFailed,
    /// The stream was reset, or the connection has ended before the content.
    Cut,
}

/// Returns the status of the response to content that cannot be read; `None` when the client is
/// gone.
pub(super) fn status_for(error: &ContentError) -> Option<StatusCode> {
    match error {
        ContentError::Malformed => Some(StatusCode::BAD_REQUEST),
        ContentError::TooLarge => Some(StatusCode::PAYLOAD_TOO_LARGE),
        ContentError::TooSlow => Some(StatusCode::REQUEST_TIMEOUT),
        ContentError::ExpectationFailed => Some(StatusCode::EXPECTATION_FAILED),
        ContentError::Cut => None,
    }
}

/// The content of a request, with a deadline for its client while the application receives.
#[derive(Debug)]
pub(super) struct RequestContent {
    incoming: Incoming,
    load: Arc<Load>,
    /// The stream, which ends with its response.
    stream: Weak<StreamState>,
    /// The octets that have been read.
    received: u64,
    /// The number of frames that have been read.
    frames: u64,
    /// How often the deadline has been put off.
    put_off: u64,
    /// How often the deadline has been put off since the last frame.
    delays: u32,
    /// Whether the client may wait for a `100 Continue`: it has sent no content.
    expects_continue: bool,
    /// Created when the application waits for the client.
    deadline: Option<Pin<Box<Deadline>>>,
    /// The task that has polled the deadline. The application may receive on another task then.
    task: Waker,
}

impl RequestContent {
    /// Creates the content of a request with these fields.
    pub(super) fn new(
        incoming: Incoming,
        fields: &HeaderMap,
        load: Arc<Load>,
        stream: &Arc<StreamState>,
    ) -> Self {
        let expectation = fields.get(header::EXPECT);
        Self {
            incoming,
            load,
            stream: Arc::downgrade(stream),
            received: 0,
            frames: 0,
            put_off: 0,
            delays: 0,
            expects_continue: expectation.is_some_and(|expectation| {
                expectation.as_bytes().eq_ignore_ascii_case(b"100-continue")
            }),
            deadline: None,
            task: Waker::noop().clone(),
        }
    }

    /// Returns what the application waits for.
    fn wait(&self) -> Wait {
        let window = self.load.receive_window();
        if self.expects_continue && !window.is_used_up() {
            return Wait::Expectation;
        }
        let delays = window.reopened() + self.put_off;
        Wait::Content(match self.stream.upgrade() {
            // A client that takes its response is there, though its content makes no progress.
            Some(stream) if stream.has_started() => self.frames + stream.progress() + delays,
            _ => self.received / self.load.info.server.rates.content + delays,
        })
    }

    /// Puts the deadline off if the stream is delayed: the client cannot send, because other streams
    /// have used up the window of the connection with content that their applications do not
    /// receive. Returns whether the deadline has been put off.
    ///
    /// The delay counts as progress of the client. [`Wait::Application`] would set no timer, and then
    /// nothing would poll the deadline when the window is reopened.
    fn put_off(&mut self) -> bool {
        let is_delayed = self.load.receive_window().is_used_up();
        if !is_delayed || self.delays == MAX_DELAYS {
            return false;
        }
        self.delays += 1;
        self.put_off += 1;
        true
    }

    #[cold]
    fn too_large(&self) -> ContentError {
        self.report(&Rejection::content_too_large());
        ContentError::TooLarge
    }

    #[cold]
    fn report(&self, rejection: &Rejection) {
        let info = &self.load.info;
        match self.stream.upgrade() {
            Some(stream) => stream.report_rejected(rejection),
            None => info.server.report_rejected(info.client, rejection, None),
        }
    }

    /// Returns an error when the client has made no progress in time.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<ContentError> {
        loop {
            let wait = self.wait();
            let deadline = self
                .deadline
                .get_or_insert_with(|| Box::pin(Deadline::new()));
            if !self.task.will_wake(cx.waker()) {
                self.task.clone_from(cx.waker());
                deadline.as_mut().register(cx);
            }
            let config = &self.load.info.server.config;
            let check = ready!(deadline.as_mut().poll(wait, config, cx));
            if self.put_off() || check == Check::Quiet {
                continue;
            }
            self.load.info.server.limits.expired(wait);
            return Poll::Ready(match wait {
                Wait::Expectation => ContentError::ExpectationFailed,
                _ => ContentError::TooSlow,
            });
        }
    }
}

impl Body for RequestContent {
    type Data = Bytes;
    type Error = ContentError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ContentError>>> {
        let this = self.get_mut();
        let Poll::Ready(frame) = Pin::new(&mut this.incoming).poll_frame(cx) else {
            return this.poll_deadline(cx).map(|error| Some(Err(error)));
        };
        if frame.is_none() && !this.incoming.is_end_stream() {
            // hyper takes a reset without an error for the end of the content. From a client it is the end of the request.
            return Poll::Ready(Some(Err(ContentError::Cut)));
        }
        this.frames += 1;
        this.delays = 0;
        this.expects_continue = false;
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
            && let Some(stream) = this.stream.upgrade()
        {
            stream.record(|record| record.octets_in += data.len() as u64);
        }
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            this.load.received(data.len());
        }
        Poll::Ready(frame.map(|frame| match frame {
            Ok(frame) if frame.trailers_ref().is_some_and(|it| !has_valid_values(it)) => {
                this.report(&Rejection::bad_request("a trailer field is malformed"));
                Err(ContentError::Malformed)
            }
            Ok(frame) => {
                this.received += frame.data_ref().map_or(0, |data| data.len() as u64);
                match this
                    .load
                    .info
                    .server
                    .config
                    .limits
                    .is_too_large(this.received)
                {
                    true => Err(this.too_large()),
                    false => Ok(frame),
                }
            }
            Err(_) => Err(ContentError::Cut),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
