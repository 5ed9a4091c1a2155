use std::sync::{Arc, Mutex};

use axum::body::to_bytes;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use callgate_apps::customers::customers;
use callgate_apps::{Settings, Token};
use callgate_toolkit::test_client::{ResponseExt, TestClient};
use http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::{Value, json};
use url::Url;

use crate::log::Log;
use crate::upstream::Upstream;

const PATH: &str = "/api/autumn/customers";
const TOKEN: &str = "am_sk_test_5ecret";

/// The requests to Autumn.
type RecordedRequest = Arc<Mutex<Vec<(Method, Uri, HeaderMap, Value)>>>;

/// Starts an Autumn that sends this response to every request.
fn autumn(
    answer: impl IntoResponse + Clone + Send + Sync + 'static,
) -> (Upstream, RecordedRequest) {
    let asked = RecordedRequest::default();
    let noted = asked.clone();
    let routes = Router::new().fallback(async move |request: Request| -> Response {
        let (head, content) = request.into_parts();
        let content = to_bytes(content, 1024 * 1024).await.unwrap();
        let content = serde_json::from_slice(&content).unwrap();
        let request = (head.method, head.uri, head.headers, content);
        noted.lock().unwrap().push(request);
        answer.into_response()
    });
    (Upstream::start(routes), asked)
}

fn settings(autumn: Url) -> Settings {
    let mut settings = Settings::default();
    settings.autumn_url = Some(autumn);
    settings.autumn_token = Some(Token::new(TOKEN));
    settings
}

fn ada() -> Value {
    json!({"id": "u1", "name": "Ada", "email": "ada@example.com"})
}

#[tokio::test]
async fn a_customer_is_sent_to_autumn_with_the_token_and_its_answer_comes_back() {
    let (autumn, asked) = autumn(Json(json!({"id": "u1", "env": "sandbox"})));
    let client = TestClient::new(customers(&settings(autumn.url().join("v1").unwrap())));
    let response = client.post(PATH).json(&ada()).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let content: Value = response.json().unwrap();
    assert_eq!(content, json!({"id": "u1", "env": "sandbox"}));

    let asked = asked.lock().unwrap();
    let [(method, uri, headers, content)] = &asked[..] else {
        panic!("{asked:?}");
    };
    assert_eq!((method, uri.path()), (&Method::POST, "/v1/customers"));
    assert_eq!(headers["authorization"], format!("Bearer {TOKEN}"));
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(*content, ada());
}

