//! Routes: a router of axum is an application by the bridge.

use axum::extract::{Path, Query};
use axum::routing::get;
use axum::{Json, Router};
use callgate::App;
use callgate_tower::ServiceApp;
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    offset: usize,
}

#[derive(Serialize)]
struct Item {
    id: u64,
}

async fn list(Query(page): Query<Page>) -> String {
    format!("items from {}\n", page.offset)
}

async fn read(Path(id): Path<u64>) -> Json<Item> {
    Json(Item { id })
}

/// The routes as an application: serve it by `callgate_server::cli::main(app())`.
pub fn app() -> impl App {
    let router = Router::new()
        .route("/items", get(list))
        .route("/items/{id}", get(read));
    ServiceApp::new(router)
}

#[cfg(test)]
mod tests {
    use callgate_toolkit::test_client::{ResponseExt, TestClient};

    #[tokio::test]
    async fn parameters_of_the_path_and_the_query_reach_the_handlers() {
        let client = TestClient::new(super::app());
        let response = client.get("/items?offset=20").send().await.unwrap();
        assert_eq!(response.text(), "items from 20\n");
        let response = client.get("/items/7").send().await.unwrap();
        assert_eq!(response.text(), r#"{"id":7}"#);
        let response = client.get("/items/seven").send().await.unwrap();
        assert_eq!(response.status(), 400);
        let response = client.delete("/items/7").send().await.unwrap();
        assert_eq!(response.status(), 405);
    }
}
