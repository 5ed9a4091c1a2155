//! Servers that break the rules checked in `cases/feature_deflate.rs`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use callgate::{
    Channel, Feature, Features, Message, ReceiveEvent, Scope, SendError, SendEvent, SendProgress,
    WebSocketDisconnect,
};

use super::{mutants, with_connection_filter, with_interceptor};
use crate::connection_filter::{ConnectionFilter, find, replace};
use crate::in_process::InProcess;
use crate::interceptor::Interceptor;

mutants! {
    ext_21_compression_is_not_listed: DEFLATE_OFFERED [
        "compression_that_the_client_offers",
        "compression_that_the_client_offers_over_http2",
    ],
    ext_21_compression_is_listed_without_an_offer: DEFLATE_OFFERED [
        "compression_that_the_client_does_not_offer",
        "compression_that_the_client_does_not_offer_over_http2",
    ],
    ext_22_an_unknown_parameter_is_passed_over: DEFLATE_NEGOTIATED [
        "invalid_offers",
        "an_acceptable_offer_after_an_invalid_one",
    ],
    ext_22_a_malformed_offer_is_refused: DEFLATE_NEGOTIATED [
        "invalid_offers_alone",
    ],
    ext_22_a_parameter_of_the_server_is_left_out: DEFLATE_NEGOTIATED [
        "parameters_of_an_offer",
    ],
    ext_23_an_inflated_message_has_an_octet_more: DEFLATE_IS_TRANSPARENT [
        "compressed_messages_from_the_client",
        "compressed_messages_from_the_client_over_http2",
    ],
    ext_23_a_compressed_message_has_an_octet_more: DEFLATE_IS_TRANSPARENT [
        "compressed_messages_to_the_client",
        "compressed_messages_to_the_client_over_http2",
    ],
    ext_24_a_bomb_closes_with_1003: DEFLATE_LIMIT [
        "a_message_that_inflates_beyond_the_limit",
    ],
    ext_24_a_bomb_is_told_as_1003: DEFLATE_LIMIT [
        "a_message_that_inflates_beyond_the_limit",
        "a_message_that_inflates_beyond_the_limit_over_http2",
    ],
    ext_24_a_message_at_the_limit_is_lost: DEFLATE_LIMIT [
        "a_message_that_inflates_to_the_limit",
        "a_message_that_inflates_to_the_limit_over_http2",
    ],
    ext_25_broken_framing_closes_with_1003: DEFLATE_ERRORS [
        "compressed_frames_out_of_place",
    ],
    ext_25_a_message_that_cannot_be_inflated_closes_with_1003: DEFLATE_ERRORS [
        "messages_that_cannot_be_inflated",
    ],
    ext_25_broken_messages_are_told_as_1003: DEFLATE_ERRORS [
        "compressed_frames_out_of_place",
        "compressed_frames_out_of_place_over_http2",
        "messages_that_cannot_be_inflated",
        "messages_that_cannot_be_inflated_over_http2",
    ],
}

fn ext_21_compression_is_not_listed() -> InProcess {
    struct Unlisted;
    impl Interceptor for Unlisted {
        fn scope(&self, scope: &mut Scope) {
            if let Some(request) = scope.request_mut() {
                let others = |feature: &Feature| *feature != Feature::PerMessageDeflate;
                request.features = request.features.iter().filter(others).collect::<Features>();
            }
        }
    }
    with_interceptor(|| Unlisted)
}

fn ext_21_compression_is_listed_without_an_offer() -> InProcess {
    struct Listed;
    impl Interceptor for Listed {
        fn scope(&self, scope: &mut Scope) {
            if let Scope::WebSocket(scope) = scope {
                scope.features = scope.features.with(Feature::PerMessageDeflate);
            }
        }
    }
    with_interceptor(|| Listed)
}

fn ext_22_an_unknown_parameter_is_passed_over() -> InProcess {
    struct Lenient;
    impl ConnectionFilter for Lenient {
        fn to_server(&mut self, octets: Vec<u8>) -> Vec<u8> {
            replace(&octets, "; unknown_parameter", "")
        }
    }
    with_connection_filter(|| Box::new(Lenient))
}

fn ext_22_a_malformed_offer_is_refused() -> InProcess {
    #[derive(Default)]
    struct Refusing {
        is_malformed: bool,
    }
    impl ConnectionFilter for Refusing {
        fn to_server(&mut self, octets: Vec<u8>) -> Vec<u8> {
            self.is_malformed |= find(&octets, "client_max_window_bits=7").is_some();
            octets
        }

        fn to_client(&mut self, octets: Vec<u8>) -> Vec<u8> {
            match self.is_malformed {
                true => replace(&octets, " 101 Switching Protocols", " 400 Bad Request"),
                false => octets,
            }
        }
    }
    with_connection_filter(|| Box::<Refusing>::default())
}

fn ext_22_a_parameter_of_the_server_is_left_out() -> InProcess {
    struct WithoutLimit;
    impl ConnectionFilter for WithoutLimit {
        fn to_client(&mut self, octets: Vec<u8>) -> Vec<u8> {
            replace(&octets, "; server_max_window_bits=10", "")
        }
    }
    with_connection_filter(|| Box::new(WithoutLimit))
}

