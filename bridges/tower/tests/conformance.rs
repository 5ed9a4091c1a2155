//! What comes through the bridge keeps every rule of applications.

use axum::Router;
use axum::body::Body;
use axum::extract::ws::{Message, WebSocketUpgrade, rejection::WebSocketUpgradeRejection};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use callgate::App;
use callgate_conformance::app_tests;
use callgate_tower::ServiceApp;

/// A router that sends content and messages back as they come.
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

mod of_a_router {
    super::app_tests!(super::router());
}
