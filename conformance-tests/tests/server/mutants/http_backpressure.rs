//! Servers that break the rules checked in `cases/http_backpressure.rs`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use callgate::{
    App as _, BoxApp, Channel, ReceiveEvent, Receiver, Scope, SendError, SendEvent, SendProgress,
    Sender,
};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::{mutants, with_app, with_connection_filter};
use crate::connection_filter::{ConnectionFilter, find};
use crate::in_process::InProcess;

mutants! {
    http_04_content_is_taken_in_whether_or_not_it_is_received: REQUEST_BACKPRESSURE [
        "content_that_is_not_received",
        "content_that_is_not_received_over_http2",
    ],
    http_47_a_response_is_cut_while_content_is_coming: ABSENT_BODY_IS_DRAINED [
        "a_client_that_goes_on_sending",
    ],
}

/// The events that were received before the application asked for them.
struct Ahead {
    events: Mutex<UnboundedReceiver<ReceiveEvent>>,
    sending: Arc<dyn Channel>,
    /// Whether a rule was broken, which is a disconnect.
    is_over: AtomicBool,
}

impl Ahead {
    /// Takes in whatever comes, without bound.
    fn take_in(mut receiver: Receiver, sending: Arc<dyn Channel>) -> Arc<Self> {
        let (take, taken) = unbounded_channel();
        tokio::spawn(async move {
            loop {
                let event = receiver.receive().await;
                let is_last = event == ReceiveEvent::HttpDisconnect;
                if take.send(event).is_err() || is_last {
                    return;
                }
            }
        });
        Arc::new(Self {
            events: Mutex::new(taken),
            sending,
            is_over: AtomicBool::new(false),
        })
    }
}

impl Channel for Ahead {
    fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
        if self.is_over.load(Ordering::Relaxed) {
            return Poll::Ready(ReceiveEvent::HttpDisconnect);
        }
        let event = self.events.lock().unwrap().poll_recv(cx);
        event.map(|event| event.unwrap_or(ReceiveEvent::HttpDisconnect))
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.sending.poll_ready(cx)
    }

    fn start_send(&self, event: SendEvent) -> Result<SendProgress, SendError> {
        let sent = self.sending.start_send(event);
        if let Err(SendError::Violation(_)) = sent {
            self.is_over.store(true, Ordering::Relaxed);
        }
        sent
    }
}

fn http_04_content_is_taken_in_whether_or_not_it_is_received() -> InProcess {
    with_app(|probe| {
        let probe = BoxApp::new(probe);
        BoxApp::new(move |scope: Scope, receiver: Receiver, sender: Sender| {
            let probe = probe.clone();
            async move {
                // Who expects to be told to continue sends nothing that could be taken in.
                let takes_in = matches!(scope, Scope::Http(_))
                    && scope
                        .headers()
                        .is_some_and(|headers| !headers.contains_key("expect"));
                if !takes_in {
                    return probe.call(scope, receiver, sender).await;
                }
                let ahead = Ahead::take_in(receiver, sender.into_channel());
                let (receiver, sender) = (Receiver::new(ahead.clone()), Sender::new(ahead));
                probe.call(scope, receiver, sender).await
            }
        })
    })
}

fn http_47_a_response_is_cut_while_content_is_coming() -> InProcess {
    /// Passes half of the first that comes before the content is whole, and then nothing.
    #[derive(Default)]
    struct Cuts {
        missing: usize,
        is_cut: bool,
    }
    impl ConnectionFilter for Cuts {
        fn to_server(&mut self, octets: Vec<u8>) -> Vec<u8> {
            const LENGTH: &str = "content-length: ";
            let end = find(&octets, "\r\n\r\n");
            let length = find(&octets, LENGTH).and_then(|at| {
                let digits = octets[at + LENGTH.len()..].split(|octet| *octet == b'\r');
                std::str::from_utf8(digits.into_iter().next()?)
                    .ok()?
                    .parse()
                    .ok()
            });
            match (end, length) {
                (Some(end), Some(length)) if find(&octets, "expect").is_none() => {
                    self.missing = usize::saturating_sub(length, octets.len() - end - 4);
                }
                _ => self.missing = self.missing.saturating_sub(octets.len()),
            }
            octets
        }

        fn to_client(&mut self, mut octets: Vec<u8>) -> Vec<u8> {
            if self.is_cut {
                octets.clear();
            } else if self.missing > 0 {
                self.is_cut = true;
                octets.truncate(octets.len() / 2);
            }
            octets
        }
    }
    with_connection_filter(|| Box::new(Cuts::default()))
}
