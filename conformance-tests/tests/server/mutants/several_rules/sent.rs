//! Servers that handle events of the application wrongly.

use std::sync::Mutex;

use callgate::{
    BoxApp, Channel, HttpResponseBody, HttpResponseStart, Message, Receiver, Scope, SendError,
    SendEvent, SendProgress, Sender, WebSocketAccept,
};
use http::HeaderValue;

use super::several_rules;
use crate::in_process::InProcess;
use crate::interceptor::{Interceptor, intercepted};
use crate::mutants::{
    send_all, with_app, with_changed_events, with_changed_results, with_interceptor,
};

several_rules! {
    sends_after_a_disconnect_succeed: {
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

fn sends_after_a_disconnect_succeed() -> InProcess {
    with_changed_results(|sent| match sent {
        Err(SendError::Disconnected) => Ok(SendProgress::Sent),
        sent => sent,
    })
}

fn large_parts_are_taken_and_kept() -> InProcess {
    /// Parts of a response from this size on, in bytes.
    const LARGE: usize = 64 << 10;
    struct Keeps;
    impl Interceptor for Keeps {
        fn start_send(
            &self,
            server: &dyn Channel,
            event: SendEvent,
        ) -> Result<SendProgress, SendError> {
            match event {
                SendEvent::HttpResponseBody(body) if body.body.len() >= LARGE => {
                    Ok(SendProgress::Sent)
                }
                _ => server.start_send(event),
            }
        }
    }
    with_interceptor(|| Keeps)
}

fn each_part_waits_for_the_next_and_comes_after_it() -> InProcess {
    #[derive(Default)]
    struct Exchanges {
        held: Mutex<Option<SendEvent>>,
    }
    impl Interceptor for Exchanges {
        fn start_send(
            &self,
            server: &dyn Channel,
            event: SendEvent,
        ) -> Result<SendProgress, SendError> {
            let mut held = self.held.lock().unwrap();
            let is_part = matches!(&event, SendEvent::HttpResponseBody(body) if body.more_body);
            match (is_part, held.take()) {
                (true, None) => {
                    *held = Some(event);
                    Ok(SendProgress::Sent)
                }
                (true, Some(earlier)) => send_all(server, [event, earlier]),
                (false, earlier) => send_all(server, earlier.into_iter().chain([event])),
            }
        }
    }
    with_interceptor(Exchanges::default)
}

fn every_response_is_cut_at_its_end() -> InProcess {
    struct Cuts;
    impl Interceptor for Cuts {
        fn start_send(
            &self,
            server: &dyn Channel,
            mut event: SendEvent,
        ) -> Result<SendProgress, SendError> {
            let mut is_last = false;
            if let SendEvent::HttpResponseBody(body) = &mut event {
                is_last = !body.more_body;
                body.more_body = true;
            }
            let sent = server.start_send(event)?;
            if is_last {
                // A broken rule ends the exchange.
                let _ = server.start_send(HttpResponseStart::ok().into());
            }
            Ok(sent)
        }
    }
    with_interceptor(|| Cuts)
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
    /// Drops the accept of the application.
    struct TooLate;
    impl Interceptor for TooLate {
        fn start_send(
            &self,
            server: &dyn Channel,
            event: SendEvent,
        ) -> Result<SendProgress, SendError> {
            match event {
                SendEvent::WebSocketAccept(_) => Ok(SendProgress::Sent),
                _ => server.start_send(event),
            }
        }
    }
    with_app(|probe| {
        let probe = intercepted(probe, || TooLate);
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
