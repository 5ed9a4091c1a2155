//! Servers that break the rules checked in `cases/http_request.rs`.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use callgate::rule;
use callgate::{Channel, HttpRequest, ReceiveEvent, Scope};

use super::assert_breaks;
use crate::in_process::InProcess;
use crate::tamper::{Between, between};

#[tokio::test]
async fn http_01_content_beyond_a_limit_is_cut_off() {
    const LIMIT: usize = 64 << 10;
    #[derive(Default)]
    struct CutsOff {
        received: AtomicUsize,
    }
    impl Between for CutsOff {
        fn receive(&self, server: &dyn Channel, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
            server.poll_receive(cx).map(|event| match event {
                ReceiveEvent::HttpRequest(mut part) => {
                    let before = self.received.fetch_add(part.body.len(), Ordering::Relaxed);
                    if before + part.body.len() > LIMIT {
                        part.body.truncate(LIMIT.saturating_sub(before));
                        part.more_body = false;
                    }
                    ReceiveEvent::HttpRequest(part)
                }
                event => event,
            })
        }
    }
    let mutant = InProcess {
        app: Some(|probe| between(probe, CutsOff::default)),
        ..InProcess::default()
    };
    assert_breaks(rule::REQUEST_BODY, mutant).await;
}

#[tokio::test]
async fn http_02_an_empty_first_event_is_not_the_last() {
    #[derive(Default)]
    struct Unfinished {
        has_begun: AtomicBool,
    }
    impl Between for Unfinished {
        fn receive(&self, server: &dyn Channel, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
            let event = ready!(server.poll_receive(cx));
            let is_first = !self.has_begun.swap(true, Ordering::Relaxed);
            Poll::Ready(match event {
                ReceiveEvent::HttpRequest(part) if is_first && part.body.is_empty() => {
                    ReceiveEvent::HttpRequest(HttpRequest::part(""))
                }
                event => event,
            })
        }
    }
    let mutant = InProcess {
        app: Some(|probe| between(probe, Unfinished::default)),
        ..InProcess::default()
    };
    assert_breaks(rule::EMPTY_REQUEST_BODY, mutant).await;
}

#[tokio::test]
async fn http_03_content_is_gathered_before_it_is_delivered() {
    #[derive(Default)]
    struct Gathers {
        content: Mutex<Vec<u8>>,
    }
    impl Between for Gathers {
        fn receive(&self, server: &dyn Channel, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
            loop {
                match ready!(server.poll_receive(cx)) {
                    ReceiveEvent::HttpRequest(mut part) => {
                        let mut content = self.content.lock().unwrap();
                        content.extend_from_slice(&part.body);
                        if !part.more_body {
                            part.body = std::mem::take(&mut *content).into();
                            return Poll::Ready(ReceiveEvent::HttpRequest(part));
                        }
                    }
                    event => return Poll::Ready(event),
                }
            }
        }
    }
    let mutant = InProcess {
        app: Some(|probe| between(probe, Gathers::default)),
        ..InProcess::default()
    };
    assert_breaks(rule::REQUEST_BODY_STREAMS, mutant).await;
}

#[tokio::test]
async fn http_05_chunks_are_delivered_with_their_sizes() {
    #[derive(Default)]
    struct Chunks {
        is_chunked: AtomicBool,
    }
    impl Between for Chunks {
        fn scope(&self, scope: &mut Scope) {
            let is_chunked = scope.headers().is_some_and(|headers| {
                headers.contains_key("transfer-encoding") && !headers.contains_key("content-length")
            });
            self.is_chunked.store(is_chunked, Ordering::Relaxed);
        }

        fn receive(&self, server: &dyn Channel, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
            server.poll_receive(cx).map(|event| match event {
                ReceiveEvent::HttpRequest(mut part) if self.is_chunked.load(Ordering::Relaxed) => {
                    let size = format!("{:x}\r\n", part.body.len()).into_bytes();
                    part.body = [&size, &part.body[..], b"\r\n"].concat().into();
                    ReceiveEvent::HttpRequest(part)
                }
                event => event,
            })
        }
    }
    let mutant = InProcess {
        app: Some(|probe| between(probe, Chunks::default)),
        ..InProcess::default()
    };
    assert_breaks(rule::TRANSFER_CODING_REMOVED, mutant).await;
}

#[tokio::test]
async fn http_06_trailer_fields_are_dropped() {
    struct Drops;
    impl Between for Drops {
        fn receive(&self, server: &dyn Channel, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
            server.poll_receive(cx).map(|event| match event {
                ReceiveEvent::HttpRequest(mut part) => {
                    part.trailers = None;
                    ReceiveEvent::HttpRequest(part)
                }
                event => event,
            })
        }
    }
    let mutant = InProcess {
        app: Some(|probe| between(probe, || Drops)),
        ..InProcess::default()
    };
    assert_breaks(rule::REQUEST_TRAILERS, mutant).await;
}
