use serde_json::{Value, json};

use crate::connect::{Connect, json_answer, page};
use crate::{TestServer, app, http_client};

#[tokio::test]
async fn its_chart_comes_from_connect_when_it_is_alone_and_in_the_gallery() {
    let connect = Connect::start(|line: &str| {
        if line == "GET /v1/devops/installations/EIN-1" {
            let marketplace = json!({"id": "MP-1", "name": "Germany", "description": ""});
            json_answer(json!({"settings": {"marketplaces": [marketplace]}}))
        } else {
            page(json!([]), 42)
        }
    });
    for (name, path) in [("chart", "/chart"), ("gallery", "/chart/chart")] {
        let server = TestServer::app(app(name, &connect.settings()));
        let client = http_client::new();
        let refused = client.get(server.url(path)).send().await.unwrap();
        assert_eq!(refused.status(), 422);
        let request = client.get(server.url(path));
        let request = request.header("x-connect-installation-id", "EIN-1");
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        let chart: Value = response.json().await.unwrap();
        assert_eq!(chart["data"]["labels"], json!(["MP-1"]));
        assert_eq!(chart["data"]["datasets"][0]["data"], json!([42]));
        assert_eq!(connect.most_at_once(), 1);
        server.stop().await;
    }
}
