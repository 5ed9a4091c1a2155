//! Servers that break the rules checked in `cases/http_request.rs`.

use std::task::{Context, Poll};

use callgate::rule;
use callgate::{Channel, HttpRequest, ReceiveEvent};

use super::assert_breaks;
use crate::in_process::InProcess;
use crate::tamper::{Between, between};

#[tokio::test]
async fn http_02_a_request_without_content_has_no_event_of_its_own() {
    struct NoEmptyEvent;
    impl Between for NoEmptyEvent {
        fn receive(&self, server: &dyn Channel, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
            server.poll_receive(cx).map(|event| match event {
                ReceiveEvent::HttpRequest(request) if request.body.is_empty() => {
                    ReceiveEvent::HttpRequest(HttpRequest::part(""))
                }
                event => event,
            })
        }
    }
    let mutant = InProcess {
        app: Some(|probe| between(probe, || NoEmptyEvent)),
        ..InProcess::default()
    };
    assert_breaks(rule::EMPTY_REQUEST_BODY, mutant).await;
}
