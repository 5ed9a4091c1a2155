//! What is kept, and what is not.

use std::sync::Arc;
use std::time::Duration;

use callgate::{
    AppError, HttpResponseBody, HttpResponseStart, LifespanShutdownComplete,
    LifespanStartupComplete, Message, ReceiveEvent, Receiver, Scope, Sender, State,
    WebSocketAccept, rule,
};
use callgate_conformance::CallEnd;
use callgate_inspector::{Bounds, EntryKind, ExchangeKind, Inspector};
use callgate_toolkit::test_client::{Error, TestClient};
use callgate_toolkit::websocket::WebSocketUpgrade;
use http::StatusCode;

use crate::{echo, last, names, post, strong_count};

#[tokio::test]
async fn nothing_is_kept_while_nobody_looks() -> Result<(), Error> {
    let inspector = Inspector::new();
    let client = TestClient::new(inspector.inspect(echo));
    post(&client, "before").await?;
    let watch = inspector.watch();
    post(&client, "while").await?;
    drop(watch);
    post(&client, "after").await?;

    let exchange = last(&inspector);
    assert_eq!(exchange.summary.number, 1);
    let received = exchange.lines().find_map(|line| line.received.clone());
    let Some(ReceiveEvent::HttpRequestBody(request)) = received else {
        panic!("{exchange:?}");
    };
    assert_eq!(request.body, "while");
    Ok(())
}

#[tokio::test]
async fn an_exchange_is_kept_as_its_messages() -> Result<(), Error> {
    let inspector = Inspector::new();
    let _watch = inspector.watch();
    let client = TestClient::new(inspector.inspect(echo));
    post(&client, "hello").await?;

    let exchange = last(&inspector);
    assert_eq!(
        names(&exchange),
        [
            "called http",
            "received http.request",
            "sent http.response.start",
            "sent http.response.body",
            "ended Returned"
        ]
    );
    let summary = &exchange.summary;
    assert_eq!(summary.kind, ExchangeKind::Http);
    assert_eq!(summary.method.as_ref().unwrap(), "POST");
    assert_eq!(summary.target, "/");
    assert_eq!(summary.status, Some(200));
    assert_eq!(summary.end, Some(CallEnd::Returned));
    assert_eq!(summary.events, 3);
    assert_eq!(summary.violations, 0);
    assert!(summary.duration.is_some());
    assert!(exchange.entries.is_sorted_by_key(|entry| entry.at));
    Ok(())
}

#[tokio::test]
async fn credentials_are_masked() -> Result<(), Error> {
    let inspector = Inspector::new();
    let _watch = inspector.watch();
    let client = TestClient::new(inspector.inspect(echo));
    client
        .get("/")
        .header("authorization", "Bearer secret")
        .send()
        .await?;
    let text = format!("{:?}", last(&inspector));
    assert!(!text.contains("secret"), "{text}");
    assert_eq!(text.matches("<masked>").count(), 2, "{text}");
    Ok(())
}

#[tokio::test]
async fn a_broken_rule_is_an_entry_where_it_was_broken() -> Result<(), Error> {
    async fn broken(_: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
        let start = HttpResponseStart::new(StatusCode::CREATED);
        sender.send(start.clone()).await?;
        let _ = sender.send(start).await;
        sender.send(HttpResponseBody::end()).await?;
        Ok(())
    }
    let inspector = Inspector::new();
    let _watch = inspector.watch();
    let client = TestClient::new(inspector.inspect(broken)).allow_violations(true);
    client.get("/").send().await?;

    let exchange = last(&inspector);
    assert_eq!(exchange.summary.violations, 1);
    let broken = exchange.entries.iter().position(|entry| match &entry.kind {
        EntryKind::Broken(violation) => violation.rule == rule::START_ONCE,
        _ => false,
    });
    // After the call and the two heads.
    assert_eq!(broken, Some(3));
    Ok(())
}

#[tokio::test]
async fn a_send_that_waits_for_the_client_says_how_long() -> Result<(), Error> {
    async fn flood(_: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
        sender.send(HttpResponseStart::ok()).await?;
        for _ in 0..8 {
            sender
                .send(HttpResponseBody::part(vec![0; 64 * 1024]))
                .await?;
        }
        sender.send(HttpResponseBody::end()).await?;
        Ok(())
    }
    let inspector = Inspector::new();
    let _watch = inspector.watch();
    let client = TestClient::new(inspector.inspect(flood));
    let mut response = client.get("/").stream().await?;
    let delay = Duration::from_millis(20);
    tokio::time::sleep(delay).await;
    response.body_mut().rest().await?;

    let exchange = last(&inspector);
    let waits = exchange.entries.iter().map(|entry| match &entry.kind {
        EntryKind::Line { waited, .. } => *waited,
        other => panic!("{other:?}"),
    });
    let longest = waits.max().unwrap();
    assert!(longest >= delay, "{longest:?}");
    Ok(())
}

