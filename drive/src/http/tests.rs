//! Tests of what loom cannot explore: files, foreign code that locks the mailbox again, and
//! shutdown.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use callgate::{
    AppError, BoxApp, Channel, Feature, HttpResponseBody, HttpResponsePathSend, HttpResponseStart,
    HttpScope, ReceiveEvent, Receiver, Scope, SendError, SendEvent, SendProgress, Sender,
};
use http::{Method, Uri};
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, Empty};

use super::mailbox::Mailbox;
use super::{Exchange, Response};
use crate::ShutdownSignal;
use crate::call::ServerEnd as _;

type Content = Empty<Bytes>;

fn scope(features: impl IntoIterator<Item = Feature>) -> HttpScope {
    let mut scope = HttpScope::new(Method::GET, Uri::from_static("/"));
    scope.features = features.into_iter().collect();
    scope
}

fn mailbox(shutdown: &ShutdownSignal) -> Arc<Mailbox<Content>> {
    let scope = scope([Feature::PathSend, Feature::Shutdown]);
    Arc::new(Mailbox::new(&scope, Empty::new(), |_| None, shutdown))
}

/// A waker that uses the mailbox, as an executor may that polls a task at once.
struct ReEntrant {
    mailbox: Weak<Mailbox<Content>>,
    wakes: AtomicUsize,
}

impl Wake for ReEntrant {
    fn wake(self: Arc<Self>) {
        self.wakes.fetch_add(1, Ordering::SeqCst);
        let mailbox = self.mailbox.upgrade().unwrap();
        let mut cx = Context::from_waker(Waker::noop());
        let _ = mailbox.poll_ready(&mut cx);
        let _ = mailbox.poll_disconnected(&mut cx);
    }
}

/// Runs `test` on a thread of its own. Fails when the thread does not end: a mutex that is locked
/// twice on one thread blocks for ever.
fn within_ten_seconds(test: impl FnOnce() + Send + 'static) {
    let (done, is_done) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        test();
        done.send(()).unwrap();
    });
    let waited = is_done.recv_timeout(std::time::Duration::from_secs(10));
    assert!(
        waited != Err(std::sync::mpsc::RecvTimeoutError::Timeout),
        "the mailbox is locked"
    );
    thread.join().unwrap();
}

#[test]
fn wakers_may_use_the_mailbox() {
    within_ten_seconds(|| {
        let mailbox = mailbox(&ShutdownSignal::new());
        let re_entrant = Arc::new(ReEntrant {
            mailbox: Arc::downgrade(&mailbox),
            wakes: AtomicUsize::new(0),
        });
        let waker = Waker::from(re_entrant.clone());
        let mut cx = Context::from_waker(&waker);
        assert!(mailbox.poll_response(&mut cx).is_pending());
        let start = HttpResponseStart::ok().into();
        assert!(matches!(mailbox.start_send(start), Ok(SendProgress::Sent)));
        let part = HttpResponseBody::part("a").into();
        assert!(matches!(mailbox.start_send(part), Ok(SendProgress::Sent)));
        assert_eq!(re_entrant.wakes.load(Ordering::SeqCst), 1);
        assert!(mailbox.poll_ready(&mut cx).is_pending());
        assert!(mailbox.poll_disconnected(&mut cx).is_pending());
        mailbox.disconnect();
        assert!(re_entrant.wakes.load(Ordering::SeqCst) > 1);
    });
}

/// Content that uses the mailbox of its own exchange while it is read and dropped.
#[derive(Clone, Default)]
struct ReEntrantContent(Arc<OnceLock<Weak<Mailbox<ReEntrantContent>>>>);

impl ReEntrantContent {
    fn look(&self) {
        if let Some(mailbox) = self.0.get().and_then(Weak::upgrade) {
            let _ = mailbox.poll_ready(&mut Context::from_waker(Waker::noop()));
        }
    }
}

impl Body for ReEntrantContent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.look();
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"part")))))
    }
}

impl Drop for ReEntrantContent {
    fn drop(&mut self) {
        self.look();
    }
}

#[test]
fn content_may_use_the_mailbox() {
    within_ten_seconds(|| {
        let content = ReEntrantContent::default();
        let place = content.0.clone();
        let mailbox = Arc::new(Mailbox::new(
            &scope([]),
            content,
            |_| None,
            &ShutdownSignal::new(),
        ));
        place.set(Arc::downgrade(&mailbox)).unwrap();
        let mut cx = Context::from_waker(Waker::noop());
        let Poll::Ready(ReceiveEvent::HttpRequestBody(part)) = mailbox.poll_receive(&mut cx) else {
            panic!("content is there");
        };
        assert_eq!(part.body, "part");
        mailbox.disconnect();
        let received = mailbox.poll_receive(&mut cx);
        assert_eq!(received, Poll::Ready(ReceiveEvent::HttpDisconnect));
    });
}

