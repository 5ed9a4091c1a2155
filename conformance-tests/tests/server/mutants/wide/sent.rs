//! Servers that are wrong about what the application sends.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use callgate::{
    BoxApp, Channel, HttpResponseBody, HttpResponseStart, Message, Receiver, Scope, SendError,
    SendEvent, Sender, WebSocketAccept,
};
use http::HeaderValue;

use super::wide;
use crate::in_process::InProcess;
use crate::mutants::{with_app, with_between, with_changed_events, with_changed_outcomes};
use crate::tamper::{Between, between};

wide! {
    sends_to_nobody_are_taken: {
        SEND_AFTER_DISCONNECT: [
            "a_send_after_the_client",
            "a_send_after_the_client_of_a_stream",
            "a_send_after_the_client_over_http2",
            "a_send_after_the_client_of_a_websocket",
        ],
    },
    large_parts_are_taken_and_kept: {
        BACKPRESSURE: ["the_client_does_not_read", "the_client_does_not_read_over_http2"],
    },
    each_part_waits_for_the_next_and_comes_after_it: {
        CONCURRENT_SENDS: ["sends_one_after_the_other"],
        EVENTS_ARE_NOT_HELD: ["one_part_after_the_other_up_to_a_length"],
    },
    every_response_is_cut_at_its_end: {
        STREAMED_FRAMING: [
            "a_streamed_response",
            "a_streamed_response_over_http2",
        ],
        BACKGROUND_WORK: [
            "a_response_of_an_application_that_works_on",
            "an_application_that_works_on_over_http2",
        ],
        ABSENT_BODY_IS_DRAINED: ["a_client_that_goes_on_sending_over_http2"],
    },
    values_become_ascii: {
        RESPONSE_HEADERS_KEPT: ["every_octet_in_a_value", "every_octet_in_a_value_over_http2"],
    },
    texts_become_binary_messages: {
        CONCURRENT_SENDS: ["sends_at_the_same_time_in_a_websocket"],
        MESSAGES_IN_ORDER: ["messages_to_the_client", "messages_to_the_client_over_http2"],
    },
    a_file_is_sent_with_a_line_feed: {
        PATH_SEND_IS_WHOLE: ["an_empty_file", "an_empty_file_over_http2"],
    },
    the_server_accepts_before_the_application: {
        HANDSHAKE_WAITS: ["the_handshake_waits", "the_handshake_waits_over_http2"],
    },
}

fn sends_to_nobody_are_taken() -> InProcess {
    with_changed_outcomes(|sent| match sent {
        Err(SendError::Disconnected) => Ok(()),
        sent => sent,
    })
}

fn large_parts_are_taken_and_kept() -> InProcess {
    /// Parts of a response from this size on, in bytes.
    const LARGE: usize = 64 << 10;
    struct Keeps;
    impl Between for Keeps {
        fn send(
            &self,
            server: &dyn Channel,
            cx: &mut Context<'_>,
            event: &mut Option<SendEvent>,
        ) -> Poll<Result<(), SendError>> {
            match event {
                Some(SendEvent::HttpResponseBody(body)) if body.body.len() >= LARGE => {
                    *event = None;
                    Poll::Ready(Ok(()))
                }
                _ => server.poll_send(cx, event),
            }
        }
    }
    with_between(|| Keeps)
}

fn each_part_waits_for_the_next_and_comes_after_it() -> InProcess {
    #[derive(Default)]
    struct Exchanges(Mutex<Parts>);
    #[derive(Default)]
    struct Parts {
        held: Option<SendEvent>,
        /// What is being sent.
        sending: VecDeque<SendEvent>,
    }
    impl Between for Exchanges {
        fn send(
            &self,
            server: &dyn Channel,
            cx: &mut Context<'_>,
            event: &mut Option<SendEvent>,
        ) -> Poll<Result<(), SendError>> {
            let mut parts = self.0.lock().unwrap();
            if let Some(event) = event.take() {
                let is_part = matches!(&event, SendEvent::HttpResponseBody(body) if body.more_body);
                match (is_part, parts.held.take()) {
                    (true, None) => parts.held = Some(event),
                    (true, Some(held)) => parts.sending.extend([event, held]),
                    (false, held) => parts.sending.extend(held.into_iter().chain([event])),
                }
            }
            while let Some(event) = parts.sending.pop_front() {
                let mut event = Some(event);
                let sent = server.poll_send(cx, &mut event);
                if let Some(unsent) = event {
                    parts.sending.push_front(unsent);
                }
                ready!(sent)?;
            }
            Poll::Ready(Ok(()))
        }
    }
    with_between(Exchanges::default)
}

fn every_response_is_cut_at_its_end() -> InProcess {
    /// Whether the end has been sent, as a part.
    #[derive(Default)]
    struct Cuts(AtomicBool);
    impl Between for Cuts {
        fn send(
            &self,
            server: &dyn Channel,
            cx: &mut Context<'_>,
            event: &mut Option<SendEvent>,
        ) -> Poll<Result<(), SendError>> {
            if let Some(SendEvent::HttpResponseBody(body)) = event
                && !body.more_body
            {
                body.more_body = true;
                self.0.store(true, Ordering::Relaxed);
            }
            if event.is_some() {
                ready!(server.poll_send(cx, event))?;
            }
            if self.0.load(Ordering::Relaxed) {
                // A broken rule ends the exchange.
                let again = HttpResponseStart::ok();
                let _ = ready!(server.poll_send(cx, &mut Some(again.into())));
                self.0.store(false, Ordering::Relaxed);
            }
            Poll::Ready(Ok(()))
        }
    }
    with_between(Cuts::default)
}

fn values_become_ascii() -> InProcess {
    with_changed_events(|event| {
        if let SendEvent::HttpResponseStart(start) = event {
            for value in start.headers.values_mut() {
                if value.to_str().is_err() {
                    *value = HeaderValue::from_static("?");
                }
            }
        }
    })
}

fn texts_become_binary_messages() -> InProcess {
    with_changed_events(|event| {
        if let SendEvent::WebSocketSend(message) = event
            && let Message::Text(text) = &*message
        {
            *message = Message::binary(text.as_bytes().to_vec());
        }
    })
}

fn a_file_is_sent_with_a_line_feed() -> InProcess {
    with_changed_events(|event| {
        if let SendEvent::HttpResponsePathSend(file) = event
            && let Ok(mut content) = std::fs::read(&file.path)
        {
            content.push(b'\n');
            *event = HttpResponseBody::last(content).into();
        }
    })
}

fn the_server_accepts_before_the_application() -> InProcess {
    /// Whose accept comes too late.
    struct TooLate;
    impl Between for TooLate {
        fn send(
            &self,
            server: &dyn Channel,
            cx: &mut Context<'_>,
            event: &mut Option<SendEvent>,
        ) -> Poll<Result<(), SendError>> {
            match event {
                Some(SendEvent::WebSocketAccept(_)) => {
                    *event = None;
                    Poll::Ready(Ok(()))
                }
                _ => server.poll_send(cx, event),
            }
        }
    }
    with_app(|probe| {
        let probe = between(probe, || TooLate);
        BoxApp::new(move |scope: Scope, receiver: Receiver, sender: Sender| {
            let probe = probe.clone();
            async move {
                if let Scope::WebSocket(_) = scope {
                    sender.send(WebSocketAccept::new()).await?;
                }
                probe.call_boxed(scope, receiver, sender).await
            }
        })
    })
}
