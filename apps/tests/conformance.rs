//! Every example application keeps every rule of applications.

use std::sync::{LazyLock, mpsc};

use axum::routing::get;
use axum::{Json, Router};
use callgate::BoxApp;
use callgate_apps::{Settings, Token};
use callgate_conformance::AppOptions;
use http::Method;
use serde_json::json;
use tokio::runtime::Builder;
use url::Url;

use crate::upstream::Upstream;

mod upstream;

/// Returns the application of this name.
fn app(name: &str) -> BoxApp {
    (callgate_apps::find(name).unwrap().app)(&Settings::default())
}

/// Returns the name of the application of this module.
fn name(module: &str) -> String {
    module.replace('_', "-")
}

fn customers() -> AppOptions {
    AppOptions::new()
        .path("/api/autumn/customers")
        .method(Method::POST)
        .header("content-type", "application/json")
        .body(r#"{"id": "u1", "name": "Ada", "email": "ada@example.com"}"#)
        .other_bodies([r#"{"id": "u2", "name": "Eva", "email": "eva@example.com"}"#])
}

/// An interactive event.
const EVENT: &str = r#"{
    "event_type": "asset_purchase_request_validation",
    "data": {"status": "draft", "asset": {"params": [{"value": "m"}]}}
}"#;

/// A background event.
const PROCESSING: &str = r#"{
    "event_type": "asset_purchase_request_processing",
    "data": {"id": "PR-1", "status": "pending", "asset": {"product": {"id": "PRD-1"}}}
}"#;

macro_rules! conforms {
    ($($name:ident: $options:expr;)+) => {
        $(mod $name {
            use super::*;

            callgate_conformance::app_tests!(app(&name(stringify!($name))), $options);
        })+

        #[test]
        fn no_application_is_missing() {
            let mut tested = [$(name(stringify!($name))),+];
            let mut names: Vec<_> = callgate_apps::all().iter().map(|entry| entry.name).collect();
            tested.sort_unstable();
            names.sort_unstable();
            assert_eq!(names, tested);
        }
    };
}

conforms! {
    hello: AppOptions::new();
    echo: AppOptions::new();
    time: AppOptions::new();
    counter: AppOptions::new();
    chat: AppOptions::new().websocket_path("/ws");
    scope: AppOptions::new();
    items: AppOptions::new().path("/items/");
    dashboard: AppOptions::new().path("/dashboard");
    customers: customers();
    brands: AppOptions::new().path("/brands");
    brands_blocking: AppOptions::new().path("/brands");
    stream: AppOptions::new().path("/download?bytes=200000");
    work: AppOptions::new().path("/work/3");
    chart: AppOptions::new().path("/chart").header("x-connect-installation-id", "EIN-1");
    events: AppOptions::new().path("/events").websocket_path("/ws").method(Method::POST)
        .header("content-type", "application/json").body(EVENT)
        .other_bodies(["l", "s"].map(|size| EVENT.replace("\"m\"", &format!("\"{size}\""))));
    // The suite mounts its probe at `scope`, which answers with its scope.
    gallery: AppOptions::new().mounts_probe_at("/scope");
}

/// An application of the gallery.
mod gallery_echo {
    use super::{AppOptions, app};

    callgate_conformance::app_tests!(app("gallery"), AppOptions::new().path("/echo/"));
}

/// A request whose item is processed after the response.
mod items_received {
    use super::*;

    callgate_conformance::app_tests!(
        app("items"),
        AppOptions::new().path("/items/7").method(Method::POST)
    );
}

/// Starts a service that has everything that the applications fetch, also from CloudBlue Connect.
fn upstream() -> Url {
    static URL: LazyLock<Url> = LazyLock::new(|| {
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let settings = json!({"settings": {"marketplaces": [
                    {"id": "MP-1", "name": "Germany", "description": ""},
                ]}});
                let total = [("content-range", "items 0-0/7")];
                let templates = async || Json(json!([{"id": "TL-1"}]));
                let routes = Router::new()
                    .route("/devops/installations/{id}", get(async || Json(settings)))
                    .route("/subscriptions/assets", get(async move || (total, "[]")))
                    .route("/products/{id}/templates", get(templates))
                    .fallback(async || Json(["thing"]));
                let upstream = Upstream::start(routes);
                sender.send(upstream.url()).unwrap();
                std::future::pending::<()>().await;
            });
        });
        receiver.recv().unwrap()
    });
    URL.clone()
}

fn app_with_upstream(name: &str) -> BoxApp {
    let mut settings = Settings::default();
    settings.upstream_url = Some(upstream());
    settings.autumn_url = Some(upstream());
    settings.autumn_token = Some(Token::new("test"));
    settings.connect_url = Some(upstream());
    settings.connect_token = Some(Token::new("test"));
    (callgate_apps::find(name).unwrap().app)(&settings)
}

mod dashboard_with_upstream {
    use super::*;

    callgate_conformance::app_tests!(
        app_with_upstream("dashboard"),
        AppOptions::new().path("/dashboard")
    );
}

mod customers_with_upstream {
    use super::*;

    callgate_conformance::app_tests!(app_with_upstream("customers"), customers());
}

mod chart_with_upstream {
    use super::*;

    callgate_conformance::app_tests!(
        app_with_upstream("chart"),
        AppOptions::new()
            .path("/chart")
            .header("x-connect-installation-id", "EIN-1")
    );
}

/// A background event, which is handled after the response.
mod events_with_upstream {
    use super::*;

    callgate_conformance::app_tests!(
        app_with_upstream("events"),
        AppOptions::new()
            .path("/events")
            .websocket_path("/ws")
            .method(Method::POST)
            .header("content-type", "application/json")
            .body(PROCESSING)
    );
}

/// The other routes of `stream`.
mod stream_upload {
    use super::{AppOptions, app};
    use http::Method;

    callgate_conformance::app_tests!(
        app("stream"),
        AppOptions::new().path("/upload").method(Method::PUT)
    );
}

mod stream_events {
    use super::{AppOptions, app};

    callgate_conformance::app_tests!(app("stream"), AppOptions::new().path("/events?count=1"));
}

/// The room of the chat.
mod chat_room {
    use super::{AppOptions, app};

    callgate_conformance::app_tests!(
        app("chat"),
        AppOptions::new().path("/room/").websocket_path("/room/ws")
    );
}

#[test]
fn the_gallery_s_mounts_are_seen() {
    let options = AppOptions::new().mounts_probe_at("/scope");
    let suite = callgate_conformance::AppSuite::new(|| app("gallery"), options);
    let report = suite.report_on(|rule| rule.id == "SCOPE-16");
    let [finding] = &report.findings[..] else {
        panic!("{report}");
    };
    assert!(
        matches!(finding.verdict, callgate_conformance::Verdict::Passed),
        "{report}"
    );
}
