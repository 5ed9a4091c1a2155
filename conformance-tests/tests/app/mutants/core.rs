//! Applications that break a rule of `overview.md`.

use std::future::pending;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use callgate::{
    AppError, BoxApp, HttpResponseStart, LifespanShutdownComplete, LifespanStartupComplete,
    Message, ReceiveEvent, Receiver, Scope, SendEvent, Sender, WebSocketAccept,
};
use callgate_conformance::scope_probe;

use super::{app, mutants};
use crate::support::{answer, content, echo_messages, http, run_lifespan, wait_for, websocket};

mutants! {
    "CORE-02" takes_any_kind_of_scope: app!(|scope, receiver, sender| match scope {
        Scope::Unknown(_) => {}
        _ => return Err(AppError::Unsupported),
    });
    "CORE-02" receives_and_declines: app!(|scope, receiver, sender| {
        websocket(scope)?;
        receiver.receive().await;
        return Err(AppError::Unsupported);
    });
    "CORE-06" accepts_a_request: app!(|scope, receiver, sender| {
        http(scope)?;
        sender.send(WebSocketAccept::new()).await?;
    });
    "CORE-06" responds_in_a_websocket: app!(|scope, receiver, sender| {
        websocket(scope)?;
        sender.send(HttpResponseStart::ok()).await?;
    });
    "CORE-06" answers_a_lifespan: app!(|scope, receiver, sender| match scope {
        Scope::Lifespan(_) => sender.send(HttpResponseStart::ok()).await?,
        _ => return Err(AppError::Unsupported),
    });
    "CORE-13" stays_when_the_client_has_gone: app!(|scope, receiver, sender| {
        http(scope)?;
        if content(&mut receiver).await.is_none() {
            pending::<()>().await;
        }
        answer(&sender, "content").await?;
    });
    "CORE-13" stays_when_the_websocket_is_over: app!(|scope, receiver, sender| {
        websocket(scope)?;
        let _ = echo_messages(receiver, sender).await;
        pending::<()>().await;
    });
    "CORE-18" takes_an_unknown_event_for_the_end: app!(|scope, receiver, sender| {
        http(scope)?;
        let mut length = 0;
        while let ReceiveEvent::HttpRequestBody(request) = receiver.receive().await {
            length += request.body.len();
            if !request.more_body {
                break;
            }
        }
        answer(&sender, length.to_string()).await?;
    });
    "CORE-18" closes_on_an_unknown_event: app!(|scope, receiver, sender| {
        websocket(scope)?;
        sender.send(WebSocketAccept::new()).await?;
        loop {
            match receiver.receive().await {
                ReceiveEvent::WebSocketConnect | ReceiveEvent::WebSocketReceive(_) => {}
                ReceiveEvent::WebSocketDisconnect(_) => return Ok(()),
                _ => return Err(AppError::failed("unknown event")),
            }
        }
    });
    "CORE-18" takes_an_unknown_event_for_the_shutdown: app!(|scope, receiver, sender| match scope {
        Scope::Lifespan(_) => {
            wait_for(&mut receiver, ReceiveEvent::LifespanStartup).await;
            sender.send(LifespanStartupComplete::new()).await?;
            receiver.receive().await;
            sender.send(SendEvent::LifespanShutdownComplete(LifespanShutdownComplete::new())).await?;
        }
        _ => return Err(AppError::Unsupported),
    });
    "CORE-19" panics_when_the_client_has_gone: app!(|scope, receiver, sender| {
        http(scope)?;
        content(&mut receiver).await.expect("content");
        answer(&sender, "content").await?;
    });
    "CORE-19" panics_when_the_websocket_is_over: app!(|scope, receiver, sender| {
        websocket(scope)?;
        let _ = echo_messages(receiver, sender).await;
        panic!("the WebSocket is closed");
    });
    "CORE-19" panics_when_the_lifespan_is_over: app!(|scope, receiver, sender| match scope {
        Scope::Lifespan(_) => {
            run_lifespan(receiver, sender).await?;
            panic!("the lifespan is over");
        }
        _ => return Err(AppError::Unsupported),
    });
    "CORE-19" panics_at_a_kind_of_scope_that_it_does_not_know: app!(|scope, receiver, sender| {
        match scope {
            Scope::Unknown(_) => panic!("unknown scope"),
            _ => return Err(AppError::Unsupported),
        }
    });
    "CORE-20" serves_one_at_a_time: {
        let turn = Arc::new(tokio::sync::Mutex::new(()));
        move |scope: Scope, mut receiver: Receiver, sender: Sender| {
            let turn = turn.clone();
            async move {
                http(scope)?;
                let _turn = tokio::select! {
                    turn = turn.lock() => turn,
                    () = wait_for(&mut receiver, ReceiveEvent::HttpDisconnect) => return Ok(()),
                };
                Ok(answer(&sender, "content").await?)
            }
        }
    };
    "CORE-20" shares_a_buffer: {
        let shared = Arc::new(Mutex::new(Bytes::new()));
        move |scope: Scope, mut receiver: Receiver, sender: Sender| {
            let shared = shared.clone();
            async move {
                http(scope)?;
                *shared.lock().unwrap() = Bytes::new();
                loop {
                    match receiver.receive().await {
                        ReceiveEvent::HttpRequestBody(request) => {
                            if !request.body.is_empty() {
                                *shared.lock().unwrap() = request.body;
                            }
                            if !request.more_body {
                                break;
                            }
                        }
                        ReceiveEvent::HttpDisconnect => return Ok(()),
                        _ => {}
                    }
                }
                let last = shared.lock().unwrap().clone();
                Ok(answer(&sender, last.slice(last.len().saturating_sub(1)..)).await?)
            }
        }
    };
    "CORE-22" holds_all_content: app!(|scope, receiver, sender| {
        http(scope)?;
        let mut parts: Vec<Bytes> = Vec::new();
        loop {
            match receiver.receive().await {
                ReceiveEvent::HttpRequestBody(request) => {
                    parts.push(request.body);
                    if !request.more_body {
                        break;
                    }
                }
                ReceiveEvent::HttpDisconnect => return Ok(()),
                _ => {}
            }
        }
        answer(&sender, parts.concat()).await?;
    });
    "CORE-22" does_not_await_its_sends: app!(|scope, receiver, sender| {
        websocket(scope)?;
        sender.send(WebSocketAccept::new()).await?;
        loop {
            match receiver.receive().await {
                ReceiveEvent::WebSocketReceive(message) => {
                    let sender = sender.clone();
                    tokio::spawn(async move {
                        let text = message.len().to_string();
                        sender.send(Message::text(text)).await
                    });
                }
                ReceiveEvent::WebSocketDisconnect(_) => return Ok(()),
                _ => {}
            }
        }
    });
    "SCOPE-16" strips_the_prefix: app!(|scope, receiver, sender| {
        let mut scope = http(scope)?;
        if !scope.route_path().starts_with("/probe/") {
            return Ok(answer(&sender, "content").await?);
        }
        scope.root_path = format!("{}/probe", scope.root_path).into();
        scope.uri = "/a%2Fb?c=d".parse()?;
        return scope_probe(scope.into(), receiver, sender).await;
    });
    "SCOPE-16" forgets_the_prefix: app!(|scope, receiver, sender| {
        let scope = http(scope)?;
        if !scope.route_path().starts_with("/probe/") {
            return Ok(answer(&sender, "content").await?);
        }
        return scope_probe(scope.into(), receiver, sender).await;
    });
}
