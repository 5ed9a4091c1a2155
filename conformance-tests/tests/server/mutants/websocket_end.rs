//! Servers that break the rules checked in `cases/websocket_end.rs`.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::task::{Context, Poll};

use callgate::{Channel, Message, ReceiveEvent, SendEvent, WebSocketDisconnect};

use super::{mutants, with_changed_events, with_connection_filter, with_interceptor};
use crate::connection_filter::{ConnectionFilter, replace};
use crate::in_process::InProcess;
use crate::interceptor::Interceptor;

mutants! {
    ws_20_a_close_without_a_code_is_delivered_as_1000: DISCONNECT_CODE [
        "the_client_closes_without_a_code",
        "the_client_closes_without_a_code_over_http2",
    ],
    ws_20_the_reason_of_the_client_is_left_out: DISCONNECT_CODE [
        "the_client_closes_with_a_reason",
        "the_client_closes_with_a_reason_over_http2",
    ],
    ws_21_messages_are_forgotten_at_a_disconnect: QUEUED_BEFORE_DISCONNECT [
        "messages_before_a_close",
        "messages_before_a_close_over_http2",
    ],
    ws_22_a_return_closes_with_1001: RETURN_CLOSES_1000 [
        "return_after_accept",
        "return_after_accept_over_http2",
    ],
    ws_23_a_failure_closes_with_1000: FAILURE_CLOSES_1011 [
        "failure_after_accept",
        "failure_after_accept_over_http2",
        "panic_after_accept",
        "panic_after_accept_over_http2",
        "broken_rule_after_accept",
        "broken_rule_after_accept_over_http2",
    ],
    ws_24_a_close_has_another_code: CLOSE_CODE_KEPT [
        "the_application_closes",
        "the_application_closes_over_http2",
    ],
    ws_24_the_reason_of_a_close_is_left_out: CLOSE_CODE_KEPT [
        "the_application_closes_with_a_reason",
        "the_application_closes_with_a_reason_over_http2",
        "the_application_closes_and_receives",
        "the_application_closes_and_receives_over_http2",
    ],
    ws_26_a_shutdown_closes_with_1001: SHUTDOWN_CLOSES_1012 [
        "shutdown_of_an_open_websocket",
        "shutdown_of_an_open_websocket_over_http2",
    ],
}

/// Closes with another code.
pub(super) struct OtherCode {
    /// The close frame as the server would send it.
    pub(super) wanted: &'static [u8],
    pub(super) with: &'static [u8],
}

impl ConnectionFilter for OtherCode {
    fn to_client(&mut self, octets: Vec<u8>) -> Vec<u8> {
        replace(&octets, self.wanted, self.with)
    }
}

fn ws_20_a_close_without_a_code_is_delivered_as_1000() -> InProcess {
    struct Normal;
    impl Interceptor for Normal {
        fn receive(&self, server: &dyn Channel, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
            server.poll_receive(cx).map(|event| match event {
                ReceiveEvent::WebSocketDisconnect(end) if end.code == 1005 => {
                    ReceiveEvent::WebSocketDisconnect(WebSocketDisconnect::new(1000))
                }
                event => event,
            })
        }
    }
    with_interceptor(|| Normal)
}

fn ws_20_the_reason_of_the_client_is_left_out() -> InProcess {
    struct WithoutReason;
    impl Interceptor for WithoutReason {
        fn receive(&self, server: &dyn Channel, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
            server.poll_receive(cx).map(|event| match event {
                ReceiveEvent::WebSocketDisconnect(end) if end.reason == "since" => {
                    ReceiveEvent::WebSocketDisconnect(WebSocketDisconnect::new(end.code))
                }
                event => event,
            })
        }
    }
    with_interceptor(|| WithoutReason)
}

fn ws_21_messages_are_forgotten_at_a_disconnect() -> InProcess {
    #[derive(Default)]
    struct Forgetful(Mutex<VecDeque<Message>>);
    impl Interceptor for Forgetful {
        fn receive(&self, server: &dyn Channel, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
            let mut messages = self.0.lock().unwrap();
            loop {
                match server.poll_receive(cx) {
                    Poll::Ready(ReceiveEvent::WebSocketReceive(message)) => {
                        messages.push_back(message);
                    }
                    Poll::Ready(event) => {
                        messages.clear();
                        return Poll::Ready(event);
                    }
                    Poll::Pending => break,
                }
            }
            match messages.pop_front() {
                Some(message) => Poll::Ready(ReceiveEvent::WebSocketReceive(message)),
                None => Poll::Pending,
            }
        }
    }
    with_interceptor(Forgetful::default)
}

fn ws_22_a_return_closes_with_1001() -> InProcess {
    with_connection_filter(|| {
        Box::new(OtherCode {
            wanted: &[0x88, 2, 0x03, 0xe8],
            with: &[0x88, 2, 0x03, 0xe9],
        })
    })
}

fn ws_23_a_failure_closes_with_1000() -> InProcess {
    with_connection_filter(|| {
        Box::new(OtherCode {
            wanted: &[0x88, 2, 0x03, 0xf3],
            with: &[0x88, 2, 0x03, 0xe8],
        })
    })
}

fn ws_24_a_close_has_another_code() -> InProcess {
    with_changed_events(|event| {
        if let SendEvent::WebSocketClose(close) = event
            && close.code == 4000
        {
            close.code = 4001;
        }
    })
}

fn ws_24_the_reason_of_a_close_is_left_out() -> InProcess {
    with_changed_events(|event| {
        if let SendEvent::WebSocketClose(close) = event {
            close.reason = "".into();
        }
    })
}

fn ws_26_a_shutdown_closes_with_1001() -> InProcess {
    with_connection_filter(|| {
        Box::new(OtherCode {
            wanted: &[0x88, 2, 0x03, 0xf4],
            with: &[0x88, 2, 0x03, 0xe9],
        })
    })
}
