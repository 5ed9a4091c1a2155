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
use crate::deadline::{Check, Deadline, Wait};
use crate::rejection::Rejection;
use crate::report;

/// The reason for which content cannot be read.
#[derive(Debug)]
pub(super) enum ContentError {
    /// The trailer fields are malformed.
    Malformed,
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
    /// The frames that have been read.
    frames: u64,
    /// How often the deadline has been polled while the client could not send.
    held_up: u64,
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
            frames: 0,
            held_up: 0,
            expects_continue: expectation.is_some_and(|expectation| {
                expectation.as_bytes().eq_ignore_ascii_case(b"100-continue")
            }),
            deadline: None,
            task: Waker::noop().clone(),
        }
    }

    /// Returns what the application waits for.
    fn wait(&mut self) -> Wait {
        let window = self.load.receive_window();
        let is_held_up = window.is_used_up();
        if self.frames == 0 && self.expects_continue && !is_held_up {
            return Wait::Expectation;
        }
        // A client cannot send when other streams have used up the window of the connection with
        // content that their applications do not receive.
        self.held_up += u64::from(is_held_up);
        // A client that takes its response is there.
        let output = self.stream.upgrade().map_or(0, |stream| stream.progress());
        Wait::Content(self.frames + self.held_up + window.reopened() + output)
    }

    /// Returns an error when the client has made no progress in time.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<ContentError> {
        let wait = self.wait();
        let deadline = self
            .deadline
            .get_or_insert_with(|| Box::pin(Deadline::new()));
        if !self.task.will_wake(cx.waker()) {
            self.task.clone_from(cx.waker());
            deadline.as_mut().register(cx);
        }
        let config = &self.load.info.server.config;
        while ready!(deadline.as_mut().poll(wait, config, cx)) == Check::Quiet {}
        Poll::Ready(match wait {
            Wait::Expectation => ContentError::ExpectationFailed,
            _ => ContentError::TooSlow,
        })
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
        this.frames += 1;
        Poll::Ready(frame.map(|frame| match frame {
            Ok(frame) if frame.trailers_ref().is_some_and(|it| !has_valid_values(it)) => {
                let rejection = Rejection::bad_request("a trailer field is malformed");
                report::rejected(this.load.info.client, &rejection);
                Err(ContentError::Malformed)
            }
            Ok(frame) => Ok(frame),
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
