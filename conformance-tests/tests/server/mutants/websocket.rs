//! Servers that break the rules checked in `cases/websocket.rs`.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::{Buf as _, BytesMut};
use callgate::{
    AppError, BoxApp, Channel, Message, ReceiveEvent, Receiver, Scope, SendError, SendEvent,
    SendProgress, Sender,
};

use callgate_server::{Config, PerMessageDeflate};

use super::websocket_end::OtherCode;
use super::{mutants, with_app, with_connection_filter, with_interceptor};
use crate::connection_filter::{ConnectionFilter, find, is_handshake, replace};
use crate::in_process::InProcess;
use crate::interceptor::Interceptor;

mutants! {
    ws_13_a_binary_message_that_could_be_text_is_delivered_as_text: MESSAGES_IN_ORDER [
        "messages_from_the_client",
        "messages_from_the_client_over_http2",
    ],
    ws_14_each_fragment_of_a_binary_message_is_delivered_by_itself: FRAGMENTS_ARE_JOINED [
        "a_fragmented_binary",
    ],
    ws_15_pongs_have_another_payload: PINGS_ARE_ANSWERED [
        "pings",
        "pings_over_http2",
        "pings_while_the_application_does_not_receive",
        "pings_while_the_application_does_not_receive_over_http2",
    ],
    ws_16_a_client_may_leave_pings_unanswered: PING_TIMEOUT [
        "an_unanswered_ping",
        "an_unanswered_ping_over_http2",
    ],
    ws_17_a_message_may_be_larger_than_the_limit: MESSAGE_TOO_BIG [
        "a_message_that_is_too_big",
        "a_message_that_is_too_big_over_http2",
        "fragments_that_are_too_big",
        "fragments_that_are_too_big_over_http2",
    ],
    ws_18_a_text_that_is_not_utf8_closes_with_1003: INVALID_UTF8 [
        "a_text_that_is_not_utf8",
        "a_text_that_is_not_utf8_over_http2",
    ],
    ws_19_broken_framing_closes_with_1003: PROTOCOL_ERROR [
        "broken_framing",
        "broken_framing_over_http2",
    ],
    ws_25_messages_are_taken_in_whether_they_are_received_or_not: BOUNDED_QUEUES [
        "a_client_that_is_not_listened_to",
        "a_client_that_is_not_listened_to_over_http2",
    ],
    ws_32_a_message_is_sent_with_the_next_event: SEND_IS_FLUSHED [
        "messages_are_flushed",
        "messages_are_flushed_over_http2",
    ],
}

fn ws_13_a_binary_message_that_could_be_text_is_delivered_as_text() -> InProcess {
    struct AsText;
    impl Interceptor for AsText {
        fn receive(&self, server: &dyn Channel, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
            server.poll_receive(cx).map(|event| match event {
                ReceiveEvent::WebSocketReceive(Message::Binary(bytes)) => {
                    let message = match String::from_utf8(bytes.to_vec()) {
                        Ok(text) => Message::text(text),
                        Err(_) => Message::Binary(bytes),
                    };
                    ReceiveEvent::WebSocketReceive(message)
                }
                event => event,
            })
        }
    }
    with_interceptor(|| AsText)
}

fn ws_14_each_fragment_of_a_binary_message_is_delivered_by_itself() -> InProcess {
    const FIN: u8 = 0x80;
    /// Takes the client's frames apart, once there has been a handshake.
    #[derive(Default)]
    struct Fragments {
        is_websocket: bool,
        unread: BytesMut,
        is_within: bool,
    }
    impl Fragments {
        /// Returns the length of the first frame, once all of it has arrived.
        fn frame(&self) -> Option<usize> {
            let second = usize::from(*self.unread.get(1)?);
            let mask = if second & 0x80 == 0 { 0 } else { 4 };
            let big_endian = |bytes: &[u8]| {
                bytes
                    .iter()
                    .fold(0, |sum, byte| sum << 8 | usize::from(*byte))
            };
            let (head, length) = match second & 0x7f {
                126 => (4, big_endian(self.unread.get(2..4)?)),
                127 => (10, big_endian(self.unread.get(2..10)?)),
                length => (2, length),
            };
            let whole = head + mask + length;
            (self.unread.len() >= whole).then_some(whole)
        }
    }
    impl ConnectionFilter for Fragments {
        fn to_server(&mut self, octets: Vec<u8>) -> Vec<u8> {
            let mut passed = Vec::new();
            let mut octets = &octets[..];
            if !self.is_websocket {
                self.is_websocket = is_handshake(octets);
                let end = find(octets, b"\r\n\r\n").map_or(octets.len(), |at| at + 4);
                let end = if self.is_websocket { end } else { octets.len() };
                passed.extend_from_slice(&octets[..end]);
                octets.advance(end);
            }
            self.unread.extend_from_slice(octets);
            while let Some(length) = self.frame() {
                let mut frame = self.unread.split_to(length);
                let is_last = frame[0] & FIN != 0;
                match frame[0] & 0x7f {
                    2 => self.is_within = !is_last,
                    0 if self.is_within => {
                        frame[0] |= 2;
                        self.is_within = !is_last;
                    }
                    _ => {}
                }
                if frame[0] & 0x7f == 2 {
                    frame[0] |= FIN;
                }
                passed.extend_from_slice(&frame);
            }
            passed
        }
    }
    with_connection_filter(|| Box::new(Fragments::default()))
}

