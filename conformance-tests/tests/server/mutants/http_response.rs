//! Servers that break the rules checked in `cases/http_response.rs`.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use callgate::{Channel, HttpResponseBody, Scope, SendError, SendEvent, SendProgress};
use http::Method;

use super::{mutants, send_all, with_connection_filter, with_interceptor};
use crate::connection_filter::{ConnectionFilter, find};
use crate::in_process::InProcess;
use crate::interceptor::Interceptor;

mutants! {
    http_24_content_is_sent_in_answer_to_head: HEAD_HAS_NO_BODY [
        "head_of_a_whole_response",
        "head_of_a_streamed_response",
    ],
    http_24_fields_are_dropped_in_answer_to_head: HEAD_HAS_NO_BODY [
        "fields_of_an_answer_to_head",
        "fields_of_an_answer_to_head_over_http2",
    ],
    http_25_a_head_with_a_length_is_sent_at_once: START_IS_HELD [
        "a_start_alone",
        "a_start_alone_over_http2",
    ],
    http_26_a_whole_response_is_streamed: WHOLE_RESPONSE_IS_SIZED [
        "a_whole_response",
        "a_whole_response_to_http10",
        "a_whole_response_over_http2",
        "an_empty_response",
    ],
    http_27_a_client_of_http10_is_promised_chunks: STREAMED_FRAMING [
        "a_streamed_response_to_http10",
    ],
    http_28_an_empty_part_sends_nothing: EMPTY_BODY_FLUSHES_HEAD [
        "an_empty_first_part",
        "an_empty_first_part_over_http2",
    ],
    http_29_small_parts_wait_for_the_next: EVENTS_ARE_NOT_HELD [
        "one_part_after_the_other",
        "one_part_after_the_other_over_http2",
    ],
}

fn http_24_content_is_sent_in_answer_to_head() -> InProcess {
    #[derive(Default)]
    struct SendsContent {
        is_head_request: bool,
    }
    impl ConnectionFilter for SendsContent {
        fn to_server(&mut self, octets: Vec<u8>) -> Vec<u8> {
            self.is_head_request = octets.starts_with(b"HEAD ");
            octets
        }

        fn to_client(&mut self, mut octets: Vec<u8>) -> Vec<u8> {
            if std::mem::take(&mut self.is_head_request) {
                octets.extend_from_slice(b"content");
            }
            octets
        }
    }
    with_connection_filter(|| Box::new(SendsContent::default()))
}

fn http_24_fields_are_dropped_in_answer_to_head() -> InProcess {
    #[derive(Default)]
    struct DropsFields {
        is_head_request: AtomicBool,
    }
    impl Interceptor for DropsFields {
        fn scope(&self, scope: &mut Scope) {
            let is_head_request = matches!(scope, Scope::Http(http) if http.method == Method::HEAD);
            self.is_head_request
                .store(is_head_request, Ordering::Relaxed);
        }

        fn start_send(
            &self,
            server: &dyn Channel,
            mut event: SendEvent,
        ) -> Result<SendProgress, SendError> {
            if let SendEvent::HttpResponseStart(start) = &mut event
                && self.is_head_request.load(Ordering::Relaxed)
            {
                start.headers.clear();
            }
            server.start_send(event)
        }
    }
    with_interceptor(DropsFields::default)
}

fn http_25_a_head_with_a_length_is_sent_at_once() -> InProcess {
    struct SendsHead;
    impl Interceptor for SendsHead {
        fn start_send(
            &self,
            server: &dyn Channel,
            event: SendEvent,
        ) -> Result<SendProgress, SendError> {
            let has_length = matches!(
                &event,
                SendEvent::HttpResponseStart(start)
                    if start.headers.contains_key("content-length")
            );
            let sent = server.start_send(event);
            if has_length && sent.is_ok() {
                return server.start_send(HttpResponseBody::part("").into());
            }
            sent
        }
    }
    with_interceptor(|| SendsHead)
}

fn http_26_a_whole_response_is_streamed() -> InProcess {
    /// Splits a body event that is the first and the last into two.
    #[derive(Default)]
    struct Streams {
        is_streaming: AtomicBool,
    }
    impl Interceptor for Streams {
        fn start_send(
            &self,
            server: &dyn Channel,
            mut event: SendEvent,
        ) -> Result<SendProgress, SendError> {
            let mut is_whole = false;
            if let SendEvent::HttpResponseBody(body) = &mut event {
                is_whole = !self.is_streaming.swap(true, Ordering::Relaxed) && !body.more_body;
                body.more_body |= is_whole;
            }
            let sent = server.start_send(event)?;
            match is_whole {
                true => server.start_send(HttpResponseBody::end().into()),
                false => Ok(sent),
            }
        }
    }
    with_interceptor(Streams::default)
}

fn http_27_a_client_of_http10_is_promised_chunks() -> InProcess {
    #[derive(Default)]
    struct Promises {
        is_http10: bool,
    }
    impl ConnectionFilter for Promises {
        fn to_server(&mut self, octets: Vec<u8>) -> Vec<u8> {
            self.is_http10 = find(&octets, " HTTP/1.0\r\n").is_some();
            octets
        }

        fn to_client(&mut self, mut octets: Vec<u8>) -> Vec<u8> {
            let is_due =
                std::mem::take(&mut self.is_http10) && find(&octets, "content-length").is_none();
            if is_due && let Some(end) = find(&octets, "\r\n\r\n") {
                octets.splice(end..end, *b"\r\ntransfer-encoding: chunked");
            }
            octets
        }
    }
    with_connection_filter(|| Box::new(Promises::default()))
}

fn http_28_an_empty_part_sends_nothing() -> InProcess {
    struct Skips;
    impl Interceptor for Skips {
        fn start_send(
            &self,
            server: &dyn Channel,
            event: SendEvent,
        ) -> Result<SendProgress, SendError> {
            match event {
                SendEvent::HttpResponseBody(body) if body.more_body && body.body.is_empty() => {
                    Ok(SendProgress::Sent)
                }
                _ => server.start_send(event),
            }
        }
    }
    with_interceptor(|| Skips)
}

fn http_29_small_parts_wait_for_the_next() -> InProcess {
    /// Parts after the first that are smaller than this are held back, in bytes.
    const SMALL: usize = 1024;
    /// Holds content back that has no declared length, as long as no rule has been broken.
    #[derive(Default)]
    struct Holds(Mutex<Held>);
    #[derive(Default)]
    struct Held {
        is_exempt: bool,
        is_streaming: bool,
        part: Option<SendEvent>,
    }
    impl Interceptor for Holds {
        fn start_send(
            &self,
            server: &dyn Channel,
            event: SendEvent,
        ) -> Result<SendProgress, SendError> {
            let mut held = self.0.lock().unwrap();
            let earlier = held.part.take();
            let is_held = match &event {
                SendEvent::HttpResponseStart(start) => {
                    held.is_exempt |= start.headers.contains_key("content-length");
                    false
                }
                SendEvent::HttpResponseBody(body) if body.more_body => {
                    std::mem::replace(&mut held.is_streaming, true)
                        && !held.is_exempt
                        && body.body.len() < SMALL
                }
                _ => false,
            };
            let event = match is_held {
                true => {
                    held.part = Some(event);
                    None
                }
                false => Some(event),
            };
            let sent = send_all(server, earlier.into_iter().chain(event));
            held.is_exempt |= sent.is_err();
            sent
        }
    }
    with_interceptor(Holds::default)
}
