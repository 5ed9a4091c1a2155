use axum::Router;
use axum::routing::get;
use callgate_apps::items::{Database, DbConnection, Item, items};
use callgate_tower::ServiceApp;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use url::Url;

use crate::TestServer;
use crate::http_client;

/// Returns the address of a server, such as `127.0.0.1:8000`.
fn address(server: &TestServer) -> String {
    let url: Url = server.url("/").parse().unwrap();
    let addresses = url.socket_addrs(|| None).unwrap();
    addresses[0].to_string()
}

#[tokio::test]
async fn items_are_served_alone_and_in_the_gallery() {
    for (name, root) in [("items", ""), ("gallery", "/items")] {
        let server = TestServer::start(name);
        let client = http_client::new();
        for (path, status, content) in [
            ("/items/42", 200, json!({"item_id": 42})),
            ("/sync/items/42", 200, json!({"item_id": 42})),
            (
                "/items/abc",
                422,
                json!({"error": "item_id: `abc` is not an integer of 64 bits"}),
            ),
            ("/users/1", 200, json!({"user_id": 1, "name": "Ada"})),
            ("/users/7", 404, json!({"error": "there is no user 7"})),
        ] {
            let url = server.url(&format!("{root}{path}"));
            let response = client.get(url).send().await.unwrap();
            assert_eq!(response.status(), status, "{path}");
            assert_eq!(response.json::<Value>().await.unwrap(), content, "{path}");
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn a_server_that_shuts_down_waits_until_an_item_has_been_processed() {
    let database = Database::new(1);
    let server = TestServer::app(items(database.clone(), |_| Ok(())));
    // While this connection is open, the item cannot be processed.
    let connection = database.connect().await.unwrap();
    let client = http_client::new();
    let response = client.post(server.url("/items/42")).send().await.unwrap();
    assert_eq!(response.status(), 200);
    drop((response, client));

    let stopped = tokio::spawn(server.stop());
    // All tasks but the background work get as far as they can.
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert!(!stopped.is_finished());
    connection.close().await;
    stopped.await.unwrap();
    let connection = database.connect().await.unwrap();
    let items = connection.items().await.unwrap();
    assert!(items.contains(&Item { item_id: 42 }), "{items:?}");
}

#[tokio::test]
async fn the_connection_of_a_client_that_goes_away_is_closed() {
    let database = Database::new(1);
    let hangs = async |_: DbConnection| std::future::pending::<()>().await;
    let routes = Router::new().route("/", get(hangs));
    let server = TestServer::app(ServiceApp::new(routes.with_state(database.clone())));
    let mut connections = database.connections();
    let mut stream = TcpStream::connect(address(&server)).await.unwrap();
    let request = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
    stream.write_all(request).await.unwrap();
    connections.wait_for(|open| *open == 1).await.unwrap();
    drop(stream);
    connections.wait_for(|open| *open == 0).await.unwrap();
    server.stop().await;
}