/// Calls an application that sends both files at the same time after the head.
async fn respond_with_files(paths: [std::path::PathBuf; 2]) -> (Response, Vec<Sent>) {
    let results = Arc::new(Mutex::new(Vec::new()));
    let app = BoxApp::new({
        let results = results.clone();
        move |_: Scope, _: Receiver, sender: Sender| {
            let (results, paths) = (results.clone(), paths.clone());
            async move {
                sender.send(HttpResponseStart::ok()).await?;
                let [first, second] =
                    paths.map(|path| sender.send(HttpResponsePathSend::new(path)));
                let sent = tokio::join!(first, second);
                results.lock().unwrap().extend([sent.0, sent.1]);
                Ok::<_, AppError>(())
            }
        }
    });
    let scope = scope([Feature::PathSend]).into();
    let content: Content = Empty::new();
    let mut exchange = Exchange::new(&app, scope, content, |_| None, &ShutdownSignal::new());
    let response = std::future::poll_fn(|cx| exchange.poll(cx)).await;
    if let Some((call, end)) = exchange.detach() {
        call.run(end, std::time::Duration::from_secs(10)).await;
    }
    let sent = std::mem::take(&mut *results.lock().unwrap());
    (response, sent)
}

type Sent = Result<(), SendError>;

/// Returns a path to the same file. On Linux, the system cannot resolve it from memory alone.
fn uncached(path: &std::path::Path) -> std::path::PathBuf {
    match path.strip_prefix("/") {
        Ok(relative) if cfg!(target_os = "linux") => {
            std::path::Path::new("/proc/self/root").join(relative)
        }
        _ => path.to_owned(),
    }
}

#[tokio::test]
async fn of_two_path_sends_at_once_the_first_is_the_response() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "content").unwrap();
    let cached = file.path().to_owned();
    let uncached = uncached(file.path());
    for paths in [
        [cached.clone(), cached.clone()],
        [cached, "/does/not/exist".into()],
        [uncached.clone(), uncached],
    ] {
        let (response, sent) = respond_with_files(paths).await;
        let Response::Started(_, content) = response else {
            panic!("{response:?}");
        };
        assert_eq!(content.collect().await.unwrap().to_bytes(), "content");
        assert!(sent[0].is_ok(), "{sent:?}");
        let rule = sent[1].as_ref().unwrap_err().rule().unwrap();
        assert_eq!(rule.id, "HTTP-16", "{sent:?}");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_path_send_of_a_file_in_memory_is_complete_at_once() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "content").unwrap();
    for (path, is_complete) in [
        (file.path().to_owned(), true),
        (uncached(file.path()), false),
        (std::env::temp_dir(), false),
    ] {
        let mailbox = mailbox(&ShutdownSignal::new());
        mailbox.start_send(HttpResponseStart::ok().into()).unwrap();
        let progress = mailbox.start_send(HttpResponsePathSend::new(path.clone()).into());
        let is_sent = matches!(progress, Ok(SendProgress::Sent));
        assert_eq!(is_sent, is_complete, "{}: {progress:?}", path.display());
    }
}

#[tokio::test]
async fn a_path_send_waits_until_the_one_before_has_failed() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "content").unwrap();
    let (response, sent) =
        respond_with_files(["/does/not/exist".into(), file.path().to_owned()]).await;
    let Response::Started(_, content) = response else {
        panic!("{response:?}");
    };
    assert_eq!(content.collect().await.unwrap().to_bytes(), "content");
    assert!(matches!(sent[0], Err(SendError::File { .. })), "{sent:?}");
    assert!(sent[1].is_ok(), "{sent:?}");
}

#[tokio::test]
async fn a_path_send_that_is_dropped_makes_room_for_another_event() {
    let mailbox = mailbox(&ShutdownSignal::new());
    mailbox.start_send(HttpResponseStart::ok().into()).unwrap();
    let path = HttpResponsePathSend::new(std::env::temp_dir());
    let progress = mailbox.start_send(path.into()).unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(mailbox.poll_ready(&mut cx).is_pending());
    drop(progress);
    let answer = std::future::poll_fn(|cx| {
        if mailbox.poll_ready(cx).is_ready() {
            mailbox
                .start_send(HttpResponseBody::last("instead").into())
                .unwrap();
        }
        mailbox.poll_response(cx)
    });
    assert!(matches!(answer.await, Response::Started(..)));
}

#[test]
fn events_that_were_sent_after_one_readiness_are_all_delivered() {
    use crate::output::{OutputSource as _, Piece};

    let mailbox = mailbox(&ShutdownSignal::new());
    for event in [
        SendEvent::from(HttpResponseStart::ok()),
        HttpResponseBody::part("a").into(),
        HttpResponseBody::part("b").into(),
        HttpResponseBody::last("c").into(),
    ] {
        mailbox.start_send(event).unwrap();
    }
    let mut cx = Context::from_waker(Waker::noop());
    let answer = mailbox.poll_response(&mut cx);
    assert!(matches!(answer, Poll::Ready(Response::Started(..))) && mailbox.is_streaming());
    for (expected, is_last) in [("a", false), ("b", false), ("c", true)] {
        let Poll::Ready(Ok(output)) = mailbox.poll_output(&mut cx) else {
            panic!("`{expected}` is lost");
        };
        assert!(matches!(&output.content, Piece::Data(data) if data == expected));
        assert_eq!(output.is_last, is_last);
    }
}

