//! Bytes that are no request. After each of them the next connection is served.

use std::time::Duration;

use crate::support::{Server, config, content, get, http, tell, whole};

/// Sends each of these alone, and checks the status, that the connection is closed, that the
/// application is not called, and that the server goes on.
async fn assert_refused(requests: &[(&str, u16)]) {
    let (teller, mut told) = tell();
    let server = Server::start(http(teller, async |teller, scope, _, sender| {
        teller.tell(scope.raw_path().to_owned());
        whole(&sender, "fine").await
    }));
    for (request, status) in requests {
        let answer = server.ask_all(request).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{request:?}: {answer:?}"
        );
        assert_eq!(
            answer.matches("HTTP/1.1").count(),
            1,
            "{request:?}: {answer}"
        );
        assert_eq!(server.ask(get("/next")).await.body, "fine");
        assert_eq!(told.next().await, "/next");
        assert!(told.is_empty(), "{request:?}");
    }
    server.finish().await;
}

#[tokio::test]
async fn http_40_a_malformed_head_is_answered_400() {
    assert_refused(&[
        ("\0\0\0\0\0\0\0\0\r\n\r\n", 400),
        ("G@T / HTTP/1.1\r\nhost: test\r\n\r\n", 400),
        ("GET\t/ HTTP/1.1\r\nhost: test\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nhost: test\r\nbad name: x\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nhost: test\r\nname : x\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nhost: test\r\nx: a\0b\r\n\r\n", 400),
        (
            "GET / HTTP/1.1\r\nhost: test\r\nx: a\r\n folded\r\n\r\n",
            400,
        ),
        ("GET / HTTP/1.1\r\nhost: test\r\nno colon\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nhost: test\r\n: empty\r\n\r\n", 400),
        ("GET nothing HTTP/1.1\r\nhost: test\r\n\r\n", 400),
        ("GET * HTTP/1.1\r\nhost: test\r\n\r\n", 400),
        ("GET /a b HTTP/1.1\r\nhost: test\r\n\r\n", 400),
        ("GET / HTTQ/1.1\r\nhost: test\r\n\r\n", 400),
        ("GET /\r\nhost: test\r\n\r\n", 400),
    ])
    .await;
}

#[tokio::test]
async fn a_client_that_speaks_tls_to_a_port_in_cleartext_is_told_so() {
    let server = Server::start(http((), async |(), _, _, sender| {
        whole(&sender, "fine").await
    }));
    let answer = server
        .ask_all("\x16\x03\x01\x02\0\x01\0\x01\u{7c}\x03\x03")
        .await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(
        answer.ends_with("this port speaks HTTP, not HTTPS\n"),
        "{answer}"
    );
    assert_eq!(server.ask(get("/")).await.body, "fine");
    server.finish().await;
}

#[tokio::test]
async fn http_41_a_head_beyond_the_limit_is_answered_431_or_414() {
    let field = format!(
        "GET / HTTP/1.1\r\nhost: test\r\nx: {}\r\n\r\n",
        "x".repeat(80_000)
    );
    let many: String = (0..8000).map(|n| format!("x-{n}: {n}\r\n")).collect();
    let many = format!("GET / HTTP/1.1\r\nhost: test\r\n{many}\r\n");
    let target = get(&format!("/{}", "x".repeat(65_535)));
    assert_refused(&[(&field, 431), (&many, 431)]).await;
    let answer = Server::start(crate::support::says("x"))
        .ask_all(target)
        .await;
    assert!(
        answer.starts_with("HTTP/1.1 414 ") || answer.starts_with("HTTP/1.1 431 "),
        "{answer}"
    );
}

#[tokio::test]
async fn http_42_another_version_is_answered_505() {
    assert_refused(&[
        ("GET / HTTP/3.0\r\nhost: test\r\n\r\n", 505),
        ("GET / HTTP/2.0\r\nhost: test\r\n\r\n", 505),
    ])
    .await;
}

