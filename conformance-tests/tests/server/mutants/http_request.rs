//! Servers that break the rules checked in `cases/http_request.rs`.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use callgate::{Channel, HttpRequestBody, ReceiveEvent, Scope};

use http::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderValue};

use super::{mutants, with_interceptor};
use crate::in_process::InProcess;
use crate::interceptor::Interceptor;

mutants! {
    http_01_content_beyond_a_limit_is_blank: REQUEST_BODY [
        "content_of_100_kilobytes",
        "content_of_100_kilobytes_over_http2",
    ],
    http_02_an_empty_first_event_is_not_the_last: EMPTY_REQUEST_BODY [
        "a_request_without_content",
        "a_request_without_content_over_http2",
        "content_of_length_zero",
    ],
    http_02_a_request_without_content_has_a_blank: EMPTY_REQUEST_BODY [
        "a_request_without_content",
        "a_request_without_content_over_http2",
        "a_request_without_content_ends",
        "a_request_without_content_ends_over_http2",
    ],
    http_03_content_is_gathered_before_it_is_delivered: REQUEST_BODY_STREAMS [
        "a_part_before_the_rest",
        "a_chunk_before_the_rest",
        "a_part_before_the_rest_over_http2",
    ],
    http_05_chunks_are_delivered_with_their_sizes: TRANSFER_CODING_REMOVED ["chunked_content"],
    http_06_trailer_fields_are_dropped: REQUEST_TRAILERS [
        "trailer_fields",
        "trailer_fields_over_http2",
        "forbidden_trailer_fields",
        "forbidden_trailer_fields_over_http2",
    ],
    http_06_a_forbidden_trailer_field_is_delivered: REQUEST_TRAILERS [
        "forbidden_trailer_fields",
        "forbidden_trailer_fields_over_http2",
    ],
}

fn http_01_content_beyond_a_limit_is_blank() -> InProcess {
    const LIMIT: usize = 64 << 10;
    #[derive(Default)]
    struct Blanks {
        received: AtomicUsize,
    }
    impl Interceptor for Blanks {
        fn receive(&self, server: &dyn Channel, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
            server.poll_receive(cx).map(|event| match event {
                ReceiveEvent::HttpRequestBody(mut part) => {
                    let before = self.received.fetch_add(part.body.len(), Ordering::Relaxed);
                    if before + part.body.len() > LIMIT {
                        part.body = vec![0; part.body.len()].into();
                    }
                    ReceiveEvent::HttpRequestBody(part)
                }
                event => event,
            })
        }
    }
    with_interceptor(Blanks::default)
}

fn http_02_an_empty_first_event_is_not_the_last() -> InProcess {
    #[derive(Default)]
    struct Unfinished {
        has_begun: AtomicBool,
        is_last_due: AtomicBool,
    }
    impl Interceptor for Unfinished {
        fn receive(&self, server: &dyn Channel, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
            if self.is_last_due.swap(false, Ordering::Relaxed) {
                return Poll::Ready(ReceiveEvent::HttpRequestBody(HttpRequestBody::last("")));
            }
            let event = ready!(server.poll_receive(cx));
            let is_first = !self.has_begun.swap(true, Ordering::Relaxed);
            Poll::Ready(match event {
                ReceiveEvent::HttpRequestBody(part) if is_first && part.body.is_empty() => {
                    self.is_last_due.store(!part.more_body, Ordering::Relaxed);
                    ReceiveEvent::HttpRequestBody(HttpRequestBody::part(""))
                }
                event => event,
            })
        }
    }
    with_interceptor(Unfinished::default)
}

