//! The application of the admin listener.

use std::sync::Arc;

use bytes::Bytes;
use callgate::{
    App, AppError, HttpResponseBody, HttpResponseStart, Receiver, Scope, SendError, Sender,
};
use http::{Method, StatusCode, header};
use serde_json::{Value, json};

use crate::context::ServerContext;
use crate::registry::OpenConnection;

const TEXT: &str = "text/plain; charset=utf-8";

/// Tells about a server.
pub(super) struct AdminApp {
    server: Arc<ServerContext>,
}

impl AdminApp {
    pub(super) fn new(server: Arc<ServerContext>) -> Self {
        Self { server }
    }

    /// Returns all connections that are open, as JSON.
    fn connections(&self) -> String {
        let open = self.server.registry.open();
        let connections: Vec<_> = open.iter().map(|it| connection(it)).collect();
        format!("{}\n", json!({ "connections": connections }))
    }
}

fn connection(open: &OpenConnection) -> Value {
    json!({
        "id": open.id(),
        "client": open.client(),
        "peer": open.peer(),
        "protocol": open.protocol().name(),
        "state": open.state().name(),
        "requests": open.requests(),
        "age_seconds": open.age().as_secs_f64(),
    })
}

impl App for AdminApp {
    async fn call(&self, scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
        let scope = scope.into_http()?;
        if !matches!(scope.method, Method::GET | Method::HEAD) {
            let head = HttpResponseStart::new(StatusCode::METHOD_NOT_ALLOWED)
                .header(header::ALLOW, "GET, HEAD");
            sender.send(head).await?;
            sender.send(HttpResponseBody::last("")).await?;
            return Ok(());
        }
        match &*scope.path() {
            "/livez" => respond(&sender, StatusCode::OK, TEXT, "ok\n").await?,
            "/readyz" => self.server.readiness.respond(&sender).await?,
            "/connections" => {
                let connections = self.connections();
                respond(&sender, StatusCode::OK, "application/json", connections).await?;
            }
            "/" => {
                let paths = "/livez\n/readyz\n/connections\n";
                respond(&sender, StatusCode::OK, TEXT, paths).await?;
            }
            _ => respond(&sender, StatusCode::NOT_FOUND, TEXT, "not found\n").await?,
        }
        Ok(())
    }
}

async fn respond(
    sender: &Sender,
    status: StatusCode,
    content_type: &'static str,
    content: impl Into<Bytes>,
) -> Result<(), SendError> {
    let head = HttpResponseStart::new(status)
        .header(header::CONTENT_TYPE, content_type)
        .header(header::CACHE_CONTROL, "no-store");
    sender.send(head).await?;
    sender.send(HttpResponseBody::last(content)).await
}
