use callgate::{AppError, Receiver, Scope, Sender};
use callgate_toolkit::read::{self, ReadError};
use callgate_toolkit::respond;
use callgate_toolkit::test_client::{Body, ResponseExt, TestClient, TestExchange};
use http::StatusCode;
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
struct Order {
    number: u8,
    #[serde(default)]
    tags: Vec<String>,
}

/// Reads at most 40 bytes, and answers with the bytes or with the error.
async fn reads(scope: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    let scope = scope.into_http()?;
    let read = match scope.raw_path() {
        "/json" => read::json::<Order>(&scope, &mut receiver, 40)
            .await
            .map(|order| format!("{order:?}")),
        "/form" => read::form::<Order>(&scope, &mut receiver, 40)
            .await
            .map(|order| format!("{order:?}")),
        "/query" => read::query::<Order>(&scope).map(|order| format!("{order:?}")),
        "/text" => read::text(&mut receiver, 40).await,
        _ => {
            let body = read::bytes(&mut receiver, 40).await;
            body.map(|body| body.len().to_string())
        }
    };
    let response = match read {
        Ok(text) => respond::text(text),
        Err(ReadError::Disconnected) => return Err(ReadError::Disconnected.into()),
        Err(error) => respond::text(error.to_string()).status(error.status()),
    };
    response.send(&sender).await?;
    Ok(())
}

#[tokio::test]
async fn content_is_read_up_to_its_limit_however_it_is_divided() {
    let client = TestClient::new(reads);
    let whole = client.post("/").body(vec![b'x'; 40]).send().await.unwrap();
    assert_eq!(whole.text(), "40");
    let parts = |count| {
        Body::stream(futures_util::stream::iter(vec![
            Ok::<_, ()>("0123456789");
            count
        ]))
    };
    let parted = client.post("/").body(parts(4)).send().await.unwrap();
    assert_eq!(parted.text(), "40");
    let large = client.post("/").body(parts(5)).send().await.unwrap();
    assert_eq!(large.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(
        large.text(),
        "the content is larger than the limit of 40 bytes"
    );
    let none = client.post("/").send().await.unwrap();
    assert_eq!(none.text(), "0");
}

#[tokio::test]
async fn a_client_that_goes_away_in_the_middle_is_no_failure() {
    let client = TestClient::new(reads);
    let (content, body) = Body::channel();
    let pending = client.post("/").body(body).start();
    content.send("part").await;
    drop(content);
    pending.exchange().ended().await.unwrap();
    assert!(
        pending
            .exchange()
            .transcript()
            .to_string()
            .contains("returned  an error")
    );
}

#[tokio::test]
async fn json_that_cannot_be_read_has_the_status_of_its_fault() {
    let client = TestClient::new(reads);
    let order = Order {
        number: 7,
        tags: vec!["a".into()],
    };
    let read = client.post("/json").json(&order).send().await.unwrap();
    assert_eq!(read.text(), r#"Order { number: 7, tags: ["a"] }"#);
    for (content_type, body, status, reason) in [
        (
            "application/problem+json; charset=utf-8",
            r#"{"number": 7}"#,
            200,
            "Order",
        ),
        (
            "text/plain",
            "{}",
            415,
            "the content is `text/plain`, and must be `application/json`",
        ),
        (
            "application/json",
            "{",
            400,
            "the content is malformed: EOF",
        ),
        (
            "application/json",
            r#"{"number": "x"}"#,
            422,
            "the content is not as expected: invalid type",
        ),
        (
            "application/json",
            r#"{"number": 256}"#,
            422,
            "the content is not as expected",
        ),
        (
            "application/json",
            r#"{"number": 7, "tags": ["more than forty bytes"]}"#,
            413,
            "the content is larger",
        ),
    ] {
        let request = client.post("/json").header("content-type", content_type);
        let response = request.body(body).send().await.unwrap();
        assert_eq!(response.status(), status, "{body}");
        assert!(response.text().starts_with(reason), "{}", response.text());
    }
    let untyped = client.post("/json").send().await.unwrap();
    assert_eq!(untyped.status(), 415);
}

#[tokio::test]
async fn a_length_beyond_the_limit_is_refused_without_reading() {
    let client = TestClient::new(reads);
    let request = client
        .post("/json")
        .header("content-type", "application/json");
    let response = request.body("x".repeat(41)).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(
        TestExchange::of(&response).transcript().received().count(),
        0
    );
}

#[tokio::test]
async fn a_form_may_have_a_field_several_times() {
    let client = TestClient::new(reads);
    let form = [("number", "7"), ("tags", "a b"), ("tags", "é")];
    let read = client.post("/form").form(&form).send().await.unwrap();
    assert_eq!(read.text(), r#"Order { number: 7, tags: ["a b", "é"] }"#);
    let wrong = client
        .post("/form")
        .form(&[("number", "x")])
        .send()
        .await
        .unwrap();
    assert_eq!(wrong.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let other = client.post("/form").json(&7).send().await.unwrap();
    assert_eq!(other.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn a_query_is_read_as_the_fields_of_a_form() {
    let client = TestClient::new(reads);
    let read = client.get("/query?number=7&tags=a+b&tags=%C3%A9");
    let read = read.send().await.unwrap();
    assert_eq!(read.text(), r#"Order { number: 7, tags: ["a b", "é"] }"#);
    for target in ["/query", "/query?number=x"] {
        let wrong = client.get(target).send().await.unwrap();
        assert_eq!(wrong.status(), StatusCode::BAD_REQUEST);
        assert!(wrong.text().starts_with("the query is not as expected: "));
    }
}

#[tokio::test]
async fn a_text_is_read_as_utf_8_and_nothing_else() {
    let client = TestClient::new(reads);
    let read = client.post("/text").body("é").send().await.unwrap();
    assert_eq!((read.status(), read.text()), (StatusCode::OK, "é"));
    let wrong = client
        .post("/text")
        .body(&b"\xff"[..])
        .send()
        .await
        .unwrap();
    assert_eq!(wrong.status(), StatusCode::BAD_REQUEST);
}
