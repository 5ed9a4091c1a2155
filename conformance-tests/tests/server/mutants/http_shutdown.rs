//! Servers that break the rules checked in `cases/http_shutdown.rs`.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use callgate::{
    App as _, BoxApp, Channel, ReceiveEvent, Receiver, Scope, SendError, SendEvent, SendProgress,
    Sender,
};

use super::{mutants, with_app, with_connection_filter};
use crate::connection_filter::{ConnectionFilter, find, replace};
use crate::in_process::InProcess;

mutants! {
    http_36_background_work_ends_with_the_shutdown: BACKGROUND_WORK_IS_AWAITED [
        "shutdown_during_background_work",
        "shutdown_during_background_work_over_http2",
    ],
    http_46_the_last_response_lacks_connection_close: SHUTDOWN_FINISHES_EXCHANGES [
        "shutdown_while_content_is_coming",
        "shutdown_while_waiting",
        "shutdown_while_started",
        "shutdown_while_streaming",
    ],
}

/// The stop of one server.
#[derive(Default)]
struct Stop {
    has_come: AtomicBool,
    waiting: Mutex<Vec<Waker>>,
}

impl Stop {
    fn come(&self) {
        self.has_come.store(true, Ordering::SeqCst);
        for waker in self.waiting.lock().unwrap().drain(..) {
            waker.wake();
        }
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.waiting.lock().unwrap().push(cx.waker().clone());
        match self.has_come.load(Ordering::SeqCst) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}

/// Passes all events on, and records whether the response has ended.
struct Watched {
    receiving: Arc<dyn Channel>,
    sending: Arc<dyn Channel>,
    has_ended: AtomicBool,
}

impl Channel for Watched {
    fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
        self.receiving.poll_receive(cx)
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.sending.poll_ready(cx)
    }

    fn start_send(&self, event: SendEvent) -> Result<SendProgress, SendError> {
        let is_last = matches!(&event, SendEvent::HttpResponseBody(body) if !body.more_body);
        let sent = self.sending.start_send(event);
        if is_last && matches!(sent, Ok(SendProgress::Sent)) {
            self.has_ended.store(true, Ordering::SeqCst);
        }
        sent
    }
}

fn http_36_background_work_ends_with_the_shutdown() -> InProcess {
    /// The stop of the server that was launched last.
    static STOP: Mutex<Option<Arc<Stop>>> = Mutex::new(None);
    let mutant = with_app(|probe| {
        let probe = BoxApp::new(probe);
        let stop = Arc::new(Stop::default());
        *STOP.lock().unwrap() = Some(stop.clone());
        BoxApp::new(move |scope: Scope, receiver: Receiver, sender: Sender| {
            let (probe, stop) = (probe.clone(), stop.clone());
            async move {
                let watched = Arc::new(Watched {
                    receiving: receiver.into_channel(),
                    sending: sender.into_channel(),
                    has_ended: AtomicBool::new(false),
                });
                let receiver = Receiver::new(watched.clone());
                let sender = Sender::new(watched.clone());
                let mut call = Box::pin(probe.call(scope, receiver, sender));
                let result = poll_fn(|cx| {
                    if let Poll::Ready(result) = call.as_mut().poll(cx) {
                        return Poll::Ready(Some(result));
                    }
                    match stop.poll(cx) {
                        Poll::Ready(()) if watched.has_ended.load(Ordering::SeqCst) => {
                            Poll::Ready(None)
                        }
                        _ => Poll::Pending,
                    }
                })
                .await;
                if let Some(result) = result {
                    return result;
                }
                drop(call);
                // The probe has said that its call is over, on a connection of its own. This arrives
                // before the lifespan's shutdown.
                tokio::time::sleep(Duration::from_millis(200)).await;
                Ok(())
            }
        })
    });
    InProcess {
        on_stop: Some(|| {
            if let Some(stop) = &*STOP.lock().unwrap() {
                stop.come();
            }
        }),
        ..mutant
    }
}

fn http_46_the_last_response_lacks_connection_close() -> InProcess {
    #[derive(Default)]
    struct HidesClose {
        is_clients_wish: bool,
    }
    impl ConnectionFilter for HidesClose {
        fn to_server(&mut self, octets: Vec<u8>) -> Vec<u8> {
            self.is_clients_wish = find(&octets, "connection: close\r\n").is_some();
            octets
        }

        fn to_client(&mut self, octets: Vec<u8>) -> Vec<u8> {
            match !self.is_clients_wish && octets.starts_with(b"HTTP/1.1 200 ") {
                true => replace(&octets, "connection: close\r\n", ""),
                false => octets,
            }
        }
    }
    with_connection_filter(|| Box::new(HidesClose::default()))
}
