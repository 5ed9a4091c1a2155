//! Servers that are wrong about calls: how often the application is called, when a call ends, and
//! what becomes of it.

use std::future::poll_fn;
use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use callgate::{
    App as _, BoxApp, Channel, HttpResponseBody, HttpResponseStart, ReceiveEvent, Receiver, Scope,
    SendError, SendEvent, SendProgress, Sender,
};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::several_rules;
use crate::in_process::InProcess;
use crate::message_filter::MessageFilter;
use crate::mutants::core::{called_twice, poll_caught};
use crate::mutants::with_app;

several_rules! {
    every_exchange_is_two_calls: {
        ONE_CALL: [
            "a_request_is_one_call",
            "a_request_of_http10_is_one_call",
            "a_request_is_one_call_over_http2",
            "a_websocket_is_one_call",
        ],
    },
    returned_calls_are_reported_as_dropped_and_dropped_calls_as_returned: {
        NO_CANCELLATION: [
            "an_application_outlives_its_client",
            "an_application_outlives_its_client_in_a_stream",
            "an_application_outlives_its_client_over_http2",
            "an_application_outlives_its_client_of_a_websocket",
        ],
        GRACE_PERIOD_ENDS: [
            "the_grace_period_passes",
            "the_grace_period_passes_over_http2",
            "the_grace_period_passes_in_a_websocket",
        ],
        VIOLATION_IS_A_DISCONNECT: ["a_broken_rule_begins_the_grace_period"],
    },
    work_after_the_response_ends_with_the_next_call: {
        GRACE_PERIOD_ENDS: ["no_grace_period_after_the_response"],
    },
    a_panic_is_shown_to_the_client: {
        FAILURE_IS_NOT_REVEALED: ["the_text_of_a_panic"],
    },
    a_failed_startup_leaves_exit_status_1: {
        STARTUP_ERROR_STOPS: [
            "an_error_at_startup",
            "a_return_at_startup",
            "a_panic_at_startup",
            "a_broken_rule_at_startup",
        ],
    },
    state_has_values_that_were_inserted_after_startup: {
        STATE_REACHES_SCOPES: ["state_put_in_after_startup"],
    },
}

fn every_exchange_is_two_calls() -> InProcess {
    called_twice(|scope| !matches!(scope, Scope::Lifespan(_)))
}

fn returned_calls_are_reported_as_dropped_and_dropped_calls_as_returned() -> InProcess {
    struct Exchanged;
    impl MessageFilter for Exchanged {
        fn message(&mut self, message: &mut Value) {
            if message["message"] == "ended" {
                let is_dropped = message["how"] == "dropped";
                message["how"] = json!(if is_dropped {
                    "as_commanded"
                } else {
                    "dropped"
                });
            }
        }
    }
    InProcess {
        message_filter: Some(|| Box::new(Exchanged)),
        ..InProcess::default()
    }
}

fn work_after_the_response_ends_with_the_next_call() -> InProcess {
    /// Passes all on, and knows whether the response has ended.
    struct Watched {
        receiving: Arc<dyn Channel>,
        sending: Arc<dyn Channel>,
        has_ended: AtomicBool,
    }
    impl Channel for Watched {
        fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
            self.receiving.poll_receive(cx)
        }

        fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
            self.sending.poll_ready(cx)
        }

        fn start_send(&self, event: SendEvent) -> Result<SendProgress, SendError> {
            if matches!(&event, SendEvent::HttpResponseBody(body) if !body.more_body) {
                self.has_ended.store(true, Ordering::Relaxed);
            }
            self.sending.start_send(event)
        }
    }
    with_app(|probe| {
        let probe = Arc::new(probe);
        let next = Arc::new(Notify::new());
        BoxApp::new(move |scope: Scope, receiver: Receiver, sender: Sender| {
            let (probe, next) = (probe.clone(), next.clone());
            async move {
                next.notify_waiters();
                let watched = Arc::new(Watched {
                    receiving: receiver.into_channel(),
                    sending: sender.into_channel(),
                    has_ended: AtomicBool::new(false),
                });
                let (receiver, sender) =
                    (Receiver::new(watched.clone()), Sender::new(watched.clone()));
                let mut call = pin!(probe.call(scope, receiver, sender));
                loop {
                    tokio::select! {
                        biased;
                        result = &mut call => return result,
                        () = next.notified() => {
                            if watched.has_ended.load(Ordering::Relaxed) {
                                return Ok(());
                            }
                        }
                    }
                }
            }
        })
    })
}

fn a_panic_is_shown_to_the_client() -> InProcess {
    with_app(|probe| {
        let probe = Arc::new(probe);
        BoxApp::new(move |scope: Scope, receiver: Receiver, sender: Sender| {
            let (probe, answer) = (probe.clone(), sender.clone());
            async move {
                let mut call = pin!(probe.call(scope, receiver, sender));
                match poll_fn(|cx| poll_caught(call.as_mut(), cx)).await {
                    Ok(result) => result,
                    Err(panic) => {
                        if let Some(text) = panic.downcast_ref::<String>() {
                            let start = HttpResponseStart::new(StatusCode::INTERNAL_SERVER_ERROR);
                            if answer.send(start).await.is_ok() {
                                let _ = answer.send(HttpResponseBody::last(text.clone())).await;
                            }
                        }
                        resume_unwind(panic)
                    }
                }
            }
        })
    })
}

fn a_failed_startup_leaves_exit_status_1() -> InProcess {
    InProcess {
        exit: Some(|status| if status == 3 { 1 } else { status }),
        ..InProcess::default()
    }
}

fn state_has_values_that_were_inserted_after_startup() -> InProcess {
    struct More;
    impl MessageFilter for More {
        fn message(&mut self, message: &mut Value) {
            if let Value::Array(texts) = &mut message["texts"]
                && !texts.is_empty()
            {
                texts.push("after".into());
            }
        }
    }
    InProcess {
        message_filter: Some(|| Box::new(More)),
        ..InProcess::default()
    }
}
