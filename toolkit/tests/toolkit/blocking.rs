use std::io::{self, Read};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll};
use std::time::Duration;

use callgate::{
    App, AppError, Channel, HttpScope, ReceiveEvent, Receiver, SendError, SendEvent, SendProgress,
    Sender,
};
use callgate_toolkit::blocking::{Body, ThreadPool};
use callgate_toolkit::test_client::{self, Error, Failure, ResponseExt, TestClient, TestExchange};
use futures_util::future::join_all;
use futures_util::poll;
use http::{Method, Request, Response, StatusCode, Uri};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::Instant;

#[tokio::test]
async fn a_blocking_function_gets_a_request_and_gives_a_response() {
    let handler = |request: Request<()>, body: &mut dyn Read| -> io::Result<_> {
        let mut text = String::new();
        body.read_to_string(&mut text)?;
        let scope = request.extensions().get::<HttpScope>().unwrap();
        let text = format!(
            "{} {} {} {text} {:?}",
            request.method(),
            request.uri(),
            request.headers()["x-a"].to_str().unwrap(),
            scope.state.get::<u8>()
        );
        Ok(Response::builder()
            .status(201)
            .header("x-b", "2")
            .body(text)
            .unwrap())
    };
    let client = TestClient::new(ThreadPool::new(2).app(handler)).state(7_u8);
    let (content, body) = test_client::Body::channel();
    let pending = client.post("/a?b").header("x-a", "1").body(body).start();
    content.send("Hello, ").await;
    content.send("thread!").await;
    content.finish().await;
    let response = pending.response().await.unwrap();
    assert_eq!(response.status(), StatusCode::CREATED);
    assert_eq!(response.headers()["x-b"], "2");
    assert_eq!(response.text(), "POST /a?b 1 Hello, thread! Some(7)");
    TestExchange::of(&response).ended().await.unwrap();
}

#[tokio::test]
async fn each_kind_of_body_is_sent() {
    let handler = |request: Request<()>, _: &mut dyn Read| {
        let body = match request.uri().path() {
            "/read" => Body::read(io::Cursor::new(vec![b'x'; 100_000])),
            "/parts" => Body::parts(["a", "b"].map(|part| Ok(part.to_owned()))),
            "/write" => Body::write(|out| write!(out, "{} {}", 1, 2)),
            _ => Body::empty(),
        };
        Response::new(body)
    };
    let client = TestClient::new(ThreadPool::new(1).app(handler));
    let length = async |path| {
        let response = client.get(path).send().await.unwrap();
        TestExchange::of(&response).ended().await.unwrap();
        response.body().len()
    };
    assert_eq!(length("/read").await, 100_000);
    assert_eq!(length("/parts").await, 2);
    assert_eq!(length("/write").await, 3);
    assert_eq!(length("/").await, 0);
}

/// Returns a handler that reports its entry and waits until the test lets it go on.
fn gated(
    entered: UnboundedSender<()>,
    open: mpsc::Receiver<()>,
) -> impl Fn(Request<()>, &mut dyn Read) -> Response<&'static str> + Send + Sync + 'static {
    let open = Mutex::new(open);
    move |_: Request<()>, _: &mut dyn Read| {
        entered.send(()).unwrap();
        open.lock().unwrap().recv().unwrap();
        Response::new("through")
    }
}

