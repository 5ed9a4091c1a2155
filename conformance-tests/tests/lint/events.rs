//! Servers whose events come in the wrong order.

use std::sync::Mutex;

use callgate::{HttpRequestBody, LifespanScope, ReceiveEvent, Scope, SendEvent, rule};

use crate::support::{
    Do, Server, accept, body, broken, close, complaints, complete, events, get, last, over, part,
    post, script, start, text, websocket,
};

/// Servers that each break a rule in what they yield: the rule, scope, events, and what the
/// application does.
fn disorderly() -> Vec<(&'static str, Scope, Vec<ReceiveEvent>, Vec<Do>)> {
    let receive = |times| vec![Do::Receive; times];
    let connect = ReceiveEvent::WebSocketConnect;
    let then = |mut steps: Vec<Do>, more: Vec<Do>| {
        steps.extend(more);
        steps
    };
    let answer = || vec![start(), body()];
    let start_up = ReceiveEvent::LifespanStartup;
    let shutdown = ReceiveEvent::LifespanShutdown;
    let shut_down = || {
        Do::Send(SendEvent::LifespanShutdownComplete(
            LifespanShutdownComplete::new(),
        ))
    };
    vec![
        (
            "CORE-01",
            get().into(),
            vec![connect.clone()],
            then(receive(1), answer()),
        ),
        (
            "CORE-01",
            LifespanScope::new().into(),
            vec![start_up.clone(), last(""), shutdown.clone()],
            vec![
                Do::Receive,
                complete(),
                Do::Receive,
                Do::Receive,
                shut_down(),
            ],
        ),
        (
            "HTTP-08",
            get().into(),
            vec![last(""), last("")],
            then(receive(2), answer()),
        ),
        (
            "HTTP-01",
            post("3").into(),
            vec![last("four")],
            then(receive(1), answer()),
        ),
        (
            "HTTP-07",
            post("30").into(),
            vec![last("four")],
            then(receive(1), answer()),
        ),
        (
            "HTTP-06",
            get().into(),
            vec![
                ReceiveEvent::HttpRequestBody(
                    HttpRequestBody::part("").trailers(http::HeaderMap::new()),
                ),
                last(""),
            ],
            then(receive(2), answer()),
        ),
        (
            "CORE-12",
            get().into(),
            vec![ReceiveEvent::HttpDisconnect, last("")],
            receive(2),
        ),
        (
            "CORE-12",
            websocket().into(),
            vec![connect.clone(), over(1001), over(1006)],
            receive(3),
        ),
        (
            "WS-01",
            websocket().into(),
            vec![text()],
            vec![accept(), Do::Receive],
        ),
        (
            "WS-01",
            websocket().into(),
            vec![connect.clone(), connect.clone()],
            vec![Do::Receive, accept(), Do::Receive],
        ),
        (
            "WS-02",
            websocket().into(),
            vec![connect.clone(), text()],
            vec![Do::Receive, Do::Receive, accept()],
        ),
        (
            "WS-24",
            websocket().into(),
            vec![connect.clone(), over(1000)],
            vec![Do::Receive, accept(), close(), Do::Receive],
        ),
        (
            "WS-24",
            websocket().into(),
            vec![connect.clone(), text()],
            vec![Do::Receive, accept(), close(), Do::Receive],
        ),
        (
            "LIFE-02",
            LifespanScope::new().into(),
            vec![start_up.clone(), start_up.clone(), shutdown.clone()],
            vec![
                Do::Receive,
                Do::Receive,
                complete(),
                Do::Receive,
                shut_down(),
            ],
        ),
        (
            "LIFE-08",
            LifespanScope::new().into(),
            vec![start_up, shutdown.clone(), shutdown],
            vec![
                Do::Receive,
                complete(),
                Do::Receive,
                Do::Receive,
                shut_down(),
            ],
        ),
    ]
}

#[tokio::test]
async fn a_server_whose_events_are_out_of_order_is_reported_for_the_rule_and_no_other() {
    for (id, scope, received, steps) in disorderly() {
        let (found, _) = complaints(script(steps), scope, events(received)).await;
        assert_eq!(found, [id]);
    }
}

#[tokio::test]
async fn a_server_that_goes_on_after_a_violation_is_reported() {
    let steps = vec![body(), Do::Receive];
    let server = Server {
        events: Mutex::new([part("")].into()),
        results: Mutex::new([broken(rule::START_FIRST)].into()),
        ..Server::default()
    };
    let (found, _) = complaints(script(steps), get(), server).await;
    assert_eq!(found, ["HTTP-14", "CORE-21"]);
}
