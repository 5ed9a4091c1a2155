//! Servers that break the rules checked in `cases/core_sending.rs`.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use callgate::{
    AppError, Channel, HttpResponseBody, SendError, SendEvent, SendProgress, Violation, rule,
};

use super::{mutants, with_changed_results, with_connection_filter, with_interceptor};
use crate::connection_filter::ConnectionFilter;
use crate::in_process::InProcess;
use crate::interceptor::Interceptor;

mutants! {
    core_04_events_after_the_last_are_ignored: SEND_VIOLATION ["a_broken_rule_fails_the_send"],
    core_04_a_second_start_names_another_rule: SEND_VIOLATION [
        "a_broken_rule_fails_the_send_over_http2",
        "a_broken_rule_fails_the_send_in_a_websocket",
    ],
    core_04_the_part_that_fits_is_delivered: SEND_VIOLATION [
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
    with_changed_results(|outcome| match outcome {
        Err(error) if error.rule() == Some(rule::NOTHING_AFTER_END) => Ok(SendProgress::Sent),
        outcome => outcome,
    })
}

fn core_04_a_second_start_names_another_rule() -> InProcess {
    struct AnotherRule;
    impl Interceptor for AnotherRule {
        fn start_send(
            &self,
            server: &dyn Channel,
            event: SendEvent,
        ) -> Result<SendProgress, SendError> {
            let is_start = matches!(
                event,
                SendEvent::HttpResponseStart(_) | SendEvent::WebSocketAccept(_)
            );
            match server.start_send(event) {
                Err(error)
                    if is_start
                        && [rule::START_ONCE, rule::ACCEPT_ONCE]
                            .map(Some)
                            .contains(&error.rule()) =>
                {
                    Err(Violation::new(rule::START_FIRST, "it is wrong").into())
                }
                result => result,
            }
        }
    }
    with_interceptor(|| AnotherRule)
}

fn core_04_the_part_that_fits_is_delivered() -> InProcess {
    /// The bytes that `content-length` leaves of a streamed response.
    #[derive(Default)]
    struct Trimmed(Mutex<Option<usize>>);
    impl Interceptor for Trimmed {
        fn start_send(
            &self,
            server: &dyn Channel,
            event: SendEvent,
        ) -> Result<SendProgress, SendError> {
            let mut left = self.0.lock().unwrap();
            match &event {
                SendEvent::HttpResponseStart(start) => {
                    let length = start.headers.get("content-length");
                    *left = length.and_then(|length| length.to_str().ok()?.parse().ok());
                }
                SendEvent::HttpResponseBody(body) => {
                    let length = body.body.len();
                    if let Some(fits) = *left
                        && body.more_body
                        && (2..length).contains(&fits)
                    {
                        // One byte less than fits, so that the response is cut off.
                        let part = HttpResponseBody::part(body.body.slice(..fits - 1));
                        let _ = server.start_send(part.into());
                        *left = Some(0);
                        let rule = rule::NOT_MORE_THAN_LENGTH;
                        return Err(Violation::new(rule, "the rest is too long").into());
                    }
                    *left = left.map(|left| left.saturating_sub(length));
                }
                _ => {}
            }
            server.start_send(event)
        }
    }
    with_interceptor(Trimmed::default)
}

fn core_05_a_broken_rule_is_named_once() -> InProcess {
    /// Whether the rule has been named.
    #[derive(Default)]
    struct Once(AtomicBool);
    impl Interceptor for Once {
        fn start_send(
            &self,
            server: &dyn Channel,
            event: SendEvent,
        ) -> Result<SendProgress, SendError> {
            match server.start_send(event) {
                Err(SendError::Violation(_)) if self.0.swap(true, Ordering::Relaxed) => {
                    Err(SendError::Disconnected)
                }
                result => result,
            }
        }
    }
    with_interceptor(Once::default)
}

fn core_07_one_of_two_waiting_sends_is_lost() -> InProcess {
    /// The wakers of the tasks that wait for room. How many messages of a WebSocket wait depends on how
    /// fast the client reads, so only parts of responses are lost.
    #[derive(Default)]
    struct LosesOne(Mutex<Vec<Waker>>);
    impl Interceptor for LosesOne {
        fn poll_ready(&self, server: &dyn Channel, cx: &mut Context<'_>) -> Poll<()> {
            let poll = server.poll_ready(cx);
            let mut waiting = self.0.lock().unwrap();
            if poll.is_pending() && !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                waiting.push(cx.waker().clone());
            }
            poll
        }

        fn start_send(
            &self,
            server: &dyn Channel,
            event: SendEvent,
        ) -> Result<SendProgress, SendError> {
            let waiting = std::mem::take(&mut *self.0.lock().unwrap());
            match event {
                SendEvent::HttpResponseBody(_) if waiting.len() > 1 => Ok(SendProgress::Sent),
                event => server.start_send(event),
            }
        }
    }
    with_interceptor(LosesOne::default)
}

fn core_08_output_is_held_without_bound() -> InProcess {
    struct Unbounded;
    impl ConnectionFilter for Unbounded {
        fn buffer_capacity(&self) -> usize {
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
        fn start_send(
            &self,
            server: &dyn Channel,
            event: SendEvent,
        ) -> Result<SendProgress, SendError> {
            match self.0.load(Ordering::Relaxed) {
                true => Ok(SendProgress::Sent),
                false => server.start_send(event),
            }
        }

        fn result(&self, result: Result<(), AppError>) -> Result<(), AppError> {
            self.0.store(true, Ordering::Relaxed);
            result
        }
    }
    with_interceptor(Taken::default)
}
