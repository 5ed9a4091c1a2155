//! The requests of the page.

use callgate_inspector::{Inspector, InspectorPage, Token};
use callgate_toolkit::test_client::{Error, ResponseExt as _, TestClient};
use http::StatusCode;
use serde_json::{Value, json};

use crate::{echo, post};

const TOKEN: &str = "a-token-of-a-test";

/// Returns a client of an application, and one of the page that inspects it.
fn clients() -> (TestClient, TestClient) {
    let inspector = Inspector::new();
    let app = TestClient::new(inspector.inspect(echo));
    let page = InspectorPage::new(inspector, Token::new(TOKEN).unwrap());
    let bearer = format!("Bearer {TOKEN}");
    (app, TestClient::new(page).header("authorization", bearer))
}

/// Reads the next event of the feed.
async fn next_changes(
    feed: &mut http::Response<callgate_toolkit::test_client::Streaming>,
) -> Result<Value, Error> {
    let event = feed.body_mut().chunk().await?.expect("an event");
    let event = std::str::from_utf8(&event).expect("text");
    let data = event.strip_prefix("data: ").expect("data");
    Ok(serde_json::from_str(data).expect("JSON"))
}

#[tokio::test]
async fn exchanges_need_the_token_and_the_page_does_not() -> Result<(), Error> {
    let inspector = Inspector::new();
    let page = InspectorPage::new(inspector, Token::new(TOKEN).unwrap());
    let client = TestClient::new(page);
    for path in ["/", "/page.css", "/page.js"] {
        let response = client.get(path).send().await?;
        assert_eq!(response.status(), 200, "{path}");
        let policy = response.headers()["content-security-policy"]
            .to_str()
            .unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'"));
        assert!(!response.body().is_empty());
    }
    for path in ["/feed", "/exchanges/1", "/exchanges/1/recording", "/none"] {
        let response = client.get(path).send().await?;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{path}");
        let wrong = client
            .get(path)
            .header("authorization", "Bearer another-token-of");
        assert_eq!(
            wrong.send().await?.status(),
            StatusCode::UNAUTHORIZED,
            "{path}"
        );
    }
    let replay = client.post("/exchanges/1/replay").json(&json!({}));
    assert_eq!(replay.send().await?.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(
        client.delete("/exchanges").send().await?.status(),
        StatusCode::UNAUTHORIZED
    );
    Ok(())
}

#[tokio::test]
async fn the_feed_tells_what_changes() -> Result<(), Error> {
    let (app, page) = clients();
    let mut feed = page.get("/feed").stream().await?;
    let first = next_changes(&mut feed).await?;
    assert_eq!(
        first,
        json!({"changed": [], "missed": 0, "cleared": false, "keeps": 500})
    );

    post(&app, "hello").await?;
    let changes = next_changes(&mut feed).await?;
    let changed = &changes["changed"][0];
    assert_eq!(changed["number"], 1);
    assert_eq!(changed["kind"], "http");
    assert_eq!(changed["method"], "POST");

    assert_eq!(
        page.delete("/exchanges").send().await?.status(),
        StatusCode::NO_CONTENT
    );
    loop {
        let changes = next_changes(&mut feed).await?;
        if changes["cleared"] == true {
            break;
        }
    }
    assert_eq!(
        page.get("/exchanges/1").send().await?.status(),
        StatusCode::NOT_FOUND
    );
    Ok(())
}

#[tokio::test]
async fn an_exchange_has_its_entries_and_its_forms() -> Result<(), Error> {
    let (app, page) = clients();
    let feed = page.get("/feed").stream().await?;
    post(&app, "hello").await?;

    let response = page.get("/exchanges/1").send().await?;
    assert_eq!(response.headers()["cache-control"], "no-store");
    let exchange: Value = response.json()?;
    assert_eq!(exchange["summary"]["status"], 200);
    assert_eq!(exchange["entries"][0]["called"]["method"], "POST");
    assert_eq!(exchange["entries"][1]["received"]["body"], "hello");
    assert_eq!(exchange["entries"][4]["ended"], "returned");
    assert_eq!(exchange["cannot_replay"], Value::Null);
    let rest: Value = page.get("/exchanges/1?from=4").send().await?.json()?;
    assert_eq!(rest["from"], 4);
    assert_eq!(rest["entries"].as_array().unwrap().len(), 1);

    let curl = page.get("/exchanges/1/curl").send().await?;
    assert!(curl.text().starts_with("curl -i 'http://localhost/'"));
    let test = page.get("/exchanges/1/test").send().await?;
    assert!(test.text().contains("TestClient::start(app)"));
    let recording = page.get("/exchanges/1/recording").send().await?;
    assert_eq!(recording.text().lines().count(), 5);
    assert_eq!(
        recording.headers()["content-disposition"],
        "attachment; filename=\"exchange-1.jsonl\""
    );
    for path in ["/exchanges/2", "/exchanges/x", "/exchanges/1/none"] {
        assert_eq!(
            page.get(path).send().await?.status(),
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
    let wrong = page.get("/exchanges").send().await?;
    assert_eq!(wrong.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(wrong.headers()["allow"], "DELETE");
    drop(feed);
    Ok(())
}

#[tokio::test]
async fn a_replay_is_asked_for_by_the_page() -> Result<(), Error> {
    let (app, page) = clients();
    let feed = page.get("/feed").stream().await?;
    post(&app, "hello").await?;

    let replay = page
        .post("/exchanges/1/replay")
        .json(&json!({}))
        .send()
        .await?;
    let replay: Value = replay.json()?;
    assert_eq!(
        replay,
        json!({"exchange": 2, "is_masked": false, "difference": null})
    );

    let wrong = json!({"credentials": [["a b", "c"]]});
    let wrong = page.post("/exchanges/1/replay").json(&wrong).send().await?;
    assert_eq!(wrong.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let gone = page
        .post("/exchanges/9/replay")
        .json(&json!({}))
        .send()
        .await?;
    assert_eq!(gone.status(), StatusCode::NOT_FOUND);
    drop(feed);
    Ok(())
}