#[tokio::test]
async fn a_burst_does_not_grow_threads_and_is_served_in_turn() {
    const CALLS: usize = 50;
    let running = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let pool = ThreadPool::new(3);
    let (seen_running, seen_most) = (running.clone(), most.clone());
    let app = pool.app(move |_: Request<()>, body: &mut dyn Read| {
        let now = seen_running.fetch_add(1, Ordering::SeqCst) + 1;
        seen_most.fetch_max(now, Ordering::SeqCst);
        io::copy(body, &mut io::sink()).unwrap();
        seen_running.fetch_sub(1, Ordering::SeqCst);
        Response::new("done")
    });
    let client = TestClient::new(app);
    let (contents, bodies): (Vec<_>, Vec<_>) =
        (0..CALLS).map(|_| test_client::Body::channel()).unzip();
    let pending: Vec<_> = bodies
        .into_iter()
        .map(|body| client.post("/").body(body).start())
        .collect();
    while pool.waiting() < CALLS - 3 || running.load(Ordering::SeqCst) < 3 {
        tokio::task::yield_now().await;
    }
    assert_eq!(pool.threads(), 3);
    for content in contents {
        content.finish().await;
    }
    let responses = join_all(pending.into_iter().map(test_client::Pending::response)).await;
    assert!(
        responses
            .iter()
            .all(|response| response.as_ref().unwrap().text() == "done")
    );
    assert_eq!((pool.threads(), pool.waiting()), (3, 0));
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn calls_beyond_those_that_may_wait_are_answered_with_503() {
    let (entered, mut entries) = unbounded_channel();
    let (open, opened) = mpsc::channel();
    let handler = gated(entered, opened);
    let pool = ThreadPool::new(1).max_waiting(1);
    let client = TestClient::new(pool.app(handler));
    let first = client.get("/").start();
    entries.recv().await.unwrap();
    let second = client.get("/").start();
    while pool.waiting() < 1 {
        tokio::task::yield_now().await;
    }
    let third = client.get("/").send().await.unwrap();
    assert_eq!(third.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(third.headers()["content-type"], "application/json");
    let expected = r#"{"error":"too many requests wait to be served"}"#;
    assert_eq!(third.text(), expected);
    // The server logs the error.
    TestExchange::of(&third).ended().await.unwrap_err();
    open.send(()).unwrap();
    open.send(()).unwrap();
    assert_eq!(first.response().await.unwrap().text(), "through");
    assert_eq!(second.response().await.unwrap().text(), "through");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_too_long_is_answered_with_503() {
    let (entered, mut entries) = unbounded_channel();
    let (open, opened) = mpsc::channel();
    let handler = gated(entered, opened);
    let pool = ThreadPool::new(1).max_wait(Duration::from_secs(3));
    let client = TestClient::new(pool.app(handler)).timeout(Duration::from_secs(1000));
    let first = client.get("/").start();
    entries.recv().await.unwrap();
    let begun = Instant::now();
    let second = client.get("/").send().await.unwrap();
    assert_eq!(second.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(begun.elapsed().as_secs(), 3);
    assert_eq!(pool.waiting(), 0);
    // A clock that stands still goes on as soon as nothing is left to do here, and what the thread
    // does is not here.
    tokio::time::resume();
    open.send(()).unwrap();
    assert_eq!(first.response().await.unwrap().text(), "through");
}

/// An error that keeps its thread busy as it is dropped.
#[derive(Debug)]
struct Fails(#[expect(dead_code, reason = "it is there to be dropped")] Mutex<Lingering>);

impl std::fmt::Display for Fails {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("it fails")
    }
}

impl std::error::Error for Fails {}

#[derive(Debug)]
struct Lingering(UnboundedSender<()>, mpsc::Receiver<()>);

impl Drop for Lingering {
    fn drop(&mut self) {
        let _ = self.0.send(());
        let _ = self.1.recv();
    }
}

#[tokio::test]
async fn a_thread_that_is_not_yet_idle_is_waited_for_and_not_doubled() {
    let (entered, mut entries) = unbounded_channel();
    let (open, opened) = mpsc::channel();
    let (lingers, mut lingering) = unbounded_channel();
    let (go_on, goes_on) = mpsc::channel();
    let (opened, goes_on) = (Mutex::new(opened), Mutex::new(Some(goes_on)));
    let pool = ThreadPool::new(1);
    let app = pool.app(move |_: Request<()>, _: &mut dyn Read| {
        entered.send(()).unwrap();
        opened.lock().unwrap().recv().unwrap();
        match goes_on.lock().unwrap().take() {
            Some(goes_on) => Err(AppError::failed(Fails(Mutex::new(Lingering(
                lingers.clone(),
                goes_on,
            ))))),
            None => Ok(Response::new("second")),
        }
    });
    let call = || {
        let scope = HttpScope::new(Method::GET, Uri::default());
        let channel = Arc::new(Silence);
        let receiver = Receiver::new(channel.clone());
        Box::pin(app.call(scope.into(), receiver, Sender::new(channel)))
    };
    let mut first = call();
    assert!(poll!(&mut first).is_pending());
    entries.recv().await.unwrap();
    // The result is not taken. The thread drops it after it has returned its permit.
    drop(first);
    open.send(()).unwrap();
    lingering.recv().await.unwrap();

    let mut second = call();
    assert!(poll!(&mut second).is_pending());
    assert_eq!((pool.waiting(), pool.threads()), (0, 1));
    go_on.send(()).unwrap();
    open.send(()).unwrap();
    while entries.try_recv().is_err() {
        assert!(poll!(&mut second).is_pending());
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn nothing_of_the_request_is_read_ahead() {
    let (read_on, reads) = mpsc::channel::<()>();
    let reads = Mutex::new(reads);
    let app = ThreadPool::new(1).app(
        move |_: Request<()>, body: &mut dyn Read| -> io::Result<_> {
            let mut length = 0;
            loop {
                reads.lock().unwrap().recv().unwrap();
                match body.read(&mut [0; 1024])? {
                    0 => return Ok(Response::new(length.to_string())),
                    more => length += more,
                }
            }
        },
    );
    let client = TestClient::new(app);
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let parts = futures_util::stream::iter((0..3).map(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        Ok::<_, ()>("x")
    }));
    let mut pending = Some(
        client
            .post("/")
            .body(test_client::Body::stream(parts))
            .start(),
    );
    for reads in 1..=3 {
        read_on.send(()).unwrap();
        while asked.load(Ordering::SeqCst) < reads {
            tokio::task::yield_now().await;
        }
        let exchange = pending.as_ref().unwrap().exchange();
        while exchange.transcript().received().count() < reads {
            tokio::task::yield_now().await;
        }
        assert_eq!(asked.load(Ordering::SeqCst), reads);
    }
    read_on.send(()).unwrap();
    assert_eq!(
        pending.take().unwrap().response().await.unwrap().text(),
        "3"
    );
}

#[tokio::test]
async fn a_slow_client_slows_the_writer_down() {
    let written = Arc::new(AtomicUsize::new(0));
    let count = written.clone();
    let app = ThreadPool::new(1).app(move |_: Request<()>, _: &mut dyn Read| {
        let count = count.clone();
        Response::new(Body::write(move |out| {
            for _ in 0..10 {
                out.write_all(b"x")?;
                count.fetch_add(1, Ordering::SeqCst);
            }
            Ok(())
        }))
    });
    let client = TestClient::new(app);
    let mut response = client.get("/").stream().await.unwrap();
    for read in 1..=9 {
        assert_eq!(response.body_mut().chunk().await.unwrap().unwrap(), "x");
        // One is held for the client, and the next waits.
        while written.load(Ordering::SeqCst) < read + 1 {
            tokio::task::yield_now().await;
        }
        assert_eq!(written.load(Ordering::SeqCst), read + 1);
    }
    assert_eq!(response.body_mut().rest().await.unwrap(), "x");
    TestExchange::of(&response).ended().await.unwrap();
}

#[tokio::test]
async fn reads_and_writes_fail_once_the_client_is_gone() {
    let (kind, mut kinds) = unbounded_channel();
    let app = ThreadPool::new(1).app(
        move |request: Request<()>, body: &mut dyn Read| -> io::Result<_> {
            let kind = kind.clone();
            if request.uri().path() == "/read" {
                let error = body.read(&mut [0; 8]).unwrap_err();
                kind.send(error.kind()).unwrap();
                return Err(error);
            }
            Ok(Response::new(Body::write(move |out| {
                loop {
                    if let Err(error) = out.write(b"x") {
                        kind.send(error.kind()).unwrap();
                        // The client is gone, so the result does not matter.
                        return Err(io::Error::other("something else"));
                    }
                }
            })))
        },
    );
    let client = TestClient::new(app);
    let (_content, body) = test_client::Body::channel();
    let pending = client.post("/read").body(body).start();
    tokio::task::yield_now().await;
    pending.exchange().disconnect();
    assert_eq!(kinds.recv().await.unwrap(), io::ErrorKind::UnexpectedEof);
    pending.exchange().ended().await.unwrap();

    let response = client.get("/write").stream().await.unwrap();
    let exchange = TestExchange::of(&response).clone();
    drop(response);
    assert_eq!(kinds.recv().await.unwrap(), io::ErrorKind::BrokenPipe);
    exchange.ended().await.unwrap();
}

/// A channel on which nothing ever happens.
struct Silence;

impl Channel for Silence {
    fn poll_receive(&self, _: &mut Context<'_>) -> Poll<ReceiveEvent> {
        Poll::Pending
    }

    fn poll_ready(&self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }

    fn start_send(&self, _: SendEvent) -> Result<SendProgress, SendError> {
        Err(SendError::Disconnected)
    }
}

#[tokio::test]
async fn a_thread_is_freed_when_the_future_of_its_call_is_dropped() {
    let (entered, mut entries) = unbounded_channel();
    let (kind, mut kinds) = unbounded_channel();
    let app = ThreadPool::new(1).app(move |_: Request<()>, body: &mut dyn Read| {
        entered.send(()).unwrap();
        let error = body.read(&mut [0; 8]).unwrap_err();
        kind.send(error.kind()).unwrap();
        Response::new("late")
    });
    for _ in 0..2 {
        let scope = HttpScope::new(Method::GET, Uri::default());
        let channel = Arc::new(Silence);
        let receiver = Receiver::new(channel.clone());
        let mut call = Box::pin(app.call(scope.into(), receiver, Sender::new(channel)));
        while entries.try_recv().is_err() {
            assert!(poll!(&mut call).is_pending());
            tokio::task::yield_now().await;
        }
        drop(call);
        assert_eq!(kinds.recv().await.unwrap(), io::ErrorKind::UnexpectedEof);
    }
}

#[tokio::test]
async fn a_panic_is_a_failure_of_its_call_and_of_nothing_else() {
    let pool = ThreadPool::new(1);
    let client = TestClient::new(pool.app(|request: Request<()>, _: &mut dyn Read| {
        assert_ne!(request.uri().path(), "/panic", "for the test");
        Response::new("fine")
    }));
    let response = client.get("/panic").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let failure = TestExchange::of(&response).ended().await.unwrap_err();
    assert!(
        failure.to_string().contains("the handler panicked"),
        "{failure}"
    );
    assert_eq!(client.get("/").send().await.unwrap().text(), "fine");
    assert_eq!(pool.threads(), 1);
}

#[tokio::test]
async fn an_error_in_the_middle_of_the_content_cuts_the_response() {
    let client = TestClient::new(ThreadPool::new(1).app(|_: Request<()>, _: &mut dyn Read| {
        Response::new(Body::parts([
            Ok("half"),
            Err(io::Error::other("the disk is gone")),
        ]))
    }));
    let Err(Error::Cut(response)) = client.get("/").send().await else {
        panic!("not cut");
    };
    assert_eq!(response.text(), "half");
    let failure = TestExchange::of(&response).ended().await.unwrap_err();
    assert!(matches!(failure, Failure::Error(error) if error.to_string() == "the disk is gone"));
}

#[tokio::test]
async fn a_shutdown_waits_for_the_functions_that_run() {
    let (entered, mut entries) = unbounded_channel();
    let (open, opened) = mpsc::channel();
    let handler = gated(entered, opened);
    let client = TestClient::new(ThreadPool::new(1).app(handler));
    let pending = client.get("/").start();
    let exchange = pending.exchange().clone();
    entries.recv().await.unwrap();
    let mut shutdown = pin!(client.shutdown());
    assert!(poll!(&mut shutdown).is_pending());
    assert!(!exchange.is_ended());
    open.send(()).unwrap();
    shutdown.await.unwrap();
    assert!(exchange.is_ended());
    assert_eq!(pending.response().await.unwrap().text(), "through");
}

#[tokio::test]
async fn only_http_is_served() {
    let client = TestClient::new(
        ThreadPool::new(1).app(|_: Request<()>, _: &mut dyn Read| Response::new("")),
    );
    let refused = client.websocket("/").connect().await.unwrap_err();
    assert_eq!(
        refused.response().unwrap().status(),
        StatusCode::NOT_IMPLEMENTED
    );
}
