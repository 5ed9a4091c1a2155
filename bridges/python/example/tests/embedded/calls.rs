//! The calls of an application, on each event loop, below a lint.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use callgate::Message;
use callgate_conformance::{Lint, Recorder, ViolationCount};
use callgate_python::EventLoop;
use callgate_toolkit::test_client::{Body, Error, TestClient};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{get, log, raw};

/// Returns a client of a new application below a lint, and what the lint has found.
async fn linted(event_loop: EventLoop) -> Result<(TestClient, ViolationCount), Error> {
    let lint = Lint::new(raw(event_loop).unwrap());
    let count = lint.count();
    Ok((TestClient::start(lint).await?, count))
}

/// Ends the client, and checks that no rule was broken.
async fn end((client, count): (TestClient, ViolationCount)) -> Result<(), Error> {
    client.shutdown().await?;
    assert_eq!(count.total(), 0);
    Ok(())
}

async fn content_is_echoed(event_loop: EventLoop) -> Result<(), Error> {
    let (client, count) = linted(event_loop).await?;
    let content: Vec<u8> = (0..1_000_000_u32).map(|number| number as u8).collect();
    let response = client.post("/echo").body(content.clone()).send().await?;
    assert_eq!(response.body(), &content);
    end((client, count)).await
}

async fn parts_are_echoed_as_they_come(event_loop: EventLoop) -> Result<(), Error> {
    let (client, count) = linted(event_loop).await?;
    let (content, body) = Body::channel();
    let response = client.post("/echo").body(body).start();
    content.send("one").await;
    let mut response = response.stream().await?;
    assert_eq!(
        response.body_mut().chunk().await?.as_deref(),
        Some(&b"one"[..])
    );
    for part in ["two", "three"] {
        content.send(part).await;
        let echoed = response.body_mut().chunk().await?;
        assert_eq!(echoed.as_deref(), Some(part.as_bytes()));
    }
    content.finish().await;
    assert_eq!(response.body_mut().rest().await?, "");
    end((client, count)).await
}

async fn messages_are_echoed(event_loop: EventLoop) -> Result<(), Error> {
    let (client, count) = linted(event_loop).await?;
    let mut socket = client.websocket("/").connect().await?;
    for number in 0..100 {
        let text = format!("message {number}");
        socket.send_text(text.clone()).await?;
        assert_eq!(socket.text().await?, text);
    }
    let octets = Bytes::from(vec![7; 200_000]);
    socket.send_binary(octets.clone()).await?;
    assert_eq!(socket.receive().await?, Message::Binary(octets));
    socket.disconnect();
    get(&client, "/noted?closed%20with%201006").await?;
    socket.exchange().ended().await.unwrap();
    end((client, count)).await
}

async fn calls_go_on_when_they_are_woken_and_not_at_the_next_tick(
    event_loop: EventLoop,
) -> Result<(), Error> {
    let (client, count) = linted(event_loop).await?;
    get(&client, "/untick").await?;
    let mut socket = client.websocket("/").connect().await?;
    for number in 0..1_000 {
        socket.send_text(number.to_string()).await?;
        assert_eq!(socket.text().await?, number.to_string());
    }
    drop(socket);
    end((client, count)).await
}

async fn an_upload_waits_for_the_application(event_loop: EventLoop) -> Result<(), Error> {
    const PARTS: usize = 10_000;
    let (client, count) = linted(event_loop).await?;
    let (content, body) = Body::channel();
    let response = client.post("/upload").body(body).start();
    let part = Bytes::from(vec![0; 65_536]);
    content.send(part.clone()).await;
    get(&client, "/noted?one%20part").await?;
    let mut sent = 1;
    // Nothing goes on while the application waits, so that no time is too long for a part that is held up.
    while sent < PARTS
        && timeout(Duration::from_millis(200), content.send(part.clone()))
            .await
            .is_ok()
    {
        sent += 1;
    }
    assert!(sent < 100, "{sent} parts were taken");
    get(&client, "/open").await?;
    content.send(part.clone()).await;
    sent += 1;
    content.finish().await;
    let length = response.response().await?;
    assert_eq!(*length.body(), (sent * part.len()).to_string());
    end((client, count)).await
}

