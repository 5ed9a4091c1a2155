//! A program of axum, served by axum.

use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let router = Router::new().route("/", get(async || "Hello!\n"));
    let listener = TcpListener::bind("127.0.0.1:8000").await?;
    axum::serve(listener, router).await
}
