//! Optional features over HTTP/1.1: trailer fields and files.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::{Server, get, http, tell, whole};
use callgate::{
    HttpResponseBody, HttpResponseEarlyHint, HttpResponsePathSend, HttpResponseStart,
    HttpResponseTrailers, SendError, SendEvent,
};
use http::HeaderMap;

#[tokio::test]
async fn ext_02_an_extension_that_is_not_offered_leaves_the_exchange_usable() {
    let (teller, mut told) = tell();
    let server = Server::start(http(teller, async |teller, _, _, sender| {
        for event in [
            SendEvent::from(HttpResponseStart::ok().with_trailers()),
            callgate::HttpResponseDebug::default().into(),
        ] {
            let error = sender.send(event).await.unwrap_err();
            teller.tell(matches!(error, SendError::NotOffered(_)));
        }
        whole(&sender, "usable").await
    }));
    assert_eq!(server.ask(get("/")).await.body, "usable");
    for _ in 0..2 {
        assert!(told.next().await);
    }
    server.finish().await;
}

#[tokio::test]
async fn ext_26_early_hints_are_sent_before_the_response() {
    let server = Server::start(http((), async |(), scope, mut receiver, sender| {
        let link = |link: &'static str| http::HeaderValue::from_static(link);
        sender
            .send(HttpResponseEarlyHint::new([link("</a>"), link("</b>")]))
            .await?;
        if scope.raw_path() == "/later" {
            tokio::task::yield_now().await;
        }
        sender
            .send(HttpResponseEarlyHint::new([link("</c>")]))
            .await?;
        // The content is received between: `100 Continue` is another interim response.
        crate::support::content(&mut receiver).await;
        whole(&sender, "response").await
    }));
    let mut client = server.connect().await;
    for target in ["/", "/later"] {
        client.send(get(target)).await;
        for links in [&["</a>", "</b>"][..], &["</c>"]] {
            let hints = client.head().await;
            assert_eq!((hints.status, hints.all("link")), (103, links.to_vec()));
            assert_eq!(hints.fields.len(), links.len());
        }
        assert_eq!(client.response().await.body, "response");
    }
    let expects =
        "POST / HTTP/1.1\r\nhost: test\r\nexpect: 100-continue\r\ncontent-length: 1\r\n\r\n";
    client.send(expects).await;
    for status in [103, 103, 100] {
        assert_eq!(client.head().await.status, status);
    }
    client.send("x").await;
    assert_eq!(client.response().await.body, "response");
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn early_hints_are_not_offered_to_a_client_of_http_1_0() {
    let server = Server::start(http((), async |(), _, _, sender| {
        let hints = sender.send(HttpResponseEarlyHint::default()).await;
        assert!(matches!(hints, Err(SendError::NotOffered(_))));
        whole(&sender, "response").await
    }));
    let answer = server.ask_all("GET / HTTP/1.0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    server.finish().await;
}

const TAKES_TRAILERS: &str =
    "GET / HTTP/1.1\r\nhost: test\r\nte: trailers\r\nconnection: te\r\n\r\n";

fn trailers(name: &'static str, more: bool) -> HttpResponseTrailers {
    let field = (name.parse().unwrap(), "value".parse().unwrap());
    let mut trailers = HttpResponseTrailers::last([field].into_iter().collect());
    trailers.more_trailers = more;
    trailers
}

#[tokio::test]
async fn ext_04_trailers_follow_the_content() {
    let server = Server::start(http((), async |(), _, _, sender| {
        let mut start = HttpResponseStart::ok().header("trailer", "x-one, x-two");
        start.trailers = true;
        sender.send(start).await?;
        sender.send(HttpResponseBody::last("content")).await?;
        sender.send(trailers("x-one", true)).await?;
        sender.send(trailers("x-two", false)).await?;
        Ok(())
    }));
    let mut client = server.connect().await;
    for _ in 0..2 {
        client.send(TAKES_TRAILERS).await;
        let response = client.response().await;
        assert_eq!(response.body, "content");
        assert_eq!(response.trailers, "x-one: value\r\nx-two: value\r\n");
    }
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn trailers_are_bounded_and_what_fits_is_sent() {
    let (teller, mut told) = tell();
    let server = Server::start(http(teller, async |teller, _, _, sender| {
        let mut start = HttpResponseStart::ok().header("trailer", "x-one, x-two");
        start.trailers = true;
        sender.send(start).await?;
        sender.send(HttpResponseBody::last("content")).await?;
        // 5 bytes of name, as many of value, and 32.
        let mut fitted = 0;
        let error = loop {
            match sender.send(trailers("x-one", true)).await {
                Ok(()) => fitted += 1,
                Err(error) => break error,
            }
        };
        teller.tell((fitted, error.to_string()));
        sender
            .send(HttpResponseTrailers::last(HeaderMap::new()))
            .await?;
        Ok(())
    }));
    let mut client = server.connect().await;
    client.send(TAKES_TRAILERS).await;
    let response = client.response().await;
    let (fitted, error) = told.next().await;
    assert_eq!(fitted, 64 * 1024 / 42);
    assert_eq!(error, "the trailer fields take more than 65536 bytes");
    assert_eq!(response.trailers, "x-one: value\r\n".repeat(fitted));
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn ext_03_05_and_06_trailers_that_break_a_rule_cut_the_response() {
    let (teller, mut told) = tell();
    let number = Arc::new(AtomicUsize::new(0));
    let server = Server::start(http(
        (teller, number),
        async |(teller, number), _, _, sender| {
            let mut start = HttpResponseStart::ok().header("trailer", "x-one, content-type");
            start.trailers = true;
            sender.send(start).await?;
            sender.send(HttpResponseBody::part("content")).await?;
            let event: SendEvent = match number.fetch_add(1, Ordering::SeqCst) {
                0 => trailers("x-one", false).into(),
                1 => {
                    sender.send(HttpResponseBody::end()).await?;
                    trailers("content-type", false).into()
                }
                _ => {
                    sender.send(HttpResponseBody::end()).await?;
                    trailers("x-two", false).into()
                }
            };
            let error = sender.send(event).await.unwrap_err();
            teller.tell(error.rule().map(|rule| rule.id));
            Err(error.into())
        },
    ));
    for rule in ["EXT-03", "EXT-05", "EXT-06"] {
        let mut client = server.connect().await;
        client.send(TAKES_TRAILERS).await;
        assert_eq!(client.head().await.status, 200);
        assert_eq!(client.chunk().await.unwrap(), "content");
        assert!(!client.rest().await.contains("0\r\n"), "{rule}");
        assert_eq!(told.next().await, Some(rule));
    }
    server.finish().await;
}

#[tokio::test]
async fn ext_10_a_file_after_a_part_cuts_the_response() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let (teller, mut told) = tell();
    let server = Server::start(http(
        (teller, file.path().to_owned()),
        async |(teller, path), _, _, sender| {
            sender.send(HttpResponseStart::ok()).await?;
            sender.send(HttpResponseBody::part("part")).await?;
            let error = sender
                .send(HttpResponsePathSend::new(path))
                .await
                .unwrap_err();
            teller.tell(error.rule().map(|rule| rule.id));
            Err(error.into())
        },
    ));
    let mut client = server.connect().await;
    client.send(get("/")).await;
    client.head().await;
    assert_eq!(client.chunk().await.unwrap(), "part");
    assert_eq!(client.rest().await, "");
    assert_eq!(told.next().await, Some("EXT-10"));
    drop(client);
    server.finish().await;
}