fn http_02_a_request_without_content_has_a_blank() -> InProcess {
    /// Leaves the content of requests alone that say its length: more than that breaks another rule.
    #[derive(Default)]
    struct Blank {
        is_settled: AtomicBool,
    }
    impl Interceptor for Blank {
        fn scope(&self, scope: &mut Scope) {
            let fields = scope.headers();
            let has_length = fields.is_some_and(|fields| fields.contains_key(CONTENT_LENGTH));
            self.is_settled.store(has_length, Ordering::Relaxed);
        }

        fn receive(&self, server: &dyn Channel, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
            let event = ready!(server.poll_receive(cx));
            let is_settled = self.is_settled.swap(true, Ordering::Relaxed);
            Poll::Ready(match event {
                ReceiveEvent::HttpRequestBody(part) if !is_settled && part.body.is_empty() => {
                    ReceiveEvent::HttpRequestBody(HttpRequestBody::new(" ", part.more_body))
                }
                event => event,
            })
        }
    }
    with_interceptor(Blank::default)
}

fn http_03_content_is_gathered_before_it_is_delivered() -> InProcess {
    #[derive(Default)]
    struct Gathers {
        content: Mutex<Vec<u8>>,
    }
    impl Interceptor for Gathers {
        fn receive(&self, server: &dyn Channel, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
            loop {
                match ready!(server.poll_receive(cx)) {
                    ReceiveEvent::HttpRequestBody(mut part) => {
                        let mut content = self.content.lock().unwrap();
                        content.extend_from_slice(&part.body);
                        if !part.more_body {
                            part.body = std::mem::take(&mut *content).into();
                            return Poll::Ready(ReceiveEvent::HttpRequestBody(part));
                        }
                    }
                    event => return Poll::Ready(event),
                }
            }
        }
    }
    with_interceptor(Gathers::default)
}

fn http_05_chunks_are_delivered_with_their_sizes() -> InProcess {
    #[derive(Default)]
    struct Chunks {
        is_chunked: AtomicBool,
    }
    impl Interceptor for Chunks {
        fn scope(&self, scope: &mut Scope) {
            let is_chunked = scope.headers().is_some_and(|headers| {
                headers.contains_key("transfer-encoding") && !headers.contains_key("content-length")
            });
            self.is_chunked.store(is_chunked, Ordering::Relaxed);
        }

        fn receive(&self, server: &dyn Channel, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
            server.poll_receive(cx).map(|event| match event {
                ReceiveEvent::HttpRequestBody(mut part)
                    if self.is_chunked.load(Ordering::Relaxed) =>
                {
                    let size = format!("{:x}\r\n", part.body.len()).into_bytes();
                    part.body = [&size, &part.body[..], b"\r\n"].concat().into();
                    ReceiveEvent::HttpRequestBody(part)
                }
                event => event,
            })
        }
    }
    with_interceptor(Chunks::default)
}

fn http_06_trailer_fields_are_dropped() -> InProcess {
    struct Drops;
    impl Interceptor for Drops {
        fn receive(&self, server: &dyn Channel, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
            server.poll_receive(cx).map(|event| match event {
                ReceiveEvent::HttpRequestBody(mut part) => {
                    part.trailers = None;
                    ReceiveEvent::HttpRequestBody(part)
                }
                event => event,
            })
        }
    }
    with_interceptor(|| Drops)
}

fn http_06_a_forbidden_trailer_field_is_delivered() -> InProcess {
    /// Whether the request announces the field.
    #[derive(Default)]
    struct Authorization(AtomicBool);
    impl Interceptor for Authorization {
        fn scope(&self, scope: &mut Scope) {
            if let Scope::Http(scope) = scope
                && let Some(names) = scope.headers.get("trailer")
            {
                let is_announced = names.as_bytes().ends_with(b"authorization");
                self.0.store(is_announced, Ordering::Relaxed);
            }
        }
        fn receive(&self, server: &dyn Channel, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
            let mut event = ready!(server.poll_receive(cx));
            if let ReceiveEvent::HttpRequestBody(part) = &mut event
                && let Some(trailers) = &mut part.trailers
                && self.0.load(Ordering::Relaxed)
            {
                let credentials = HeaderValue::from_static("Basic YTpi");
                trailers.insert(AUTHORIZATION, credentials);
            }
            Poll::Ready(event)
        }
    }
    with_interceptor(Authorization::default)
}