#[tokio::test]
async fn a_bad_body_is_refused_by_field_and_autumn_is_not_asked() {
    let (autumn, asked) = autumn(StatusCode::OK);
    let client = TestClient::new(customers(&settings(autumn.url())));
    let long = "x".repeat(256);
    for (content, message) in [
        (
            json!({"name": "A", "email": "a@b.io"}),
            "missing field `id`",
        ),
        (
            json!({"id": "1", "email": "a@b.io"}),
            "missing field `name`",
        ),
        (json!({"id": "1", "name": "A"}), "missing field `email`"),
        (
            json!({"id": 1, "name": "A", "email": "a@b.io"}),
            "id: invalid type",
        ),
        (
            json!({"id": "1", "name": null, "email": "a@b.io"}),
            "name: invalid type",
        ),
        (
            json!({"id": "1", "name": "A", "email": ["a@b.io"]}),
            "email: invalid type",
        ),
        (
            json!({"id": " ", "name": "A", "email": "a@b.io"}),
            "id: is empty",
        ),
        (
            json!({"id": "1", "name": "", "email": "a@b.io"}),
            "name: is empty",
        ),
        (
            json!({"id": "1", "name": "A\n", "email": "a@b.io"}),
            "name: has control characters",
        ),
        (
            json!({"id": long, "name": "A", "email": "a@b.io"}),
            "id: is longer than 255 characters",
        ),
        (
            json!({"id": "", "name": "", "email": ""}),
            "id: is empty; name: is empty; email: is not an email address",
        ),
        (json!("Ada"), "invalid type: string"),
        (json!([]), "invalid type: sequence, expected an object"),
        (
            json!(["1", "Ada", "ada@example.com"]),
            "invalid type: sequence, expected an object",
        ),
    ] {
        let response = client.post(PATH).json(&content).send().await.unwrap();
        let status = response.status();
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{content}");
        let answer: Value = response.json().unwrap();
        let error = answer["error"].as_str().unwrap();
        assert!(error.contains(message), "{content}: {error}");
    }
    for email in [
        "ada",
        "ada@",
        "@example.com",
        "ada@example",
        "a b@example.com",
        "ada@exa mple.com",
        "Ada <ada@example.com>",
        "ada@@example.com",
        "ada@[127.0.0.1]",
        "ada@example.com\n",
    ] {
        let content = json!({"id": "1", "name": "A", "email": email});
        let response = client.post(PATH).json(&content).send().await.unwrap();
        assert_eq!(
            response.status(),
            StatusCode::UNPROCESSABLE_ENTITY,
            "{email}"
        );
        let answer: Value = response.json().unwrap();
        assert_eq!(
            answer,
            json!({"error": "email: is not an email address"}),
            "{email}"
        );
    }
    assert_eq!(asked.lock().unwrap().len(), 0);

    let response = client.post(PATH).json(&ada()).send().await.unwrap();
    assert_eq!(
        response.status(),
        StatusCode::BAD_GATEWAY,
        "its answer is no JSON"
    );
    assert_eq!(asked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn content_that_is_not_json_is_refused() {
    let (autumn, asked) = autumn(StatusCode::OK);
    let client = TestClient::new(customers(&settings(autumn.url())));
    let ada = ada().to_string();
    let large = format!(r#"{{"id": "{}"}}"#, "x".repeat(64 * 1024));
    for (content_type, content, status, message) in [
        (
            Some("application/json"),
            "{\"id\": ",
            StatusCode::BAD_REQUEST,
            "not JSON",
        ),
        (
            Some("application/json"),
            "",
            StatusCode::BAD_REQUEST,
            "not JSON",
        ),
        (
            Some("text/plain"),
            &ada,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "application/json",
        ),
        (
            None,
            &ada,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "application/json",
        ),
        (
            Some("application/json"),
            &large,
            StatusCode::PAYLOAD_TOO_LARGE,
            "limit",
        ),
    ] {
        let mut request = client.post(PATH).body(content.to_owned());
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), status, "{content:.40}");
        let answer: Value = response.json().unwrap();
        let error = answer["error"].as_str().unwrap();
        assert!(error.contains(message), "{error}");
    }
    assert_eq!(asked.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn an_error_of_autumn_is_an_error_response() {
    let refusal = |code: &str| Json(json!({"message": "Customer u1 is there", "code": code}));
    for (status, content, expected, message) in [
        (
            409,
            refusal("duplicate_customer_id").into_response(),
            409,
            "the billing service (Autumn): Customer u1 is there (duplicate_customer_id)",
        ),
        (
            400,
            refusal("invalid_inputs").into_response(),
            400,
            "the billing service (Autumn): Customer u1 is there (invalid_inputs)",
        ),
        (
            404,
            Json(json!({"message": "No"})).into_response(),
            404,
            "the billing service (Autumn): No",
        ),
        (
            422,
            "<p>no</p>".into_response(),
            422,
            "the billing service (Autumn): it does not accept this customer",
        ),
        (
            401,
            refusal("invalid_secret_key").into_response(),
            502,
            "the billing service (Autumn): it answered with status 401",
        ),
        (
            403,
            refusal("x").into_response(),
            502,
            "the billing service (Autumn): it answered with status 403",
        ),
        (
            429,
            refusal("rate_limit").into_response(),
            503,
            "the billing service (Autumn): it takes no more requests for now",
        ),
        (
            500,
            refusal("internal").into_response(),
            502,
            "the billing service (Autumn): it answered with status 500",
        ),
        (
            503,
            refusal("internal").into_response(),
            502,
            "the billing service (Autumn): it answered with status 503",
        ),
        (
            307,
            refusal("moved").into_response(),
            502,
            "the billing service (Autumn): it answered with status 307",
        ),
    ] {
        let content = to_bytes(content.into_body(), 1024).await.unwrap();
        let status = StatusCode::from_u16(status).unwrap();
        let fields = [("retry-after", "7"), ("location", "http://127.0.0.1:9/")];
        let (autumn, asked) = autumn((status, fields, content));
        let client = TestClient::new(customers(&settings(autumn.url())));
        let log = Log::start();
        let response = client.post(PATH).json(&ada()).send().await.unwrap();
        assert_eq!(response.status(), expected, "{status}");
        let retry_after = response.headers().get("retry-after");
        let waits = retry_after.map(|value| value.to_str().unwrap());
        assert_eq!(waits, (expected == 503).then_some("7"), "{status}");
        assert_eq!(response.json::<Value>().unwrap(), json!({"error": message}));
        let level = if expected < 500 { "DEBUG" } else { "ERROR" };
        log.has(&format!("{level} POST {PATH} {expected}: {message}"));
        assert_eq!(asked.lock().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_redirect_of_autumn_is_not_followed() {
    let (elsewhere, found) = autumn(Json(json!({})));
    let location = elsewhere.url().to_string();
    let status = StatusCode::TEMPORARY_REDIRECT;
    let (autumn, _) = autumn((status, [("location", location)]));
    let client = TestClient::new(customers(&settings(autumn.url())));
    let response = client.post(PATH).json(&ada()).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(found.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn the_token_is_in_no_response_and_no_line_of_the_log_even_if_autumn_repeats_it() {
    let log = Log::start();
    for status in [400, 401, 500] {
        let status = StatusCode::from_u16(status).unwrap();
        let message = format!("the key {TOKEN} is not one");
        let (autumn, _) = autumn((status, Json(json!({"message": message}))));
        let client = TestClient::new(customers(&settings(autumn.url())));
        let response = client.post(PATH).json(&ada()).send().await.unwrap();
        assert!(!response.text().contains(TOKEN), "{}", response.text());
    }
    let gone = settings("http://127.0.0.1:9/".parse().unwrap());
    let client = TestClient::new(customers(&gone));
    let response = client.post(PATH).json(&ada()).send().await.unwrap();
    assert!(!response.text().contains(TOKEN), "{}", response.text());
    let shown = format!("{gone:?}");
    assert!(shown.contains("autumn_token: Some(Token(..))"), "{shown}");
    assert!(!shown.contains(TOKEN), "{shown}");
    assert!(log.text().contains("ERROR") && !log.text().contains(TOKEN));
}

#[tokio::test]
async fn a_token_that_cannot_be_sent_is_a_500() {
    let (autumn, asked) = autumn(StatusCode::OK);
    let mut settings = settings(autumn.url());
    settings.autumn_token = Some(Token::new("one\ntwo"));
    let client = TestClient::new(customers(&settings));
    let response = client.post(PATH).json(&ada()).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(
        response.json::<Value>().unwrap(),
        json!({"error": "the billing service (Autumn): it cannot be asked"})
    );
    assert_eq!(asked.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn with_a_url_and_no_token_the_response_names_the_setting() {
    let (autumn, asked) = autumn(Json(json!({})));
    let mut settings = settings(autumn.url());
    settings.autumn_token = None;
    let client = TestClient::new(customers(&settings));
    let log = Log::start();
    let response = client.post(PATH).json(&ada()).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let message = "this is not set up: it needs `AUTUMN_TOKEN` in the environment";
    assert_eq!(response.json::<Value>().unwrap(), json!({"error": message}));
    log.has(&format!("ERROR POST {PATH} 503: {message}"));
    // Wrong content is refused without the setting as well.
    let response = client.post(PATH).json(&json!({})).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let response = client.get(PATH).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(response.headers()["allow"], "POST");
    assert_eq!(asked.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn without_settings_a_stand_in_keeps_each_customer_as_it_was_created() {
    let client = crate::client("customers");
    let log = Log::start();
    let response = client.post(PATH).json(&ada()).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let created: Value = response.json().unwrap();
    assert_eq!(
        (&created["id"], &created["name"]),
        (&json!("u1"), &json!("Ada"))
    );

    let mut renamed = ada();
    renamed["name"] = "Grace".into();
    let response = client.post(PATH).json(&renamed).send().await.unwrap();
    assert_eq!(response.json::<Value>().unwrap(), created);

    let notice = "A stand-in inside this program answers for the billing service (Autumn). `AUTUMN_TOKEN` in the \
                  environment names the real one.";
    assert_eq!(log.text().matches(notice).count(), 1, "{}", log.text());
    let response = client.get("/").send().await.unwrap();
    assert_eq!(response.json::<Value>().unwrap()["stand_in"], notice);
}
