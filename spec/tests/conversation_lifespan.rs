//! Tests of the events that an application may send in its lifespan, rule by rule.

use callgate::conversation::{LifespanConversation, LifespanPhase};
use callgate::{
    LifespanShutdownComplete, LifespanShutdownFailed, LifespanStartupComplete,
    LifespanStartupFailed, Message, SendError, SendEvent,
};

fn startup_complete() -> SendEvent {
    LifespanStartupComplete::new().into()
}

fn startup_failed() -> SendEvent {
    LifespanStartupFailed::new("no database").into()
}

fn shutdown_failed() -> SendEvent {
    LifespanShutdownFailed::new("still busy").into()
}

/// Creates a conversation in which the application has sent `events`.
fn after(events: &[SendEvent]) -> LifespanConversation {
    let mut conversation = LifespanConversation::new();
    for event in events {
        conversation.send(event).unwrap();
    }
    conversation
}

/// Creates a conversation in which `lifespan.shutdown` has been received.
fn shutting_down() -> LifespanConversation {
    let mut conversation = after(&[startup_complete()]);
    conversation.shutdown_received();
    conversation
}

/// Expects that `event` breaks the rule `id`, and that every later send fails with it.
#[track_caller]
fn refuse(mut conversation: LifespanConversation, id: &str, event: &SendEvent) {
    let error = conversation.send(event).expect_err("a violation");
    assert_eq!(
        error.rule().map(|rule| rule.id),
        Some(id),
        "refused with: {error}"
    );
    assert!(matches!(conversation.phase(), LifespanPhase::Broken(_)));
    conversation.shutdown_received();
    for later in [startup_complete(), LifespanShutdownComplete::new().into()] {
        let error = conversation.send(&later).unwrap_err();
        assert_eq!(error.rule().unwrap().id, id);
    }
    assert_eq!(conversation.returned().unwrap_err().rule.id, id);
}

#[test]
fn a_whole_life_is_allowed() {
    for answer in [LifespanShutdownComplete::new().into(), shutdown_failed()] {
        let mut conversation = shutting_down();
        conversation.send(&answer).unwrap();
        assert_eq!(*conversation.phase(), LifespanPhase::ShutDown);
        conversation.returned().unwrap();
    }
}

#[test]
fn failing_to_start_is_allowed() {
    let mut conversation = after(&[startup_failed()]);
    assert_eq!(*conversation.phase(), LifespanPhase::StartupFailed);
    conversation.returned().unwrap();
}

#[test]
fn returning_between_start_up_and_shutdown_is_allowed() {
    let mut conversation = after(&[startup_complete()]);
    assert_eq!(*conversation.phase(), LifespanPhase::Started);
    conversation.returned().unwrap();
}

#[test]
fn core_06_an_event_of_another_scope_is_refused() {
    refuse(after(&[]), "CORE-06", &Message::text("x").into());
    refuse(shutting_down(), "CORE-06", &Message::text("x").into());
}

#[test]
fn core_11_sends_after_the_call_has_returned_fail_as_disconnected() {
    let mut conversation = after(&[startup_complete()]);
    conversation.returned().unwrap();
    conversation.shutdown_received();
    let result = conversation.send(&LifespanShutdownComplete::new().into());
    assert!(matches!(result, Err(SendError::Disconnected)));
}

#[test]
fn life_04_a_second_answer_to_start_up_is_refused() {
    for first in [startup_complete(), startup_failed()] {
        let answered = || after(std::slice::from_ref(&first));
        refuse(answered(), "LIFE-04", &startup_complete());
        refuse(answered(), "LIFE-04", &startup_failed());
    }
    refuse(shutting_down(), "LIFE-04", &startup_complete());
}

#[test]
fn life_04_returning_without_an_answer_to_start_up_is_refused() {
    let violation = LifespanConversation::new().returned().unwrap_err();
    assert_eq!(violation.rule.id, "LIFE-04");
}

#[test]
fn life_09_a_second_answer_to_shutdown_is_refused() {
    let mut conversation = shutting_down();
    conversation.send(&shutdown_failed()).unwrap();
    refuse(
        conversation,
        "LIFE-09",
        &LifespanShutdownComplete::new().into(),
    );
}

#[test]
fn life_09_returning_without_an_answer_to_shutdown_is_refused() {
    let violation = shutting_down().returned().unwrap_err();
    assert_eq!(violation.rule.id, "LIFE-09");
}

#[test]
fn life_12_an_answer_to_shutdown_before_shutdown_is_refused() {
    for events in [&[][..], &[startup_complete()], &[startup_failed()]] {
        refuse(
            after(events),
            "LIFE-12",
            &LifespanShutdownComplete::new().into(),
        );
        refuse(after(events), "LIFE-12", &shutdown_failed());
    }
}

#[test]
fn shutdown_is_not_received_before_start_up_is_complete() {
    let mut conversation = LifespanConversation::new();
    conversation.shutdown_received();
    assert_eq!(*conversation.phase(), LifespanPhase::Starting);
}
