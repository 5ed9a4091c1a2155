//! Servers that break the rules checked in `cases/lifespan.rs` and
//! `cases/lifespan_shutdown.rs`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use callgate::{
    AppError, BoxApp, Channel, LifespanScope, ReceiveEvent, Receiver, Scope, SendError, SendEvent,
    SendProgress, Sender,
};
use callgate_conformance::Probe;
use callgate_server::LifespanMode;

use super::{mutants, with_app, with_interceptor};
use crate::in_process::InProcess;
use crate::interceptor::{Interceptor, observe_startup};

mutants! {
    life_01_lifespan_is_run_where_it_is_off: LIFESPAN_ONCE ["lifespan_is_off"],
    life_01_the_application_is_called_for_lifespan_with_the_first_request_again: LIFESPAN_ONCE [
        "lifespan_comes_first_and_once",
    ],
    life_02_startup_comes_twice: STARTUP_FIRST ["startup_comes_first"],
    life_03_a_bad_request_is_answered_during_startup: STARTUP_BEFORE_ACCEPT [
        "a_connection_during_startup",
    ],
    life_05_the_reason_of_a_failed_startup_is_kept_secret: STARTUP_FAILED_STOPS ["startup_fails"],
    life_06_an_error_at_startup_is_taken_for_an_application_without_lifespan: STARTUP_ERROR_STOPS [
        "an_error_at_startup",
    ],
    life_07_an_application_without_lifespan_is_not_served: DECLINED_LIFESPAN [
        "an_application_without_lifespan",
    ],
    life_07_an_application_without_lifespan_is_served_where_it_is_required: DECLINED_LIFESPAN [
        "an_application_without_the_lifespan_required",
    ],
    life_08_shutdown_comes_twice: SHUTDOWN_LAST [
        "shutdown_waits_for_responses",
        "shutdown_waits_for_background_work",
    ],
    life_10_a_failed_shutdown_leaves_exit_status_0: SHUTDOWN_FAILED_IS_REPORTED [
        "shutdown_fails",
        "an_error_while_serving",
    ],
    life_11_no_client_is_served_once_the_lifespan_call_has_ended: EARLY_RETURN_KEEPS_SERVING [
        "an_early_return",
    ],
    life_13_a_stop_during_startup_is_not_heard: SIGNAL_DURING_STARTUP ["a_signal_during_startup"],
    life_15_there_is_state_without_lifespan: STATE_REACHES_SCOPES ["state_without_lifespan"],
    life_16_the_answer_counts_when_the_call_has_returned: STOP_ON_ANSWER [
        "an_answer_without_a_return",
    ],
}

/// Receives this event once more than the server yields it.
struct Twice {
    event: ReceiveEvent,
    is_due: AtomicBool,
}

impl Twice {
    fn new(event: ReceiveEvent) -> Self {
        Self {
            event,
            is_due: AtomicBool::new(false),
        }
    }
}

impl Interceptor for Twice {
    fn receive(&self, server: &dyn Channel, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
        if self.is_due.swap(false, Ordering::Relaxed) {
            return Poll::Ready(self.event.clone());
        }
        server.poll_receive(cx).map(|event| {
            self.is_due.store(event == self.event, Ordering::Relaxed);
            event
        })
    }
}

/// A server that leaves the application alone in lifespan.
struct Silent;

impl Channel for Silent {
    fn poll_receive(&self, _: &mut Context<'_>) -> Poll<ReceiveEvent> {
        Poll::Pending
    }

    fn poll_ready(&self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }

    fn start_send(&self, _: SendEvent) -> Result<SendProgress, SendError> {
        Err(SendError::Disconnected)
    }
}

fn life_01_lifespan_is_run_where_it_is_off() -> InProcess {
    InProcess {
        config: Some(|config| {
            if config.process.lifespan == LifespanMode::Off {
                config.process.lifespan = LifespanMode::Auto;
            }
        }),
        ..InProcess::default()
    }
}

fn life_01_the_application_is_called_for_lifespan_with_the_first_request_again() -> InProcess {
    with_app(|probe| {
        let probe = BoxApp::new(probe);
        let has_served = Arc::new(AtomicBool::new(false));
        BoxApp::new(move |scope: Scope, receiver: Receiver, sender: Sender| {
            let (probe, has_served) = (probe.clone(), has_served.clone());
            async move {
                let is_lifespan = matches!(scope, Scope::Lifespan(_));
                if !is_lifespan && !has_served.swap(true, Ordering::Relaxed) {
                    let silent = Arc::new(Silent);
                    let (receiver, sender) = (Receiver::new(silent.clone()), Sender::new(silent));
                    tokio::spawn(probe.call_boxed(LifespanScope::new().into(), receiver, sender));
                    tokio::task::yield_now().await;
                }
                probe.call_boxed(scope, receiver, sender).await
            }
        })
    })
}

fn life_02_startup_comes_twice() -> InProcess {
    with_interceptor(|| Twice::new(ReceiveEvent::LifespanStartup))
}

fn life_03_a_bad_request_is_answered_during_startup() -> InProcess {
    InProcess {
        early_answer: Some("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"),
        ..InProcess::default()
    }
}

