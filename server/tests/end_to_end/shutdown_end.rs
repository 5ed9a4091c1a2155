//! A shutdown that does not end by itself: its time has passed, or the server is told again to stop.

use std::time::Duration;

use crate::shutdown::{patient, wait_in_phase};
use crate::support::frames::{self, handshake};
use crate::support::{Gate, OnDrop, Server, config, get, http, tell, websocket, whole};
use callgate::{
    App, AppError, LifespanShutdownComplete, LifespanStartupComplete, ReceiveEvent, Receiver,
    Scope, Sender, WebSocketAccept,
};
use callgate_server::ServeError;

#[tokio::test]
async fn core_14_what_outlasts_the_time_for_shutdown_is_dropped() {
    for target in ["/waiting", "/started", "/streaming", "/ended"] {
        let (teller, mut told) = tell();
        let mut configured = config();
        configured.timeouts.graceful_shutdown = Some(Duration::from_millis(50));
        let mut server = Server::with(configured, http((teller, Gate::new()), wait_in_phase));
        let mut client = server.connect().await;
        client.send(get(target)).await;
        assert_eq!(told.next().await, "ready");
        server.stop();
        server.ended().await.unwrap();
        assert_eq!(told.next().await, "dropped");
        let seen = client.rest().await;
        match target {
            "/ended" => assert!(seen.ends_with("\r\n\r\ndone"), "{seen}"),
            "/streaming" => assert!(!seen.contains("\r\n0\r\n"), "{seen}"),
            _ => assert_eq!(seen, ""),
        }
    }
}

#[tokio::test]
async fn core_14_websockets_that_outlast_the_time_for_shutdown_are_dropped() {
    for is_open in [true, false] {
        let (teller, mut told) = tell();
        let mut configured = config();
        configured.timeouts.graceful_shutdown = Some(Duration::from_millis(50));
        let mut server = Server::with(
            configured,
            websocket(
                (teller, is_open),
                async |(teller, is_open), _, mut receiver, sender| {
                    let _dropped = OnDrop::tell(&teller, "dropped".to_owned());
                    receiver.receive().await;
                    if is_open {
                        sender.send(WebSocketAccept::new()).await?;
                    }
                    teller.tell("ready".to_owned());
                    let ReceiveEvent::WebSocketDisconnect(end) = receiver.receive().await else {
                        panic!("no disconnect");
                    };
                    teller.tell(end.code.to_string());
                    std::future::pending::<()>().await;
                    Ok(())
                },
            ),
        );
        let mut client = server.connect().await;
        client.send(handshake("/", "")).await;
        assert_eq!(told.next().await, "ready");
        server.stop();
        assert_eq!(told.next().await, "1012");
        server.ended().await.unwrap();
        assert_eq!(told.next().await, "dropped");
        drop(client);
    }
}