#[test]
fn shutdown_is_received_once_after_the_content_and_before_the_disconnect() {
    let shutdown = ShutdownSignal::new();
    shutdown.set();
    let mailbox = mailbox(&shutdown);
    let mut cx = Context::from_waker(Waker::noop());
    let content = mailbox.poll_receive(&mut cx);
    assert!(matches!(
        content,
        Poll::Ready(ReceiveEvent::HttpRequestBody(_))
    ));
    let received = mailbox.poll_receive(&mut cx);
    assert_eq!(received, Poll::Ready(ReceiveEvent::HttpShutdown));
    assert!(mailbox.poll_receive(&mut cx).is_pending());
    mailbox.start_send(HttpResponseStart::ok().into()).unwrap();
    mailbox.disconnect();
    let received = mailbox.poll_receive(&mut cx);
    assert_eq!(received, Poll::Ready(ReceiveEvent::HttpDisconnect));
}

#[test]
fn an_application_that_waits_to_receive_is_woken_at_shutdown() {
    let shutdown = ShutdownSignal::new();
    let mailbox = mailbox(&shutdown);
    let re_entrant = Arc::new(ReEntrant {
        mailbox: Arc::downgrade(&mailbox),
        wakes: AtomicUsize::new(0),
    });
    let waker = Waker::from(re_entrant.clone());
    let mut cx = Context::from_waker(&waker);
    assert!(mailbox.poll_receive(&mut cx).is_ready());
    assert!(mailbox.poll_receive(&mut cx).is_pending());
    shutdown.set();
    assert_eq!(re_entrant.wakes.load(Ordering::SeqCst), 1);
    let received = mailbox.poll_receive(&mut cx);
    assert_eq!(received, Poll::Ready(ReceiveEvent::HttpShutdown));
}

#[test]
fn shutdown_is_received_neither_after_the_response_nor_where_it_is_not_offered() {
    let shutdown = ShutdownSignal::new();
    let responded = mailbox(&shutdown);
    let unoffered: Mailbox<Content> = Mailbox::new(&scope([]), Empty::new(), |_| None, &shutdown);
    let mut cx = Context::from_waker(Waker::noop());
    responded
        .start_send(HttpResponseStart::ok().into())
        .unwrap();
    responded
        .start_send(HttpResponseBody::end().into())
        .unwrap();
    for mailbox in [&*responded, &unoffered] {
        assert!(mailbox.poll_receive(&mut cx).is_ready());
        assert!(mailbox.poll_receive(&mut cx).is_pending());
    }
    shutdown.set();
    for mailbox in [&*responded, &unoffered] {
        assert!(mailbox.poll_receive(&mut cx).is_pending());
    }
}

/// Events that came with the same readiness as a path send, and what becomes of the exchange.
#[tokio::test]
async fn an_event_during_the_opening_of_a_file_breaks_a_rule_and_leaves_no_send_waiting() {
    for event in [
        SendEvent::from(HttpResponseBody::part("a")),
        HttpResponseBody::last("a").into(),
        HttpResponsePathSend::new(std::env::temp_dir()).into(),
    ] {
        let mailbox = mailbox(&ShutdownSignal::new());
        mailbox.start_send(HttpResponseStart::ok().into()).unwrap();
        let path = HttpResponsePathSend::new(std::env::temp_dir());
        let Ok(SendProgress::Pending(rest)) = mailbox.start_send(path.into()) else {
            panic!("the file is opened on another thread");
        };
        let error = mailbox.start_send(event).unwrap_err();
        assert_eq!(error.rule().unwrap().id, "EXT-10");
        assert_eq!(rest.await.unwrap_err().rule().unwrap().id, "EXT-10");
        let mut cx = Context::from_waker(Waker::noop());
        let response = mailbox.poll_response(&mut cx);
        assert!(
            matches!(response, Poll::Ready(Response::Replacement(status)) if status == 500),
            "{response:?}"
        );
        assert!(mailbox.poll_disconnected(&mut cx).is_ready());
        let later = mailbox.start_send(HttpResponseBody::end().into());
        assert_eq!(later.unwrap_err().rule().unwrap().id, "EXT-10");
    }
}

#[test]
fn a_receiver_that_outlives_an_unfinished_response_receives_the_disconnect() {
    use crate::call::CallResult;

    let mailbox = mailbox(&ShutdownSignal::new());
    let mut cx = Context::from_waker(Waker::noop());
    assert!(mailbox.poll_receive(&mut cx).is_ready());
    mailbox.start_send(HttpResponseStart::ok().into()).unwrap();
    mailbox
        .start_send(HttpResponseBody::part("a").into())
        .unwrap();
    assert!(mailbox.poll_receive(&mut cx).is_pending());
    mailbox.end(&CallResult::Returned(Ok(())));
    let received = mailbox.poll_receive(&mut cx);
    assert_eq!(received, Poll::Ready(ReceiveEvent::HttpDisconnect));
}
