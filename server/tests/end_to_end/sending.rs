//! Sends and the end of sending: a client that is gone or does not read, several tasks, the grace period.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use callgate::{HttpResponseBody, HttpResponseStart, HttpScope, Receiver, SendEvent, Sender, rule};

use crate::support::{Gate, OnDrop, Server, Teller, config, content, get, http, tell, whole};

#[tokio::test]
async fn core_03_sends_after_a_disconnect_fail_with_disconnected() {
    let (teller, mut told) = tell();
    let server = Server::with(
        config().timeout_half_close(Duration::from_millis(20)),
        http(teller, async |teller, _, mut receiver, sender| {
            content(&mut receiver).await;
            teller.tell("ready".to_owned());
            receiver.receive().await;
            // Even an event that would break a rule.
            for event in [
                SendEvent::from(HttpResponseBody::end()),
                HttpResponseStart::ok().into(),
            ] {
                teller.tell(format!("{:?}", sender.send(event).await));
            }
            Ok(())
        }),
    );
    let mut client = server.connect().await;
    client.send(get("/")).await;
    assert_eq!(told.next().await, "ready");
    drop(client);
    assert_eq!(told.next().await, "Err(Disconnected)");
    assert_eq!(told.next().await, "Err(Disconnected)");
    server.finish().await;
}

