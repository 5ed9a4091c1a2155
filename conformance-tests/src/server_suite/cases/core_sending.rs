//! `overview.md`: sending, and the results of sends.

use callgate::rule::{self, Rule};
use callgate::{
    HttpResponseBody, HttpResponseStart, Message, SendEvent, WebSocketAccept, WebSocketClose,
};

use super::steps::{
    call_over, call_over_http1, open_websocket, open_websocket_to, stream_over, stream_over_http1,
    stream_over_http2, stream_to,
};
use crate::Verdict;
use crate::basis::Basis;
use crate::probe::{SendOutcome, Step};
use crate::server_suite::case::{Case, HTTP1, HTTP1_AND_HTTP2, HTTP2, steps};
use crate::server_suite::client_exchange::Transport;
use crate::server_suite::probe_call::ProbeCall;
use crate::server_suite::request::Request;
use crate::server_suite::result::{CaseResult, must};
use crate::server_suite::server::Server;
use crate::server_suite::websocket::handshake;

pub(super) const CASES: &[&[Case]] = &[
    SEND_VIOLATION,
    VIOLATION_IS_FINAL,
    CONCURRENT_SENDS,
    BACKPRESSURE,
    RETURN_ENDS_SENDING,
];

const SEND_VIOLATION_BASIS: Basis =
    Basis::CallgateOnly("ASGI does not say what a send out of order results in");

const SEND_VIOLATION: &[Case] = &[
    Case {
        rule: rule::SEND_VIOLATION,
        name: "a_broken_rule_fails_the_send",
        transports: HTTP1_AND_HTTP2,
        does: "Sends content before `http.response.start`, a second `http.response.start`, and an event after the last.",
        must: "Each of the sends fails with the rule that it breaks.",
        basis: SEND_VIOLATION_BASIS,
        steps: steps!(async |fixture, transport| {
            let server = fixture.server().await?;
            let (_client, mut app) = call_over(transport, server, &Request::get("/")).await?;
            expect_violation(&mut app, HttpResponseBody::end(), rule::START_FIRST).await?;
            app.finish(Step::Return).await?;
            let (_client, mut app) = call_over(transport, server, &Request::get("/")).await?;
            app.send(HttpResponseStart::ok()).await?;
            app.send(HttpResponseBody::part("")).await?;
            expect_violation(&mut app, HttpResponseStart::ok(), rule::START_ONCE).await?;
            app.finish(Step::Return).await?;
            let (_client, mut app) = call_over(transport, server, &Request::get("/")).await?;
            app.send(HttpResponseStart::ok()).await?;
            app.send(HttpResponseBody::end()).await?;
            expect_violation(&mut app, HttpResponseBody::end(), rule::NOTHING_AFTER_END).await?;
            app.finish(Step::Return).await
        }),
    },
    Case {
        rule: rule::SEND_VIOLATION,
        name: "what_breaks_a_rule_is_not_delivered",
        transports: HTTP1,
        does: "Sends more content than `content-length` says, in a response that is streamed.",
        must: "The send fails with the rule, and nothing of the content reaches the client.",
        basis: SEND_VIOLATION_BASIS,
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            let (mut client, mut app) = call_over_http1(server, &Request::get("/")).await?;
            app.send(HttpResponseStart::ok().header("content-length", "9"))
                .await?;
            app.send(HttpResponseBody::part("allowed")).await?;
            let excess = HttpResponseBody::part("forbidden");
            expect_violation(&mut app, excess, rule::NOT_MORE_THAN_LENGTH).await?;
            app.finish(Step::Return).await?;
            server.settle().await?;
            let unread = client.unread_now().escape_ascii().to_string();
            must!(!unread.contains("allowedf"), "the client got `{unread}`");
            Ok(())
        }),
    },
    Case {
        rule: rule::SEND_VIOLATION,
        name: "a_broken_rule_fails_the_send_in_a_websocket",
        transports: HTTP1,
        does: "Accepts a WebSocket a second time.",
        must: "The send fails with the rule that it breaks.",
        basis: SEND_VIOLATION_BASIS,
        steps: steps!(async |fixture| {
            let (_client, mut app) = open_websocket(fixture.server().await?).await?;
            expect_violation(&mut app, WebSocketAccept::new(), rule::ACCEPT_ONCE).await?;
            app.finish(Step::Return).await
        }),
    },
];