#[tokio::test]
async fn a_higher_minor_version_is_read_as_http_1_1() {
    let answer = Server::start(crate::support::says("fine"))
        .ask_all("GET / HTTP/1.2\r\nhost: test\r\nconnection: close\r\n\r\n")
        .await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}

#[tokio::test]
async fn http_43_conflicting_or_malformed_lengths_are_answered_400() {
    for lengths in [
        "content-length: 1\r\ncontent-length: 2\r\n",
        "content-length: 1, 2\r\n",
        "content-length: -1\r\n",
        "content-length: +1\r\n",
        "content-length: 1x\r\n",
        "content-length: 99999999999999999999999\r\n",
    ] {
        let request = format!("POST / HTTP/1.1\r\nhost: test\r\n{lengths}\r\nxy");
        assert_refused(&[(&request, 400)]).await;
    }
}

#[tokio::test]
async fn http_44_with_a_length_and_chunks_the_chunks_count_and_the_connection_closes() {
    let server = Server::start(http((), async |(), scope, mut receiver, sender| {
        let (content, _) = content(&mut receiver).await.unwrap();
        let content = String::from_utf8(content).unwrap();
        whole(&sender, format!("{}: {content}", scope.raw_path())).await
    }));
    for fields in [
        "content-length: 3\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 3\r\n",
    ] {
        let mut client = server.connect().await;
        let smuggled = get("/smuggled");
        client
            .send(format!(
                "POST / HTTP/1.1\r\nhost: test\r\n{fields}\r\n5\r\nhello\r\n0\r\n\r\n{smuggled}"
            ))
            .await;
        assert_eq!(client.response().await.body, "/: hello");
        assert_eq!(client.rest().await, "");
    }
    server.finish().await;
}

#[tokio::test]
async fn http_45_a_bad_transfer_encoding_is_answered_400() {
    assert_refused(&[
        (
            "POST / HTTP/1.1\r\nhost: test\r\ntransfer-encoding: gzip\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked, gzip\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nhost: test\r\ntransfer-encoding: xchunked\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_connection_that_ends_within_a_head_or_at_once_harms_nothing() {
    let server = Server::start(crate::support::says("fine"));
    for part in [
        "",
        "G",
        "GET / HT",
        "GET / HTTP/1.1\r\nhost: te",
        "PRI * HTTP/2.0\r\n\r\nSM",
    ] {
        let mut client = server.connect().await;
        client.send(part).await;
        client.half_close().await;
        client.rest().await;
        let mut client = server.connect().await;
        client.send(part).await;
        drop(client);
        assert_eq!(server.ask(get("/")).await.body, "fine");
    }
    server.finish().await;
}

#[tokio::test]
async fn a_head_that_takes_too_long_is_answered_408() {
    let mut configured = config();
    configured.timeouts.request_head = Duration::from_millis(50);
    let server = Server::with(configured, crate::support::says("fine"));
    for part in ["G", "GET / HTTP/1.1\r\nhost: te"] {
        let answer = server.ask_all(part).await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{part:?}: {answer:?}");
    }
    // One that says nothing is closed without an answer.
    assert_eq!(server.ask_all("").await, "");
    server.finish().await;
}

#[tokio::test]
async fn a_server_of_one_version_refuses_the_other() {
    let mut configured = config();
    configured.http.versions = callgate_server::HttpVersions::Http2;
    let server = Server::with(configured, crate::support::says("fine"));
    let answer = server.ask_all(get("/")).await;
    assert!(answer.starts_with("HTTP/1.1 505 "), "{answer:?}");
    server.finish().await;

    let mut configured = config();
    configured.http.versions = callgate_server::HttpVersions::Http1;
    let server = Server::with(configured, crate::support::says("fine"));
    let answer = server.ask_all("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 505 "), "{answer:?}");
    server.finish().await;
}
