//! `overview.md`: sending, and what it comes to.

use callgate::rule::{self, Rule};
use callgate::{
    HttpResponseBody, HttpResponseStart, Message, SendEvent, WebSocketAccept, WebSocketClose,
};

use super::steps::{
    call_over_http1, open_websocket, open_websocket_to, stream_over_http1, stream_over_http2,
    stream_to,
};
use crate::Verdict;
use crate::probe::{SentOutcome, Step};
use crate::server_suite::bench::Bench;
use crate::server_suite::case::{Asgi, Case, Outcome, case, must};
use crate::server_suite::http1::Http1;
use crate::server_suite::remote::Remote;
use crate::server_suite::request::Request;
use crate::server_suite::server::Server;
use crate::server_suite::websocket::handshake;

const VIOLATIONS: Asgi =
    Asgi::Differs("ASGI does not say what comes of a send that breaks a rule.");
const FINALITY: Asgi = Asgi::Differs("ASGI does not say what comes of sends after a broken rule.");
const CONCURRENCY: Asgi = Asgi::Differs("ASGI does not speak of sends at the same time.");
const BOUNDS: Asgi =
    Asgi::Differs("ASGI leaves it to the server whether a send waits for the client.");
const AFTERWARDS: Asgi = Asgi::Differs("ASGI does not speak of sends after the call has returned.");

pub(super) const CASES: &[Case] = &[
    case!(
        a_broken_rule_fails_the_send: SEND_VIOLATION, VIOLATIONS,
        "Sends content before `http.response.start`, and an event after the last.",
        "Each of the sends fails with the rule that it breaks."
    ),
    case!(
        what_breaks_a_rule_is_not_delivered: SEND_VIOLATION, VIOLATIONS,
        "Sends more content than `content-length` says, in a response that is streamed.",
        "The send fails with the rule, and nothing of the content reaches the client."
    ),
    case!(
        a_broken_rule_fails_the_send_over_http2: SEND_VIOLATION, VIOLATIONS,
        "Sends `http.response.start` a second time.",
        "The send fails with the rule that it breaks."
    ),
    case!(
        a_broken_rule_fails_the_send_in_a_websocket: SEND_VIOLATION, VIOLATIONS,
        "Accepts a WebSocket a second time.",
        "The send fails with the rule that it breaks."
    ),
    case!(
        sends_after_a_broken_rule: VIOLATION_IS_FINAL, FINALITY,
        "Sends content before `http.response.start`, and then a response as it should be.",
        "Every send fails with the rule that the first one broke."
    ),
    case!(
        sends_after_a_broken_rule_in_a_stream: VIOLATION_IS_FINAL, FINALITY,
        "Starts a response a second time while it is streamed, and then goes on with it.",
        "Every further send fails with the rule that was broken."
    ),
    case!(
        sends_after_a_broken_rule_over_http2: VIOLATION_IS_FINAL, FINALITY,
        "Starts a response a second time while it is streamed, and then goes on with it.",
        "Every further send fails with the rule that was broken."
    ),
    case!(
        sends_after_a_broken_rule_in_a_websocket: VIOLATION_IS_FINAL, FINALITY,
        "Sends a message before the WebSocket is accepted, and then accepts and closes it.",
        "Every send fails with the rule that the first one broke."
    ),
    case!(
        sends_at_the_same_time: CONCURRENT_SENDS, CONCURRENCY,
        "Sends parts of a response from several tasks at once.",
        "All of them arrive, each whole, in any order."
    ),
    case!(
        sends_at_the_same_time_over_http2: CONCURRENT_SENDS, CONCURRENCY,
        "Sends parts of a response from several tasks at once.",
        "All of them arrive, each whole, in any order."
    ),
    case!(
        sends_at_the_same_time_in_a_websocket: CONCURRENT_SENDS, CONCURRENCY,
        "Sends messages from several tasks at once.",
        "All of them arrive, each whole, in any order."
    ),
    case!(
        sends_one_after_the_other: CONCURRENT_SENDS, CONCURRENCY,
        "Sends parts of a response from one task, one after the other.",
        "They arrive in this order."
    ),
    case!(
        the_client_does_not_read: BACKPRESSURE, BOUNDS,
        "Streams a response to a client that reads nothing of it.",
        "Before 16 MiB have been sent, a send stays pending."
    ),
    case!(
        the_client_does_not_read_over_http2: BACKPRESSURE, BOUNDS,
        "Streams a response to a client that gives no room for it.",
        "Before 16 MiB have been sent, a send stays pending."
    ),
    case!(
        the_client_does_not_read_from_a_websocket: BACKPRESSURE, BOUNDS,
        "Sends messages to a client that reads nothing of them.",
        "Before 16 MiB have been sent, a send stays pending."
    ),
    case!(
        a_send_after_the_call: RETURN_ENDS_SENDING, AFTERWARDS,
        "Keeps the sender, returns without a response, and sends.",
        "The send fails with `SendError::Disconnected`."
    ),
    case!(
        a_send_after_the_call_and_the_response: RETURN_ENDS_SENDING, AFTERWARDS,
        "Keeps the sender, returns after a whole response, and sends.",
        "The send fails with `SendError::Disconnected`."
    ),
    case!(
        a_send_after_the_call_over_http2: RETURN_ENDS_SENDING, AFTERWARDS,
        "Keeps the sender, returns while the response is streamed, and sends.",
        "The send fails with `SendError::Disconnected`."
    ),
    case!(
        a_send_after_the_call_of_a_websocket: RETURN_ENDS_SENDING, AFTERWARDS,
        "Keeps the sender, returns from an open WebSocket, and sends.",
        "The send fails with `SendError::Disconnected`."
    ),
];