/// Whether the messages of a WebSocket are compressed.
#[derive(Default)]
struct IsCompressed(AtomicBool);

impl IsCompressed {
    fn read(&self, scope: &Scope) {
        let is_compressed = matches!(scope, Scope::WebSocket(scope)
            if scope.features.contains(Feature::PerMessageDeflate));
        self.0.store(is_compressed, Ordering::Relaxed);
    }

    /// Adds an octet to a message if it is compressed.
    fn lengthen(&self, message: &mut Message) {
        if self.0.load(Ordering::Relaxed) {
            *message = match message {
                Message::Text(text) => Message::text(format!("{text}x")),
                Message::Binary(octets) => Message::binary([octets, &b"x"[..]].concat()),
            };
        }
    }
}

fn ext_23_an_inflated_message_has_an_octet_more() -> InProcess {
    #[derive(Default)]
    struct Longer(IsCompressed);
    impl Interceptor for Longer {
        fn scope(&self, scope: &mut Scope) {
            self.0.read(scope);
        }

        fn receive(&self, server: &dyn Channel, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
            server.poll_receive(cx).map(|mut event| {
                if let ReceiveEvent::WebSocketReceive(message) = &mut event
                    && message.len() != LIMIT
                {
                    self.0.lengthen(message);
                }
                event
            })
        }
    }
    with_interceptor(Longer::default)
}

/// The length of the message that the cases of `EXT-24` send, in bytes.
const LIMIT: usize = 1000;

fn ext_23_a_compressed_message_has_an_octet_more() -> InProcess {
    #[derive(Default)]
    struct Longer(IsCompressed);
    impl Interceptor for Longer {
        fn scope(&self, scope: &mut Scope) {
            self.0.read(scope);
        }

        fn start_send(
            &self,
            server: &dyn Channel,
            mut event: SendEvent,
        ) -> Result<SendProgress, SendError> {
            if let SendEvent::WebSocketSend(message) = &mut event {
                self.0.lengthen(message);
            }
            server.start_send(event)
        }
    }
    with_interceptor(Longer::default)
}

fn ext_24_a_message_at_the_limit_is_lost() -> InProcess {
    #[derive(Default)]
    struct Lossy(IsCompressed);
    impl Interceptor for Lossy {
        fn scope(&self, scope: &mut Scope) {
            self.0.read(scope);
        }

        fn receive(&self, server: &dyn Channel, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
            server.poll_receive(cx).map(|mut event| {
                if let ReceiveEvent::WebSocketReceive(message) = &mut event
                    && *message == Message::text("x".repeat(LIMIT))
                {
                    self.0.lengthen(message);
                }
                event
            })
        }
    }
    with_interceptor(Lossy::default)
}

/// Yields a disconnect with 1003 in place of another code where messages are compressed.
struct ToldAs1003 {
    is_compressed: IsCompressed,
    codes: &'static [u16],
}

impl ToldAs1003 {
    fn server(codes: &'static [u16]) -> InProcess {
        with_interceptor(move || Self {
            is_compressed: IsCompressed::default(),
            codes,
        })
    }
}

impl Interceptor for ToldAs1003 {
    fn scope(&self, scope: &mut Scope) {
        self.is_compressed.read(scope);
    }

    fn receive(&self, server: &dyn Channel, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
        server.poll_receive(cx).map(|event| match event {
            ReceiveEvent::WebSocketDisconnect(end)
                if self.codes.contains(&end.code)
                    && self.is_compressed.0.load(Ordering::Relaxed) =>
            {
                ReceiveEvent::WebSocketDisconnect(WebSocketDisconnect::new(1003))
            }
            event => event,
        })
    }
}

fn ext_24_a_bomb_is_told_as_1003() -> InProcess {
    ToldAs1003::server(&[1009])
}

fn ext_25_broken_messages_are_told_as_1003() -> InProcess {
    ToldAs1003::server(&[1002, 1007])
}

/// Closes WebSockets whose messages are compressed with 1003 in place of another code.
struct OtherCode {
    code: u16,
    is_compressed: bool,
}

impl OtherCode {
    fn filter(code: u16) -> Box<dyn ConnectionFilter> {
        Box::new(Self {
            code,
            is_compressed: false,
        })
    }
}

impl ConnectionFilter for OtherCode {
    fn to_client(&mut self, octets: Vec<u8>) -> Vec<u8> {
        self.is_compressed |= find(&octets, "permessage-deflate").is_some();
        if !self.is_compressed {
            return octets;
        }
        let [high, low] = self.code.to_be_bytes();
        replace(&octets, [0x88, 2, high, low], [0x88, 2, 0x03, 0xeb])
    }
}

fn ext_24_a_bomb_closes_with_1003() -> InProcess {
    with_connection_filter(|| OtherCode::filter(1009))
}

fn ext_25_broken_framing_closes_with_1003() -> InProcess {
    with_connection_filter(|| OtherCode::filter(1002))
}

fn ext_25_a_message_that_cannot_be_inflated_closes_with_1003() -> InProcess {
    with_connection_filter(|| OtherCode::filter(1007))
}
