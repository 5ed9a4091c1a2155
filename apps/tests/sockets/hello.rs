use crate::TestServer;
use crate::http_client;

#[tokio::test]
async fn it_answers_with_hello() {
    let server = TestServer::start("hello");
    let response = http_client::get(server.url("/")).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.text().await.unwrap(), "Hello, world!\n");
    server.stop().await;
}
