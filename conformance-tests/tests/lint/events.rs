//! Servers that yield events in the wrong order.

use std::sync::Mutex;

use callgate::{
    Feature, HttpRequestBody, LifespanScope, LifespanShutdownComplete, ReceiveEvent, Scope,
    SendEvent, rule,
};

use crate::support::{
    Do, Server, accept, body, broken, close, complete, events, get, get_with, last, over, part,
    post, reported_rules, script, start, text, websocket,
};

/// Returns servers that yield events in the wrong order: the broken rule, the scope, the events and
/// the steps of the application.
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
            "EXT-18",
            get().into(),
            vec![last(""), ReceiveEvent::HttpShutdown],
            then(receive(2), answer()),
        ),
        (
            "EXT-18",
            get_with([Feature::Shutdown]).into(),
            vec![part(""), ReceiveEvent::HttpShutdown, last("")],
            then(receive(3), answer()),
        ),
        (
            "EXT-18",
            get_with([Feature::Shutdown]).into(),
            vec![
                last(""),
                ReceiveEvent::HttpShutdown,
                ReceiveEvent::HttpShutdown,
            ],
            then(receive(3), answer()),
        ),
        (
            "EXT-18",
            get_with([Feature::Shutdown]).into(),
            vec![
                last(""),
                ReceiveEvent::HttpDisconnect,
                ReceiveEvent::HttpShutdown,
            ],
            receive(3),
        ),
        (
            "HTTP-08",
            get_with([Feature::Shutdown]).into(),
            vec![last(""), ReceiveEvent::HttpShutdown],
            then(receive(1), then(answer(), receive(1))),
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
        let (found, _) = reported_rules(script(steps), scope, events(received)).await;
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
    let (found, _) = reported_rules(script(steps), get(), server).await;
    assert_eq!(found, ["HTTP-14", "CORE-21"]);
}

#[tokio::test]
async fn a_shutdown_after_the_content_and_before_the_disconnect_breaks_no_rule() {
    let received = vec![
        last(""),
        ReceiveEvent::HttpShutdown,
        ReceiveEvent::HttpDisconnect,
        ReceiveEvent::HttpDisconnect,
    ];
    let steps = vec![Do::Receive, start(), Do::Receive, Do::Receive, Do::Receive];
    let scope = get_with([Feature::Shutdown]);
    let (found, _) = reported_rules(script(steps), scope, events(received)).await;
    assert_eq!(found, [""; 0]);
}
