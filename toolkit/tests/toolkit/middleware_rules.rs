//! Each middleware around an application keeps the rules of applications, and shows the application a
//! server that keeps the rules of servers.

use std::time::Duration;

use callgate::{
    App, AppError, HttpResponseBody, HttpResponseStart, ReceiveEvent, Receiver, Scope, SendEvent,
    Sender, WebSocketAccept,
};
use callgate_conformance::{Lint, app_tests};
use callgate_toolkit::middleware::{
    AllowedHosts, ContentLimit, Cors, SecurityHeaders, SetRequestId, Timeout, WebSocketOrigins,
};

/// Echoes content and messages.
async fn echo(scope: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
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

/// The application under all middlewares, with a lint between each two.
fn stack() -> impl App {
    let app = Lint::new(Timeout::new(
        Lint::new(echo).strict(),
        Duration::from_secs(600),
    ));
    let app = Lint::new(ContentLimit::new(app.strict(), 1 << 30)).strict();
    let app = Lint::new(Cors::new(app).allow_any_origin()).strict();
    let app = Lint::new(SecurityHeaders::new(app)).strict();
    let app = Lint::new(WebSocketOrigins::new(app)).strict();
    let hosts = ["localhost", "*.example", "example.com", "127.0.0.1"];
    let app = Lint::new(AllowedHosts::new(app, hosts)).strict();
    SetRequestId::new(app)
}

app_tests!(stack());

/// A limit that nearly every exchange of the suite exceeds.
mod of_refusals {
    use super::*;

    app_tests!(ContentLimit::new(Lint::new(echo).strict(), 1));
}
