//! Applications of this program that answer as a service would.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::Body;
use bytes::Bytes;
use callgate::App;
use callgate_tower::AppService;
use futures_util::StreamExt as _;
use http::Response;
use tower_service::Service as _;

use super::content::Content;
use super::{Error, Request};
use crate::Service;

/// An application that stands in for a service. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct StandIn {
    service: &'static Service,
    app: AppService,
    is_announced: Arc<AtomicBool>,
}

impl StandIn {
    pub(super) fn new(service: &'static Service, app: impl App) -> Self {
        Self {
            service,
            app: AppService::new(app),
            is_announced: Arc::default(),
        }
    }

    /// Calls the application. The first call leaves a line in the log.
    pub(super) async fn send(mut self, request: Request) -> Result<Response<Bytes>, Error> {
        if !self.is_announced.swap(true, Ordering::Relaxed) {
            tracing::info!("{}", self.service.notice());
        }
        let mut call = http::Request::new(Body::from(request.content));
        let uri = request.url.as_str().parse();
        *call.uri_mut() =
            uri.map_err(|error: http::uri::InvalidUri| Error::NotSent(error.into()))?;
        *call.method_mut() = request.method;
        *call.headers_mut() = request.headers;
        let response = match self.app.call(call).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let (head, body) = response.into_parts();
        let mut parts = Body::new(body).into_data_stream();
        let mut content = Content::default();
        while let Some(part) = parts.next().await {
            content.push(&part.map_err(|error| Error::Unreachable(error.into()))?)?;
        }
        Ok(Response::from_parts(head, content.into_bytes()))
    }
}
