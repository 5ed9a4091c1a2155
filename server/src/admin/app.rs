//! The application of the admin listener.

use std::sync::Arc;

use bytes::Bytes;
use callgate::{
    App, AppError, HttpResponseBody, HttpResponseStart, Receiver, Scope, SendError, Sender,
};
use http::{Method, StatusCode, header};
use serde_json::{Value, json};

use crate::access_log::tls_name;
use crate::context::ServerContext;
#[cfg(feature = "metrics")]
use crate::metrics;
use crate::readiness::Asker;
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
    let (idle, security) = (open.idle(), open.security());
    json!({
        "id": open.id(),
        "client": open.client(),
        "peer": open.peer(),
        "protocol": open.protocol().name(),
        "state": open.state().name(),
        "requests": open.requests(),
        "tls": security.and_then(|it| it.version).map(tls_name),
        "alpn": security.and_then(|it| it.alpn),
        "age_seconds": open.age().as_secs_f64(),
        "idle_seconds": idle.map(|idle| idle.as_secs_f64()),
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
            "/readyz" => {
                self.server
                    .readiness
                    .respond(Asker::Operator, &sender)
                    .await?;
            }
            "/connections" => {
                let connections = self.connections();
                respond(&sender, StatusCode::OK, "application/json", connections).await?;
            }
            #[cfg(feature = "metrics")]
            "/metrics" => {
                let text = metrics::write(&self.server).map_err(AppError::failed)?;
                respond(&sender, StatusCode::OK, metrics::CONTENT_TYPE, text).await?;
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
