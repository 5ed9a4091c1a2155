use futures_util::StreamExt as _;
use tokio_tungstenite::tungstenite::Message;

use crate::{TestServer, http_client, websocket};

#[tokio::test]
async fn a_websocket_that_is_closed_is_not_counted() {
    let server = TestServer::start("counter");
    let mut first = websocket(&server, "/").await;
    assert_eq!(first.next().await.unwrap().unwrap(), Message::text("1"));
    let second = websocket(&server, "/").await;
    assert_eq!(first.next().await.unwrap().unwrap(), Message::text("2"));
    drop(second);
    assert_eq!(first.next().await.unwrap().unwrap(), Message::text("1"));
    let page = http_client::get(server.url("/")).await.unwrap();
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    drop(first);
    server.stop().await;
}