#[tokio::test]
async fn core_07_concurrent_sends_are_delivered_whole() {
    let server = Server::start(http((), async |(), _, _, sender| {
        sender.send(HttpResponseStart::ok()).await?;
        let tasks: Vec<_> = ["a", "b", "c", "d"]
            .into_iter()
            .map(|letter| {
                let sender = sender.clone();
                tokio::spawn(async move {
                    for n in 0..100 {
                        let line = format!("{letter}{n}:{}\n", letter.repeat(500));
                        sender.send(HttpResponseBody::part(line)).await.unwrap();
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await?;
        }
        sender.send(HttpResponseBody::end()).await?;
        Ok(())
    }));
    let body = server.ask(get("/")).await.body;
    assert_eq!(body.lines().count(), 400);
    for letter in ["a", "b", "c", "d"] {
        let lines: Vec<_> = body
            .lines()
            .filter(|line| line.starts_with(letter))
            .collect();
        let expected: Vec<_> = (0..100)
            .map(|n| format!("{letter}{n}:{}", letter.repeat(500)))
            .collect();
        assert_eq!(lines, expected);
    }
    server.finish().await;
}

#[tokio::test]
async fn core_08_sends_wait_for_a_client_that_does_not_read() {
    const PART: usize = 64 << 10;
    const PARTS: usize = 1024;
    const BOUND: usize = 32 << 20;
    let (teller, mut told) = tell();
    let sent = Arc::new(AtomicUsize::new(0));
    let server = Server::start(http(
        (teller, sent.clone()),
        async |(teller, sent), _, _, sender| {
            sender.send(HttpResponseStart::ok()).await?;
            for _ in 0..PARTS {
                let mut sending =
                    std::pin::pin!(sender.send(HttpResponseBody::part("x".repeat(PART))));
                // One that is told too early only makes less of it.
                match tokio::time::timeout(Duration::from_millis(100), &mut sending).await {
                    Ok(sent) => sent?,
                    Err(_) => {
                        teller.tell(());
                        sending.await?;
                    }
                }
                sent.fetch_add(PART, Ordering::SeqCst);
            }
            teller.tell(());
            sender.send(HttpResponseBody::end()).await?;
            Ok(())
        },
    ));
    let mut client = server.connect().await;
    client.send(get("/")).await;
    told.next().await;
    let held = sent.load(Ordering::SeqCst);
    assert!(held <= BOUND, "{held} bytes were taken");
    assert_eq!(client.head().await.status, 200);
    let mut received = 0;
    while let Some(chunk) = client.chunk().await {
        received += chunk.len();
    }
    assert_eq!(received, PART * PARTS);
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn core_09_and_14_the_future_is_dropped_when_the_grace_period_has_passed() {
    let (teller, mut told) = tell();
    let mut configured = config();
    configured.timeouts.disconnect = Duration::from_millis(50);
    configured.timeouts.half_close = Duration::from_millis(20);
    let server = Server::with(
        configured,
        http(teller, async |teller, scope, mut receiver, sender| {
            let _dropped = OnDrop::tell(&teller, "dropped");
            content(&mut receiver).await;
            if scope.raw_path() == "/streaming" {
                sender.send(HttpResponseStart::ok()).await?;
                sender.send(HttpResponseBody::part("x")).await?;
            }
            teller.tell("ready");
            receiver.receive().await;
            teller.tell("disconnected");
            std::future::pending::<()>().await;
            Ok(())
        }),
    );
    for target in ["/", "/streaming"] {
        let mut client = server.connect().await;
        client.send(get(target)).await;
        assert_eq!(told.next().await, "ready");
        drop(client);
        assert_eq!(told.next().await, "disconnected");
        assert_eq!(told.next().await, "dropped");
    }
    server.finish().await;
}

#[tokio::test]
async fn core_09_an_application_goes_on_after_its_client() {
    let (teller, mut told) = tell();
    let gate = Gate::new();
    let mut server = Server::start(http(
        (teller, gate.clone()),
        async |(teller, gate), _, mut receiver, _| {
            content(&mut receiver).await;
            teller.tell("ready");
            gate.passed().await;
            teller.tell("done");
            Ok(())
        },
    ));
    let mut client = server.connect().await;
    client.send(get("/")).await;
    assert_eq!(told.next().await, "ready");
    drop(client);
    server.stop();
    gate.open();
    assert_eq!(told.next().await, "done");
    server.ended().await.unwrap();
}

#[tokio::test]
async fn core_11_sends_after_the_call_has_returned_fail() {
    let (teller, mut told) = tell();
    let gate = Gate::new();
    let server = Server::start(http(
        (teller, gate.clone()),
        async |(teller, gate), _, _, sender| {
            sender.send(HttpResponseStart::ok()).await?;
            let late = sender.clone();
            tokio::spawn(async move {
                gate.passed().await;
                teller.tell(format!("{:?}", late.send(HttpResponseBody::end()).await));
            });
            Ok(())
        },
    ));
    assert_eq!(server.ask(get("/")).await.status, 500);
    gate.open();
    assert_eq!(told.next().await, "Err(Disconnected)");
    server.finish().await;
}

#[tokio::test]
async fn core_14_and_21_a_rule_broken_after_the_last_event_begins_no_grace_period() {
    let (teller, mut told) = tell();
    let gate = Gate::new();
    let mut configured = config();
    configured.timeouts.disconnect = Duration::from_millis(50);
    let app = async |(teller, gate): (Teller<&'static str>, Gate),
                     scope: HttpScope,
                     mut receiver: Receiver,
                     sender: Sender| {
        content(&mut receiver).await;
        if scope.raw_path() == "/after" {
            whole(&sender, "whole").await?;
            let error = sender.send(HttpResponseBody::end()).await.unwrap_err();
            assert_eq!(error.rule(), Some(rule::NOTHING_AFTER_END));
            teller.tell("broken");
            gate.passed().await;
            teller.tell("finished");
        } else {
            let _dropped = OnDrop::tell(&teller, "dropped");
            sender.send(HttpResponseBody::end()).await.unwrap_err();
            std::future::pending::<()>().await;
        }
        Ok(())
    };
    let server = Server::with(configured, http((teller, gate.clone()), app));
    assert_eq!(server.ask(get("/after")).await.body, "whole");
    assert_eq!(told.next().await, "broken");
    // Its grace period begins later and ends first.
    assert_eq!(server.ask(get("/before")).await.status, 500);
    assert_eq!(told.next().await, "dropped");
    gate.open();
    assert_eq!(told.next().await, "finished");
    server.finish().await;
}
