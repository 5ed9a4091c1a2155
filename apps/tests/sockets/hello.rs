use crate::Served;

#[tokio::test]
async fn it_says_hello() {
    let served = Served::start("hello");
    let response = reqwest::get(served.url("/")).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.text().await.unwrap(), "Hello, world!\n");
    served.stop().await;
}
