//! The metrics of the admin listener: exchanges over either version, WebSockets and rejected requests are
//! counted once each.

use std::net::SocketAddr;

use callgate::{AppError, Receiver, Scope, Sender};

use crate::support::frames::{FIN, TEXT, close, frame, open};
use crate::support::websocket::exclaim;
use crate::support::{Server, config, content, get, http2, post, whole, within};

async fn app(scope: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    match scope {
        Scope::Http(_) => {
            let (content, _) = content(&mut receiver).await.unwrap_or_default();
            whole(&sender, content).await
        }
        Scope::WebSocket(_) => exclaim(receiver, sender).await,
        _ => Err(AppError::Unsupported),
    }
}

/// Waits until the metrics have all of these lines.
pub(crate) async fn has_lines(server: &Server, lines: &[&str]) -> String {
    let mut missing = String::new();
    let waiting = async {
        loop {
            let response = server.ask_admin("/metrics").await;
            assert_eq!(
                response.field("content-type"),
                Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
            );
            let is_there = |line: &&str| response.body.lines().any(|it| it == *line);
            match lines.iter().find(|line| !is_there(line)) {
                None => return response.body,
                Some(line) => missing = format!("{line} in {}", response.body),
            }
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    match tokio::time::timeout(std::time::Duration::from_secs(10), waiting).await {
        Ok(text) => text,
        Err(_) => panic!("there is no {missing}"),
    }
}

#[tokio::test]
async fn each_exchange_is_counted_once_and_the_counters_add_up() {
    let config = config().admin(Some(SocketAddr::from(([127, 0, 0, 1], 0)).into()));
    let server = Server::with(config, app);
    server.started().await;
    let before = has_lines(&server, &["callgate_http_exchanges_in_flight 0"]).await;
    assert!(
        !before.contains("callgate_http_requests_total{"),
        "{before}"
    );

    let mut client = server.connect().await;
    for _ in 0..2 {
        client.send(get("/")).await;
        client.response().await;
    }
    client.send(post("/", "hello")).await;
    client.response().await;
    drop(client);
    assert_eq!(server.ask("no request\r\n\r\n").await.status, 400);
    let mut http2_client = http2::Client::connect(&server).await;
    let response = http2_client.get("/").await.unwrap();
    http2::text(response.into_body()).await.unwrap();
    drop(http2_client);

    let mut websocket = open(&server, "/chat").await;
    websocket.send(frame(FIN | TEXT, "hi")).await;
    assert_eq!(websocket.message().await, "hi!");
    has_lines(
        &server,
        &[
            "callgate_websockets_open 1",
            "callgate_http_exchanges_in_flight 1",
            "callgate_connections{state=\"websocket\"} 1",
            "callgate_websocket_messages_total{direction=\"sent\"} 0",
        ],
    )
    .await;
    websocket.send(close(1000, "")).await;
    websocket.close_frame().await;
    drop(websocket);

    let text = has_lines(
        &server,
        &[
            "callgate_http_requests_total{method=\"GET\",status=\"2xx\",version=\"1.1\"} 2",
            "callgate_http_requests_total{method=\"POST\",status=\"2xx\",version=\"1.1\"} 1",
            "callgate_http_requests_total{method=\"GET\",status=\"2xx\",version=\"2\"} 1",
            "callgate_http_requests_total{method=\"other\",status=\"4xx\",version=\"1.1\"} 1",
            "callgate_http_requests_total{method=\"WEBSOCKET\",status=\"1xx\",version=\"1.1\"} 1",
            "callgate_http_exchanges_ended_total{outcome=\"complete\"} 6",
            "callgate_http_exchanges_in_flight 0",
            "callgate_http_exchange_duration_seconds_count 5",
            "callgate_http_response_delay_seconds_count 6",
            "callgate_content_bytes_total{direction=\"received\"} 7",
            "callgate_websockets_open 0",
            "callgate_websocket_messages_total{direction=\"received\"} 1",
            "callgate_websocket_messages_total{direction=\"sent\"} 1",
            "callgate_connections_accepted_total 4",
            "callgate_connections{state=\"idle\"} 0",
            "callgate_connections{state=\"websocket\"} 0",
            "callgate_server_state{state=\"ready\"} 1",
            "# EOF",
        ],
    )
    .await;
    let requests: u64 = (text.lines())
        .filter(|line| line.starts_with("callgate_http_requests_total{"))
        .map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap())
        .sum();
    assert_eq!(requests, 6);
    within(server.finish()).await;
}