/// Checks that a send fails with this rule.
async fn expect_violation(
    app: &mut ProbeCall,
    event: impl Into<SendEvent>,
    rule: &Rule,
) -> CaseResult {
    let event = event.into();
    let name = event.type_name();
    let outcome = app.try_send(event).await?;
    must!(
        outcome == SendOutcome::Violation(rule.id.into()),
        "sending `{name}` resulted in {outcome:?}, not to a violation of {}",
        rule.id
    );
    Ok(())
}

/// The number of tasks that send at once, and the length of their texts.
const TASKS: u8 = 6;

const LENGTH: usize = 100;

/// Returns the texts that the tasks send, each of one letter.
fn texts() -> impl Iterator<Item = String> {
    (b'p'..b'p' + TASKS).map(|letter| char::from(letter).to_string().repeat(LENGTH))
}

const VIOLATION_IS_FINAL_BASIS: Basis =
    Basis::CallgateOnly("ASGI does not speak of sends after one that was out of order");

const VIOLATION_IS_FINAL: &[Case] = &[
    Case {
        rule: rule::VIOLATION_IS_FINAL,
        name: "sends_after_a_broken_rule",
        transports: HTTP1,
        does: "Sends content before `http.response.start`, and then a response as it should be.",
        must: "Every send fails with the rule that the first one broke.",
        basis: VIOLATION_IS_FINAL_BASIS,
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            let (_client, mut app) = call_over_http1(server, &Request::get("/")).await?;
            app.try_send(HttpResponseBody::end()).await?;
            expect_violation(&mut app, HttpResponseStart::ok(), rule::START_FIRST).await?;
            expect_violation(&mut app, HttpResponseBody::end(), rule::START_FIRST).await?;
            app.finish(Step::Return).await
        }),
    },
    Case {
        rule: rule::VIOLATION_IS_FINAL,
        name: "sends_after_a_broken_rule_in_a_stream",
        transports: HTTP1,
        does: "Starts a response a second time while it is streamed, and then goes on with it.",
        must: "Every further send fails with the rule that was broken.",
        basis: VIOLATION_IS_FINAL_BASIS,
        steps: steps!(async |fixture| {
            let (_client, app) = stream_over_http1(fixture.server().await?).await?;
            expect_violations_after_second_start(app).await
        }),
    },
    Case {
        rule: rule::VIOLATION_IS_FINAL,
        name: "sends_after_a_broken_rule",
        transports: HTTP2,
        does: "Starts a response a second time while it is streamed, and then goes on with it.",
        must: "Every further send fails with the rule that was broken.",
        basis: VIOLATION_IS_FINAL_BASIS,
        steps: steps!(async |fixture| {
            let (_client, _exchange, app) = stream_over_http2(fixture.server().await?).await?;
            expect_violations_after_second_start(app).await
        }),
    },
    Case {
        rule: rule::VIOLATION_IS_FINAL,
        name: "sends_after_a_broken_rule_in_a_websocket",
        transports: HTTP1,
        does: "Sends a message before the WebSocket is accepted, and then accepts and closes it.",
        must: "Every send fails with the rule that the first one broke.",
        basis: VIOLATION_IS_FINAL_BASIS,
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            let (_client, mut app) = call_over_http1(server, &handshake()).await?;
            app.try_send(Message::text("early")).await?;
            expect_violation(&mut app, WebSocketAccept::new(), rule::ACCEPT_FIRST).await?;
            expect_violation(&mut app, WebSocketClose::new(1000), rule::ACCEPT_FIRST).await?;
            app.finish(Step::Return).await
        }),
    },
];

async fn expect_violations_after_second_start(mut app: ProbeCall) -> CaseResult {
    app.try_send(HttpResponseStart::ok()).await?;
    expect_violation(&mut app, HttpResponseBody::part("more"), rule::START_ONCE).await?;
    expect_violation(&mut app, HttpResponseBody::end(), rule::START_ONCE).await?;
    app.finish(Step::Return).await
}

const CONCURRENT_SENDS_BASIS: Basis =
    Basis::CallgateOnly("ASGI does not speak of concurrent sends");

