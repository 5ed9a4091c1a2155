use callgate_apps::Settings;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::postgres::Database;
use crate::{TestServer, app, http_client};

#[tokio::test]
async fn a_burst_is_served_from_postgresql_and_the_pool_is_closed_with_the_server() {
    for name in ["brands", "brands-blocking"] {
        let mut database = Database::create().await;
        let mut settings = Settings::default();
        settings.database_url = Some(database.url.as_str().parse().unwrap());
        let server = TestServer::app(app(name, &settings));
        let responses = join_all((0..50).map(|_| http_client::get(server.url("/brands")))).await;
        for response in responses {
            let rows: Value = response.unwrap().json().await.unwrap();
            assert_eq!(rows[0], json!({"brand_id": 1, "brand_name": "Höhe"}));
        }
        assert_eq!(database.connections().await, 6);
        server.stop().await;
        database.has_connections(0).await;
        database.remove().await;
    }
}
