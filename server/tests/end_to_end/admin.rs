//! The admin listener, the health check on the public address, and the delay of a shutdown.

use std::future::{Ready, pending};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
#[cfg(feature = "cli")]
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use callgate::{
    AppError, HttpResponseBody, HttpResponseStart, LifespanShutdownComplete,
    LifespanStartupComplete, ReceiveEvent, Receiver, Scope, Sender,
};
use callgate_server::{Config, Monitoring};
use serde_json::Value;
use tokio::sync::Notify;

#[cfg(feature = "cli")]
use crate::support::log::Log;
#[cfg(feature = "tls")]
use crate::support::tls::{Authority, connect};
use crate::support::{Server, config, get, http, post, says, whole, within};

fn with_admin() -> Config {
    config().admin(Some(SocketAddr::from(([127, 0, 0, 1], 0)).into()))
}

/// Lets a test decide when the application has started and when a response is complete.
#[derive(Default)]
struct Gates {
    start: Notify,
    is_shutting_down: Notify,
    response: Notify,
}

async fn gated(
    gates: Arc<Gates>,
    scope: Scope,
    mut receiver: Receiver,
    sender: Sender,
) -> Result<(), AppError> {
    if let Scope::Lifespan(_) = scope {
        receiver.receive().await;
        gates.start.notified().await;
        sender.send(LifespanStartupComplete::new()).await?;
        receiver.receive().await;
        sender.send(LifespanShutdownComplete::new()).await?;
        return Ok(());
    }
    sender.send(HttpResponseStart::ok()).await?;
    sender.send(HttpResponseBody::part("begun")).await?;
    while receiver.receive().await != ReceiveEvent::HttpShutdown {}
    gates.is_shutting_down.notify_one();
    gates.response.notified().await;
    sender.send(HttpResponseBody::last(", ended")).await?;
    Ok(())
}

#[tokio::test]
async fn the_admin_listener_answers_from_before_the_start_up_until_the_end() {
    let gates = Arc::new(Gates::default());
    let shared = gates.clone();
    let app = move |scope: Scope, receiver: Receiver, sender: Sender| {
        gated(shared.clone(), scope, receiver, sender)
    };
    let mut server = Server::with(with_admin(), app);
    let ready = server.ask_admin("/readyz").await;
    assert_eq!((ready.status, ready.body), (503, "starting\n".into()));
    assert_eq!(server.ask_admin("/livez").await.status, 200);
    gates.start.notify_one();
    server.started().await;
    assert_eq!(server.ask_admin("/readyz").await.status, 200);
    let mut client = server.connect().await;
    client.send(get("/")).await;
    client.until("begun").await;
    server.stop();
    within(gates.is_shutting_down.notified()).await;
    let ready = server.ask_admin("/readyz").await;
    assert_eq!((ready.status, ready.body), (503, "stopping\n".into()));
    assert_eq!(server.ask_admin("/livez").await.status, 200);
    gates.response.notify_one();
    assert!(client.rest().await.contains(", ended"));
    drop(client);
    server.ended().await.unwrap();
}

