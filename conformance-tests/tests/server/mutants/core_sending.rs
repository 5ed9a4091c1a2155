//! Servers that break the rules checked in `cases/core_sending.rs`.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use callgate::{AppError, Channel, HttpResponseBody, SendError, SendEvent, Violation, rule};

use super::{mutants, with_changed_outcomes, with_connection_filter, with_interceptor};
use crate::connection_filter::ConnectionFilter;
use crate::in_process::InProcess;
use crate::interceptor::Interceptor;

mutants! {
    core_04_events_after_the_last_are_ignored: SEND_VIOLATION ["a_broken_rule_fails_the_send"],
    core_04_a_second_start_names_another_rule: SEND_VIOLATION [
        "a_broken_rule_fails_the_send_over_http2",
        "a_broken_rule_fails_the_send_in_a_websocket",
    ],
    core_04_what_fits_of_too_much_is_delivered: SEND_VIOLATION [
        "what_breaks_a_rule_is_not_delivered",
    ],
    core_05_a_broken_rule_is_named_once: VIOLATION_IS_FINAL [
        "sends_after_a_broken_rule",
        "sends_after_a_broken_rule_in_a_stream",
        "sends_after_a_broken_rule_over_http2",
        "sends_after_a_broken_rule_in_a_websocket",
    ],
    core_07_one_of_two_waiting_sends_is_lost: CONCURRENT_SENDS [
        "sends_at_the_same_time",
        "sends_at_the_same_time_over_http2",
    ],
    core_08_output_is_held_without_bound: BACKPRESSURE [
        "the_client_does_not_read",
        "the_client_does_not_read_from_a_websocket",
    ],
    core_11_sends_after_the_call_are_taken: RETURN_ENDS_SENDING [
        "a_send_after_the_call",
        "a_send_after_the_call_and_the_response",
        "a_send_after_the_call_over_http2",
        "a_send_after_the_call_of_a_websocket",
    ],
}

fn core_04_events_after_the_last_are_ignored() -> InProcess {
    with_changed_outcomes(|outcome| match outcome {
        Err(error) if error.rule() == Some(rule::NOTHING_AFTER_END) => Ok(()),
        outcome => outcome,
    })
}

fn core_04_a_second_start_names_another_rule() -> InProcess {
    struct AnotherRule;
    impl Interceptor for AnotherRule {
        fn send(
            &self,
            server: &dyn Channel,
            cx: &mut Context<'_>,
            event: &mut Option<SendEvent>,
        ) -> Poll<Result<(), SendError>> {
            let is_start = matches!(
                event,
                Some(SendEvent::HttpResponseStart(_) | SendEvent::WebSocketAccept(_))
            );
            server.poll_send(cx, event).map(|result| match result {
                Err(error)
                    if is_start
                        && [rule::START_ONCE, rule::ACCEPT_ONCE]
                            .map(Some)
                            .contains(&error.rule()) =>
                {
                    Err(Violation::new(rule::START_FIRST, "it is wrong").into())
                }
                result => result,
            })
        }
    }
    with_interceptor(|| AnotherRule)
}

fn core_04_what_fits_of_too_much_is_delivered() -> InProcess {
    /// What `content-length` leaves of a response that is streamed.
    #[derive(Default)]
    struct Trimmed(Mutex<Option<usize>>);
    impl Interceptor for Trimmed {
        fn send(
            &self,
            server: &dyn Channel,
            cx: &mut Context<'_>,
            event: &mut Option<SendEvent>,
        ) -> Poll<Result<(), SendError>> {
            let mut left = self.0.lock().unwrap();
            let length = match event {
                Some(SendEvent::HttpResponseBody(body)) => body.body.len(),
                _ => 0,
            };
            if let (Some(fits), Some(SendEvent::HttpResponseBody(body))) = (*left, &event)
                && (2..length).contains(&fits)
            {
                // Not all that fits, so that the response is still a cut one.
                let part = HttpResponseBody::part(body.body.slice(..fits - 1));
                let _ = ready!(server.poll_send(cx, &mut Some(part.into())));
                *left = None;
            }
            let start = match event {
                Some(SendEvent::HttpResponseStart(start)) => start.headers.get("content-length"),
                _ => None,
            };
            let announced = start.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
            let result = ready!(server.poll_send(cx, event));
            *left = announced.or(left.map(|left| left.saturating_sub(length)));
            Poll::Ready(result)
        }
    }
    with_interceptor(Trimmed::default)
}

fn core_05_a_broken_rule_is_named_once() -> InProcess {
    /// Whether it has been named.
    #[derive(Default)]
    struct Once(AtomicBool);
    impl Interceptor for Once {
        fn send(
            &self,
            server: &dyn Channel,
            cx: &mut Context<'_>,
            event: &mut Option<SendEvent>,
        ) -> Poll<Result<(), SendError>> {
            server.poll_send(cx, event).map(|result| match result {
                Err(SendError::Violation(_)) if self.0.swap(true, Ordering::Relaxed) => {
                    Err(SendError::Disconnected)
                }
                result => result,
            })
        }
    }
    with_interceptor(Once::default)
}

fn core_07_one_of_two_waiting_sends_is_lost() -> InProcess {
    /// The event that waits to be sent. What is sent over a WebSocket is not lost: how many messages
    /// wait there depends on how fast the client takes them.
    #[derive(Default)]
    struct OneWaits(Mutex<Option<SendEvent>>);
    impl Interceptor for OneWaits {
        fn send(
            &self,
            server: &dyn Channel,
            cx: &mut Context<'_>,
            event: &mut Option<SendEvent>,
        ) -> Poll<Result<(), SendError>> {
            let mut waiting = self.0.lock().unwrap();
            let is_content = matches!(event, Some(SendEvent::HttpResponseBody(_)));
            if waiting.is_some() && *waiting != *event && is_content {
                return Poll::Ready(Ok(()));
            }
            *waiting = event.clone();
            let poll = server.poll_send(cx, event);
            if poll.is_ready() {
                *waiting = None;
            }
            poll
        }
    }
    with_interceptor(OneWaits::default)
}

fn core_08_output_is_held_without_bound() -> InProcess {
    struct Unbounded;
    impl ConnectionFilter for Unbounded {
        fn bound(&self) -> usize {
            usize::MAX
        }
    }
    with_connection_filter(|| Box::new(Unbounded))
}

fn core_11_sends_after_the_call_are_taken() -> InProcess {
    /// Whether the call has returned.
    #[derive(Default)]
    struct Taken(AtomicBool);
    impl Interceptor for Taken {
        fn send(
            &self,
            server: &dyn Channel,
            cx: &mut Context<'_>,
            event: &mut Option<SendEvent>,
        ) -> Poll<Result<(), SendError>> {
            match self.0.load(Ordering::Relaxed) {
                true => Poll::Ready(Ok(())),
                false => server.poll_send(cx, event),
            }
        }

        fn result(&self, result: Result<(), AppError>) -> Result<(), AppError> {
            self.0.store(true, Ordering::Relaxed);
            result
        }
    }
    with_interceptor(Taken::default)
}
