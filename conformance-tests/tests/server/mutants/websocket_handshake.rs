//! Servers that break the rules checked in `cases/websocket_handshake.rs` and
//! `cases/websocket_upgrade.rs`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use callgate::{
    AppError, BoxApp, Channel, HttpResponseBody, HttpResponseStart, ReceiveEvent, Receiver, Scope,
    SendError, SendEvent, SendProgress, Sender, WebSocketDisconnect,
};
use http::{HeaderMap, StatusCode};

use super::{mutants, with_app, with_changed_events, with_connection_filter, with_interceptor};
use crate::connection_filter::{ConnectionFilter, is_handshake, replace};
use crate::in_process::InProcess;
use crate::interceptor::Interceptor;

mutants! {
    ws_01_connect_comes_twice: CONNECT_FIRST [
        "connect_comes_first",
        "connect_comes_first_over_http2",
    ],
    ws_02_the_answer_begins_before_the_application_has_accepted: HANDSHAKE_WAITS [
        "the_handshake_waits",
    ],
    ws_05_a_refused_handshake_is_answered_with_401: CLOSE_BEFORE_ACCEPT_IS_403 [
        "close_before_accept",
    ],
    ws_09_a_failed_handshake_is_answered_with_502: FAILURE_BEFORE_ACCEPT_IS_500 [
        "return_before_accept",
        "failure_before_accept",
        "panic_before_accept",
        "broken_rule_before_accept",
    ],
    ws_27_a_malformed_handshake_is_answered_with_403: BAD_HANDSHAKE [
        "the_status_of_a_malformed_handshake",
    ],
    ws_27_a_malformed_handshake_is_answered_with_500: BAD_HANDSHAKE [
        "no_key",
        "short_key",
        "two_keys",
    ],
    ws_28_another_version_is_answered_without_the_right_one: UNSUPPORTED_WEBSOCKET_VERSION [
        "other_version",
        "no_version",
    ],
    ws_29_the_settings_do_not_offer_extended_connect: EXTENDED_CONNECT [
        "a_websocket_over_extended_connect",
    ],
    ws_30_a_client_that_goes_away_before_accept_leaves_1005: DISCONNECT_BEFORE_ACCEPT [
        "the_client_goes_away_before_accept",
        "the_client_goes_away_before_accept_over_http2",
    ],
    ws_31_a_request_for_another_upgrade_is_refused: OTHER_UPGRADES_ARE_HTTP [
        "another_upgrade",
        "an_upgrade_to_websocket_by_post",
        "an_upgrade_that_the_connection_does_not_list",
    ],
    ws_33_of_repeated_fields_only_one_is_sent: ACCEPT_HEADERS_KEPT [
        "accepted_with_fields",
        "accepted_with_fields_over_http2",
    ],
    ws_34_a_handshake_is_answered_with_500_at_shutdown: SHUTDOWN_BEFORE_ACCEPT_IS_503 [
        "shutdown_before_accept",
    ],
}

/// Answers handshakes with another status.
#[derive(Default)]
struct OtherStatus {
    wanted: &'static [u8],
    with: &'static [u8],
    is_handshake: bool,
}

impl ConnectionFilter for OtherStatus {
    fn to_server(&mut self, octets: Vec<u8>) -> Vec<u8> {
        self.is_handshake |= is_handshake(&octets);
        octets
    }

    fn to_client(&mut self, octets: Vec<u8>) -> Vec<u8> {
        match self.is_handshake {
            true => replace(&octets, self.wanted, self.with),
            false => octets,
        }
    }
}

fn ws_01_connect_comes_twice() -> InProcess {
    #[derive(Default)]
    struct Twice(AtomicBool);
    impl Interceptor for Twice {
        fn receive(&self, server: &dyn Channel, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
            if self.0.swap(false, Ordering::Relaxed) {
                return Poll::Ready(ReceiveEvent::WebSocketConnect);
            }
            let event = server.poll_receive(cx);
            if event == Poll::Ready(ReceiveEvent::WebSocketConnect) {
                self.0.store(true, Ordering::Relaxed);
            }
            event
        }
    }
    with_interceptor(Twice::default)
}

fn ws_02_the_answer_begins_before_the_application_has_accepted() -> InProcess {
    const BEGINNING: &[u8] = b"HTTP/1.1 ";
    /// Whether the beginning is still to be sent, and to be removed from the output of the server.
    #[derive(Default)]
    struct Early(bool, bool);
    impl ConnectionFilter for Early {
        fn to_server(&mut self, octets: Vec<u8>) -> Vec<u8> {
            self.0 = is_handshake(&octets);
            octets
        }

        fn at_once(&mut self) -> Vec<u8> {
            match std::mem::take(&mut self.0) {
                true => {
                    self.1 = true;
                    BEGINNING.to_vec()
                }
                false => Vec::new(),
            }
        }

        fn to_client(&mut self, mut octets: Vec<u8>) -> Vec<u8> {
            if std::mem::take(&mut self.1) {
                octets.drain(..BEGINNING.len());
            }
            octets
        }
    }
    with_connection_filter(|| Box::new(Early::default()))
}

