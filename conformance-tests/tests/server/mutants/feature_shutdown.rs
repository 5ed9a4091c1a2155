//! Servers that break the rules checked in `cases/feature_shutdown.rs`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use callgate::{
    Channel, Feature, Features, ReceiveEvent, Scope, SendError, SendEvent, SendProgress,
};

use super::{mutants, with_interceptor};
use crate::in_process::InProcess;
use crate::interceptor::Interceptor;

mutants! {
    ext_17_the_shutdown_is_not_delivered: SHUTDOWN_IS_TOLD [
        "shutdown_while_the_application_receives",
        "shutdown_while_the_application_receives_over_http2",
        "shutdown_before_the_application_receives",
        "shutdown_before_the_application_receives_over_http2",
        "shutdown_of_a_streamed_response",
        "shutdown_of_a_streamed_response_over_http2",
    ],
    ext_18_the_shutdown_is_delivered_twice: SHUTDOWN_ONCE [
        "shutdown_comes_once",
        "shutdown_comes_once_over_http2",
    ],
    ext_18_the_shutdown_is_delivered_where_it_is_not_offered: SHUTDOWN_ONCE [
        "no_shutdown_where_it_is_not_offered",
        "no_shutdown_where_it_is_not_offered_over_http2",
    ],
    ext_19_sends_after_the_shutdown_fail: SHUTDOWN_IS_NO_DISCONNECT [
        "sends_after_the_shutdown",
        "sends_after_the_shutdown_over_http2",
    ],
}

fn ext_17_the_shutdown_is_not_delivered() -> InProcess {
    struct Silent;
    impl Interceptor for Silent {
        fn receive(&self, server: &dyn Channel, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
            loop {
                match ready!(server.poll_receive(cx)) {
                    ReceiveEvent::HttpShutdown => {}
                    event => return Poll::Ready(event),
                }
            }
        }
    }
    with_interceptor(|| Silent)
}

fn ext_18_the_shutdown_is_delivered_twice() -> InProcess {
    /// Whether the shutdown is to be repeated.
    #[derive(Default)]
    struct Repeats(AtomicBool);
    impl Interceptor for Repeats {
        fn receive(&self, server: &dyn Channel, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
            if self.0.swap(false, Ordering::Relaxed) {
                return Poll::Ready(ReceiveEvent::HttpShutdown);
            }
            let event = ready!(server.poll_receive(cx));
            let is_shutdown = event == ReceiveEvent::HttpShutdown;
            self.0.store(is_shutdown, Ordering::Relaxed);
            Poll::Ready(event)
        }
    }
    with_interceptor(Repeats::default)
}

fn ext_18_the_shutdown_is_delivered_where_it_is_not_offered() -> InProcess {
    struct Hidden;
    impl Interceptor for Hidden {
        fn scope(&self, scope: &mut Scope) {
            if let Some(request) = scope.request_mut() {
                let others = |feature: &Feature| *feature != Feature::Shutdown;
                request.features = request.features.iter().filter(others).collect::<Features>();
            }
        }
    }
    with_interceptor(|| Hidden)
}

fn ext_19_sends_after_the_shutdown_fail() -> InProcess {
    /// Whether the application has received the shutdown.
    #[derive(Default)]
    struct Closed(AtomicBool);
    impl Interceptor for Closed {
        fn receive(&self, server: &dyn Channel, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
            let event = ready!(server.poll_receive(cx));
            if event == ReceiveEvent::HttpShutdown {
                self.0.store(true, Ordering::Relaxed);
            }
            Poll::Ready(event)
        }

        fn start_send(
            &self,
            server: &dyn Channel,
            event: SendEvent,
        ) -> Result<SendProgress, SendError> {
            match self.0.load(Ordering::Relaxed) {
                true => Err(SendError::Disconnected),
                false => server.start_send(event),
            }
        }
    }
    with_interceptor(Closed::default)
}
