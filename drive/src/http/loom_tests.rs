//! The races between an application and its server, explored in every order.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use callgate::{
    HttpResponseBody, HttpResponseStart, HttpScope, ReceiveEvent, Receiver, SendError, Sender,
};
use http::{Method, Uri};
use http_body::{Body, Frame};
use loom::future::block_on;
use loom::thread;

use super::Response;
use super::mailbox::Mailbox;
use crate::ShutdownSignal;
use crate::call::{CallResult, ServerEnd as _};
use crate::output::{Output, OutputSource as _, Piece};

/// Content that does not arrive while the models run.
struct Withheld;

impl Body for Withheld {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

fn mailbox() -> Arc<Mailbox<Withheld>> {
    let scope = HttpScope::new(Method::GET, Uri::from_static("/"));
    Arc::new(Mailbox::new(
        &scope,
        Withheld,
        |_| None,
        &ShutdownSignal::new(),
    ))
}

fn response(mailbox: &Mailbox<Withheld>) -> Response {
    block_on(poll_fn(|cx| mailbox.poll_response(cx)))
}

fn is_streamed(mailbox: &Mailbox<Withheld>) -> bool {
    matches!(response(mailbox), Response::Started(..)) && mailbox.is_streaming()
}

/// Takes the next piece of content, and whether the piece is the last; `None` when the response is
/// cut.
fn output(mailbox: &Mailbox<Withheld>) -> Option<(Vec<u8>, bool)> {
    match block_on(poll_fn(|cx| mailbox.poll_output(cx))) {
        Ok(Output {
            content: Piece::Data(data),
            is_last,
        }) => Some((data.to_vec(), is_last)),
        Ok(other) => panic!("unexpected output: {other:?}"),
        Err(_) => None,
    }
}

#[test]
fn loom_a_streamed_response_arrives_whole_and_in_order() {
    loom::model(|| {
        let mailbox = mailbox();
        let sender = Sender::new(mailbox.clone());
        let application = thread::spawn(move || {
            block_on(async {
                sender.send(HttpResponseStart::ok()).await.unwrap();
                sender.send(HttpResponseBody::part("a")).await.unwrap();
                sender.send(HttpResponseBody::last("b")).await.unwrap();
            });
        });
        assert!(is_streamed(&mailbox));
        assert_eq!(output(&mailbox), Some((b"a".to_vec(), false)));
        assert_eq!(output(&mailbox), Some((b"b".to_vec(), true)));
        application.join().unwrap();
    });
}

#[test]
fn loom_a_disconnect_reaches_an_application_that_receives() {
    loom::model(|| {
        let mailbox = mailbox();
        let mut receiver = Receiver::new(mailbox.clone());
        let application = thread::spawn(move || block_on(receiver.receive()));
        mailbox.disconnect();
        assert_eq!(application.join().unwrap(), ReceiveEvent::HttpDisconnect);
    });
}

#[test]
fn loom_a_disconnect_reaches_an_application_that_waits_to_send() {
    loom::model(|| {
        let mailbox = mailbox();
        let sender = Sender::new(mailbox.clone());
        let application = thread::spawn(move || {
            block_on(async {
                sender.send(HttpResponseStart::ok()).await?;
                sender.send(HttpResponseBody::part("a")).await?;
                // The slot is full, and the server will not empty it.
                sender.send(HttpResponseBody::part("b")).await
            })
        });
        mailbox.disconnect();
        let sent = application.join().unwrap();
        assert!(matches!(sent, Err(SendError::Disconnected)), "{sent:?}");
    });
}

#[test]
fn loom_the_end_of_a_call_cuts_a_response_that_is_not_whole() {
    loom::model(|| {
        let mailbox = mailbox();
        let application = thread::spawn({
            let mailbox = mailbox.clone();
            move || {
                let sender = Sender::new(mailbox.clone());
                block_on(async {
                    sender.send(HttpResponseStart::ok()).await.unwrap();
                    sender.send(HttpResponseBody::part("a")).await.unwrap();
                });
                let report = mailbox.end(&CallResult::Returned(Ok(())));
                assert!(report.violation.is_some(), "a rule is broken");
            }
        });
        assert!(is_streamed(&mailbox));
        assert_eq!(output(&mailbox), Some((b"a".to_vec(), false)));
        assert_eq!(output(&mailbox), None);
        application.join().unwrap();
    });
}

#[test]
fn loom_the_events_of_two_tasks_both_arrive() {
    // With three threads, more preemptions give more orders than loom can explore.
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(|| {
        let mailbox = mailbox();
        let sender = Sender::new(mailbox.clone());
        block_on(async {
            sender.send(HttpResponseStart::ok()).await.unwrap();
            sender.send(HttpResponseBody::part("")).await.unwrap();
        });
        assert!(is_streamed(&mailbox));
        let tasks = ["a", "b"].map(|content| {
            let sender = sender.clone();
            thread::spawn(move || block_on(sender.send(HttpResponseBody::part(content))).unwrap())
        });
        assert_eq!(output(&mailbox), Some((Vec::new(), false)));
        let mut seen = [output(&mailbox), output(&mailbox)].map(|output| output.unwrap().0);
        seen.sort();
        assert_eq!(seen, [b"a".to_vec(), b"b".to_vec()]);
        for task in tasks {
            task.join().unwrap();
        }
    });
}