fn ws_15_pongs_have_another_payload() -> InProcess {
    struct OtherPayload;
    impl ConnectionFilter for OtherPayload {
        fn to_client(&mut self, octets: Vec<u8>) -> Vec<u8> {
            replace(&octets, b"\x8a\x07payload", b"\x8a\x07PAYLOAD")
        }
    }
    with_connection_filter(|| Box::new(OtherPayload))
}

fn ws_16_a_client_may_leave_pings_unanswered() -> InProcess {
    InProcess {
        config: Some(|config| config.websocket.ping_timeout = None),
        ..InProcess::default()
    }
}

fn ws_17_a_message_may_be_larger_than_the_limit() -> InProcess {
    InProcess {
        config: Some(|config| {
            without_compression(config);
            config.websocket.max_size += 1000;
        }),
        ..InProcess::default()
    }
}

/// Rules of compressed messages are not broken beside the rule of a mutant.
fn without_compression(config: &mut Config) {
    config.websocket.per_message_deflate = PerMessageDeflate::Off;
}

fn ws_18_a_text_that_is_not_utf8_closes_with_1003() -> InProcess {
    let mutant = with_connection_filter(|| {
        Box::new(OtherCode {
            wanted: &[0x88, 2, 0x03, 0xef],
            with: &[0x88, 2, 0x03, 0xeb],
        })
    });
    InProcess {
        config: Some(without_compression),
        ..mutant
    }
}

fn ws_19_broken_framing_closes_with_1003() -> InProcess {
    let mutant = with_connection_filter(|| {
        Box::new(OtherCode {
            wanted: &[0x88, 2, 0x03, 0xea],
            with: &[0x88, 2, 0x03, 0xeb],
        })
    });
    InProcess {
        config: Some(without_compression),
        ..mutant
    }
}

fn ws_25_messages_are_taken_in_whether_they_are_received_or_not() -> InProcess {
    #[derive(Default)]
    struct Hoard {
        events: VecDeque<ReceiveEvent>,
        receiver: Option<Waker>,
    }
    struct Hoarding {
        hoard: Arc<Mutex<Hoard>>,
        sending: Arc<dyn Channel>,
    }
    impl Channel for Hoarding {
        fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
            let mut hoard = self.hoard.lock().unwrap();
            match hoard.events.front() {
                // The end is yielded again and again.
                Some(end @ ReceiveEvent::WebSocketDisconnect(_)) => Poll::Ready(end.clone()),
                Some(_) => Poll::Ready(hoard.events.pop_front().unwrap()),
                None => {
                    hoard.receiver = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        }

        fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
            self.sending.poll_ready(cx)
        }

        fn start_send(&self, event: SendEvent) -> Result<SendProgress, SendError> {
            self.sending.start_send(event)
        }
    }
    async fn fill(hoard: Arc<Mutex<Hoard>>, mut receiver: Receiver) {
        loop {
            let event = receiver.receive().await;
            let is_last = matches!(event, ReceiveEvent::WebSocketDisconnect(_));
            let mut hoard = hoard.lock().unwrap();
            hoard.events.push_back(event);
            if let Some(receiver) = hoard.receiver.take() {
                receiver.wake();
            }
            if is_last {
                return;
            }
        }
    }
    with_app(|probe| {
        let probe = BoxApp::new(probe);
        BoxApp::new(move |scope: Scope, receiver: Receiver, sender: Sender| {
            let probe = probe.clone();
            async move {
                if !matches!(scope, Scope::WebSocket(_)) {
                    return probe.call_boxed(scope, receiver, sender).await;
                }
                let hoard = Arc::<Mutex<Hoard>>::default();
                let filling = tokio::spawn(fill(hoard.clone(), receiver));
                let sending = sender.into_channel();
                let channel = Arc::new(Hoarding { hoard, sending });
                let (receiver, sender) = (Receiver::new(channel.clone()), Sender::new(channel));
                let result = probe.call_boxed(scope, receiver, sender).await;
                filling.abort();
                result
            }
        })
    })
}

fn ws_32_a_message_is_sent_with_the_next_event() -> InProcess {
    /// While the WebSocket is open.
    #[derive(Default)]
    struct HoldsBack {
        held: Mutex<Option<SendEvent>>,
        is_open: AtomicBool,
    }
    impl Interceptor for HoldsBack {
        fn start_send(
            &self,
            server: &dyn Channel,
            event: SendEvent,
        ) -> Result<SendProgress, SendError> {
            let mut held = self.held.lock().unwrap();
            if let Some(earlier) = held.take()
                && let Err(error) = server.start_send(earlier)
            {
                self.is_open.store(false, Ordering::Relaxed);
                return Err(error);
            }
            match event {
                SendEvent::WebSocketAccept(_) => self.is_open.store(true, Ordering::Relaxed),
                SendEvent::WebSocketSend(_) if self.is_open.load(Ordering::Relaxed) => {
                    *held = Some(event);
                    return Ok(SendProgress::Sent);
                }
                _ => {}
            }
            server.start_send(event)
        }

        fn result(&self, result: Result<(), AppError>) -> Result<(), AppError> {
            self.is_open.store(false, Ordering::Relaxed);
            result
        }
    }
    InProcess {
        config: Some(without_compression),
        ..with_interceptor(HoldsBack::default)
    }
}
