//! An application as a tower service.

mod call;
mod hosting;
mod response;

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use callgate::{AppError, HttpScope, Receiver, Scope, Sender};
use callgate_tower::AppService;
use http::{Method, Request, Response};
use http_body_util::BodyExt as _;
use tower::{Service, ServiceExt as _};

use crate::support::{checked, within};

/// Returns a service of an application for HTTP only.
fn http<F, Fut>(call: F) -> AppService
where
    F: Fn(HttpScope, Receiver, Sender) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), AppError>> + Send + 'static,
{
    let call = Arc::new(call);
    let app = move |scope: Scope, receiver, sender| {
        let call = call.clone();
        async move {
            let scope = scope.into_http()?;
            call(*scope, receiver, sender).await
        }
    };
    AppService::new(checked(app))
}

fn to(target: &str) -> Request<Body> {
    let request = Request::get(target).header("host", "localhost");
    request.body(Body::empty()).unwrap()
}

fn post(body: Body) -> Request<Body> {
    let mut request = to("/").map(|_| body);
    *request.method_mut() = Method::POST;
    request
}

async fn ask<S, B>(service: S, request: Request<Body>) -> Response<B>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Error: std::fmt::Debug,
{
    within(service.oneshot(request)).await.unwrap()
}

async fn text<B: http_body::Body<Data = Bytes, Error: std::fmt::Debug>>(
    response: Response<B>,
) -> String {
    let content = within(response.into_body().collect()).await.unwrap();
    String::from_utf8(content.to_bytes().to_vec()).unwrap()
}
