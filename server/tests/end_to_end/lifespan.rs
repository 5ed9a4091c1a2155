//! Start-up before the first connection, shutdown after the last.

use std::sync::Arc;

use crate::support::http2;
use crate::support::{Gate, OnDrop, Server, Teller, Told, config, get, tell, whole};
use callgate::{
    App, AppError, LifespanShutdownComplete, LifespanShutdownFailed, LifespanStartupComplete,
    LifespanStartupFailed, ReceiveEvent, Receiver, Scope, Sender,
};
use callgate_server::{LifespanMode, ServeError};

/// What a test's application does in its lifespan.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Life {
    Good,
    Declines,
    DeclinesAfterStartup,
    FailsStartup,
    ErrsAtStartup,
    ReturnsAtStartup,
    PanicsAtStartup,
    BreaksARuleAtStartup,
    ReturnsWhileServing,
    ErrsWhileServing,
    PanicsWhileServing,
    FailsShutdown,
    ErrsAtShutdown,
    ReturnsAtShutdown,
    PanicsAtShutdown,
    StaysAfterShutdown,
    StaysInStartup,
}

/// An application with this life, that serves HTTP; it tells what happens to it.
fn app(life: Life, teller: Teller<String>) -> impl App {
    move |scope, mut receiver: Receiver, sender: Sender| {
        let teller = teller.clone();
        async move {
            match scope {
                Scope::Http(_) => {
                    teller.tell("http".into());
                    whole(&sender, "served").await
                }
                Scope::Lifespan(_) => live(life, &teller, &mut receiver, &sender).await,
                _ => Err(AppError::Unsupported),
            }
        }
    }
}

async fn live(
    life: Life,
    teller: &Teller<String>,
    receiver: &mut Receiver,
    sender: &Sender,
) -> Result<(), AppError> {
    let _dropped = OnDrop::tell(teller, "dropped".into());
    if life == Life::Declines {
        return Err(AppError::Unsupported);
    }
    teller.tell(format!("{:?}", receiver.receive().await));
    match life {
        Life::FailsStartup => {
            let message = "no database";
            sender.send(LifespanStartupFailed::new(message)).await?;
            return Ok(());
        }
        Life::ErrsAtStartup => return Err(AppError::failed("no config")),
        Life::ReturnsAtStartup => return Ok(()),
        Life::PanicsAtStartup => panic!("no luck"),
        Life::BreaksARuleAtStartup => {
            sender.send(LifespanShutdownComplete::new()).await?;
        }
        Life::StaysInStartup => std::future::pending().await,
        _ => sender.send(LifespanStartupComplete::new()).await?,
    }
    match life {
        Life::ReturnsWhileServing => return Ok(()),
        Life::ErrsWhileServing => return Err(AppError::failed("lost it")),
        Life::PanicsWhileServing => panic!("lost it all"),
        Life::DeclinesAfterStartup => return Err(AppError::Unsupported),
        _ => {}
    }
    teller.tell(format!("{:?}", receiver.receive().await));
    match life {
        Life::FailsShutdown => {
            let message = "cannot save";
            sender.send(LifespanShutdownFailed::new(message)).await?;
        }
        Life::ErrsAtShutdown => return Err(AppError::failed("cannot stop")),
        Life::ReturnsAtShutdown => return Ok(()),
        Life::PanicsAtShutdown => panic!("cannot go"),
        _ => sender.send(LifespanShutdownComplete::new()).await?,
    }
    if life == Life::StaysAfterShutdown {
        std::future::pending::<()>().await;
    }
    Ok(())
}

fn start(life: Life) -> (Server, Told<String>) {
    let (teller, told) = tell();
    (Server::start(app(life, teller)), told)
}

#[tokio::test]
async fn life_01_02_and_08_startup_comes_first_and_shutdown_last() {
    let (mut server, mut told) = start(Life::Good);
    assert_eq!(server.ask(get("/")).await.body, "served");
    server.stop();
    server.ended().await.unwrap();
    for event in ["LifespanStartup", "http", "LifespanShutdown", "dropped"] {
        assert_eq!(told.next().await, event);
    }
    assert!(told.is_empty());
}

