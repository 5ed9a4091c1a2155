//! Servers that break the rules checked in `cases/core_disconnect.rs`.

use std::future::poll_fn;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use callgate::{
    App, AppError, BoxApp, Channel, ReceiveEvent, Receiver, Scope, SendError, SendEvent,
    SendProgress, Sender, rule,
};
use callgate_conformance::Probe;
use http::{Method, Version};
use tokio::task::JoinHandle;

use super::{mutants, with_app};
use crate::in_process::InProcess;
use crate::interceptor::{Interceptor, intercepted};

mutants! {
    core_03_sends_to_a_reset_stream_are_taken: SEND_AFTER_DISCONNECT [
        "a_send_after_the_client_over_http2",
    ],
    core_09_a_head_request_ends_with_its_client: NO_CANCELLATION [
        "an_application_outlives_its_client",
    ],
    core_12_the_disconnect_of_a_stream_is_yielded_once: DISCONNECT_REPEATS [
        "a_receive_after_the_disconnect_over_http2",
    ],
    core_12_the_disconnect_of_a_websocket_is_yielded_once: DISCONNECT_REPEATS [
        "a_receive_after_the_disconnect_of_a_websocket",
    ],
    core_14_a_head_request_has_no_end_of_grace: GRACE_PERIOD_ENDS ["the_grace_period_passes"],
    core_14_a_stream_has_no_end_of_grace: GRACE_PERIOD_ENDS ["the_grace_period_passes_over_http2"],
    core_21_a_broken_rule_begins_no_grace_period: VIOLATION_IS_A_DISCONNECT [
        "a_broken_rule_begins_the_grace_period",
    ],
    core_21_a_broken_rule_is_no_disconnect_of_a_websocket: VIOLATION_IS_A_DISCONNECT [
        "a_broken_rule_is_a_disconnect_of_a_websocket",
    ],
}

fn is_head(scope: &Scope) -> bool {
    matches!(scope, Scope::Http(scope) if scope.method == Method::HEAD)
}

fn is_websocket(scope: &Scope) -> bool {
    matches!(scope, Scope::WebSocket(_))
}

fn is_over_http2(scope: &Scope) -> bool {
    matches!(scope, Scope::Http(scope) if scope.version == Version::HTTP_2)
}

fn core_03_sends_to_a_reset_stream_are_taken() -> InProcess {
    /// Whether the call is one over HTTP/2 and has not returned.
    #[derive(Default)]
    struct Taken(AtomicBool);
    impl Interceptor for Taken {
        fn scope(&self, scope: &mut Scope) {
            self.0.store(is_over_http2(scope), Ordering::Relaxed);
        }

        fn start_send(
            &self,
            server: &dyn Channel,
            event: SendEvent,
        ) -> Result<SendProgress, SendError> {
            match server.start_send(event) {
                Err(SendError::Disconnected) if self.0.load(Ordering::Relaxed) => {
                    Ok(SendProgress::Sent)
                }
                result => result,
            }
        }

        fn result(&self, result: Result<(), AppError>) -> Result<(), AppError> {
            self.0.store(false, Ordering::Relaxed);
            result
        }
    }
    with_app(|probe| intercepted(probe, Taken::default))
}

fn core_09_a_head_request_ends_with_its_client() -> InProcess {
    /// Tells the server's end when it yields a disconnect after the whole request.
    struct Watched {
        server: Arc<dyn Channel>,
        is_whole: AtomicBool,
    }
    impl Watched {
        fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
            if !self.is_whole.load(Ordering::Relaxed) {
                return Poll::Pending;
            }
            // All that it can yield now is the disconnect, and that again.
            self.server.poll_receive(cx).map(|_| ())
        }
    }
    impl Channel for Watched {
        fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
            let event = ready!(self.server.poll_receive(cx));
            if matches!(&event, ReceiveEvent::HttpRequestBody(request) if !request.more_body) {
                self.is_whole.store(true, Ordering::Relaxed);
            }
            Poll::Ready(event)
        }

        fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
            self.server.poll_ready(cx)
        }

        fn start_send(&self, event: SendEvent) -> Result<SendProgress, SendError> {
            self.server.start_send(event)
        }
    }

    with_app(|probe| {
        let probe = BoxApp::new(probe);
        BoxApp::new(move |scope: Scope, receiver: Receiver, sender: Sender| {
            let probe = probe.clone();
            async move {
                if !is_head(&scope) {
                    return probe.call(scope, receiver, sender).await;
                }
                let watched = Arc::new(Watched {
                    server: receiver.into_channel(),
                    is_whole: AtomicBool::new(false),
                });
                let call = probe.call(scope, Receiver::new(watched.clone()), sender);
                tokio::select! {
                    biased;
                    result = call => result,
                    () = poll_fn(|cx| watched.poll_gone(cx)) => Ok(()),
                }
            }
        })
    })
}

/// Yields a disconnect once, in the calls that are meant.
pub(super) struct Once {
    is_meant: fn(&Scope) -> bool,
    applies: AtomicBool,
    has_yielded: AtomicBool,
}

