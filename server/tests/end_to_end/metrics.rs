//! The metrics of the admin listener: exchanges over either version, WebSockets and rejected requests are
//! counted once each.

use std::future::pending;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use callgate::{AppError, HttpResponseBody, HttpResponseStart, Receiver, Scope, Sender};
use callgate_server::Monitoring;
use callgate_server::prometheus_client::metrics::counter::Counter;
use callgate_server::prometheus_client::registry::Registry;
#[cfg(feature = "tls")]
use rcgen::date_time_ymd;

use crate::support::frames::{FIN, TEXT, close, frame, open};
#[cfg(feature = "tls")]
use crate::support::tls::Authority;
use crate::support::websocket::exclaim;
use crate::support::{Server, config, content, get, http2, post, whole, within};

async fn app(scope: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    match scope {
        Scope::Http(scope) if scope.raw_path() == "/cut" => {
            sender.send(HttpResponseStart::ok()).await?;
            sender.send(HttpResponseBody::part("begun")).await?;
            Err(AppError::failed("on purpose"))
        }
        // The call goes on after its client is gone.
        Scope::Http(scope) if scope.raw_path() == "/abandoned" => pending().await,
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
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    match tokio::time::timeout(Duration::from_secs(10), waiting).await {
        Ok(text) => text,
        Err(_) => panic!("there is no {missing}"),
    }
}

#[tokio::test]
async fn the_metrics_of_the_application_come_with_those_of_the_server() {
    let messages = Counter::<u64>::default();
    let mut registry = Registry::default();
    registry.register("chat_messages", "Messages", messages.clone());
    let monitoring = Monitoring::new();
    monitoring.metrics(registry);
    messages.inc_by(7);
    let config = config().admin(Some(SocketAddr::from(([127, 0, 0, 1], 0)).into()));
    let server = callgate_server::Server::new(app)
        .config(config)
        .monitoring(monitoring);
    let server = Server::run(server.bind().unwrap());
    server.started().await;
    let lines = [
        "chat_messages_total 7",
        "callgate_http_exchanges_in_flight 0",
    ];
    let text = has_lines(&server, &lines).await;
    assert!(text.ends_with("\n# EOF\n"), "{text}");
    assert_eq!(text.matches("# EOF").count(), 1, "{text}");
}

#[tokio::test]
async fn exchanges_that_are_not_complete_are_counted_by_how_they_ended() {
    let config = config()
        .admin(Some(SocketAddr::from(([127, 0, 0, 1], 0)).into()))
        .max_request_body(Some(4))
        .timeout_request_head(Duration::from_millis(100));
    let mut server = Server::with(config, app);
    server.started().await;
    let mut gone = server.connect().await;
    gone.send(get("/abandoned")).await;
    has_lines(&server, &["callgate_http_exchanges_in_flight 1"]).await;
    drop(gone);
    assert!(server.ask_all(get("/cut")).await.ends_with("begun\r\n"));
    assert_eq!(server.ask(post("/", "hello")).await.status, 413);
    let mut slow = server.connect().await;
    slow.send("GET / HTTP/1.1\r\n").await;
    assert_eq!(slow.response().await.status, 408);
    has_lines(
        &server,
        &[
            "callgate_http_exchanges_ended_total{outcome=\"client_gone\"} 1",
            "callgate_http_exchanges_ended_total{outcome=\"cut_by_application\"} 1",
            "callgate_http_exchanges_ended_total{outcome=\"complete\"} 2",
            "callgate_http_requests_total{method=\"GET\",status=\"none\",version=\"1.1\"} 1",
            "callgate_http_requests_total{method=\"GET\",status=\"2xx\",version=\"1.1\"} 1",
            "callgate_http_requests_total{method=\"POST\",status=\"4xx\",version=\"1.1\"} 1",
            "callgate_http_requests_total{method=\"other\",status=\"4xx\",version=\"1.1\"} 1",
            "callgate_limit_reached_total{limit=\"request_body\"} 1",
            "callgate_limit_reached_total{limit=\"request_head_time\"} 1",
            "callgate_abandoned_calls 1",
            "callgate_shutdown_requests_total 0",
        ],
    )
    .await;
    server.stop();
    let lines = [
        "callgate_shutdown_requests_total 1",
        "callgate_server_state{state=\"stopping\"} 1",
    ];
    has_lines(&server, &lines).await;
    // The abandoned call is dropped.
    server.stop();
    server.ended().await.unwrap();
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_process_has_the_metrics_that_prometheus_names() {
    let config = config().admin(Some(SocketAddr::from(([127, 0, 0, 1], 0)).into()));
    let server = Server::with(config, app);
    let text = server.ask_admin("/metrics").await.body;
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let value = line.unwrap_or_else(|| panic!("there is no {name} in {text}"));
        value.trim().parse::<f64>().unwrap()
    };
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs_f64();
    let start = value("process_start_time_seconds ");
    assert!((now - 3600.0..now + 2.0).contains(&start), "{start} {now}");
    let cores = std::thread::available_parallelism().unwrap().get() as f64;
    let cpu = value("process_cpu_seconds_total ");
    assert!(cpu <= (now - start + 0.1) * cores, "{cpu} {start} {now}");
    // The listeners and the connection of the admin listener are open.
    let open = value("process_open_fds ");
    assert!((5.0..value("process_max_fds ")).contains(&open), "{open}");
    let resident = value("process_resident_memory_bytes ");
    assert!(
        (1e6..value("process_virtual_memory_bytes ")).contains(&resident),
        "{resident}"
    );
    assert!(value("process_threads ") >= 1.0);
    server.finish().await;
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn each_certificate_has_the_time_at_which_it_expires_and_reloads_are_counted() {
    let authority = Authority::new();
    let pairs = [("a.test", 2100), ("b.test", 2101)].map(|(name, year)| {
        let pair = authority.issue_with(name, |params| {
            params.not_after = date_time_ymd(year, 1, 1);
        });
        authority.write(name, &pair)
    });
    let mut config = config().admin(Some(SocketAddr::from(([127, 0, 0, 1], 0)).into()));
    for (certfile, keyfile) in pairs {
        config.tls.certfile.push(certfile);
        config.tls.keyfile.push(keyfile);
    }
    let server = Server::with(config, app);
    server.started().await;
    let name = "callgate_certificate_not_after_timestamp_seconds";
    let lines = [
        format!("{name}{{certificate=\"1\",name=\"a.test\"}} 4102444800.0"),
        format!("{name}{{certificate=\"2\",name=\"b.test\"}} 4133980800.0"),
    ];
    has_lines(&server, &[&lines[0], &lines[1]]).await;
    server.reload_certificates().unwrap();
    authority.file("b.test.key", "");
    server.reload_certificates().unwrap_err();
    let lines = [
        "callgate_certificate_reloads_total{result=\"loaded\"} 1",
        "callgate_certificate_reloads_total{result=\"failed\"} 1",
    ];
    has_lines(&server, &lines).await;
    server.finish().await;
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