/// That a send fails with this rule.
async fn breaks(app: &mut Remote, event: impl Into<SendEvent>, rule: &Rule) -> Outcome {
    let event = event.into();
    let name = event.type_name();
    let outcome = app.try_send(event).await?;
    must!(
        outcome == SentOutcome::Violation(rule.id.into()),
        "sending `{name}` came to {outcome:?}, not to a violation of {}",
        rule.id
    );
    Ok(())
}

async fn a_broken_rule_fails_the_send(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let (_client, mut app) = call_over_http1(server, &Request::get("/")).await?;
    breaks(&mut app, HttpResponseBody::end(), rule::START_FIRST).await?;
    app.finish(Step::Return).await?;
    let (_client, mut app) = call_over_http1(server, &Request::get("/")).await?;
    app.send(HttpResponseStart::ok()).await?;
    app.send(HttpResponseBody::end()).await?;
    breaks(&mut app, HttpResponseBody::end(), rule::NOTHING_AFTER_END).await?;
    app.finish(Step::Return).await
}

async fn what_breaks_a_rule_is_not_delivered(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let (mut client, mut app) = call_over_http1(server, &Request::get("/")).await?;
    app.send(HttpResponseStart::ok().header("content-length", "9"))
        .await?;
    app.send(HttpResponseBody::part("allowed")).await?;
    let excess = HttpResponseBody::part("forbidden");
    breaks(&mut app, excess, rule::NOT_MORE_THAN_LENGTH).await?;
    app.finish(Step::Return).await?;
    server.settle().await?;
    let unread = client.unread_now().escape_ascii().to_string();
    must!(!unread.contains("allowedf"), "the client got `{unread}`");
    Ok(())
}

async fn a_broken_rule_fails_the_send_over_http2(bench: &mut Bench<'_>) -> Outcome {
    let (_client, _exchange, mut app) = stream_over_http2(bench.server().await?).await?;
    breaks(&mut app, HttpResponseStart::ok(), rule::START_ONCE).await?;
    app.finish(Step::Return).await
}

async fn a_broken_rule_fails_the_send_in_a_websocket(bench: &mut Bench<'_>) -> Outcome {
    let (_client, mut app) = open_websocket(bench.server().await?).await?;
    breaks(&mut app, WebSocketAccept::new(), rule::ACCEPT_ONCE).await?;
    app.finish(Step::Return).await
}

async fn sends_after_a_broken_rule(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let (_client, mut app) = call_over_http1(server, &Request::get("/")).await?;
    app.try_send(HttpResponseBody::end()).await?;
    breaks(&mut app, HttpResponseStart::ok(), rule::START_FIRST).await?;
    breaks(&mut app, HttpResponseBody::end(), rule::START_FIRST).await?;
    app.finish(Step::Return).await
}

