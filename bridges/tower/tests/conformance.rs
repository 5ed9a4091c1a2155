//! What comes through the bridge keeps every rule of applications.

use axum::Router;
use axum::body::Body;
use axum::routing::any;
use callgate::App;
use callgate_conformance::app_tests;
use callgate_tower::ServiceApp;

/// A router that sends content back as it comes.
fn router() -> impl App {
    ServiceApp::new(Router::new().fallback(any(async |body: Body| body)))
}

mod of_a_router {
    super::app_tests!(super::router());
}
