//! Tests of the exchange behind a response.

use callgate::{
    AppError, HttpResponseBody, HttpResponseDebug, HttpResponseEarlyHint, HttpResponsePathSend,
    HttpResponseStart, Receiver, Scope, SendError, SendEvent, Sender,
};
use callgate_toolkit::respond;
use callgate_toolkit::test_client::{Error, ResponseExt, TestClient, TestExchange};
use http::{Request, StatusCode};

#[tokio::test]
async fn early_hints_and_debug_facts_are_kept_for_the_test() {
    async fn app(_: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
        let hint = HttpResponseEarlyHint::new(["</a.css>; rel=preload".parse().unwrap()]);
        sender.send(hint.clone()).await?;
        let mut debug = HttpResponseDebug::default();
        debug.info.insert("template".into(), "index".into());
        sender.send(debug).await?;
        sender.send(HttpResponseStart::ok()).await?;
        let late = sender.send(hint).await;
        assert!(matches!(late, Err(SendError::Violation(_))), "{late:?}");
        Ok(())
    }
    let client = TestClient::new(app).allow_violations(true);
    let response = client.get("/").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let exchange = TestExchange::of(&response);
    assert_eq!(exchange.early_hints(), ["</a.css>; rel=preload"]);
    let transcript = exchange.transcript();
    let mut sent = transcript.sent();
    assert!(
        sent.any(|event| matches!(
            event,
            SendEvent::HttpResponseDebug(debug) if debug.info["template"] == "index"
        )),
        "{transcript}"
    );
}

#[tokio::test]
async fn values_of_the_request_reach_the_application() {
    #[derive(Clone)]
    struct User(&'static str);
    async fn app(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
        let scope = scope.into_http()?;
        let user = scope.extensions.get::<User>().map(|user| user.0);
        respond::text(user.unwrap_or("nobody")).send(&sender).await
    }
    let client = TestClient::new(app);
    let request = Request::get("/").extension(User("Ada")).body("").unwrap();
    let response = client.request(request).send().await.unwrap();
    assert_eq!(response.text(), "Ada");
}

#[tokio::test]
async fn a_path_send_of_no_regular_file_fails_and_the_response_goes_on() {
    async fn app(_: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
        sender.send(HttpResponseStart::ok()).await?;
        let directory = HttpResponsePathSend::new(std::env::temp_dir());
        let failed = sender.send(directory).await.unwrap_err();
        sender
            .send(HttpResponseBody::last(failed.to_string()))
            .await?;
        Ok(())
    }
    let response = TestClient::new(app).get("/").send().await.unwrap();
    assert!(
        response.text().contains("not a regular file"),
        "{}",
        response.text()
    );
    let transcript = TestExchange::of(&response).transcript().to_string();
    let failed = transcript.lines().filter(|line| line.contains("(failed: "));
    assert_eq!(failed.count(), 1, "{transcript}");
}

#[tokio::test]
async fn a_client_that_disconnects_within_a_response_reads_what_came_before() {
    async fn app(_: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        sender.send(HttpResponseStart::ok()).await?;
        sender.send(HttpResponseBody::part("half")).await?;
        callgate_toolkit::read::disconnected(&mut receiver).await;
        Ok(())
    }
    let client = TestClient::new(app);
    let mut response = client.get("/").stream().await.unwrap();
    let exchange = TestExchange::of(&response).clone();
    exchange.disconnect();
    exchange.ended().await.unwrap();
    assert_eq!(response.body_mut().chunk().await.unwrap().unwrap(), "half");
    let end = response.body_mut().chunk().await;
    assert!(matches!(end, Err(Error::Disconnected)), "{end:?}");
}