#[tokio::test]
async fn life_03_no_connection_is_accepted_before_startup_is_complete() {
    let (teller, mut told) = tell();
    let gate = Gate::new();
    let server = Server::start({
        let (teller, gate) = (teller, gate.clone());
        move |scope, mut receiver: Receiver, sender: Sender| {
            let (teller, gate) = (teller.clone(), gate.clone());
            async move {
                if let Scope::Lifespan(_) = scope {
                    receiver.receive().await;
                    gate.passed().await;
                    teller.tell("started");
                    sender.send(LifespanStartupComplete::new()).await?;
                    receiver.receive().await;
                    sender.send(LifespanShutdownComplete::new()).await?;
                    return Ok(());
                }
                teller.tell("http");
                whole(&sender, "served").await
            }
        }
    });
    // It waits in the system's queue.
    let mut client = server.connect().await;
    client.send(get("/")).await;
    assert!(told.is_empty());
    gate.open();
    assert_eq!(client.response().await.body, "served");
    assert_eq!(told.next().await, "started");
    assert_eq!(told.next().await, "http");
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn life_04_05_and_06_a_failed_startup_ends_the_server() {
    for (life, reason) in [
        (Life::FailsStartup, "no database"),
        (Life::ErrsAtStartup, "no config"),
        (Life::ReturnsAtStartup, "LIFE-04"),
        (Life::PanicsAtStartup, "no luck"),
        (Life::BreaksARuleAtStartup, "LIFE-12"),
    ] {
        let (mut server, _told) = start(life);
        let error = server.ended().await.unwrap_err();
        assert!(
            matches!(&error, ServeError::Startup(said) if said.contains(reason)),
            "{error}"
        );
        assert_eq!(error.exit_status(), 3);
    }
}

#[tokio::test]
async fn life_07_an_application_that_declines_lifespan_is_served_without() {
    let (server, _told) = start(Life::Declines);
    assert_eq!(server.ask(get("/")).await.body, "served");
    server.finish().await;
}

#[tokio::test]
async fn life_07_declining_is_a_failure_when_lifespan_is_required() {
    let mut configured = config();
    configured.process.lifespan = LifespanMode::On;
    let (teller, _told) = tell();
    let mut server = Server::with(configured, app(Life::Declines, teller));
    assert_eq!(server.ended().await.unwrap_err().exit_status(), 3);
}

#[tokio::test]
async fn life_01_lifespan_that_is_off_is_not_called() {
    let mut configured = config();
    configured.process.lifespan = LifespanMode::Off;
    let (teller, mut told) = tell();
    let server = Server::with(configured, app(Life::FailsStartup, teller));
    assert_eq!(server.ask(get("/")).await.body, "served");
    server.finish().await;
    assert_eq!(told.next().await, "http");
    assert!(told.is_empty());
}

/// An application that tells of its shutdown, and does this with requests.
fn tells_of_shutdown<F, Fut>(teller: Teller<&'static str>, serve: F) -> impl App
where
    F: Fn(Receiver, Sender) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), AppError>> + Send + 'static,
{
    let serve = Arc::new(serve);
    move |scope, mut receiver: Receiver, sender: Sender| {
        let (teller, serve) = (teller.clone(), serve.clone());
        async move {
            if !matches!(scope, Scope::Lifespan(_)) {
                return serve(receiver, sender).await;
            }
            receiver.receive().await;
            sender.send(LifespanStartupComplete::new()).await?;
            assert_eq!(receiver.receive().await, ReceiveEvent::LifespanShutdown);
            teller.tell("shutdown");
            sender.send(LifespanShutdownComplete::new()).await?;
            Ok(())
        }
    }
}

#[tokio::test]
async fn life_08_shutdown_waits_for_background_work() {
    let (teller, mut told) = tell();
    let shared = (teller.clone(), Gate::new());
    let gate = shared.1.clone();
    let mut server = Server::start(tells_of_shutdown(teller, move |_, sender| {
        let (teller, gate) = shared.clone();
        async move {
            whole(&sender, "served").await?;
            gate.passed().await;
            teller.tell("worked");
            Ok(())
        }
    }));
    assert_eq!(server.ask(get("/")).await.body, "served");
    server.stop();
    assert!(told.is_empty());
    gate.open();
    server.ended().await.unwrap();
    assert_eq!(told.next().await, "worked");
    assert_eq!(told.next().await, "shutdown");
}

#[tokio::test]
async fn life_09_and_10_a_failed_shutdown_is_reported_at_the_end() {
    for (life, reason) in [
        (Life::FailsShutdown, "cannot save"),
        (Life::ErrsAtShutdown, "cannot stop"),
        (Life::ReturnsAtShutdown, "LIFE-09"),
        (Life::PanicsAtShutdown, "cannot go"),
        (Life::ErrsWhileServing, "lost it"),
        (Life::PanicsWhileServing, "lost it all"),
        (Life::DeclinesAfterStartup, ""),
    ] {
        let (mut server, _told) = start(life);
        assert_eq!(server.ask(get("/")).await.body, "served", "{life:?}");
        server.stop();
        let error = server.ended().await.unwrap_err();
        assert!(
            matches!(&error, ServeError::Shutdown(said) if said.contains(reason)),
            "{error}"
        );
        assert_eq!(error.exit_status(), 1);
    }
}

#[tokio::test]
async fn life_11_a_call_that_returns_early_is_no_reason_to_stop() {
    let (server, _told) = start(Life::ReturnsWhileServing);
    for _ in 0..2 {
        assert_eq!(server.ask(get("/")).await.body, "served");
    }
    server.finish().await;
}

#[tokio::test]
async fn life_13_a_stop_during_startup_ends_the_server_at_once() {
    let (mut server, mut told) = start(Life::StaysInStartup);
    assert_eq!(told.next().await, "LifespanStartup");
    server.stop();
    server.ended().await.unwrap();
    assert_eq!(told.next().await, "dropped");
    assert!(told.is_empty());
}

#[tokio::test]
async fn life_16_the_server_stops_on_the_answer_and_not_on_the_return() {
    let (server, mut told) = start(Life::StaysAfterShutdown);
    assert_eq!(server.ask(get("/")).await.body, "served");
    server.finish().await;
    for event in ["LifespanStartup", "http", "LifespanShutdown", "dropped"] {
        assert_eq!(told.next().await, event);
    }
}

#[tokio::test]
async fn life_08_shutdown_waits_for_what_clients_over_http2_left() {
    let (teller, mut told) = tell();
    let shared = (teller.clone(), Gate::new());
    let gate = shared.1.clone();
    let mut server = Server::start(tells_of_shutdown(teller, move |mut receiver, _| {
        let (teller, gate) = shared.clone();
        async move {
            teller.tell("called");
            while receiver.receive().await != ReceiveEvent::HttpDisconnect {}
            teller.tell("left");
            gate.passed().await;
            teller.tell("ended");
            Ok(())
        }
    }));
    let mut client = http2::Client::connect(&server).await;
    let request = client.begin(http2::request("/"));
    assert_eq!(told.next().await, "called");
    server.stop();
    client.connection.abort();
    drop(request);
    assert_eq!(told.next().await, "left");
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    gate.open();
    assert_eq!(told.next().await, "ended");
    assert_eq!(told.next().await, "shutdown");
    server.ended().await.unwrap();
}