#[tokio::test]
async fn a_server_with_a_shutdown_delay_serves_until_the_second_request_to_stop() {
    let config = with_admin()
        .health_path(Some("/health".into()))
        .shutdown_delay(Duration::from_secs(3600));
    let mut server = Server::with(config, says("served"));
    server.started().await;
    server.stop();
    // The request to stop takes effect on another task.
    within(async {
        while server.ask_admin("/readyz").await.status != 503 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let health = server.ask(get("/health")).await;
    assert_eq!((health.status, health.body), (503, "stopping\n".into()));
    assert_eq!(server.ask(get("/")).await.body, "served");
    server.stop();
    server.ended().await.unwrap();
}

#[tokio::test]
async fn a_check_of_the_application_decides_whether_the_server_is_ready() {
    #[cfg(feature = "cli")]
    let (log, _guard) = Log::capture();
    let monitoring = Monitoring::new();
    let is_reachable = Arc::new(AtomicBool::new(false));
    let is_up = is_reachable.clone();
    monitoring.ready_check("database", move || {
        let is_up = is_up.load(Ordering::Relaxed);
        async move {
            if is_up {
                Ok(())
            } else {
                Err("10.1.2.3: refused")
            }
        }
    });
    monitoring.ready_check("cache", async || Ok::<_, String>(()));
    let config = with_admin().health_path(Some("/health".into()));
    let server = callgate_server::Server::new(says("served"))
        .config(config)
        .monitoring(monitoring.clone());
    let server = Server::run(server.bind().unwrap());
    server.started().await;

    let ready = server.ask_admin("/readyz").await;
    assert_eq!(
        (ready.status, &*ready.body),
        (503, "database: 10.1.2.3: refused\n")
    );
    // A client does not learn the addresses of others.
    let health = server.ask(get("/health")).await;
    assert_eq!((health.status, &*health.body), (503, "database\n"));
    assert_eq!(server.ask(get("/")).await.body, "served");

    is_reachable.store(true, Ordering::Relaxed);
    let ready = server.ask_admin("/readyz").await;
    assert_eq!((ready.status, &*ready.body), (200, "ok\n"));
    assert_eq!(server.ask(get("/health")).await.status, 200);

    // A check that is added later counts, and replaces that of its name.
    monitoring.ready_check("cache", async || Err("cold"));
    let ready = server.ask_admin("/readyz").await;
    assert_eq!((ready.status, &*ready.body), (503, "cache: cold\n"));
    monitoring.ready_check("cache", async || Ok::<_, String>(()));
    assert_eq!(server.ask_admin("/readyz").await.status, 200);

    // The log has a change, and not each failure.
    #[cfg(feature = "cli")]
    {
        let text = log.text();
        let line = "not ready: database: 10.1.2.3: refused";
        assert_eq!(text.matches(line).count(), 1, "{text}");
        assert_eq!(text.matches("ready again: database").count(), 1, "{text}");
    }
}

#[tokio::test]
async fn a_check_that_hangs_or_panics_has_failed() {
    let monitoring = Monitoring::new();
    monitoring.ready_check("hanging", pending::<Result<(), String>>);
    monitoring.ready_check("panicking", || -> Ready<Result<(), String>> {
        panic!("on purpose")
    });
    let server = callgate_server::Server::new(says("served"))
        .config(with_admin())
        .monitoring(monitoring);
    let server = Server::run(server.bind().unwrap());
    server.started().await;
    let ready = server.ask_admin("/readyz").await;
    let failures = "hanging: no answer within 1s\npanicking: the check panicked\n";
    assert_eq!((ready.status, &*ready.body), (503, failures));
}

#[cfg(feature = "cli")]
#[tokio::test]
async fn the_command_healthcheck_succeeds_while_the_server_is_ready() {
    use callgate_server::cli::{Flags, healthcheck, parse_from};

    #[derive(clap::Parser)]
    struct Command {
        #[command(flatten)]
        flags: Flags,
    }

    let config = with_admin()
        .health_path(Some("/health".into()))
        .shutdown_delay(Duration::from_secs(3600));
    let mut server = Server::with(config, says("served"));
    server.started().await;
    let is_ready = async |flags: &[&str]| {
        let args = [&["server"], flags].concat();
        let Command { flags } = parse_from(args.iter().map(Into::into)).unwrap();
        let checking = tokio::task::spawn_blocking(|| healthcheck(flags));
        match checking.await.unwrap() {
            ready if ready == ExitCode::SUCCESS => true,
            not_ready => {
                assert_eq!(not_ready, ExitCode::from(1));
                false
            }
        }
    };
    let admin = server.admin.unwrap().to_string();
    let address = server.address.to_string();
    let by_admin = ["--admin", &admin];
    let by_path = |path| ["--bind", address.as_str(), "--health-path", path];
    assert!(is_ready(&by_admin).await);
    assert!(is_ready(&by_path("/health")).await);
    assert!(!is_ready(&[]).await);
    server.stop();
    within(async { while is_ready(&by_admin).await {} }).await;
    assert!(!is_ready(&by_path("/health")).await);
    server.stop();
    server.ended().await.unwrap();
    assert!(!is_ready(&by_admin).await);
}

#[tokio::test]
async fn the_health_check_is_answered_by_the_server_and_other_requests_by_the_application() {
    let config = config()
        .health_path(Some("/health".into()))
        .root_path("/api".into());
    let server = Server::with(config, says("application"));
    server.started().await;
    let health = server.ask(get("/health")).await;
    assert_eq!((health.status, &*health.body), (200, "ok\n"));
    assert_eq!(health.field("cache-control"), Some("no-store"));
    for request in [get("/healthy"), get("/"), get("/health/")] {
        assert_eq!(server.ask(request).await.body, "application");
    }
    assert_eq!(server.ask(post("/health", "")).await.body, "application");
    server.finish().await;
}

#[tokio::test]
async fn the_admin_listener_lists_the_connections_that_are_open() {
    let server = Server::with(with_admin(), says("served"));
    let mut client = server.connect().await;
    for _ in 0..2 {
        client.send(get("/")).await;
        client.response().await;
    }
    let listed = server.ask_admin("/connections").await;
    assert_eq!(listed.field("content-type"), Some("application/json"));
    let listed: Value = serde_json::from_str(&listed.body).unwrap();
    let connections = listed["connections"].as_array().unwrap();
    assert_eq!(connections.len(), 1, "{listed}");
    let connection = &connections[0];
    assert_eq!(connection["protocol"], "http/1");
    assert_eq!(connection["requests"], 2);
    assert_eq!(
        connection["peer"],
        client.stream.local_addr().unwrap().to_string()
    );
    assert!(connection["age_seconds"].as_f64().unwrap() < 60.0);
    assert_eq!(
        (&connection["tls"], &connection["alpn"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(connection["state"], "idle");
    let age = connection["age_seconds"].as_f64().unwrap();
    assert!(
        connection["idle_seconds"].as_f64().unwrap() <= age,
        "{listed}"
    );
    drop(client);
    server.finish().await;
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn the_admin_listener_tells_the_tls_of_each_connection() {
    let authority = Authority::new();
    let config = authority
        .config("a.test")
        .admin(Some(SocketAddr::from(([127, 0, 0, 1], 0)).into()));
    let server = Server::with(config, says("served"));
    server.started().await;
    let mut clients = Vec::new();
    for protocols in [&["h2"][..], &["http/1.1"], &[]] {
        let mut settings = authority.client();
        settings.alpn_protocols = protocols.iter().map(|it| it.as_bytes().to_vec()).collect();
        clients.push(connect(&server, settings, "a.test").await.unwrap());
    }
    let listed = within(async {
        loop {
            let listed = server.ask_admin("/connections").await.body;
            let listed: Value = serde_json::from_str(&listed).unwrap();
            // The server learns of the end of a handshake after the client.
            let of_tls = |it: &&Value| it["tls"] == "TLSv1.3";
            if listed["connections"]
                .as_array()
                .unwrap()
                .iter()
                .filter(of_tls)
                .count()
                == 3
            {
                return listed;
            }
        }
    })
    .await;
    let alpn: Vec<_> = (listed["connections"].as_array().unwrap().iter())
        .map(|connection| &connection["alpn"])
        .collect();
    assert_eq!(
        alpn,
        [&Value::from("h2"), &Value::from("http/1.1"), &Value::Null]
    );
    assert_eq!(listed["connections"][0]["idle_seconds"], Value::Null);
    drop(clients);
    server.finish().await;
}

#[tokio::test]
async fn the_admin_listener_answers_nothing_else() {
    let server = Server::with(with_admin(), says("served"));
    assert_eq!(server.ask_admin("/other").await.status, 404);
    assert_eq!(server.ask_admin("/livez/").await.status, 404);
    // Its paths are not on the public address.
    assert_eq!(server.ask(get("/readyz")).await.body, "served");
    server.finish().await;
}

#[tokio::test]
async fn the_admin_listener_answers_although_the_public_limits_are_reached() {
    let config = with_admin().max_connections(NonZeroUsize::new(1));
    let gate = Arc::new(Notify::new());
    let wait = gate.clone();
    let app = http(wait, async |gate, _, _, sender: Sender| {
        gate.notified().await;
        whole(&sender, "served").await
    });
    let server = Server::with(config, app);
    let mut client = server.connect().await;
    client.send(get("/")).await;
    let _waits = server.connect().await;
    for _ in 0..3 {
        assert_eq!(server.ask_admin("/livez").await.status, 200);
    }
    gate.notify_one();
    assert_eq!(client.response().await.body, "served");
}
