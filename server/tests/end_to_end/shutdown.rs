//! A server that is told to stop, and completes what it serves.

use std::time::{Duration, Instant};

use crate::support::{
    Client, Gate, OnDrop, Server, Teller, config, content, get, http, says, system_has_delivered,
    tell, whole,
};
use callgate::{App, AppError, HttpResponseBody, HttpResponseStart, HttpScope, Receiver, Sender};
use callgate_server::HttpVersions;
use tokio::net::TcpStream;

/// More content than the sockets of a connection hold, in octets.
const LARGE: usize = 32 << 20;

/// Waits in the phase that the path names, and then ends the response.
pub(crate) async fn wait_in_phase(
    (teller, gate): (Teller<&'static str>, Gate),
    scope: HttpScope,
    mut receiver: Receiver,
    sender: Sender,
) -> Result<(), AppError> {
    let _dropped = OnDrop::tell(&teller, "dropped");
    if !matches!(scope.raw_path(), "/receiving" | "/unread") {
        content(&mut receiver).await;
    }
    match scope.raw_path() {
        "/large" => return whole(&sender, vec![b'x'; LARGE]).await,
        "/unread" => return whole(&sender, "done").await,
        "/started" => sender.send(HttpResponseStart::ok()).await?,
        "/streaming" => {
            sender.send(HttpResponseStart::ok()).await?;
            sender.send(HttpResponseBody::part("begun, ")).await?;
        }
        "/ended" => whole(&sender, "done").await?,
        _ => {}
    }
    teller.tell("ready");
    match scope.raw_path() {
        "/receiving" => {
            content(&mut receiver).await;
        }
        _ => gate.passed().await,
    }
    match scope.raw_path() {
        "/started" | "/streaming" => sender.send(HttpResponseBody::last("done")).await?,
        "/ended" => {}
        _ => whole(&sender, "done").await?,
    }
    teller.tell("finished");
    Ok(())
}

#[tokio::test]
async fn http_46_exchanges_in_every_phase_are_completed() {
    for target in ["/waiting", "/started", "/streaming", "/ended"] {
        let (teller, mut told) = tell();
        let gate = Gate::new();
        let mut server = Server::start(http((teller, gate.clone()), wait_in_phase));
        let mut client = server.connect().await;
        client.send(get(target)).await;
        assert_eq!(told.next().await, "ready");
        if target == "/streaming" {
            assert_eq!(client.head().await.status, 200);
            assert_eq!(client.chunk().await.unwrap(), "begun, ");
        }
        let mut idle = server.connect().await;
        server.stop();
        // The server has begun to stop when it closes a connection without a request.
        assert_eq!(idle.rest().await, "");
        assert!(server.is_serving());
        gate.open();
        if target == "/streaming" {
            assert_eq!(client.chunk().await.unwrap(), "done");
            assert_eq!(client.chunk().await, None);
            assert_eq!(client.rest().await, "\r\n");
        } else {
            let response = client.response().await;
            assert_eq!(response.body, "done");
            if target != "/ended" {
                assert_eq!(response.field("connection"), Some("close"), "{target}");
            }
            assert_eq!(client.rest().await, "");
        }
        assert_eq!(told.next().await, "finished");
        drop((client, idle));
        server.ended().await.unwrap();
    }
}

#[tokio::test]
async fn http_46_a_response_made_just_as_the_server_begins_to_stop_says_that_it_is_the_last() {
    for target in ["/waiting", "/started"] {
        let (teller, mut told) = tell();
        let gate = Gate::new();
        let mut server = Server::start(http((teller, gate.clone()), wait_in_phase));
        let mut client = server.connect().await;
        client.send(get(target)).await;
        assert_eq!(told.next().await, "ready");
        // On this thread the server gets its turn after both.
        server.stop();
        gate.open();
        let response = client.response().await;
        assert_eq!(response.body, "done");
        assert_eq!(response.field("connection"), Some("close"), "{target}");
        assert_eq!(client.rest().await, "");
        drop(client);
        server.ended().await.unwrap();
    }
}

#[tokio::test]
async fn http_46_a_request_that_is_still_coming_is_completed() {
    let (teller, mut told) = tell();
    let mut server = Server::start(http((teller, Gate::new()), wait_in_phase));
    let mut client = server.connect().await;
    client
        .send("POST /receiving HTTP/1.1\r\nhost: test\r\ncontent-length: 4\r\n\r\nab")
        .await;
    assert_eq!(told.next().await, "ready");
    server.stop();
    client.send("cd").await;
    assert_eq!(client.response().await.body, "done");
    assert_eq!(client.rest().await, "");
    drop(client);
    server.ended().await.unwrap();
}

#[tokio::test]
async fn http_46_a_request_whose_head_is_still_coming_is_answered() {
    for before in [0, 1] {
        let mut server = Server::start(says("done"));
        let mut client = server.connect().await;
        for _ in 0..before {
            client.send(get("/")).await;
            assert_eq!(client.response().await.body, "done");
        }
        client.send("GET / HTTP/1.1\r\nho").await;
        server.stop();
        // Time for a server that does not wait for the rest.
        tokio::time::sleep(Duration::from_millis(100)).await;
        client.send("st: test\r\n\r\n").await;
        assert_eq!(client.response().await.body, "done", "after {before}");
        assert_eq!(client.rest().await, "");
        drop(client);
        server.ended().await.unwrap();
    }
}

#[tokio::test]
async fn http_46_a_connection_that_waits_for_content_to_skip_is_closed() {
    let mut server = patient(says("x"));
    let mut client = server.connect().await;
    client
        .send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 10\r\n\r\n")
        .await;
    assert_eq!(client.response().await.body, "x");
    server.stop();
    assert_eq!(client.rest().await, "");
    drop(client);
    server.ended().await.unwrap();
}

/// Starts a server whose graceful time-out ends no test.
pub(crate) fn patient(app: impl App) -> Server {
    let mut configured = config();
    configured.timeouts.graceful_shutdown = None;
    Server::with(configured, app)
}

#[tokio::test]
async fn http_46_idle_connections_are_closed() {
    let mut server = patient(says("x"));
    // No request comes on this connection, which was accepted before the next one.
    let mut silent = server.connect().await;
    let mut used = server.connect().await;
    used.send(get("/")).await;
    used.response().await;
    server.stop();
    assert_eq!(used.rest().await, "");
    assert_eq!(silent.rest().await, "");
    server.ended().await.unwrap();
}

/// Runs a test of what a server does within a second, beside the time for which the test `waits` itself. It
/// is repeated when the machine was too slow for that.
pub(crate) async fn within_a_second(waits: Duration, test: impl AsyncFn() -> Result<(), String>) {
    let mut last = String::new();
    for _ in 0..20 {
        let start = Instant::now();
        match test().await {
            Ok(()) => return,
            Err(seen) => last = seen,
        }
        let time = start.elapsed();
        assert!(time > waits + Duration::from_secs(1), "{last} ({time:?})");
    }
    panic!("the machine is too slow for this test: {last}");
}

/// Asks on a connection until a response says that it is the last: the server has begun to stop.
async fn until_last_response(client: &mut Client) {
    loop {
        client.send(get("/")).await;
        let response = client.response().await;
        if response.field("connection") == Some("close") {
            assert_eq!(client.rest().await, "");
            return;
        }
    }
}

/// Returns what has been read to the end of a connection as an error, unless it is a response that ends
/// with this content and says that it is the last.
pub(crate) fn is_last_response(read: String, content: &str) -> Result<(), String> {
    match read.contains("connection: close") && read.ends_with(content) {
        true => Ok(()),
        false => Err(read),
    }
}

/// Reads the head of a response to `/large`, and its content.
async fn large_response(client: &mut Client) {
    client.head().await;
    assert_eq!(client.bytes(LARGE).await.len(), LARGE);
}

#[tokio::test]
async fn http_46_a_connection_in_use_is_closed_behind_its_next_response_and_an_idle_one_at_once() {
    // A connection is in use for a second after its last response.
    let in_use = Duration::from_secs(1);
    within_a_second(in_use, async || {
        let (teller, _told) = tell();
        let gate = Gate::new();
        let mut server = Server::start(http((teller, gate.clone()), wait_in_phase));
        let mut idle = server.connect().await;
        idle.send(get("/ended")).await;
        assert_eq!(idle.response().await.body, "done");
        // These responses begin early, and end late.
        let mut streaming = server.connect().await;
        streaming.send(get("/streaming")).await;
        streaming.head().await;
        let mut slow = server.connect().await;
        slow.send(get("/large")).await;
        let mut blocked = server.connect().await;
        blocked.send(get("/large")).await;
        tokio::time::sleep(in_use).await;
        // From here on, every request passes.
        (0..8).for_each(|_| gate.open());
        while streaming.chunk().await.is_some() {}
        assert_eq!(streaming.bytes(2).await, b"\r\n");
        large_response(&mut slow).await;
        let mut skipping = server.connect().await;
        let head = "POST /unread HTTP/1.1\r\nhost: test\r\ncontent-length: 10\r\n\r\n";
        skipping.send(head).await;
        assert_eq!(skipping.response().await.body, "done");
        let mut used = server.connect().await;
        used.send(get("/")).await;
        assert_eq!(used.response().await.body, "done");

        let stopped = Instant::now();
        server.stop();
        assert_eq!(idle.rest().await, "");
        drop(idle);
        if stopped.elapsed() >= in_use {
            return Err("the idle connection was kept".to_owned());
        }
        large_response(&mut blocked).await;
        skipping.send("0123456789").await;
        for (name, mut client) in [
            ("streaming", streaming),
            ("slow", slow),
            ("blocked", blocked),
            ("skipping", skipping),
            ("used", used),
        ] {
            client.send(get("/")).await;
            is_last_response(client.rest().await, "done")
                .map_err(|read| format!("{name}: {read}"))?;
        }
        server.ended().await.unwrap();
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn http_46_the_first_request_of_a_new_connection_is_served_while_the_server_drains() {
    for versions in [HttpVersions::Auto, HttpVersions::Http1] {
        within_a_second(Duration::ZERO, async || {
            let mut configured = config();
            configured.http.versions = versions;
            let mut server = Server::with(configured, says("served"));
            let mut new = server.connect().await;
            let mut used = server.connect().await;
            used.send(get("/")).await;
            used.response().await;
            server.stop();
            until_last_response(&mut used).await;
            new.send(get("/")).await;
            let response = new.rest().await;
            server.ended().await.unwrap();
            is_last_response(response, "served")
        })
        .await;
    }
}

#[tokio::test]
async fn connections_in_the_systems_queue_are_served_before_the_end() {
    let mut server = Server::start(says("served"));
    // The server has started; it does not get its turn on this thread until it is told to stop.
    server.ask(get("/")).await;
    let stream = std::net::TcpStream::connect(server.address).unwrap();
    std::io::Write::write_all(&mut &stream, get("/").as_bytes()).unwrap();
    system_has_delivered();
    server.stop();
    stream.set_nonblocking(true).unwrap();
    let mut client = Client::over(TcpStream::from_std(stream).unwrap());
    let answer = client.rest().await;
    drop(client);
    server.ended().await.unwrap();
    assert!(answer.ends_with("served"), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_cannot_accept_hears_a_stop_at_once() {
    // Accepting fails on a socket that does not listen.
    let socket = socket2::Socket::new(
        socket2::Domain::IPV4,
        socket2::Type::STREAM,
        Some(socket2::Protocol::TCP),
    );
    let listener = std::net::TcpListener::from(socket.unwrap());
    let server = callgate_server::Server::new(says("x"));
    let server = server.listener(listener).unwrap();
    let handle = server.handle();
    let serving = tokio::spawn(server.serve_until(std::future::pending()));
    let start = tokio::time::Instant::now();
    // The server runs until it waits for the end of the pause; the clock stands still meanwhile.
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    handle.shutdown();
    serving.await.unwrap().unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO);
}