async fn sends_after_a_broken_rule_in_a_stream(bench: &mut Bench<'_>) -> Outcome {
    let (_client, app) = stream_over_http1(bench.server().await?).await?;
    starts_again(app).await
}

async fn sends_after_a_broken_rule_over_http2(bench: &mut Bench<'_>) -> Outcome {
    let (_client, _exchange, app) = stream_over_http2(bench.server().await?).await?;
    starts_again(app).await
}

async fn starts_again(mut app: Remote) -> Outcome {
    app.try_send(HttpResponseStart::ok()).await?;
    breaks(&mut app, HttpResponseBody::part("more"), rule::START_ONCE).await?;
    breaks(&mut app, HttpResponseBody::end(), rule::START_ONCE).await?;
    app.finish(Step::Return).await
}

async fn sends_after_a_broken_rule_in_a_websocket(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let (_client, mut app) = call_over_http1(server, &handshake()).await?;
    app.try_send(Message::text("early")).await?;
    breaks(&mut app, WebSocketAccept::new(), rule::ACCEPT_FIRST).await?;
    breaks(&mut app, WebSocketClose::new(1000), rule::ACCEPT_FIRST).await?;
    app.finish(Step::Return).await
}

/// How many tasks send at once, and how much each.
const TASKS: u8 = 6;
const LENGTH: usize = 100;

/// What each of the tasks sends: a letter of its own, and none that the size of a chunk may have.
fn texts() -> impl Iterator<Item = String> {
    (b'p'..b'p' + TASKS).map(|letter| char::from(letter).to_string().repeat(LENGTH))
}

async fn send_at_once(app: &mut Remote, events: Vec<SendEvent>) -> Outcome {
    let step = app.begin(Step::SendAtOnce(events));
    for _ in 0..TASKS {
        // What went wrong shows in what arrives.
        app.sent(Some(step)).await?;
    }
    Ok(())
}

/// That these are what the tasks sent, each whole, in any order.
fn are_whole(content: &[u8]) -> Outcome {
    let mut whole: Vec<_> = content.chunks(LENGTH).collect();
    whole.sort_unstable();
    must!(
        whole
            .into_iter()
            .eq(texts().collect::<Vec<_>>().iter().map(String::as_bytes)),
        "there arrived `{}`",
        content.escape_ascii()
    );
    Ok(())
}

async fn sends_at_the_same_time(bench: &mut Bench<'_>) -> Outcome {
    let (mut client, mut app) = stream_over_http1(bench.server().await?).await?;
    let parts = texts().map(|text| HttpResponseBody::part(text).into());
    send_at_once(&mut app, parts.collect()).await?;
    app.send(HttpResponseBody::last(END)).await?;
    app.finish(Step::Return).await?;
    are_whole(&content(&mut client).await?)
}

/// The last of a content.
const END: &str = "END.";

/// The texts in a content, however it is framed.
async fn content(client: &mut Http1) -> Outcome<Vec<u8>> {
    client.head().await?;
    let framed = client.through(END.as_bytes(), "the content").await?;
    let is_of_text = |octet: &u8| (b'p'..b'p' + TASKS).contains(octet);
    Ok(framed.into_iter().filter(is_of_text).collect())
}

async fn sends_at_the_same_time_over_http2(bench: &mut Bench<'_>) -> Outcome {
    let (_client, exchange, mut app) = stream_over_http2(bench.server().await?).await?;
    let parts = texts().map(|text| HttpResponseBody::part(text).into());
    send_at_once(&mut app, parts.collect()).await?;
    app.send(HttpResponseBody::end()).await?;
    app.finish(Step::Return).await?;
    are_whole(&exchange.head().await?.whole().await?.body)
}

async fn sends_at_the_same_time_in_a_websocket(bench: &mut Bench<'_>) -> Outcome {
    let (mut client, mut app) = open_websocket(bench.server().await?).await?;
    let messages = texts().map(|text| Message::text(text).into());
    send_at_once(&mut app, messages.collect()).await?;
    app.send(WebSocketClose::new(1000)).await?;
    client.head().await?;
    let mut content = Vec::new();
    for _ in 0..TASKS {
        // A text of one frame, whose length has one octet.
        let head = client.exactly(2).await?;
        must!(
            head[..] == [0x81, LENGTH as u8],
            "the head of a message is `{}`",
            head.escape_ascii()
        );
        content.extend_from_slice(&client.exactly(LENGTH).await?);
    }
    app.finish(Step::Return).await?;
    are_whole(&content)
}

