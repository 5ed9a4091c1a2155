//! A program of axum, served by Callgate.

use axum::Router;
use axum::routing::get;
use callgate_tower::ServiceApp;

fn main() -> std::process::ExitCode {
    let router = Router::new().route("/", get(async || "Hello!\n"));
    callgate_server::cli::main(ServiceApp::new(router))
}
