//! Tests of what runs under the lock of a mailbox, and what runs after the unlock.

use std::sync::mpsc;
use std::task::{Wake, Waker};
use std::thread;
use std::time::Duration;

use callgate::{Feature, Features, HttpResponseBody, HttpResponseStart, WebSocketAccept};

use super::*;
use crate::output::Piece;

fn mailbox() -> Arc<Mailbox> {
    Arc::new(Mailbox::new(&WebSocketScope::new(http::Uri::default())))
}

/// A mailbox whose application has received `websocket.connect` and has accepted.
fn open_mailbox() -> Arc<Mailbox> {
    let mailbox = mailbox();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(mailbox.poll_receive(&mut cx).is_ready());
    assert!(send(&mailbox, &mut cx, WebSocketAccept::new()).is_ready());
    assert!(mailbox.poll_response(&mut cx).is_ready());
    mailbox
}

fn send(
    mailbox: &Mailbox,
    cx: &mut Context<'_>,
    event: impl Into<SendEvent>,
) -> Poll<Result<(), SendError>> {
    mailbox
        .poll_ready(cx)
        .map(|()| mailbox.start_send(event.into()).map(drop))
}

#[test]
fn nothing_is_received_after_the_disconnect() {
    let mailbox = mailbox();
    let mut cx = Context::from_waker(Waker::noop());
    let disconnect = WebSocketDisconnect::new(1000);
    let disconnect = Poll::Ready(ReceiveEvent::WebSocketDisconnect(disconnect));
    assert!(mailbox.poll_receive(&mut cx).is_ready());
    mailbox.0.lock().close(WebSocketClose::new(1000));
    assert_eq!(mailbox.poll_receive(&mut cx), disconnect);
    // The client sent this message before it received the close frame.
    mailbox.deliver(Message::Text("late".into()));
    assert_eq!(mailbox.poll_receive(&mut cx), disconnect);
}

#[test]
fn content_of_senders_that_saw_the_same_readiness_is_kept() {
    let mut scope = WebSocketScope::new(http::Uri::default());
    scope.features = Features::from_iter([Feature::DenialResponse]);
    let mailbox = Arc::new(Mailbox::new(&scope));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(mailbox.poll_ready(&mut cx).is_ready());
    let start = HttpResponseStart::new(StatusCode::UNAUTHORIZED);
    mailbox
        .start_send(SendEvent::DenialResponseStart(start))
        .unwrap();
    let send_part = |part| {
        mailbox
            .start_send(SendEvent::DenialResponseBody(part))
            .unwrap()
    };
    let take = |cx: &mut Context<'_>| match mailbox.poll_output(cx) {
        Poll::Ready(Ok(Output {
            content: Piece::Data(data),
            ..
        })) => data,
        other => panic!("{other:?}"),
    };
    send_part(HttpResponseBody::part("one"));
    send_part(HttpResponseBody::part("two"));
    let Poll::Ready(HandshakeResponse::Deny(_, _body)) = mailbox.poll_response(&mut cx) else {
        panic!("it is denied");
    };
    send_part(HttpResponseBody::last("three"));
    assert!(mailbox.poll_ready(&mut cx).is_ready());
    assert_eq!(take(&mut cx), "one");
    assert_eq!(take(&mut cx), "two");
    assert_eq!(take(&mut cx), "three");
}

/// A waker that uses the mailbox, and reports that it was not blocked.
struct Reenters(Arc<Mailbox>, mpsc::Sender<()>);

impl Wake for Reenters {
    fn wake(self: Arc<Self>) {
        let _ = self
            .0
            .poll_has_room(&mut Context::from_waker(Waker::noop()));
        // The test may have failed.
        let _ = self.1.send(());
    }
}

