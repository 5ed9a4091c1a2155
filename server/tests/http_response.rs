//! Responses: whole, streamed, refused and cut.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use callgate::rule::{self, Rule};
use callgate::{
    AppError, HttpPathSend, HttpResponseBody, HttpResponseStart, HttpResponseTrailers, HttpScope,
    Message, ReceiveEvent, Receiver, SendError, SendEvent, Sender,
};
use http::StatusCode;
use support::{Client, Gate, OnDrop, Server, config, content, get, http, tell, whole};

fn head(target: &str) -> String {
    get(target).replace("GET", "HEAD")
}

/// The status of an answer that closes nothing and reveals nothing.
async fn assert_replaced(client: &mut Client, status: u16) {
    let response = client.response().await;
    assert_eq!(response.status, status, "{response:?}");
    assert!(!response.body.contains("secret"));
    assert_eq!(response.field("x-secret"), None);
}

/// What is sent, and the rule that it breaks.
type Broken = (Vec<SendEvent>, &'static Rule);

fn start(status: u16) -> HttpResponseStart {
    HttpResponseStart::new(StatusCode::from_u16(status).unwrap())
}

/// Serves events by their number in the path; tells the rule that the last one breaks.
async fn serve_events(
    (events, teller): (Arc<Vec<Broken>>, support::Teller<Option<&'static str>>),
    scope: HttpScope,
    mut receiver: Receiver,
    sender: Sender,
) -> Result<(), AppError> {
    let number: usize = scope.raw_path()[1..].parse().unwrap();
    for event in &events[number].0 {
        if let Err(error) = sender.send(event.clone()).await {
            teller.tell(error.rule().map(|rule| rule.id));
            // CORE-05 and CORE-21: every later send fails likewise, and a disconnect is told.
            let again = sender.send(HttpResponseBody::end()).await.unwrap_err();
            assert_eq!(again.rule(), error.rule());
            while receiver.receive().await != ReceiveEvent::HttpDisconnect {}
            teller.tell(None);
            return Err(error.into());
        }
    }
    teller.tell(None);
    Ok(())
}

#[tokio::test]
async fn core_04_events_that_break_a_rule_before_anything_is_sent_are_answered_500() {
    let body = |text: &'static str| SendEvent::from(HttpResponseBody::last(text));
    let part = |text: &'static str| SendEvent::from(HttpResponseBody::part(text));
    let head = |start: HttpResponseStart| SendEvent::from(start);
    let mut broken: Vec<Broken> = vec![
        (vec![body("secret")], rule::START_FIRST),
        (vec![part("")], rule::START_FIRST),
        (vec![head(start(200)), head(start(200))], rule::START_ONCE),
        (vec![head(start(101))], rule::FINAL_STATUS),
        (vec![head(start(100))], rule::FINAL_STATUS),
        (vec![head(start(600))], rule::FINAL_STATUS),
        (
            vec![head(start(200).header("content-length", "x"))],
            rule::VALID_CONTENT_LENGTH,
        ),
        (
            vec![head(
                start(200)
                    .header("content-length", "1")
                    .header("content-length", "1"),
            )],
            rule::VALID_CONTENT_LENGTH,
        ),
        (
            vec![head(start(200).header("content-length", "3")), body("four")],
            rule::NOT_MORE_THAN_LENGTH,
        ),
        (
            vec![head(start(200).header("content-length", "3")), part("four")],
            rule::NOT_MORE_THAN_LENGTH,
        ),
        (
            vec![head(start(200).header("content-length", "5")), body("four")],
            rule::NOT_LESS_THAN_LENGTH,
        ),
        (vec![head(start(204)), body("x")], rule::NO_CONTENT_STATUS),
        (vec![head(start(205)), body("x")], rule::NO_CONTENT_STATUS),
        (vec![head(start(304)), part("x")], rule::NO_CONTENT_STATUS),
        (
            vec![head(start(204).header("content-length", "0"))],
            rule::NO_LENGTH_WITH_204,
        ),
        (vec![Message::text("x").into()], rule::FOREIGN_EVENT),
        (
            vec![head(start(200)), HttpPathSend::new("relative").into()],
            rule::PATH_SEND_ABSOLUTE,
        ),
    ];
    for name in [
        "connection",
        "keep-alive",
        "proxy-connection",
        "transfer-encoding",
        "upgrade",
    ] {
        let start = start(200).header("x-secret", "1").header(name, "x");
        broken.push((vec![start.into()], rule::NO_HOP_BY_HOP));
    }
    let broken = Arc::new(broken);
    let (teller, mut told) = tell();
    let server = Server::start(http((broken.clone(), teller), serve_events));
    // One connection for all: each is answered, and the connection goes on.
    let mut client = server.connect().await;
    for (number, (events, rule)) in broken.iter().enumerate() {
        client.send(get(&format!("/{number}"))).await;
        assert_replaced(&mut client, 500).await;
        assert_eq!(told.next().await, Some(rule.id), "{events:?}");
        assert_eq!(told.next().await, None);
    }
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn http_33_a_streamed_response_that_breaks_a_rule_is_cut() {
    let head = |length: &'static str| {
        SendEvent::from(HttpResponseStart::ok().header("content-length", length))
    };
    let part = |text: &'static str| SendEvent::from(HttpResponseBody::part(text));
    let broken: Vec<Broken> = vec![
        (
            vec![start(200).into(), part("begun"), start(200).into()],
            rule::START_ONCE,
        ),
        (
            vec![head("6"), part("begun"), part("xx")],
            rule::NOT_MORE_THAN_LENGTH,
        ),
        (
            vec![
                head("6"),
                part("begun"),
                HttpResponseBody::last("xx").into(),
            ],
            rule::NOT_MORE_THAN_LENGTH,
        ),
        (
            vec![head("6"), part("begun"), HttpResponseBody::end().into()],
            rule::NOT_LESS_THAN_LENGTH,
        ),
        (
            vec![start(200).into(), part("begun"), Message::text("x").into()],
            rule::FOREIGN_EVENT,
        ),
    ];
    let broken = Arc::new(broken);
    let (teller, mut told) = tell();
    let server = Server::start(http((broken.clone(), teller), serve_events));
    for (number, (_, rule)) in broken.iter().enumerate() {
        let mut client = server.connect().await;
        client.send(get(&format!("/{number}"))).await;
        let head = client.head().await;
        let content = match head.field("content-length") {
            Some(_) => client.bytes(5).await,
            None => client.chunk().await.unwrap().into_bytes(),
        };
        assert_eq!(content, b"begun");
        // No last chunk, and not a byte more.
        assert_eq!(client.rest().await, "");
        assert_eq!(told.next().await, Some(rule.id));
        assert_eq!(told.next().await, None);
    }
    server.finish().await;
}

#[tokio::test]
async fn http_16_an_event_after_the_end_fails_and_leaves_the_response() {
    let (teller, mut told) = tell();
    let server = Server::start(http(teller, async |teller, _, _, sender| {
        whole(&sender, "whole").await?;
        for event in [
            SendEvent::from(HttpResponseBody::end()),
            HttpResponseStart::ok().into(),
        ] {
            let rule = sender.send(event).await.unwrap_err().rule();
            teller.tell(rule.map(|rule| rule.id));
        }
        Ok(())
    }));
    let mut client = server.connect().await;
    for _ in 0..2 {
        client.send(get("/")).await;
        assert_eq!(client.response().await.body, "whole");
        assert_eq!(told.next().await, Some("HTTP-16"));
        assert_eq!(told.next().await, Some("HTTP-16"));
    }
    server.finish().await;
}

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
    server.finish().await;
}

/// Goes as far as the first segment of the path says, and ends as the second does.
async fn end_in_phase(
    gate: Gate,
    scope: HttpScope,
    _: Receiver,
    sender: Sender,
) -> Result<(), AppError> {
    let (phase, end) = scope.raw_path()[1..].split_once('/').unwrap();
    if phase != "waiting" {
        sender
            .send(HttpResponseStart::ok().header("x-secret", "1"))
            .await?;
    }
    if phase == "streaming" {
        sender.send(HttpResponseBody::part("begun")).await?;
        gate.passed().await;
    }
    if phase == "ended" {
        sender.send(HttpResponseBody::last("whole")).await?;
    }
    match end {
        "returns" => Ok(()),
        "fails" => Err(AppError::failed("secret")),
        "declines" => Err(AppError::Unsupported),
        _ => panic!("secret"),
    }
}

#[tokio::test]
async fn http_32_a_call_that_ends_before_sending_is_answered_500() {
    let server = Server::start(http(Gate::new(), end_in_phase));
    let mut client = server.connect().await;
    for phase in ["waiting", "started"] {
        for end in ["returns", "fails", "panics"] {
            client.send(get(&format!("/{phase}/{end}"))).await;
            assert_replaced(&mut client, 500).await;
        }
        // CORE-17
        client.send(get(&format!("/{phase}/declines"))).await;
        assert_replaced(&mut client, 501).await;
    }
    server.finish().await;
}

#[tokio::test]
async fn http_33_a_call_that_ends_while_streaming_is_cut() {
    let gate = Gate::new();
    let server = Server::start(http(gate.clone(), end_in_phase));
    for end in ["returns", "fails", "declines", "panics"] {
        let mut client = server.connect().await;
        client.send(get(&format!("/streaming/{end}"))).await;
        assert_eq!(client.head().await.status, 200);
        assert_eq!(client.chunk().await.unwrap(), "begun");
        gate.open();
        assert_eq!(client.rest().await, "", "{end}");
    }
    // The server goes on.
    assert_eq!(server.ask(get("/ended/returns")).await.body, "whole");
    server.finish().await;
}

#[tokio::test]
async fn core_15_an_end_after_the_response_harms_nothing() {
    let server = Server::start(http(Gate::new(), end_in_phase));
    let mut client = server.connect().await;
    for end in ["returns", "fails", "declines", "panics"] {
        client.send(get(&format!("/ended/{end}"))).await;
        let response = client.response().await;
        assert_eq!((response.status, response.body.as_str()), (200, "whole"));
    }
    server.finish().await;
}

#[tokio::test]
async fn core_17_an_application_that_declines_http_is_answered_501() {
    async fn nothing(_: callgate::Scope, _: Receiver, _: Sender) -> Result<(), AppError> {
        Err(AppError::Unsupported)
    }
    let server = Server::start(nothing);
    assert_eq!(server.ask(get("/")).await.status, 501);
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
    configured.headers = vec![("x-all".parse().unwrap(), "1".parse().unwrap())];
    let server = Server::with(configured, app());
    let response = server.ask(get("/")).await;
    assert_eq!(response.field("server"), Some("callgate"));
    assert!(response.field("date").unwrap().ends_with(" GMT"));
    assert_eq!(response.field("x-all"), Some("1"));
    let response = server.ask(get("/own")).await;
    assert_eq!(response.all("server"), ["mine"]);
    assert_eq!(response.all("date"), ["today"]);
    assert_eq!(response.all("x-all"), ["0"]);
    server.finish().await;

    let mut configured = config();
    configured.server_header = false;
    configured.date_header = false;
    let server = Server::with(configured, app());
    let response = server.ask(get("/")).await;
    assert_eq!(
        (response.field("server"), response.field("date")),
        (None, None)
    );
    server.finish().await;
}

#[tokio::test]
async fn core_03_sends_after_a_disconnect_fail_with_disconnected() {
    let (teller, mut told) = tell();
    let server = Server::start(http(teller, async |teller, _, mut receiver, sender| {
        content(&mut receiver).await;
        teller.tell("ready".to_owned());
        receiver.receive().await;
        // Even an event that would break a rule.
        for event in [
            SendEvent::from(HttpResponseBody::end()),
            HttpResponseStart::ok().into(),
        ] {
            teller.tell(format!("{:?}", sender.send(event).await));
        }
        Ok(())
    }));
    let mut client = server.connect().await;
    client.send(get("/")).await;
    assert_eq!(told.next().await, "ready");
    drop(client);
    assert_eq!(told.next().await, "Err(Disconnected)");
    assert_eq!(told.next().await, "Err(Disconnected)");
    server.finish().await;
}

#[tokio::test]
async fn core_07_concurrent_sends_are_delivered_whole() {
    let server = Server::start(http((), async |(), _, _, sender| {
        sender.send(HttpResponseStart::ok()).await?;
        let tasks: Vec<_> = ["a", "b", "c", "d"]
            .into_iter()
            .map(|letter| {
                let sender = sender.clone();
                tokio::spawn(async move {
                    for n in 0..100 {
                        let line = format!("{letter}{n}:{}\n", letter.repeat(500));
                        sender.send(HttpResponseBody::part(line)).await.unwrap();
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await?;
        }
        sender.send(HttpResponseBody::end()).await?;
        Ok(())
    }));
    let body = server.ask(get("/")).await.body;
    assert_eq!(body.lines().count(), 400);
    for letter in ["a", "b", "c", "d"] {
        let lines: Vec<_> = body
            .lines()
            .filter(|line| line.starts_with(letter))
            .collect();
        let expected: Vec<_> = (0..100)
            .map(|n| format!("{letter}{n}:{}", letter.repeat(500)))
            .collect();
        assert_eq!(lines, expected);
    }
    server.finish().await;
}

#[tokio::test]
async fn core_08_sends_wait_for_a_client_that_does_not_read() {
    const PART: usize = 64 << 10;
    const PARTS: usize = 2048;
    const BOUND: usize = 64 << 20;
    let (teller, mut told) = tell();
    let sent = Arc::new(AtomicUsize::new(0));
    let server = Server::start(http(
        (teller, sent.clone()),
        async |(teller, sent), _, _, sender| {
            sender.send(HttpResponseStart::ok()).await?;
            for _ in 0..PARTS {
                let mut sending =
                    std::pin::pin!(sender.send(HttpResponseBody::part("x".repeat(PART))));
                // One that is told too early only makes less of it.
                match tokio::time::timeout(Duration::from_millis(500), &mut sending).await {
                    Ok(sent) => sent?,
                    Err(_) => {
                        teller.tell(());
                        sending.await?;
                    }
                }
                sent.fetch_add(PART, Ordering::SeqCst);
            }
            teller.tell(());
            sender.send(HttpResponseBody::end()).await?;
            Ok(())
        },
    ));
    let mut client = server.connect().await;
    client.send(get("/")).await;
    told.next().await;
    let held = sent.load(Ordering::SeqCst);
    assert!(held <= BOUND, "{held} bytes were taken");
    assert_eq!(client.head().await.status, 200);
    let mut received = 0;
    while let Some(chunk) = client.chunk().await {
        received += chunk.len();
    }
    assert_eq!(received, PART * PARTS);
    server.finish().await;
}

#[tokio::test]
async fn core_09_and_14_the_future_is_dropped_when_the_grace_period_has_passed() {
    let (teller, mut told) = tell();
    let mut configured = config();
    configured.timeout_disconnect = Duration::from_millis(50);
    let server = Server::with(
        configured,
        http(teller, async |teller, scope, mut receiver, sender| {
            let _dropped = OnDrop::tell(&teller, "dropped");
            content(&mut receiver).await;
            if scope.raw_path() == "/streaming" {
                sender.send(HttpResponseStart::ok()).await?;
                sender.send(HttpResponseBody::part("x")).await?;
            }
            teller.tell("ready");
            receiver.receive().await;
            teller.tell("disconnected");
            std::future::pending::<()>().await;
            Ok(())
        }),
    );
    for target in ["/", "/streaming"] {
        let mut client = server.connect().await;
        client.send(get(target)).await;
        assert_eq!(told.next().await, "ready");
        drop(client);
        assert_eq!(told.next().await, "disconnected");
        assert_eq!(told.next().await, "dropped");
    }
    server.finish().await;
}

#[tokio::test]
async fn core_09_an_application_goes_on_after_its_client() {
    let (teller, mut told) = tell();
    let gate = Gate::new();
    let mut server = Server::start(http(
        (teller, gate.clone()),
        async |(teller, gate), _, mut receiver, _| {
            content(&mut receiver).await;
            teller.tell("ready");
            gate.passed().await;
            teller.tell("done");
            Ok(())
        },
    ));
    let mut client = server.connect().await;
    client.send(get("/")).await;
    assert_eq!(told.next().await, "ready");
    drop(client);
    server.stop();
    gate.open();
    assert_eq!(told.next().await, "done");
    server.ended().await.unwrap();
}

#[tokio::test]
async fn core_11_sends_after_the_call_has_returned_fail() {
    let (teller, mut told) = tell();
    let gate = Gate::new();
    let server = Server::start(http(
        (teller, gate.clone()),
        async |(teller, gate), _, _, sender| {
            sender.send(HttpResponseStart::ok()).await?;
            let late = sender.clone();
            tokio::spawn(async move {
                gate.passed().await;
                teller.tell(format!("{:?}", late.send(HttpResponseBody::end()).await));
            });
            Ok(())
        },
    ));
    assert_eq!(server.ask(get("/")).await.status, 500);
    gate.open();
    assert_eq!(told.next().await, "Err(Disconnected)");
    server.finish().await;
}

#[tokio::test]
async fn ext_02_an_extension_that_is_not_offered_leaves_the_exchange_usable() {
    let (teller, mut told) = tell();
    let server = Server::start(http(teller, async |teller, _, _, sender| {
        for event in [
            SendEvent::from(HttpResponseStart::ok().with_trailers()),
            callgate::HttpDebug::default().into(),
            callgate::EarlyHints::default().into(),
        ] {
            let error = sender.send(event).await.unwrap_err();
            teller.tell(matches!(error, SendError::NotOffered(_)));
        }
        whole(&sender, "usable").await
    }));
    assert_eq!(server.ask(get("/")).await.body, "usable");
    for _ in 0..3 {
        assert!(told.next().await);
    }
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
async fn ext_08_and_09_a_file_is_sent_whole_or_not_at_all() {
    let directory = tempfile::tempdir().unwrap();
    let big = "0123456789abcdef".repeat(20_000);
    std::fs::write(directory.path().join("big"), &big).unwrap();
    std::fs::write(directory.path().join("empty"), "").unwrap();
    let server = Server::start(http(
        Arc::new(directory.path().to_owned()),
        async |directory: Arc<std::path::PathBuf>, scope, _, sender| {
            let name = scope.raw_path()[1..].to_owned();
            let mut start = HttpResponseStart::ok();
            if name == "stated" {
                start = start.header("content-length", "320000");
            }
            sender.send(start).await?;
            let path = directory.join(if name == "stated" { "big" } else { &name });
            match sender.send(HttpPathSend::new(path)).await {
                Err(SendError::File { .. }) => {
                    sender.send(HttpResponseBody::last("no file")).await?;
                }
                sent => sent?,
            }
            Ok(())
        },
    ));
    let mut client = server.connect().await;
    for (target, body) in [
        ("/big", big.as_str()),
        ("/stated", &big),
        ("/empty", ""),
        ("/missing", "no file"),
        ("/.", "no file"),
    ] {
        for _ in 0..2 {
            client.send(get(target)).await;
            let response = client.response().await;
            assert_eq!(response.status, 200);
            let length = body.len().to_string();
            assert_eq!(response.field("content-length"), Some(length.as_str()));
            assert!(
                response.body == body,
                "{target}: {} bytes",
                response.body.len()
            );
        }
    }
    client.send(head("/big")).await;
    assert_eq!(client.head().await.field("content-length"), Some("320000"));
    client.send(get("/empty")).await;
    assert_eq!(client.response().await.body, "");
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
            let error = sender.send(HttpPathSend::new(path)).await.unwrap_err();
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
    server.finish().await;
}

#[tokio::test]
async fn keep_alive_serves_many_and_close_is_honoured() {
    let server = Server::start(support::says("x"));
    let mut client = server.connect().await;
    for _ in 0..50 {
        client.send(get("/")).await;
        assert_eq!(client.response().await.field("connection"), None);
    }
    client
        .send("GET / HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n")
        .await;
    assert_eq!(client.response().await.field("connection"), Some("close"));
    assert_eq!(client.rest().await, "");

    let mut client = server.connect().await;
    client
        .send("GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
        .await;
    let response = client.response().await;
    assert_eq!(response.field("connection"), Some("keep-alive"));
    client.send("GET / HTTP/1.0\r\n\r\n").await;
    assert_eq!(client.response().await.body, "x");
    assert_eq!(client.rest().await, "");
    server.finish().await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_the_keep_alive_time() {
    let mut configured = config();
    configured.timeout_keep_alive = Duration::from_millis(50);
    let server = Server::with(configured, support::says("x"));
    let mut client = server.connect().await;
    client.send(get("/")).await;
    assert_eq!(client.response().await.body, "x");
    assert_eq!(client.rest().await, "");
    server.finish().await;
}