impl Once {
    pub(super) fn when(is_meant: fn(&Scope) -> bool) -> Self {
        Self {
            is_meant,
            applies: AtomicBool::new(false),
            has_yielded: AtomicBool::new(false),
        }
    }
}

impl Interceptor for Once {
    fn scope(&self, scope: &mut Scope) {
        self.applies
            .store((self.is_meant)(scope), Ordering::Relaxed);
    }

    fn receive(&self, server: &dyn Channel, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
        let event = ready!(server.poll_receive(cx));
        let is_disconnect = matches!(
            event,
            ReceiveEvent::HttpDisconnect | ReceiveEvent::WebSocketDisconnect(_)
        );
        let is_again = is_disconnect && self.has_yielded.swap(true, Ordering::Relaxed);
        if is_again && self.applies.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        Poll::Ready(event)
    }
}

fn core_12_the_disconnect_of_a_stream_is_yielded_once() -> InProcess {
    with_app(|probe| intercepted(probe, || Once::when(is_over_http2)))
}

fn core_12_the_disconnect_of_a_websocket_is_yielded_once() -> InProcess {
    with_app(|probe| intercepted(probe, || Once::when(is_websocket)))
}

/// A call in another task, which goes on when this is dropped and `outlives` is set.
struct Detached {
    task: JoinHandle<Result<(), AppError>>,
    outlives: Arc<AtomicBool>,
}

impl Detached {
    fn new(
        app: BoxApp,
        scope: Scope,
        receiver: Receiver,
        sender: Sender,
        outlives: Arc<AtomicBool>,
    ) -> Self {
        Self {
            task: tokio::spawn(async move { app.call(scope, receiver, sender).await }),
            outlives,
        }
    }

    async fn run(mut self) -> Result<(), AppError> {
        let result = (&mut self.task).await;
        result.unwrap_or_else(|error| resume_unwind(error.into_panic()))
    }
}

impl Drop for Detached {
    fn drop(&mut self) {
        if !self.outlives.load(Ordering::Relaxed) {
            self.task.abort();
        }
    }
}

/// Calls whose future is not dropped, if they are meant.
fn without_end(probe: Probe, is_meant: fn(&Scope) -> bool) -> BoxApp {
    let probe = BoxApp::new(probe);
    BoxApp::new(move |scope: Scope, receiver: Receiver, sender: Sender| {
        let outlives = Arc::new(AtomicBool::new(is_meant(&scope)));
        Detached::new(probe.clone(), scope, receiver, sender, outlives).run()
    })
}

fn core_14_a_head_request_has_no_end_of_grace() -> InProcess {
    with_app(|probe| without_end(probe, is_head))
}

fn core_14_a_stream_has_no_end_of_grace() -> InProcess {
    with_app(|probe| without_end(probe, is_over_http2))
}

fn core_21_a_broken_rule_begins_no_grace_period() -> InProcess {
    /// Notes whether a rule is broken.
    struct Noted {
        server: Arc<dyn Channel>,
        is_broken: Arc<AtomicBool>,
    }
    impl Channel for Noted {
        fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
            self.server.poll_receive(cx)
        }

        fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
            self.server.poll_ready(cx)
        }

        fn start_send(&self, event: SendEvent) -> Result<SendProgress, SendError> {
            let result = self.server.start_send(event);
            if let Err(SendError::Violation(_)) = &result {
                self.is_broken.store(true, Ordering::Relaxed);
            }
            result
        }
    }

    with_app(|probe| {
        let probe = BoxApp::new(probe);
        BoxApp::new(move |scope: Scope, receiver: Receiver, sender: Sender| {
            let is_broken = Arc::new(AtomicBool::new(false));
            let sender = Sender::new(Arc::new(Noted {
                server: sender.into_channel(),
                is_broken: is_broken.clone(),
            }));
            Detached::new(probe.clone(), scope, receiver, sender, is_broken).run()
        })
    })
}

fn core_21_a_broken_rule_is_no_disconnect_of_a_websocket() -> InProcess {
    /// Whether a rule was broken before the WebSocket was accepted.
    #[derive(Default)]
    struct Silent(AtomicBool);
    impl Interceptor for Silent {
        fn receive(&self, server: &dyn Channel, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
            match ready!(server.poll_receive(cx)) {
                ReceiveEvent::WebSocketDisconnect(_) if self.0.load(Ordering::Relaxed) => {
                    Poll::Pending
                }
                event => Poll::Ready(event),
            }
        }

        fn start_send(
            &self,
            server: &dyn Channel,
            event: SendEvent,
        ) -> Result<SendProgress, SendError> {
            let result = server.start_send(event);
            if let Err(error) = &result
                && error.rule() == Some(rule::ACCEPT_FIRST)
            {
                self.0.store(true, Ordering::Relaxed);
            }
            result
        }
    }
    with_app(|probe| intercepted(probe, Silent::default))
}
