//! Responses, whole and streamed: their framing, their fields, and work after them.

use crate::support::{Gate, Server, config, content, get, http, tell, whole};
use crate::support::{assert_replaced, head, start};
use callgate::{AppError, HttpResponseBody, HttpResponseStart, ReceiveEvent, Sender};
use std::time::Duration;

#[tokio::test]
async fn http_24_head_has_the_fields_and_no_content() {
    let server = Server::start(http((), async |(), scope, _, sender| {
        let start = HttpResponseStart::ok().header("x-kept", "1");
        match scope.raw_path() {
            "/sized" => {
                sender.send(start.header("content-length", "7")).await?;
                sender.send(HttpResponseBody::last("content")).await?;
            }
            "/left-out" => {
                sender.send(start.header("content-length", "7")).await?;
                sender.send(HttpResponseBody::end()).await?;
            }
            "/whole" => {
                sender.send(start).await?;
                sender.send(HttpResponseBody::last("content")).await?;
            }
            "/streamed" => {
                sender.send(start).await?;
                for _ in 0..100 {
                    sender.send(HttpResponseBody::part("content")).await?;
                }
                sender.send(HttpResponseBody::end()).await?;
            }
            _ => unreachable!(),
        }
        Ok(())
    }));
    let mut client = server.connect().await;
    for (target, length) in [
        ("/sized", Some("7")),
        ("/left-out", Some("7")),
        ("/whole", Some("7")),
        ("/streamed", None),
    ] {
        client.send(head(target)).await;
        // Content would be read as the head of the next response.
        let response = client.head().await;
        assert_eq!(response.status, 200);
        assert_eq!(response.field("x-kept"), Some("1"));
        assert_eq!(response.field("content-length"), length, "{target}");
    }
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn http_24_content_without_end_is_not_sent_to_nobody_for_ever() {
    let (teller, mut told) = tell();
    let mut configured = config();
    configured.timeouts.disconnect = Duration::from_millis(50);
    let server = Server::with(
        configured,
        http(teller, async |teller, scope, mut receiver, sender| {
            let start = HttpResponseStart::ok();
            // The client wants no content, or has all that it was told of.
            let (start, more) = match scope.query() {
                "head" => (start, "x"),
                _ => (start.header("content-length", "2"), ""),
            };
            sender.send(start).await?;
            for _ in 0..2 {
                sender.send(HttpResponseBody::part("x")).await?;
            }
            match scope.raw_path() {
                "/busy" => while sender.send(HttpResponseBody::part(more)).await.is_ok() {},
                "/waiting" => while receiver.receive().await != ReceiveEvent::HttpDisconnect {},
                // Work after the response takes as long as it takes.
                _ => {
                    sender.send(HttpResponseBody::end()).await?;
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
            teller.tell("ended");
            Ok(())
        }),
    );
    // All of it on one thread: who sends without waiting still lets others work.
    let mut client = server.connect().await;
    for path in ["/busy", "/waiting", "/working"] {
        client.send(head(&format!("{path}?head"))).await;
        assert_eq!(client.head().await.status, 200);
        assert_eq!(told.next().await, "ended");
        client.send(get(path)).await;
        assert_eq!(client.response().await.body, "xx");
        assert_eq!(told.next().await, "ended");
    }
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn http_22_and_26_no_content_statuses_have_no_content() {
    let server = Server::start(http((), async |(), scope, _, sender| {
        let (status, event) = scope.raw_path()[1..].split_once('/').unwrap();
        sender.send(start(status.parse().unwrap())).await?;
        if event == "streamed" {
            sender.send(HttpResponseBody::part("")).await?;
        }
        sender.send(HttpResponseBody::end()).await?;
        Ok(())
    }));
    let mut client = server.connect().await;
    for target in ["/204/whole", "/304/whole", "/204/streamed", "/304/streamed"] {
        client.send(get(target)).await;
        let response = client.head().await;
        assert_eq!(response.status.to_string(), target[1..4]);
        assert_eq!(response.field("transfer-encoding"), None, "{target}");
        assert_eq!(response.field("content-length"), None, "{target}");
    }
    client.send(get("/205/whole")).await;
    assert_eq!(client.response().await.field("content-length"), Some("0"));
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn http_25_nothing_is_sent_before_the_first_body_event() {
    let (teller, mut told) = tell();
    let gate = Gate::new();
    let server = Server::start(http(
        (teller, gate.clone()),
        async |(teller, gate), _, _, sender| {
            sender.send(HttpResponseStart::ok()).await?;
            teller.tell(());
            gate.passed().await;
            Err(AppError::failed("secret"))
        },
    ));
    let mut client = server.connect().await;
    client.send(get("/")).await;
    told.next().await;
    assert!(!client.has_input());
    gate.open();
    // The head was held: it can still be replaced.
    assert_replaced(&mut client, 500).await;
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn http_26_a_whole_response_is_sized() {
    let server = Server::start(http((), async |(), scope, _, sender| {
        let length = scope.raw_path()[1..].parse().unwrap();
        whole(&sender, "x".repeat(length)).await
    }));
    let mut client = server.connect().await;
    for length in [0, 1, 100_000] {
        client.send(get(&format!("/{length}"))).await;
        let response = client.response().await;
        let said = length.to_string();
        assert_eq!(response.field("content-length"), Some(said.as_str()));
        assert_eq!(response.field("transfer-encoding"), None);
        assert_eq!(response.body.len(), length);
    }
    drop(client);
    server.finish().await;
}

async fn stream(sender: &Sender, start: HttpResponseStart) -> Result<(), AppError> {
    sender.send(start).await?;
    sender.send(HttpResponseBody::part("one, ")).await?;
    sender.send(HttpResponseBody::part("")).await?;
    sender.send(HttpResponseBody::last("two")).await?;
    Ok(())
}

#[tokio::test]
async fn http_27_a_streamed_response_is_framed_for_its_version() {
    let server = Server::start(http((), async |(), scope, _, sender| {
        let start = HttpResponseStart::ok();
        match scope.raw_path() {
            "/sized" => stream(&sender, start.header("content-length", "8")).await,
            _ => stream(&sender, start).await,
        }
    }));
    let mut client = server.connect().await;
    client.send(get("/")).await;
    let response = client.response().await;
    assert_eq!(response.field("transfer-encoding"), Some("chunked"));
    assert_eq!(response.field("content-length"), None);
    assert_eq!(response.body, "one, two");

    client.send(get("/sized")).await;
    let response = client.response().await;
    assert_eq!(response.field("content-length"), Some("8"));
    assert_eq!(response.field("transfer-encoding"), None);
    assert_eq!(response.body, "one, two");

    let response = server.ask("GET / HTTP/1.0\r\n\r\n").await;
    assert_eq!(response.field("transfer-encoding"), None);
    assert_eq!(response.body, "one, two");
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn http_28_and_29_an_empty_part_sends_the_head_and_parts_are_not_held() {
    let gate = Gate::new();
    let server = Server::start(http(gate.clone(), async |gate: Gate, _, _, sender| {
        sender.send(HttpResponseStart::ok()).await?;
        sender.send(HttpResponseBody::part("")).await?;
        gate.passed().await;
        sender.send(HttpResponseBody::part("one")).await?;
        gate.passed().await;
        sender.send(HttpResponseBody::end()).await?;
        Ok(())
    }));
    let mut client = server.connect().await;
    client.send(get("/")).await;
    assert_eq!(client.head().await.status, 200);
    gate.open();
    assert_eq!(client.chunk().await.unwrap(), "one");
    gate.open();
    assert_eq!(client.chunk().await, None);
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn the_end_of_a_response_that_has_reached_its_length_is_taken() {
    let (teller, mut told) = tell();
    let server = Server::start(http(teller, async |teller, _, mut receiver, sender| {
        content(&mut receiver).await;
        let start = HttpResponseStart::ok().header("content-length", "5");
        sender.send(start).await?;
        sender.send(HttpResponseBody::part("hello")).await?;
        sender.send(HttpResponseBody::part("")).await?;
        teller.tell(format!("{:?}", sender.send(HttpResponseBody::end()).await));
        teller.tell(format!("{:?}", receiver.receive().await));
        Ok(())
    }));
    let mut client = server.connect().await;
    for _ in 0..2 {
        client.send(get("/")).await;
        assert_eq!(client.response().await.body, "hello");
        assert_eq!(told.next().await, "Ok(())");
        assert_eq!(told.next().await, "HttpDisconnect");
    }
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn http_35_and_36_background_work_holds_up_shutdown_and_nothing_else() {
    let (teller, mut told) = tell();
    let gate = Gate::new();
    let mut server = Server::start(http(
        (teller, gate.clone()),
        async |(teller, gate), scope, _, sender| {
            whole(&sender, scope.raw_path().to_owned()).await?;
            if scope.raw_path() == "/work" {
                gate.passed().await;
                teller.tell("worked");
            }
            Ok(())
        },
    ));
    let mut client = server.connect().await;
    for target in ["/work", "/next", "/work", "/next"] {
        client.send(get(target)).await;
        assert_eq!(client.response().await.body, target);
    }
    drop(client);
    server.stop();
    assert!(server.is_serving() && told.is_empty());
    gate.open();
    gate.open();
    server.ended().await.unwrap();
    // Whatever was to be told has been: serving has ended.
    assert!(!told.is_empty());
    assert_eq!((told.next().await, told.next().await), ("worked", "worked"));
}

#[tokio::test]
async fn http_37_fields_are_sent_as_they_are() {
    let server = Server::start(http((), async |(), _, _, sender| {
        let start = start(299)
            .header("set-cookie", "a=1")
            .header("x-other", "  b, c")
            .header("set-cookie", "b=2")
            .header("set-cookie", "a=1");
        sender.send(start).await?;
        sender.send(HttpResponseBody::end()).await?;
        Ok(())
    }));
    let response = server.ask(get("/")).await;
    assert_eq!(response.status, 299);
    assert_eq!(response.all("set-cookie"), ["a=1", "b=2", "a=1"]);
    assert_eq!(response.field("x-other").map(str::trim), Some("b, c"));
    server.finish().await;
}

#[tokio::test]
async fn http_37_a_304_keeps_the_length_of_the_200() {
    let server = Server::start(http((), async |(), _, _, sender| {
        sender
            .send(start(304).header("content-length", "1234"))
            .await?;
        Ok(sender.send(HttpResponseBody::end()).await?)
    }));
    let mut client = server.connect().await;
    for _ in 0..2 {
        client.send(get("/")).await;
        let response = client.head().await;
        assert_eq!(response.status, 304);
        assert_eq!(response.field("content-length"), Some("1234"));
    }
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn http_38_date_and_server_are_added_unless_set() {
    let app = || {
        http((), async |(), scope, _, sender| {
            let mut start = HttpResponseStart::ok();
            if scope.raw_path() == "/own" {
                start = start
                    .header("date", "today")
                    .header("server", "mine")
                    .header("x-all", "0");
            }
            sender.send(start).await?;
            sender.send(HttpResponseBody::end()).await?;
            Ok(())
        })
    };
    let mut configured = config();
    configured.http.headers = ["1", "2"]
        .map(|value| ("x-all".parse().unwrap(), value.parse().unwrap()))
        .into();
    let server = Server::with(configured, app());
    // The second is no request.
    for request in [get("/"), "GET\r\n\r\n".to_owned()] {
        let response = server.ask(request).await;
        assert_eq!(response.all("server"), ["callgate"]);
        assert!(response.field("date").unwrap().ends_with(" GMT"));
        assert_eq!(response.all("x-all"), ["1", "2"]);
    }
    let response = server.ask(get("/own")).await;
    assert_eq!(response.all("server"), ["mine"]);
    assert_eq!(response.all("date"), ["today"]);
    assert_eq!(response.all("x-all"), ["0"]);
    server.finish().await;

    let mut configured = config();
    configured.http.server_header = false;
    configured.http.date_header = false;
    let server = Server::with(configured, app());
    for request in [get("/"), "GET\r\n\r\n".to_owned()] {
        let response = server.ask(request).await;
        assert_eq!(
            (response.field("server"), response.field("date")),
            (None, None)
        );
    }
    server.finish().await;
}
