//! A minimal server on axum.

use std::io;

use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;

use super::hyper::Chunks;
use crate::content::{BINARY, CHUNKS, HELLO, WAIT, large};

/// Serves every connection to `listener`.
///
/// # Errors
///
/// Never returns, but for the type of axum.
pub async fn serve(listener: TcpListener) -> io::Result<()> {
    let router = Router::new()
        .route("/", get(async || HELLO))
        .route("/echo", post(async |content: Body| binary(content)))
        .route("/large", get(async || binary(large())))
        .route("/chunks", get(async || binary(Body::new(Chunks(CHUNKS)))))
        .route("/no-content", get(async || StatusCode::NO_CONTENT))
        .route(
            "/wait",
            get(async || {
                tokio::time::sleep(WAIT).await;
                HELLO
            }),
        );
    let listener = listener.tap_io(|stream| {
        // The connection of a client that is gone already fails on its own.
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, router).await
}

fn binary(content: impl Into<Body>) -> impl IntoResponse {
    ([(CONTENT_TYPE, BINARY)], content.into())
}
