//! Servers that break the rules checked in `cases/http_disconnect.rs`.

use std::time::Duration;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use callgate::{Channel, HttpRequestBody, ReceiveEvent, Scope, SendError, SendEvent, SendProgress};
use http::Version;

use super::{mutants, with_connection_filter, with_interceptor};
use crate::connection_filter::{ConnectionFilter, find, replace};
use crate::in_process::InProcess;
use crate::interceptor::Interceptor;

mutants! {
    http_07_content_that_breaks_off_looks_complete: NO_SHORT_BODY [
        "a_length_that_is_not_reached",
        "chunks_without_the_last",
        "a_chunk_that_breaks_off",
        "a_stream_that_is_reset_over_http2",
    ],
    http_08_an_empty_event_follows_the_last: RECEIVE_AFTER_BODY [
        "a_receive_after_the_content",
        "a_receive_after_the_content_over_http2",
    ],
    http_09_a_reset_of_a_stream_while_streaming_is_not_delivered: DISCONNECT_IS_TOLD [
        "gone_while_streaming_over_http2",
    ],
    http_12_a_client_that_has_ended_its_sending_side_is_waited_for: HALF_CLOSE [
        "half_closed_while_waiting",
    ],
    http_49_a_client_that_half_closes_is_gone_at_once: HALF_CLOSE_IS_ANSWERED [
        "half_closed_after_the_request",
    ],
    http_13_malformed_content_is_answered_with_another_status: MALFORMED_CONTENT [
        "a_chunk_size_that_is_no_number",
        "a_negative_chunk_size",
        "a_chunk_size_beyond_64_bits",
        "a_chunk_longer_than_its_size",
        "a_line_feed_in_a_chunk_extension",
    ],
}

/// The state of the delivery of content.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Content {
    #[default]
    None,
    Coming,
    Complete,
    /// As is what the server adds.
    Exceeded,
}

/// Keeps track of the content of requests that have some.
#[derive(Default)]
struct Tracked(Mutex<Content>);

impl Tracked {
    fn begin(&self, scope: &Scope) {
        let has_content = scope.headers().is_some_and(|headers| {
            headers.contains_key("content-length") || headers.contains_key("transfer-encoding")
        });
        if has_content {
            *self.0.lock().unwrap() = Content::Coming;
        }
    }

    fn see(&self, event: &ReceiveEvent) {
        if matches!(event, ReceiveEvent::HttpRequestBody(part) if !part.more_body) {
            self.go_on(Content::Coming, Content::Complete);
        }
    }

    /// Goes on from one state to the next; whether it was in that state.
    fn go_on(&self, from: Content, to: Content) -> bool {
        let mut content = self.0.lock().unwrap();
        let is_there = *content == from;
        if is_there {
            *content = to;
        }
        is_there
    }
}

fn http_07_content_that_breaks_off_looks_complete() -> InProcess {
    #[derive(Default)]
    struct Completes(Tracked);
    impl Interceptor for Completes {
        fn scope(&self, scope: &mut Scope) {
            self.0.begin(scope);
        }

        fn receive(&self, server: &dyn Channel, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
            let event = ready!(server.poll_receive(cx));
            self.0.see(&event);
            let breaks_off = event == ReceiveEvent::HttpDisconnect
                && self.0.go_on(Content::Coming, Content::Complete);
            Poll::Ready(match breaks_off {
                true => ReceiveEvent::HttpRequestBody(HttpRequestBody::last("")),
                false => event,
            })
        }
    }
    with_interceptor(Completes::default)
}

fn http_08_an_empty_event_follows_the_last() -> InProcess {
    #[derive(Default)]
    struct Repeats(Tracked);
    impl Interceptor for Repeats {
        fn scope(&self, scope: &mut Scope) {
            self.0.begin(scope);
        }

        fn receive(&self, server: &dyn Channel, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
            if self.0.go_on(Content::Complete, Content::Exceeded) {
                return Poll::Ready(ReceiveEvent::HttpRequestBody(HttpRequestBody::last("")));
            }
            let event = server.poll_receive(cx);
            if let Poll::Ready(event) = &event {
                self.0.see(event);
            }
            event
        }
    }
    with_interceptor(Repeats::default)
}

fn http_09_a_reset_of_a_stream_while_streaming_is_not_delivered() -> InProcess {
    #[derive(Default)]
    struct HidesReset {
        is_http2: AtomicBool,
        is_streaming: AtomicBool,
    }
    impl Interceptor for HidesReset {
        fn scope(&self, scope: &mut Scope) {
            let is_http2 = matches!(scope, Scope::Http(http) if http.version == Version::HTTP_2);
            self.is_http2.store(is_http2, Ordering::Relaxed);
        }

        fn receive(&self, server: &dyn Channel, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
            let event = ready!(server.poll_receive(cx));
            let is_kept_back = event == ReceiveEvent::HttpDisconnect
                && self.is_http2.load(Ordering::Relaxed)
                && self.is_streaming.load(Ordering::Relaxed);
            match is_kept_back {
                true => Poll::Pending,
                false => Poll::Ready(event),
            }
        }

        fn start_send(
            &self,
            server: &dyn Channel,
            event: SendEvent,
        ) -> Result<SendProgress, SendError> {
            if let SendEvent::HttpResponseBody(body) = &event {
                self.is_streaming.store(body.more_body, Ordering::Relaxed);
            }
            let sent = server.start_send(event);
            if let Err(SendError::Violation(_)) = sent {
                // The disconnect that follows is not the client's.
                self.is_streaming.store(false, Ordering::Relaxed);
            }
            sent
        }
    }
    with_interceptor(HidesReset::default)
}

fn http_12_a_client_that_has_ended_its_sending_side_is_waited_for() -> InProcess {
    /// After a GET, which has nothing to follow.
    #[derive(Default)]
    struct KeepsEnd {
        is_get: bool,
    }
    impl ConnectionFilter for KeepsEnd {
        fn to_server(&mut self, octets: Vec<u8>) -> Vec<u8> {
            self.is_get = octets.starts_with(b"GET ") && find(&octets, "upgrade").is_none();
            octets
        }

        fn passes_end(&mut self) -> bool {
            !self.is_get
        }
    }
    with_connection_filter(|| Box::new(KeepsEnd::default()))
}

fn http_49_a_client_that_half_closes_is_gone_at_once() -> InProcess {
    InProcess {
        config: Some(|config| config.timeouts.half_close = Duration::ZERO),
        ..InProcess::default()
    }
}

fn http_13_malformed_content_is_answered_with_another_status() -> InProcess {
    /// Answers 422 where the head was well-formed and the chunks cannot have been.
    #[derive(Default)]
    struct Unprocessable {
        is_chunked: bool,
    }
    impl ConnectionFilter for Unprocessable {
        fn to_server(&mut self, octets: Vec<u8>) -> Vec<u8> {
            if let Some(coding) = find(&octets, "transfer-encoding: ") {
                let rest = &octets[coding + 1..];
                self.is_chunked = rest.starts_with(b"ransfer-encoding: chunked\r\n")
                    && find(rest, "transfer-encoding").is_none()
                    && find(&octets, "HTTP/1.1\r\n").is_some();
            }
            octets
        }

        fn to_client(&mut self, octets: Vec<u8>) -> Vec<u8> {
            match self.is_chunked {
                true => replace(&octets, "HTTP/1.1 400 ", "HTTP/1.1 422 "),
                false => octets,
            }
        }
    }
    with_connection_filter(|| Box::new(Unprocessable::default()))
}
