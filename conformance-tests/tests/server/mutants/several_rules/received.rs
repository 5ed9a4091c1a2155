//! Servers that pass wrong scopes and events to the application.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use callgate::{
    Channel, Feature, HttpRequestBody, Message, ReceiveEvent, Scope, SendError, SendEvent,
    SendProgress, State, WebSocketDisconnect,
};
use http::Version;

use super::several_rules;
use crate::in_process::InProcess;
use crate::interceptor::Interceptor;
use crate::mutants::core_disconnect::Once;
use crate::mutants::with_interceptor;

several_rules! {
    another_event_comes_in_place_of_a_disconnect: {
        DISCONNECT_IS_TOLD: [
            "gone_while_waiting",
            "gone_while_started",
            "gone_while_streaming",
            "gone_while_waiting_over_http2",
            "gone_while_started_over_http2",
            "gone_while_streaming_over_http2",
        ],
        VIOLATION_IS_A_DISCONNECT: [
            "a_broken_rule_is_a_disconnect",
            "a_broken_rule_is_a_disconnect_over_http2",
        ],
        INVALID_UTF8: [
            "a_text_that_is_not_utf8_is_told",
            "a_text_that_is_not_utf8_is_told_over_http2",
        ],
        PROTOCOL_ERROR: ["broken_framing_is_told", "broken_framing_is_told_over_http2"],
        DISCONNECT_CODE: [
            "the_client_closes_with_a_code",
            "the_client_closes_with_a_code_over_http2",
            "the_client_is_lost",
            "the_client_is_lost_over_http2",
        ],
    },
    a_shutdown_comes_after_the_first_event: {
        SHUTDOWN_ONCE: [
            "shutdown_comes_after_the_content",
            "shutdown_comes_after_the_content_over_http2",
        ],
    },
    every_disconnect_is_yielded_once: {
        DISCONNECT_REPEATS: [
            "a_receive_after_the_disconnect",
            "a_receive_after_the_response",
            "a_receive_after_the_disconnect_over_http2",
            "a_receive_after_the_disconnect_of_a_websocket",
        ],
    },
    received_content_lacks_its_beginning: {
        TRANSFER_CODING_REMOVED: ["content_that_looks_chunked"],
        FRAGMENTS_ARE_JOINED: [
            "a_fragmented_text",
            "a_fragmented_text_over_http2",
            "a_fragmented_binary",
            "a_fragmented_binary_over_http2",
        ],
    },
    a_message_at_the_limit_is_too_big: {
        MESSAGE_TOO_BIG: ["a_message_at_the_limit", "a_message_at_the_limit_over_http2"],
    },
    no_scope_has_the_state: {
        STATE_IS_SHARED: ["the_state", "the_state_over_http2", "the_state_of_a_websocket"],
    },
    trailers_are_offered_on_exchanges_of_http10: {
        TRAILERS_OFFERED: ["trailers_and_http10"],
    },
    a_denial_is_listed_and_not_offered: {
        FEATURES_OFFERED: ["features_of_a_websocket"],
    },
    a_denial_that_is_not_listed_is_taken: {
        NOT_OFFERED_FAILS: [
            "a_websocket_feature_that_is_not_offered",
            "a_websocket_feature_that_is_not_offered_over_http2",
        ],
    },
}

fn another_event_comes_in_place_of_a_disconnect() -> InProcess {
    struct Another;
    impl Interceptor for Another {
        fn receive(&self, server: &dyn Channel, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
            server.poll_receive(cx).map(|event| match event {
                ReceiveEvent::HttpDisconnect => {
                    ReceiveEvent::HttpRequestBody(HttpRequestBody::last(""))
                }
                ReceiveEvent::WebSocketDisconnect(_) => {
                    ReceiveEvent::WebSocketDisconnect(WebSocketDisconnect::new(4999))
                }
                event => event,
            })
        }
    }
    with_interceptor(|| Another)
}

fn a_shutdown_comes_after_the_first_event() -> InProcess {
    /// The number of events that the application has received.
    #[derive(Default)]
    struct Early(AtomicUsize);
    impl Interceptor for Early {
        fn receive(&self, server: &dyn Channel, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
            if self.0.fetch_add(1, Ordering::Relaxed) == 1 {
                return Poll::Ready(ReceiveEvent::HttpShutdown);
            }
            let event = server.poll_receive(cx);
            if event.is_pending() {
                self.0.fetch_sub(1, Ordering::Relaxed);
            }
            event
        }
    }
    with_interceptor(Early::default)
}

fn every_disconnect_is_yielded_once() -> InProcess {
    with_interceptor(|| Once::when(|_| true))
}

fn received_content_lacks_its_beginning() -> InProcess {
    struct WithoutFirst;
    impl Interceptor for WithoutFirst {
        fn receive(&self, server: &dyn Channel, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
            server.poll_receive(cx).map(|event| match event {
                ReceiveEvent::HttpRequestBody(mut part) => {
                    part.body = part.body.slice(part.body.len().min(1)..);
                    ReceiveEvent::HttpRequestBody(part)
                }
                ReceiveEvent::WebSocketReceive(Message::Text(text)) => {
                    let rest: String = text.chars().skip(1).collect();
                    ReceiveEvent::WebSocketReceive(Message::text(rest))
                }
                ReceiveEvent::WebSocketReceive(Message::Binary(bytes)) => {
                    let rest = bytes.slice(bytes.len().min(1)..);
                    ReceiveEvent::WebSocketReceive(Message::Binary(rest))
                }
                event => event,
            })
        }
    }
    with_interceptor(|| WithoutFirst)
}

fn a_message_at_the_limit_is_too_big() -> InProcess {
    InProcess {
        config: Some(|config| config.websocket.max_size -= 1),
        ..InProcess::default()
    }
}

fn no_scope_has_the_state() -> InProcess {
    struct WithoutState;
    impl Interceptor for WithoutState {
        fn scope(&self, scope: &mut Scope) {
            if let Some(request) = scope.request_mut() {
                request.state = State::new();
            }
        }
    }
    with_interceptor(|| WithoutState)
}

fn trailers_are_offered_on_exchanges_of_http10() -> InProcess {
    struct OnOld;
    impl Interceptor for OnOld {
        fn scope(&self, scope: &mut Scope) {
            if let Scope::Http(http) = scope
                && http.version == Version::HTTP_10
            {
                http.features = http.features.with(Feature::ResponseTrailers);
            }
        }
    }
    with_interceptor(|| OnOld)
}

fn a_denial_is_listed_and_not_offered() -> InProcess {
    struct NotOffered;
    impl Interceptor for NotOffered {
        fn start_send(
            &self,
            server: &dyn Channel,
            event: SendEvent,
        ) -> Result<SendProgress, SendError> {
            match event {
                SendEvent::DenialResponseStart(_) => {
                    Err(SendError::NotOffered(Feature::DenialResponse))
                }
                _ => server.start_send(event),
            }
        }
    }
    with_interceptor(|| NotOffered)
}

fn a_denial_that_is_not_listed_is_taken() -> InProcess {
    struct NotListed;
    impl Interceptor for NotListed {
        fn scope(&self, scope: &mut Scope) {
            if let Scope::WebSocket(scope) = scope {
                let listed = scope.features.iter();
                scope.features = listed
                    .filter(|feature| *feature != Feature::DenialResponse)
                    .collect();
            }
        }
    }
    with_interceptor(|| NotListed)
}