const CONCURRENT_SENDS: &[Case] = &[
    Case {
        rule: rule::CONCURRENT_SENDS,
        name: "sends_at_the_same_time",
        transports: HTTP1_AND_HTTP2,
        does: "Sends parts of a response from several tasks at once.",
        must: "All of them arrive, each whole, in any order.",
        basis: CONCURRENT_SENDS_BASIS,
        steps: steps!(async |fixture, transport| {
            let server = fixture.server().await?;
            let (mut exchange, mut app) = stream_over(transport, server).await?;
            let parts = texts().map(|text| HttpResponseBody::part(text).into());
            send_at_once(&mut app, parts.collect()).await?;
            app.send(HttpResponseBody::end()).await?;
            app.finish(Step::Return).await?;
            exchange.head().await?;
            let (content, _) = exchange.end().await?;
            expect_whole_texts(&content)
        }),
    },
    Case {
        rule: rule::CONCURRENT_SENDS,
        name: "sends_at_the_same_time_in_a_websocket",
        transports: HTTP1,
        does: "Sends messages from several tasks at once.",
        must: "All of them arrive, each whole, in any order.",
        basis: CONCURRENT_SENDS_BASIS,
        steps: steps!(async |fixture| {
            let (mut client, mut app) = open_websocket(fixture.server().await?).await?;
            let messages = texts().map(|text| Message::text(text).into());
            send_at_once(&mut app, messages.collect()).await?;
            app.send(WebSocketClose::new(1000)).await?;
            client.head().await?;
            let mut content = Vec::new();
            for _ in 0..TASKS {
                // A text of one frame, whose length has one octet.
                let head = client.read_exactly(2).await?;
                must!(
                    head[..] == [0x81, LENGTH as u8],
                    "the head of a message is `{}`",
                    head.escape_ascii()
                );
                content.extend_from_slice(&client.read_exactly(LENGTH).await?);
            }
            app.finish(Step::Return).await?;
            expect_whole_texts(&content)
        }),
    },
    Case {
        rule: rule::CONCURRENT_SENDS,
        name: "sends_one_after_the_other",
        transports: HTTP1,
        does: "Sends parts of a response from one task, one after the other.",
        must: "They arrive in this order.",
        basis: CONCURRENT_SENDS_BASIS,
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            let (mut exchange, mut app) = stream_over(Transport::Http1, server).await?;
            for text in texts() {
                app.send(HttpResponseBody::part(text)).await?;
            }
            app.send(HttpResponseBody::end()).await?;
            app.finish(Step::Return).await?;
            exchange.head().await?;
            let (content, _) = exchange.end().await?;
            must!(
                content == texts().collect::<String>().into_bytes(),
                "there arrived `{}`",
                content.escape_ascii()
            );
            Ok(())
        }),
    },
];

async fn send_at_once(app: &mut ProbeCall, events: Vec<SendEvent>) -> CaseResult {
    let step = app.begin(Step::SendAtOnce(events));
    for _ in 0..TASKS {
        // A failed send shows in the content that arrives.
        app.sent(Some(step)).await?;
    }
    Ok(())
}

/// Checks that the content is the texts of all tasks, each whole, in any order.
fn expect_whole_texts(content: &[u8]) -> CaseResult {
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

const BACKPRESSURE_BASIS: Basis =
    Basis::CallgateOnly("ASGI leaves it to the server whether a send waits for the client");

const BACKPRESSURE: &[Case] = &[
    Case {
        rule: rule::BACKPRESSURE,
        name: "the_client_does_not_read",
        transports: HTTP1,
        does: "Streams a response to a client that reads nothing of it.",
        must: "Before 16 MiB have been sent, a send stays pending.",
        basis: BACKPRESSURE_BASIS,
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            let client = server.connect_with_small_buffer().await?;
            let (client, mut app) = stream_to(client, server).await?;
            expect_pending_send(server, &mut app, HttpResponseBody::part(vec![b'x'; PART])).await?;
            client.reset();
            app.finish(Step::Return).await
        }),
    },
    Case {
        rule: rule::BACKPRESSURE,
        name: "the_client_does_not_read",
        transports: HTTP2,
        does: "Streams a response to a client that does not widen its flow-control window.",
        must: "Before 16 MiB have been sent, a send stays pending.",
        basis: BACKPRESSURE_BASIS,
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            let (_client, _exchange, mut app) = stream_over_http2(server).await?;
            expect_pending_send(server, &mut app, HttpResponseBody::part(vec![b'x'; PART])).await?;
            app.finish(Step::Return).await
        }),
    },
    Case {
        rule: rule::BACKPRESSURE,
        name: "the_client_does_not_read_from_a_websocket",
        transports: HTTP1,
        does: "Sends messages to a client that reads nothing of them.",
        must: "Before 16 MiB have been sent, a send stays pending.",
        basis: BACKPRESSURE_BASIS,
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            let client = server.connect_with_small_buffer().await?;
            let (client, mut app) = open_websocket_to(client, server).await?;
            expect_pending_send(server, &mut app, Message::text("x".repeat(PART))).await?;
            client.reset();
            app.finish(Step::Return).await
        }),
    },
];