async fn a_download_waits_for_the_client(event_loop: EventLoop) -> Result<(), Error> {
    let (client, count) = linted(event_loop).await?;
    let mut response = client.get("/download").stream().await?;
    response.body_mut().chunk().await?;
    let mut before = String::new();
    loop {
        let length = get(&client, "/length").await?;
        if length == before {
            break;
        }
        before = length;
        assert!(before.parse::<usize>().unwrap() < 1_000, "{before} parts");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(response);
    end((client, count)).await
}

async fn an_exception_ends_its_call_and_its_traceback_is_logged_once(
    event_loop: EventLoop,
) -> Result<(), Error> {
    let (client, count) = linted(event_loop).await?;
    let query = format!("of-{event_loop:?}");
    let response = client.get(format!("/fail?{query}")).start();
    let failure = response.exchange().ended().await.unwrap_err();
    let expected = format!("the application failed: RuntimeError: the query {query}");
    assert_eq!(failure.to_string(), expected);
    assert_eq!(response.response().await?.status(), 500);
    // The last line of a traceback is that of the exception.
    let last_line = format!("\n    RuntimeError: the query {query} ");
    assert_eq!(log::count(&last_line), 1);
    drop(count);
    client.shutdown().await
}

async fn the_lines_of_logging_are_in_the_log_and_forge_none(
    event_loop: EventLoop,
) -> Result<(), Error> {
    let (client, count) = linted(event_loop).await?;
    let before = log::count("low on apples\n    ERROR forged");
    get(&client, "/warn").await?;
    assert!(log::count("low on apples\n    ERROR forged") > before);
    assert!(log::count("WARN callgate_python: low on apples") > before);
    end((client, count)).await
}

async fn a_client_that_goes_is_told_as_an_event(event_loop: EventLoop) -> Result<(), Error> {
    let (client, count) = linted(event_loop).await?;
    let waiting = client.get("/wait").start();
    get(&client, "/noted?waits").await?;
    waiting.exchange().disconnect();
    assert_eq!(
        get(&client, "/noted?http.disconnect").await?,
        "http.disconnect"
    );
    waiting.exchange().ended().await.unwrap();
    end((client, count)).await
}

async fn a_call_that_is_given_up_is_cancelled(event_loop: EventLoop) -> Result<(), Error> {
    let lint = Lint::new(raw(event_loop).unwrap());
    let count = lint.count();
    let client = TestClient::new(lint).grace_period(Duration::ZERO);
    let client = client.with_lifespan().await?;
    let waiting = client.get("/hold").start();
    get(&client, "/noted?waits").await?;
    waiting.exchange().disconnect();
    assert_eq!(get(&client, "/noted?cancelled").await?, "cancelled");
    end((client, count)).await
}

async fn two_hundred_calls_are_served_at_a_time(event_loop: EventLoop) -> Result<(), Error> {
    let (client, count) = linted(event_loop).await?;
    let client = Arc::new(client);
    let mut calls = JoinSet::new();
    for _ in 0..200 {
        let client = client.clone();
        calls.spawn(async move { get(&client, "/meet").await });
    }
    for answer in calls.join_all().await {
        assert_eq!(answer?, "met");
    }
    let client = Arc::into_inner(client).expect("all calls have ended");
    end((client, count)).await
}

async fn each_scope_has_a_copy_of_the_state(event_loop: EventLoop) -> Result<(), Error> {
    let (client, count) = linted(event_loop).await?;
    // The copy is not deep, as that of other servers.
    assert_eq!(get(&client, "/state").await?, "hello! 1");
    assert_eq!(get(&client, "/state").await?, "hello! 2");
    end((client, count)).await
}

async fn processes_and_threads_work(event_loop: EventLoop) -> Result<(), Error> {
    let (client, count) = linted(event_loop).await?;
    assert_eq!(get(&client, "/child").await?, "from a process\n");
    assert_eq!(get(&client, "/executor").await?, "from a thread");
    end((client, count)).await
}

async fn a_recorder_sees_the_exchanges(event_loop: EventLoop) -> Result<(), Error> {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let recorder = Recorder::new(raw(event_loop).unwrap(), writer);
    let client = TestClient::new(recorder);
    get(&client, "/scope").await?;
    drop(client);
    let mut lines = String::new();
    std::io::Read::read_to_string(&mut reader, &mut lines).unwrap();
    for expected in ["/scope", "http.response.start", "http.response.body"] {
        assert!(lines.contains(expected), "{lines}");
    }
    Ok(())
}

/// Makes a test of each function and event loop.
macro_rules! on_each_loop {
    (@on $module:ident, $event_loop:ident, $($name:ident),+) => {
        mod $module {
            use super::{Error, EventLoop};

            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() -> Result<(), Error> {
                    super::$name(EventLoop::$event_loop).await
                }
            )+
        }
    };
    ($($name:ident),+ $(,)?) => {
        on_each_loop!(@on asyncio, Asyncio, $($name),+);
        on_each_loop!(@on uvloop, Uvloop, $($name),+);
    };
}

on_each_loop!(
    a_call_that_is_given_up_is_cancelled,
    a_client_that_goes_is_told_as_an_event,
    a_download_waits_for_the_client,
    a_recorder_sees_the_exchanges,
    an_exception_ends_its_call_and_its_traceback_is_logged_once,
    an_upload_waits_for_the_application,
    calls_go_on_when_they_are_woken_and_not_at_the_next_tick,
    content_is_echoed,
    each_scope_has_a_copy_of_the_state,
    messages_are_echoed,
    parts_are_echoed_as_they_come,
    processes_and_threads_work,
    the_lines_of_logging_are_in_the_log_and_forge_none,
    two_hundred_calls_are_served_at_a_time,
);