fn ws_05_a_refused_handshake_is_answered_with_401() -> InProcess {
    with_connection_filter(|| {
        Box::new(OtherStatus {
            wanted: b"HTTP/1.1 403",
            with: b"HTTP/1.1 401",
            ..OtherStatus::default()
        })
    })
}

fn ws_09_a_failed_handshake_is_answered_with_502() -> InProcess {
    with_connection_filter(|| {
        Box::new(OtherStatus {
            wanted: b"HTTP/1.1 500",
            with: b"HTTP/1.1 502",
            ..OtherStatus::default()
        })
    })
}

fn ws_27_a_malformed_handshake_is_answered_with_403() -> InProcess {
    with_connection_filter(|| {
        Box::new(OtherStatus {
            wanted: b"HTTP/1.1 400",
            with: b"HTTP/1.1 403",
            ..OtherStatus::default()
        })
    })
}

fn ws_27_a_malformed_handshake_is_answered_with_500() -> InProcess {
    with_connection_filter(|| {
        Box::new(OtherStatus {
            wanted: b"HTTP/1.1 400",
            with: b"HTTP/1.1 500",
            ..OtherStatus::default()
        })
    })
}

fn ws_28_another_version_is_answered_without_the_right_one() -> InProcess {
    with_connection_filter(|| {
        Box::new(OtherStatus {
            wanted: b"sec-websocket-version: 13",
            with: b"x-sec-websocketversion: 0",
            ..OtherStatus::default()
        })
    })
}

fn ws_29_the_settings_do_not_offer_extended_connect() -> InProcess {
    struct NotOffered;
    impl ConnectionFilter for NotOffered {
        fn to_client(&mut self, octets: Vec<u8>) -> Vec<u8> {
            // SETTINGS_ENABLE_CONNECT_PROTOCOL (RFC 8441, 3).
            replace(&octets, [0, 8, 0, 0, 0, 1], [0, 8, 0, 0, 0, 0])
        }
    }
    with_connection_filter(|| Box::new(NotOffered))
}

fn ws_30_a_client_that_goes_away_before_accept_leaves_1005() -> InProcess {
    /// Whether the application has sent anything.
    #[derive(Default)]
    struct OtherCode(AtomicBool);
    impl Interceptor for OtherCode {
        fn receive(&self, server: &dyn Channel, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
            server.poll_receive(cx).map(|event| match event {
                ReceiveEvent::WebSocketDisconnect(end)
                    if end.code == 1006 && !self.0.load(Ordering::Relaxed) =>
                {
                    ReceiveEvent::WebSocketDisconnect(WebSocketDisconnect::new(1005))
                }
                event => event,
            })
        }

        fn start_send(
            &self,
            server: &dyn Channel,
            event: SendEvent,
        ) -> Result<SendProgress, SendError> {
            let sent = server.start_send(event);
            if matches!(sent, Ok(SendProgress::Sent)) {
                self.0.store(true, Ordering::Relaxed);
            }
            sent
        }
    }
    with_interceptor(OtherCode::default)
}

fn ws_31_a_request_for_another_upgrade_is_refused() -> InProcess {
    async fn refuse(sender: &Sender) -> Result<(), AppError> {
        let status = StatusCode::UPGRADE_REQUIRED;
        sender.send(HttpResponseStart::new(status)).await?;
        Ok(sender.send(HttpResponseBody::end()).await?)
    }
    with_app(|probe| {
        let probe = BoxApp::new(probe);
        BoxApp::new(move |scope: Scope, receiver: Receiver, sender: Sender| {
            let probe = probe.clone();
            async move {
                match &scope {
                    Scope::Http(http) if http.headers.contains_key("upgrade") => {
                        refuse(&sender).await
                    }
                    _ => probe.call_boxed(scope, receiver, sender).await,
                }
            }
        })
    })
}

fn ws_33_of_repeated_fields_only_one_is_sent() -> InProcess {
    with_changed_events(|event| {
        if let SendEvent::WebSocketAccept(accept) = event {
            let mut fields = HeaderMap::new();
            for (name, value) in &accept.headers {
                fields.insert(name, value.clone());
            }
            accept.headers = fields;
        }
    })
}

fn ws_34_a_handshake_is_answered_with_500_at_shutdown() -> InProcess {
    with_connection_filter(|| {
        Box::new(OtherStatus {
            wanted: b"HTTP/1.1 503",
            with: b"HTTP/1.1 500",
            ..OtherStatus::default()
        })
    })
}