/// Registers such a waker with `wait`, and expects `act` to call it.
fn wakes(
    name: &str,
    mailbox: Arc<Mailbox>,
    wait: impl FnOnce(&Arc<Mailbox>, &mut Context<'_>),
    act: impl FnOnce(&Mailbox) + Send + 'static,
) {
    let (woken, is_woken) = mpsc::channel();
    let waker = Waker::from(Arc::new(Reenters(mailbox.clone(), woken)));
    wait(&mailbox, &mut Context::from_waker(&waker));
    drop(waker);
    // On a thread of its own, so that a deadlock does not block the test.
    thread::spawn(move || act(&mailbox));
    assert_eq!(
        is_woken.recv_timeout(Duration::from_secs(10)),
        Ok(()),
        "{name}"
    );
}

#[test]
fn wakers_are_called_after_the_unlock() {
    let disconnect = || WebSocketDisconnect::new(1006);
    let message = || Message::text("x");
    fn waits_to_receive(mailbox: &Arc<Mailbox>, cx: &mut Context<'_>) {
        assert!(mailbox.poll_receive(cx).is_pending());
    }
    fn waits_to_send(mailbox: &Arc<Mailbox>, cx: &mut Context<'_>) {
        while send(mailbox, cx, Message::binary(vec![0; 1024])).is_ready() {}
    }
    fn waits_for_output(mailbox: &Arc<Mailbox>, cx: &mut Context<'_>) {
        assert!(mailbox.poll_outbound(cx).is_pending());
    }
    fn waits_for_room(mailbox: &Arc<Mailbox>, cx: &mut Context<'_>) {
        while mailbox.poll_has_room(cx).is_ready() {
            mailbox.deliver(Message::binary(vec![0; 1024]));
        }
    }
    fn waits_for_the_disconnect(mailbox: &Arc<Mailbox>, cx: &mut Context<'_>) {
        assert!(mailbox.poll_disconnected(cx).is_pending());
    }
    fn waits_for_the_answer(mailbox: &Arc<Mailbox>, cx: &mut Context<'_>) {
        assert!(mailbox.poll_response(cx).is_pending());
    }
    fn cx_of_nobody<R>(f: impl FnOnce(&mut Context<'_>) -> R) -> R {
        f(&mut Context::from_waker(Waker::noop()))
    }
    wakes(
        "a message",
        open_mailbox(),
        waits_to_receive,
        move |mailbox| {
            mailbox.deliver(message());
        },
    );
    wakes(
        "the end",
        open_mailbox(),
        waits_to_receive,
        move |mailbox| {
            mailbox.disconnect_with(disconnect());
        },
    );
    wakes(
        "the end of the call",
        open_mailbox(),
        waits_to_receive,
        |mailbox| {
            mailbox.end(&CallResult::Returned(Ok(())));
        },
    );
    wakes("output taken", open_mailbox(), waits_to_send, |mailbox| {
        assert!(cx_of_nobody(|cx| mailbox.poll_outbound(cx)).is_ready());
    });
    wakes(
        "the end, sending",
        open_mailbox(),
        waits_to_send,
        move |mailbox| {
            mailbox.disconnect_with(disconnect());
        },
    );
    wakes("output", open_mailbox(), waits_for_output, move |mailbox| {
        assert!(cx_of_nobody(|cx| send(mailbox, cx, message())).is_ready());
    });
    wakes("a close", open_mailbox(), waits_for_output, |mailbox| {
        assert!(cx_of_nobody(|cx| send(mailbox, cx, WebSocketClose::new(1000))).is_ready());
    });
    wakes(
        "a broken rule",
        open_mailbox(),
        waits_for_output,
        |mailbox| {
            assert!(cx_of_nobody(|cx| send(mailbox, cx, WebSocketAccept::new())).is_ready());
        },
    );
    wakes("room", open_mailbox(), waits_for_room, |mailbox| {
        assert!(cx_of_nobody(|cx| mailbox.poll_receive(cx)).is_ready());
    });
    wakes(
        "the end, detached",
        open_mailbox(),
        waits_for_the_disconnect,
        move |mailbox| mailbox.disconnect_with(disconnect()),
    );
    wakes("the answer", mailbox(), waits_for_the_answer, |mailbox| {
        assert!(cx_of_nobody(|cx| send(mailbox, cx, WebSocketAccept::new())).is_ready());
    });
    wakes("a refusal", mailbox(), waits_for_the_answer, |mailbox| {
        mailbox.refuse_at_shutdown();
    });
}

/// A value of the application that uses the mailbox when it is dropped.
struct UsesWhenDropped(Arc<Mailbox>, mpsc::Sender<()>);

impl AsRef<[u8]> for UsesWhenDropped {
    fn as_ref(&self) -> &[u8] {
        b"content"
    }
}

impl Drop for UsesWhenDropped {
    fn drop(&mut self) {
        let _ = self
            .0
            .poll_has_room(&mut Context::from_waker(Waker::noop()));
        let _ = self.1.send(());
    }
}

#[test]
fn messages_are_dropped_after_the_unlock() {
    let mailbox = open_mailbox();
    let (dropped, is_dropped) = mpsc::channel();
    let content = bytes::Bytes::from_owner(UsesWhenDropped(mailbox.clone(), dropped));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(send(&mailbox, &mut cx, Message::Binary(content)).is_ready());
    thread::spawn(move || mailbox.disconnect_with(WebSocketDisconnect::new(1006)));
    assert_eq!(is_dropped.recv_timeout(Duration::from_secs(10)), Ok(()));
}

#[cfg(feature = "websocket")]
#[test]
fn a_close_of_the_application_wakes_its_own_receive_within_a_poll_of_the_session() {
    let mailbox = open_mailbox();
    let (wakes, waker) = crate::test_task::task();
    let mut cx = Context::from_waker(&waker);
    mailbox.begin_poll(&mut cx);
    assert!(mailbox.poll_receive(&mut cx).is_pending());
    assert!(send(&mailbox, &mut cx, WebSocketClose::new(1008)).is_ready());
    // The connection takes no output now, so the session has no reason to poll the application.
    assert!(mailbox.end_poll(Waiting::default()));
    assert_ne!(wakes.count(), 0);
}
