//! Servers that break the rules checked in `cases/http_failure.rs`.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use callgate::{
    App as _, AppError, BoxApp, HttpResponseBody, HttpResponseStart, Receiver, Scope, Sender,
};
use http::{StatusCode, Version};

use super::{mutants, with_app, with_connection_filter};
use crate::connection_filter::{ConnectionFilter, find, is_handshake, replace};
use crate::in_process::InProcess;

mutants! {
    http_32_a_failure_is_answered_503: FAILURE_BEFORE_SENDING_IS_500 [
        "returning_before_sending",
        "failing_before_sending",
        "panicking_before_sending",
        "breaking_a_rule_before_sending",
    ],
    http_33_a_response_that_is_cut_is_completed: FAILURE_AFTER_SENDING_RESETS [
        "returning_while_streaming",
        "failing_while_streaming",
        "panicking_while_streaming",
        "declining_while_streaming",
        "breaking_a_rule_while_streaming",
    ],
    http_34_a_failure_is_shown_to_the_client: FAILURE_IS_NOT_REVEALED [
        "the_text_of_a_failure",
        "the_text_of_a_failure_over_http2",
    ],
    http_35_a_connection_waits_for_the_call_to_return: BACKGROUND_WORK [
        "the_connection_of_an_application_that_works_on",
    ],
}

fn http_32_a_failure_is_answered_503() -> InProcess {
    /// Other than handshakes of a WebSocket.
    #[derive(Default)]
    struct Answers503 {
        is_handshake: bool,
    }
    impl ConnectionFilter for Answers503 {
        fn to_server(&mut self, octets: Vec<u8>) -> Vec<u8> {
            self.is_handshake |= is_handshake(&octets);
            octets
        }

        fn to_client(&mut self, octets: Vec<u8>) -> Vec<u8> {
            match self.is_handshake {
                true => octets,
                false => replace(
                    &octets,
                    "HTTP/1.1 500 Internal Server Error",
                    "HTTP/1.1 503 Service Unavailable",
                ),
            }
        }
    }
    with_connection_filter(|| Box::new(Answers503::default()))
}

fn http_33_a_response_that_is_cut_is_completed() -> InProcess {
    const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
    #[derive(Default)]
    struct Completes {
        is_unfinished: bool,
    }
    impl ConnectionFilter for Completes {
        fn to_client(&mut self, octets: Vec<u8>) -> Vec<u8> {
            self.is_unfinished |= find(&octets, "transfer-encoding: chunked\r\n").is_some();
            self.is_unfinished &= !octets.ends_with(LAST_CHUNK);
            octets
        }

        fn after_end(&mut self) -> Vec<u8> {
            match self.is_unfinished {
                true => LAST_CHUNK.to_vec(),
                false => Vec::new(),
            }
        }
    }
    with_connection_filter(|| Box::new(Completes::default()))
}

fn http_34_a_failure_is_shown_to_the_client() -> InProcess {
    with_app(|probe| {
        let probe = BoxApp::new(probe);
        BoxApp::new(move |scope: Scope, receiver: Receiver, sender: Sender| {
            let (probe, answer) = (probe.clone(), sender.clone());
            async move {
                let is_http = matches!(scope, Scope::Http(_));
                let result = probe.call(scope, receiver, sender).await;
                if let Err(AppError::Failed(error)) = &result
                    && is_http
                {
                    // When something has been sent, it is too late for that.
                    let start = HttpResponseStart::new(StatusCode::INTERNAL_SERVER_ERROR);
                    if answer.send(start).await.is_ok() {
                        let _ = answer.send(HttpResponseBody::last(error.to_string())).await;
                    }
                }
                result
            }
        })
    })
}

fn http_35_a_connection_waits_for_the_call_to_return() -> InProcess {
    type Connections = Arc<Mutex<HashMap<SocketAddr, Arc<tokio::sync::Mutex<()>>>>>;
    with_app(|probe| {
        let probe = BoxApp::new(probe);
        let connections = Connections::default();
        BoxApp::new(move |scope: Scope, receiver: Receiver, sender: Sender| {
            let probe = probe.clone();
            let connection = match &scope {
                Scope::Http(http) if http.version < Version::HTTP_2 => http.client,
                _ => None,
            };
            let turn = connection.map(|client| {
                let mut connections = connections.lock().unwrap();
                connections.entry(client).or_default().clone()
            });
            async move {
                let _turn = match &turn {
                    Some(turn) => Some(turn.lock().await),
                    None => None,
                };
                probe.call(scope, receiver, sender).await
            }
        })
    })
}
