use futures_util::StreamExt as _;
use tokio_tungstenite::tungstenite::Message;

use crate::{Served, websocket};

#[tokio::test]
async fn who_leaves_is_not_counted() {
    let served = Served::start("counter");
    let mut first = websocket(&served, "/").await;
    assert_eq!(first.next().await.unwrap().unwrap(), Message::text("1"));
    let second = websocket(&served, "/").await;
    assert_eq!(first.next().await.unwrap().unwrap(), Message::text("2"));
    drop(second);
    assert_eq!(first.next().await.unwrap().unwrap(), Message::text("1"));
    let page = reqwest::get(served.url("/")).await.unwrap();
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    drop(first);
    served.stop().await;
}