fn life_05_the_reason_of_a_failed_startup_is_kept_secret() -> InProcess {
    InProcess {
        log: Some(|log| {
            let lines = log.lines().filter(|line| !line.contains("failed to start"));
            lines.collect()
        }),
        ..InProcess::default()
    }
}

fn life_06_an_error_at_startup_is_taken_for_an_application_without_lifespan() -> InProcess {
    #[derive(Default)]
    struct Forgiving {
        is_lifespan: AtomicBool,
        has_answered: AtomicBool,
    }
    impl Interceptor for Forgiving {
        fn scope(&self, scope: &mut Scope) {
            let is_lifespan = matches!(scope, Scope::Lifespan(_));
            self.is_lifespan.store(is_lifespan, Ordering::Relaxed);
        }

        fn start_send(
            &self,
            server: &dyn Channel,
            event: SendEvent,
        ) -> Result<SendProgress, SendError> {
            self.has_answered.store(true, Ordering::Relaxed);
            server.start_send(event)
        }

        fn result(&self, result: Result<(), AppError>) -> Result<(), AppError> {
            let is_starting = self.is_lifespan.load(Ordering::Relaxed)
                && !self.has_answered.load(Ordering::Relaxed);
            match result {
                Err(_) if is_starting => Err(AppError::Unsupported),
                result => result,
            }
        }
    }
    with_interceptor(Forgiving::default)
}

fn life_07_an_application_without_lifespan_is_not_served() -> InProcess {
    InProcess {
        config: Some(|config| {
            if config.process.lifespan == LifespanMode::Auto {
                config.process.lifespan = LifespanMode::On;
            }
        }),
        ..InProcess::default()
    }
}

fn life_07_an_application_without_lifespan_is_served_where_it_is_required() -> InProcess {
    InProcess {
        config: Some(|config| {
            if config.process.lifespan == LifespanMode::On {
                config.process.lifespan = LifespanMode::Auto;
            }
        }),
        ..InProcess::default()
    }
}

fn life_08_shutdown_comes_twice() -> InProcess {
    with_interceptor(|| Twice::new(ReceiveEvent::LifespanShutdown))
}

fn life_10_a_failed_shutdown_leaves_exit_status_0() -> InProcess {
    InProcess {
        exit: Some(|status| if status == 1 { 0 } else { status }),
        ..InProcess::default()
    }
}

fn life_11_no_client_is_served_once_the_lifespan_call_has_ended() -> InProcess {
    with_app(|probe| {
        let probe = BoxApp::new(probe);
        let has_ended = Arc::new(AtomicBool::new(false));
        BoxApp::new(move |scope: Scope, receiver: Receiver, sender: Sender| {
            let (probe, has_ended) = (probe.clone(), has_ended.clone());
            async move {
                if !matches!(scope, Scope::Lifespan(_)) {
                    return match has_ended.load(Ordering::Relaxed) {
                        true => Err(AppError::failed("there is no lifespan")),
                        false => probe.call_boxed(scope, receiver, sender).await,
                    };
                }
                let result = probe.call_boxed(scope, receiver, sender).await;
                has_ended.store(result.is_ok(), Ordering::Relaxed);
                result
            }
        })
    })
}

fn life_13_a_stop_during_startup_is_not_heard() -> InProcess {
    InProcess {
        ignores_early_stop: true,
        ..InProcess::default()
    }
}

fn life_15_there_is_state_without_lifespan() -> InProcess {
    fn with_state(probe: Probe) -> BoxApp {
        let probe = BoxApp::new(probe);
        let has_lifespan = Arc::new(AtomicBool::new(false));
        let noting = observe_startup(probe, has_lifespan.clone(), Arc::default());
        BoxApp::new(
            move |mut scope: Scope, receiver: Receiver, sender: Sender| {
                if let Some(request) = scope.request_mut()
                    && !has_lifespan.load(Ordering::SeqCst)
                {
                    request.state = Probe::state_of(&["the server's own"]);
                }
                noting.call_boxed(scope, receiver, sender)
            },
        )
    }
    with_app(with_state)
}

fn life_16_the_answer_counts_when_the_call_has_returned() -> InProcess {
    /// Holds the answer back.
    struct Held {
        sending: Arc<dyn Channel>,
        answer: Mutex<Option<SendEvent>>,
    }
    impl Channel for Held {
        fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
            self.sending.poll_receive(cx)
        }

        fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
            self.sending.poll_ready(cx)
        }

        fn start_send(&self, event: SendEvent) -> Result<SendProgress, SendError> {
            match event {
                SendEvent::LifespanShutdownComplete(_) => {
                    *self.answer.lock().unwrap() = Some(event);
                    Ok(SendProgress::Sent)
                }
                _ => self.sending.start_send(event),
            }
        }
    }
    with_app(|probe| {
        let probe = BoxApp::new(probe);
        BoxApp::new(move |scope: Scope, receiver: Receiver, sender: Sender| {
            let probe = probe.clone();
            async move {
                let held = Arc::new(Held {
                    sending: sender.clone().into_channel(),
                    answer: Mutex::new(None),
                });
                let result = probe
                    .call_boxed(scope, receiver, Sender::new(held.clone()))
                    .await;
                let answer = held.answer.lock().unwrap().take();
                if let Some(answer) = answer {
                    sender.send(answer).await?;
                }
                result
            }
        })
    })
}