#[tokio::test]
async fn ws_26_a_client_that_does_not_answer_the_close_does_not_hold_up_an_impatient_server() {
    let mut configured = config();
    configured.timeouts.graceful_shutdown = Some(Duration::from_millis(50));
    let mut server = Server::with(
        configured,
        websocket((), async |(), _, mut receiver, sender| {
            sender.send(WebSocketAccept::new()).await?;
            while !matches!(
                receiver.receive().await,
                ReceiveEvent::WebSocketDisconnect(_)
            ) {}
            Ok(())
        }),
    );
    let mut client = frames::open(&server, "/").await;
    server.stop();
    assert_eq!(client.close_frame().await.0, 1012);
    server.ended().await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_told_twice_to_stop_does_not_wait() {
    let (teller, mut told) = tell();
    let mut server = patient(move |scope, mut receiver: Receiver, sender: Sender| {
        let teller = teller.clone();
        async move {
            if let Scope::Lifespan(_) = scope {
                receiver.receive().await;
                sender.send(LifespanStartupComplete::new()).await?;
                assert_eq!(receiver.receive().await, ReceiveEvent::LifespanShutdown);
                teller.tell("shutdown");
            } else {
                teller.tell("called");
            }
            std::future::pending::<Result<(), AppError>>().await
        }
    });
    let mut client = server.connect().await;
    client.send(get("/")).await;
    assert_eq!(told.next().await, "called");
    server.stop();
    server.stop();
    let error = server.ended().await.unwrap_err();
    assert!(matches!(error, ServeError::Shutdown(_)), "{error}");
    // The application was told all the same.
    assert_eq!(told.next().await, "shutdown");
}

/// An application that serves, and whose lifespan is shut down by `shut_down`.
fn shut_down_by<F, R>(shut_down: F) -> impl App
where
    F: Fn(Sender) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Result<(), AppError>> + Send + 'static,
{
    move |scope, mut receiver: Receiver, sender: Sender| {
        let shut_down = shut_down.clone();
        async move {
            let Scope::Lifespan(_) = scope else {
                return whole(&sender, "served").await;
            };
            receiver.receive().await;
            sender.send(LifespanStartupComplete::new()).await?;
            assert_eq!(receiver.receive().await, ReceiveEvent::LifespanShutdown);
            shut_down(sender).await
        }
    }
}

#[tokio::test]
async fn a_server_that_is_told_twice_to_stop_does_not_wait_for_its_lifespan() {
    let (teller, mut told) = tell();
    let app = shut_down_by(move |_| {
        teller.tell("shutdown");
        std::future::pending()
    });
    let mut server = patient(app);
    server.ask(get("/")).await;
    server.stop();
    assert_eq!(told.next().await, "shutdown");
    server.stop();
    let error = server.ended().await.unwrap_err();
    assert!(matches!(error, ServeError::Shutdown(_)), "{error}");
}

#[tokio::test]
async fn a_lifespan_is_shut_down_although_the_server_is_told_twice_to_stop() {
    let (teller, mut told) = tell();
    let mut server = Server::start(shut_down_by(move |sender: Sender| {
        teller.tell("shutdown");
        async move {
            // Meanwhile the server has its turns.
            for _ in 0..1000 {
                tokio::task::yield_now().await;
            }
            sender.send(LifespanShutdownComplete::new()).await?;
            Ok(())
        }
    }));
    server.ask(get("/")).await;
    server.stop();
    assert_eq!(told.next().await, "shutdown");
    server.stop();
    server.ended().await.unwrap();
}

#[tokio::test]
async fn a_lifespan_has_time_to_end_although_calls_have_none() {
    let (teller, mut told) = tell();
    let mut configured = config();
    configured.timeouts.graceful_shutdown = Some(Duration::ZERO);
    let server = Server::with(
        configured,
        move |scope, mut receiver: Receiver, sender: Sender| {
            let teller = teller.clone();
            async move {
                let Scope::Lifespan(_) = scope else {
                    teller.tell("called");
                    return std::future::pending().await;
                };
                receiver.receive().await;
                sender.send(LifespanStartupComplete::new()).await?;
                assert_eq!(receiver.receive().await, ReceiveEvent::LifespanShutdown);
                tokio::time::sleep(Duration::from_millis(10)).await;
                sender.send(LifespanShutdownComplete::new()).await?;
                Ok(())
            }
        },
    );
    let mut client = server.connect().await;
    client.send(get("/")).await;
    assert_eq!(told.next().await, "called");
    server.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_that_blocks_its_thread_is_reported_and_not_waited_for() {
    for (limit, stops) in [(None, 2), (Some(Duration::ZERO), 1)] {
        let (teller, mut told) = tell();
        let (unblock, blocked) = std::sync::mpsc::channel::<()>();
        let blocked = std::sync::Arc::new(std::sync::Mutex::new(blocked));
        let mut configured = config();
        configured.timeouts.graceful_shutdown = limit;
        let mut server = Server::with(
            configured,
            http((teller, blocked), async |(teller, blocked), _, _, _| {
                teller.tell("blocked");
                let _ = blocked.lock().unwrap().recv();
                Ok(())
            }),
        );
        let mut client = server.connect().await;
        client.send(get("/")).await;
        assert_eq!(told.next().await, "blocked");
        for _ in 0..stops {
            server.stop();
        }
        let error = server.ended().await.unwrap_err();
        assert!(matches!(error, ServeError::StillRunning(1)), "{error}");
        assert_eq!(error.exit_status(), 1);
        unblock.send(()).unwrap();
    }
}