/// The most that a server and the system may buffer of one exchange, and the size of a part, in bytes.
const BOUND: usize = 16 << 20;

const PART: usize = 256 << 10;

/// The number of times that the server is given time to take a pending send.
const ROUNDS: usize = 5;

/// Checks that a send stays pending before more has been sent than a server may buffer.
async fn expect_pending_send(
    server: &mut Server,
    app: &mut ProbeCall,
    part: impl Into<SendEvent>,
) -> CaseResult {
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
            outcome == SendOutcome::Delivered,
            "a send resulted in {outcome:?}"
        );
    }
    Err(Verdict::failed(format!(
        "the server took {BOUND} bytes that the client does not read"
    )))
}

const RETURN_ENDS_SENDING_BASIS: Basis =
    Basis::CallgateOnly("ASGI does not speak of sends after the call has returned");

const RETURN_ENDS_SENDING: &[Case] = &[
    Case {
        rule: rule::RETURN_ENDS_SENDING,
        name: "a_send_after_the_call",
        transports: HTTP1,
        does: "Keeps the sender, returns without a response, and sends.",
        must: "The send fails with `SendError::Disconnected`.",
        basis: RETURN_ENDS_SENDING_BASIS,
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            let (_client, app) = call_over_http1(server, &Request::get("/")).await?;
            expect_late_send_to_fail(server, app, HttpResponseStart::ok()).await
        }),
    },
    Case {
        rule: rule::RETURN_ENDS_SENDING,
        name: "a_send_after_the_call_and_the_response",
        transports: HTTP1,
        does: "Keeps the sender, returns after a whole response, and sends.",
        must: "The send fails with `SendError::Disconnected`.",
        basis: RETURN_ENDS_SENDING_BASIS,
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            let (_client, mut app) = call_over_http1(server, &Request::get("/")).await?;
            app.send(HttpResponseStart::ok()).await?;
            app.send(HttpResponseBody::end()).await?;
            expect_late_send_to_fail(server, app, HttpResponseBody::end()).await
        }),
    },
    Case {
        rule: rule::RETURN_ENDS_SENDING,
        name: "a_send_after_the_call",
        transports: HTTP2,
        does: "Keeps the sender, returns while the response is streamed, and sends.",
        must: "The send fails with `SendError::Disconnected`.",
        basis: RETURN_ENDS_SENDING_BASIS,
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            let (_client, _exchange, app) = stream_over_http2(server).await?;
            expect_late_send_to_fail(server, app, HttpResponseBody::end()).await
        }),
    },
    Case {
        rule: rule::RETURN_ENDS_SENDING,
        name: "a_send_after_the_call_of_a_websocket",
        transports: HTTP1,
        does: "Keeps the sender, returns from an open WebSocket, and sends.",
        must: "The send fails with `SendError::Disconnected`.",
        basis: RETURN_ENDS_SENDING_BASIS,
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            let (_client, app) = open_websocket(server).await?;
            expect_late_send_to_fail(server, app, Message::text("late")).await
        }),
    },
];

/// Checks that a send fails when the call has returned.
async fn expect_late_send_to_fail(
    server: &mut Server,
    mut app: ProbeCall,
    event: impl Into<SendEvent>,
) -> CaseResult {
    app.act(Step::KeepSender).await?;
    app.end(Step::Return).await?;
    // The probe sends the message of its end just before it returns.
    server.settle().await?;
    let outcome = app.try_send(event).await?;
    must!(
        outcome == SendOutcome::Disconnected,
        "the send resulted in {outcome:?}"
    );
    Ok(())
}