#[tokio::test]
async fn the_oldest_exchanges_that_have_ended_go_first() -> Result<(), Error> {
    async fn socket(scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        match scope {
            Scope::WebSocket(scope) => {
                let upgrade = WebSocketUpgrade::new(&scope, receiver, sender);
                let mut socket = upgrade.accept(WebSocketAccept::new()).await?;
                while socket.receive().await.is_some() {}
                Ok(())
            }
            scope => echo(scope, receiver, sender).await,
        }
    }
    let inspector = Inspector::with_bounds(Bounds::default().exchanges(3));
    let mut watch = inspector.watch();
    let client = TestClient::new(inspector.inspect(socket));
    let socket = client.websocket("/").connect().await?;
    for _ in 0..4 {
        post(&client, "x").await?;
    }
    let changes = watch.next().await;
    let kept: Vec<_> = changes.summaries.iter().map(|it| it.number).collect();
    assert_eq!(kept, [1, 4, 5]);
    assert_eq!(changes.missed, 2);
    drop(socket);
    Ok(())
}

#[tokio::test]
async fn a_long_exchange_keeps_its_beginning_and_its_latest_events() -> Result<(), Error> {
    async fn count(scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        let scope = scope.into_websocket()?;
        let upgrade = WebSocketUpgrade::new(&scope, receiver, sender);
        let socket = upgrade.accept(WebSocketAccept::new()).await?;
        for number in 0..1000 {
            socket.send(Message::text(number.to_string())).await?;
        }
        Ok(())
    }
    let bounds = Bounds::default().exchange(64 * 1024);
    let inspector = Inspector::with_bounds(bounds);
    let _watch = inspector.watch();
    let client = TestClient::new(inspector.inspect(count));
    let mut socket = client.websocket("/").connect().await?;
    while socket.receive().await.is_ok() {}

    let exchange = last(&inspector);
    assert_eq!(exchange.summary.events, 1001);
    assert!(exchange.left_out > 0);
    assert!(!exchange.is_whole());
    // The call, the acceptance, a thousand messages, the end.
    assert_eq!(exchange.entries.len() as u64 + exchange.left_out, 1003);
    let lines: Vec<_> = exchange.lines().collect();
    assert!(lines[0].called.is_some());
    assert!(lines.last().unwrap().ended.is_some());
    let text = |index: usize| format!("{:?}", lines[index].sent);
    assert!(text(2).contains("\"0\""), "{}", text(2));
    assert!(text(lines.len() - 2).contains("\"999\""));
    Ok(())
}

#[tokio::test]
async fn all_exchanges_together_are_bounded() -> Result<(), Error> {
    let bounds = Bounds::default().total(100 * 1024);
    let inspector = Inspector::with_bounds(bounds);
    let mut watch = inspector.watch();
    let client = TestClient::new(inspector.inspect(echo));
    for _ in 0..10 {
        post(&client, &"x".repeat(20 * 1024)).await?;
    }
    let changes = watch.next().await;
    // Each has its content twice.
    assert_eq!(changes.summaries.len(), 2);
    assert_eq!(changes.missed, 8);
    Ok(())
}

#[tokio::test]
async fn what_is_cleared_is_gone_and_not_missed() -> Result<(), Error> {
    let inspector = Inspector::new();
    let mut watch = inspector.watch();
    let client = TestClient::new(inspector.inspect(echo));
    post(&client, "x").await?;
    assert_eq!(watch.next().await.summaries.len(), 1);
    post(&client, "x").await?;
    inspector.clear();
    post(&client, "x").await?;

    let changes = watch.next().await;
    assert!(changes.is_cleared);
    assert_eq!(changes.summaries[0].number, 3);
    assert_eq!((changes.summaries.len(), changes.missed), (1, 0));
    assert!(inspector.exchange(1).is_none());
    Ok(())
}

#[tokio::test]
async fn a_lifespan_is_kept_and_its_state_is_not() -> Result<(), Error> {
    struct Pool {
        _connection: Arc<()>,
    }
    let pool = Arc::new(());
    let given = pool.clone();
    let app = move |scope: Scope, mut receiver: Receiver, sender: Sender| {
        let given = given.clone();
        async move {
            if matches!(scope, Scope::Http(_)) {
                return echo(scope, receiver, sender).await;
            }
            receiver.receive().await;
            let mut state = State::new();
            state.insert(Pool { _connection: given });
            sender
                .send(LifespanStartupComplete::with_state(state))
                .await?;
            receiver.receive().await;
            sender.send(LifespanShutdownComplete::new()).await?;
            Ok(())
        }
    };
    let inspector = Inspector::new();
    let inspected = Arc::new(inspector.inspect(app));
    let client = TestClient::start(inspected.clone()).await?;
    let watch = inspector.watch();
    post(&client, "x").await?;
    // The test, the application and the state of the server, which the inspector shares.
    assert_eq!(strong_count(&pool), 3);
    client.shutdown().await?;
    drop(watch);
    assert_eq!(strong_count(&pool), 2, "the state is let go");
    drop(inspected);

    let lifespan = inspector.exchange(1).unwrap();
    assert_eq!(
        names(&lifespan),
        [
            "called lifespan",
            "received lifespan.startup",
            "sent lifespan.startup.complete",
            "received lifespan.shutdown",
            "sent lifespan.shutdown.complete",
            "ended Returned"
        ]
    );
    Ok(())
}
