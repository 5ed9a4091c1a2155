use axum::routing::post;
use axum::{Json, Router};
use callgate_apps::{Settings, Token};
use serde_json::{Value, json};

use crate::upstream::Upstream;
use crate::{TestServer, app, http_client};

#[tokio::test]
async fn a_customer_is_created_alone_and_in_the_gallery() {
    let create = async |Json(customer): Json<Value>| Json(json!({"id": customer["id"]}));
    let upstream = Upstream::start(Router::new().route("/customers", post(create)));
    let mut settings = Settings::default();
    settings.autumn_url = Some(upstream.url());
    settings.autumn_token = Some(Token::new("test"));
    for (name, path) in [
        ("customers", "/api/autumn/customers"),
        ("gallery", "/customers/api/autumn/customers"),
    ] {
        let server = TestServer::app(app(name, &settings));
        let client = http_client::new();
        for (content, status) in [
            (json!({"id": "u1"}), 422),
            (
                json!({"id": "u1", "name": "Ada", "email": "ada@example.com"}),
                200,
            ),
        ] {
            let request = client.post(server.url(path)).json(&content);
            assert_eq!(request.send().await.unwrap().status(), status);
        }
        server.stop().await;
    }
}