async fn sends_one_after_the_other(bench: &mut Bench<'_>) -> Outcome {
    let (mut client, mut app) = stream_over_http1(bench.server().await?).await?;
    for text in texts() {
        app.send(HttpResponseBody::part(text)).await?;
    }
    app.send(HttpResponseBody::last(END)).await?;
    app.finish(Step::Return).await?;
    let content = content(&mut client).await?;
    must!(
        content == texts().collect::<String>().into_bytes(),
        "there arrived `{}`",
        content.escape_ascii()
    );
    Ok(())
}

/// The most that a server and the system may hold of one exchange, and what is sent at once, in
/// bytes.
const BOUND: usize = 16 << 20;
const PART: usize = 256 << 10;
/// How often a pending send is given time to go on after all.
const ROUNDS: usize = 5;

/// That a send stays pending before all that a server may hold has been sent.
async fn stays_pending(
    server: &mut Server,
    app: &mut Remote,
    part: impl Into<SendEvent>,
) -> Outcome {
    let part = part.into();
    for _ in 0..BOUND / PART {
        let step = app.begin(Step::Send(part.clone()));
        let mut rounds = 0;
        while app.is_pending(step).await? {
            if rounds == ROUNDS {
                return Ok(());
            }
            rounds += 1;
            server.settle().await?;
        }
        let outcome = app.sent(Some(step)).await?;
        must!(
            outcome == SentOutcome::Delivered,
            "a send came to {outcome:?}"
        );
    }
    Err(Verdict::failed(format!(
        "{BOUND} bytes were taken that nobody reads"
    )))
}

async fn the_client_does_not_read(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let client = server.connect_narrow().await?;
    let (client, mut app) = stream_to(client, server).await?;
    stays_pending(server, &mut app, HttpResponseBody::part(vec![b'x'; PART])).await?;
    client.reset();
    app.finish(Step::Return).await
}

async fn the_client_does_not_read_over_http2(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let (_client, _exchange, mut app) = stream_over_http2(server).await?;
    stays_pending(server, &mut app, HttpResponseBody::part(vec![b'x'; PART])).await?;
    app.finish(Step::Return).await
}

async fn the_client_does_not_read_from_a_websocket(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let client = server.connect_narrow().await?;
    let (client, mut app) = open_websocket_to(client, server).await?;
    stays_pending(server, &mut app, Message::text("x".repeat(PART))).await?;
    client.reset();
    app.finish(Step::Return).await
}

async fn a_send_after_the_call(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let (_client, app) = call_over_http1(server, &Request::get("/")).await?;
    sends_too_late(server, app, HttpResponseStart::ok()).await
}

async fn a_send_after_the_call_and_the_response(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let (_client, mut app) = call_over_http1(server, &Request::get("/")).await?;
    app.send(HttpResponseStart::ok()).await?;
    app.send(HttpResponseBody::end()).await?;
    sends_too_late(server, app, HttpResponseBody::end()).await
}

async fn a_send_after_the_call_over_http2(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let (_client, _exchange, app) = stream_over_http2(server).await?;
    sends_too_late(server, app, HttpResponseBody::end()).await
}

async fn a_send_after_the_call_of_a_websocket(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let (_client, app) = open_websocket(server).await?;
    sends_too_late(server, app, Message::text("late")).await
}

/// That a send fails when the call has returned.
async fn sends_too_late(
    server: &mut Server,
    mut app: Remote,
    event: impl Into<SendEvent>,
) -> Outcome {
    app.act(Step::KeepSender).await?;
    app.end(Step::Return).await?;
    // The probe tells of its end just before it returns.
    server.settle().await?;
    let outcome = app.try_send(event).await?;
    must!(
        outcome == SentOutcome::Disconnected,
        "the send came to {outcome:?}"
    );
    Ok(())
}
