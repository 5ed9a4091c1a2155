use axum::extract::Path;
use axum::routing::get;
use axum::{Json, Router};
use callgate_apps::Settings;
use serde_json::{Value, json};

use crate::upstream::Upstream;
use crate::{TestServer, app, http_client};

#[tokio::test]
async fn its_figures_come_from_upstream_when_it_is_alone_and_in_the_gallery() {
    let list = async |Path(name): Path<String>| Json(json!([name]));
    let upstream = Upstream::start(Router::new().route("/{name}", get(list)));
    let mut settings = Settings::default();
    settings.upstream_url = Some(upstream.url());
    for (name, path) in [
        ("dashboard", "/dashboard"),
        ("gallery", "/dashboard/dashboard"),
    ] {
        let server = TestServer::app(app(name, &settings));
        let response = http_client::get(server.url(path)).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(
            response.json::<Value>().await.unwrap(),
            json!({"users": ["users"], "products": ["products"], "sales": ["sales"]})
        );
        server.stop().await;
    }
}

#[tokio::test]
async fn after_failures_the_next_request_is_served() {
    let upstream = Upstream::start(Router::new().route("/items/1", get(async || Json(1))));
    let mut settings = Settings::default();
    settings.upstream_url = Some(upstream.url());
    let server = TestServer::app(app("dashboard", &settings));
    let client = http_client::new();
    for (path, status) in [
        ("/dashboard", 502),
        ("/proxy/2", 404),
        ("/nosuch", 404),
        ("/proxy/1", 200),
    ] {
        let response = client.get(server.url(path)).send().await.unwrap();
        assert_eq!(response.status(), status, "{path}");
    }
    server.stop().await;
}
