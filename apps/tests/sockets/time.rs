use serde_json::Value;

use crate::TestServer;
use crate::http_client;

#[tokio::test]
async fn it_tells_the_month_the_day_and_the_time() {
    let server = TestServer::start("time");
    // The response is the same at every path.
    for path in ["/", "/time"] {
        let response = http_client::get(server.url(path)).await.unwrap();
        assert_eq!(response.status(), 200);
        let now: Value = response.json().await.unwrap();
        assert!(matches!(now["month"].as_u64(), Some(1..=12)), "{now}");
        assert!(matches!(now["day"].as_u64(), Some(1..=31)), "{now}");
        // For example 09:30:00.000000.
        let time = now["time"].as_str().unwrap();
        assert_eq!(time.len(), 15, "{now}");
    }
    server.stop().await;
}
