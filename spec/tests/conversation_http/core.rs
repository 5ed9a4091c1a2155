//! The rules for every scope.

use callgate::{
    HttpResponseBody, HttpResponseDebug, HttpResponseEarlyHint, LifespanShutdownComplete, Message,
    SendEvent,
};

use crate::support::{Conversation, is_disconnected, path_send, start, trailers};

#[test]
fn core_03_sends_fail_as_disconnected_once_the_client_is_gone() {
    for events in 0..3 {
        let mut conversation = Conversation::new();
        let sent: [SendEvent; 2] = [start().into(), HttpResponseBody::part("x").into()];
        sent.into_iter()
            .take(events)
            .for_each(|event| conversation.allow(event));
        conversation.0.disconnect();
        assert!(is_disconnected(&conversation.send(HttpResponseBody::end())));
        assert!(is_disconnected(
            &conversation.send(Message::text("foreign"))
        ));
        conversation.0.returned().unwrap();
    }
}

#[test]
fn core_03_a_disconnect_after_the_end_or_a_violation_changes_nothing() {
    let mut ended = Conversation::with_start(start());
    ended.allow(HttpResponseBody::end());
    ended.0.disconnect();
    ended.refuse("HTTP-16", HttpResponseBody::end());
    ended.0.disconnect();
    ended.expect_broken("HTTP-16");
}

#[test]
fn core_05_every_send_after_a_violation_fails_with_the_same_rule() {
    let mut conversation = Conversation::new();
    conversation.refuse("HTTP-14", HttpResponseBody::end());
    for event in [
        SendEvent::from(HttpResponseEarlyHint::default()),
        HttpResponseDebug::default().into(),
        path_send("/x").into(),
        trailers(&[]).into(),
        Message::text("foreign").into(),
    ] {
        assert_eq!(
            conversation.send(event).unwrap_err().rule().unwrap().id,
            "HTTP-14"
        );
    }
    conversation.refuse_return("HTTP-14");
}

#[test]
fn core_06_an_event_of_another_scope_is_refused() {
    for event in [
        SendEvent::from(Message::text("hello")),
        LifespanShutdownComplete::new().into(),
        SendEvent::DenialResponseStart(start()),
    ] {
        Conversation::new().refuse("CORE-06", event);
    }
}

#[test]
fn core_11_sends_after_the_call_has_returned_fail_as_disconnected() {
    let mut ended = Conversation::with_start(start());
    ended.allow(HttpResponseBody::end());
    ended.0.returned().unwrap();
    assert!(is_disconnected(&ended.send(HttpResponseBody::end())));

    let mut broken = Conversation::new();
    broken.refuse("HTTP-14", HttpResponseBody::end());
    broken.refuse_return("HTTP-14");
    assert!(is_disconnected(&broken.send(start())));
    broken.0.returned().unwrap();
}
