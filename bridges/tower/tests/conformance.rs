//! Applications behind the bridge keep every rule of applications.

use axum::Router;
use axum::body::Body;
use axum::extract::ws::{Message, WebSocketUpgrade, rejection::WebSocketUpgradeRejection};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use callgate::{
    App, AppError, HttpResponseBody, HttpResponseStart, ReceiveEvent, Receiver, Scope, SendEvent,
    Sender, WebSocketAccept,
};
use callgate_conformance::app_tests;
use callgate_tower::{AppService, ServiceApp};

/// Returns a router that echoes content and messages.
fn router() -> impl App {
    ServiceApp::new(Router::new().fallback(any(echo)))
}

async fn echo(
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    body: Body,
) -> Response {
    let Ok(upgrade) = upgrade else {
        return body.into_response();
    };
    upgrade.on_upgrade(async |mut socket| {
        while let Some(Ok(message)) = socket.recv().await {
            let is_message = matches!(message, Message::Text(_) | Message::Binary(_));
            if is_message && socket.send(message).await.is_err() {
                return;
            }
        }
    })
}

/// Echoes content and messages.
async fn echo_app(scope: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    match scope {
        Scope::Http(_) => sender.send(HttpResponseStart::ok()).await?,
        Scope::WebSocket(_) => sender.send(WebSocketAccept::new()).await?,
        _ => return Err(AppError::Unsupported),
    }
    loop {
        match receiver.receive().await {
            ReceiveEvent::HttpRequestBody(part) => {
                let body = HttpResponseBody::new(part.body, part.more_body);
                sender.send(body).await?;
                if !part.more_body {
                    return Ok(());
                }
            }
            ReceiveEvent::WebSocketReceive(message) => {
                sender.send(SendEvent::WebSocketSend(message)).await?;
            }
            ReceiveEvent::HttpDisconnect | ReceiveEvent::WebSocketDisconnect(_) => return Ok(()),
            _ => {}
        }
    }
}

/// Tests of both directions at once: an application as a service as an application.
mod of_an_application {
    use super::{AppService, ServiceApp, echo_app};

    super::app_tests!(ServiceApp::new(AppService::new(echo_app)));
}

mod of_a_router {
    super::app_tests!(super::router());
}
