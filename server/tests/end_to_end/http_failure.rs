//! Calls that break a rule or fail: what the client gets in each phase.

use std::sync::Arc;

use crate::support::log::Log;
use crate::support::{Gate, Server, get, http, tell, whole};
use crate::support::{assert_replaced, start};
use callgate::rule::{self, Rule};
use callgate::{
    AppError, HttpResponseBody, HttpResponsePathSend, HttpResponseStart, HttpScope, Message,
    ReceiveEvent, Receiver, SendEvent, Sender,
};

/// What is sent, and the rule that it breaks.
type Broken = (Vec<SendEvent>, &'static Rule);

/// Serves events by their number in the path; tells the rule that the last one breaks.
async fn serve_events(
    (events, teller): (
        Arc<Vec<Broken>>,
        crate::support::Teller<Option<&'static str>>,
    ),
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
            vec![
                head(start(200)),
                HttpResponsePathSend::new("relative").into(),
            ],
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
async fn the_log_has_the_address_of_the_rule_that_was_broken() {
    let (log, _guard) = Log::capture();
    let broken = Arc::new(vec![(
        vec![HttpResponseBody::end().into()],
        rule::START_FIRST,
    )]);
    let (teller, _told) = tell();
    let server = Server::start(http((broken, teller), serve_events));
    assert_eq!(server.ask(get("/0")).await.status, 500);
    server.finish().await;
    let address = rule::START_FIRST.document_url();
    let text = log.text();
    let lines: Vec<_> = text
        .lines()
        .filter(|line| line.contains("HTTP-14"))
        .collect();
    assert!(
        matches!(lines[..], [line] if line.contains(&address)),
        "{text}"
    );
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
    drop(client);
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
    drop(client);
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
async fn http_33_what_was_sent_before_the_failure_reaches_the_client() {
    const LENGTH: usize = 4 << 20;
    let server = Server::start(http((), async |(), _, _, sender| {
        sender.send(start(200)).await?;
        let part = HttpResponseBody::part(vec![b'x'; LENGTH]);
        sender.send(part).await?;
        Err(std::io::Error::other("a failure right after the part").into())
    }));
    let mut client = server.connect().await;
    client.send(get("/")).await;
    client.head().await;
    assert_eq!(client.chunk().await.map(|chunk| chunk.len()), Some(LENGTH));
    assert_eq!(client.rest().await, "");
    drop(client);
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
    drop(client);
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
