use std::time::Duration;

use callgate_apps::chart::chart;
use callgate_apps::{Settings, Token};
use callgate_toolkit::test_client::{RequestBuilder, ResponseExt, TestClient};
use http::StatusCode;
use serde_json::{Value, json};

use crate::connect::{Connect, RecordedRequest, json_answer, page, status};
use crate::log::Log;

/// Starts a Connect with an installation that has these settings, and with `n` active subscriptions in
/// marketplace `MP-n`.
fn connect(settings: Value) -> Connect {
    Connect::start(move |line| {
        let counted = line
            .strip_prefix("GET /v1/subscriptions/assets?and(eq(marketplace.id,MP-")
            .and_then(|rest| rest.strip_suffix("),eq(status,active))&limit=0&offset=0"));
        match (line, counted) {
            (_, Some(count)) => page(json!([]), count.parse().unwrap()),
            ("GET /v1/devops/installations/EIN-1", None) => {
                json_answer(json!({"id": "EIN-1", "settings": settings, "status": "installed"}))
            }
            ("PUT /v1/devops/installations/EIN-1", None) => status(StatusCode::OK),
            _ => status(StatusCode::NOT_FOUND),
        }
    })
}

fn marketplaces(numbers: impl IntoIterator<Item = u32>) -> Value {
    let marketplace = |number: u32| {
        let id = format!("MP-{number}");
        json!({"id": id, "name": "Germany", "description": "A market", "icon": null})
    };
    numbers.into_iter().map(marketplace).collect()
}

fn client_of(connect: &Connect) -> TestClient {
    TestClient::new(chart(&connect.settings()))
}

/// Sends a request of an installation and returns the response.
async fn call(request: RequestBuilder<'_>) -> (StatusCode, Value) {
    let request = request.header("x-connect-installation-id", "EIN-1");
    call_as(request).await
}

fn as_json(request: RequestBuilder<'_>) -> RequestBuilder<'_> {
    request.header("content-type", "application/json")
}

async fn call_as(request: RequestBuilder<'_>) -> (StatusCode, Value) {
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/json");
    (response.status(), response.json().unwrap())
}

#[tokio::test]
async fn the_chart_has_the_active_subscriptions_of_each_marketplace_of_the_installation() {
    let connect = connect(json!({"marketplaces": marketplaces([3, 12, 0])}));
    let client = client_of(&connect);
    assert_eq!(
        call(client.get("/chart")).await,
        (
            StatusCode::OK,
            json!({
                "type": "bar",
                "data": {
                    "labels": ["MP-3", "MP-12", "MP-0"],
                    "datasets": [{"label": "Subscriptions", "data": [3, 12, 0]}],
                },
            })
        )
    );
    let mut lines = connect.lines();
    lines[1..].sort();
    assert_eq!(
        lines,
        [
            "GET /v1/devops/installations/EIN-1",
            "GET /v1/subscriptions/assets?and(eq(marketplace.id,MP-0),eq(status,active))&limit=0&offset=0",
            "GET /v1/subscriptions/assets?and(eq(marketplace.id,MP-12),eq(status,active))&limit=0&offset=0",
            "GET /v1/subscriptions/assets?and(eq(marketplace.id,MP-3),eq(status,active))&limit=0&offset=0",
        ]
    );
}

#[tokio::test]
async fn the_requests_of_a_chart_are_concurrent_but_never_more_than_eight() {
    let connect = connect(json!({"marketplaces": marketplaces(0..20)}));
    let client = client_of(&connect);
    connect.hold_answers();
    connect.release_answers(1);
    let pending = client
        .get("/chart")
        .header("x-connect-installation-id", "EIN-1");
    let pending = pending.start();
    // One request for the installation, and eight in flight.
    connect.wait_for_requests(9).await;
    connect.release_answers(20);
    let response = pending.response().await.unwrap();
    let chart: Value = response.json().unwrap();
    let counts: Value = (0..20).collect();
    assert_eq!(chart["data"]["datasets"][0]["data"], counts);
    assert_eq!(connect.most_at_once(), 8);
}

#[tokio::test]
async fn settings_are_those_of_the_installation_and_empty_where_there_are_none() {
    for (settings, expected) in [
        (
            json!({"marketplaces": marketplaces([1]), "color": "red"}),
            marketplaces([1]),
        ),
        (json!({"color": "red"}), json!([])),
        (json!({}), json!([])),
        (Value::Null, json!([])),
    ] {
        let connect = connect(settings);
        let client = client_of(&connect);
        let expected = json!({"marketplaces": expected});
        assert_eq!(
            call(client.get("/settings")).await,
            (StatusCode::OK, expected)
        );
    }
}

#[tokio::test]
async fn settings_are_validated_saved_upstream_and_answered() {
    let connect = connect(Value::Null);
    let client = client_of(&connect);
    let log = Log::start();
    let settings = json!({"marketplaces": marketplaces([1, 2])});
    let mut sent = settings.clone();
    sent["marketplaces"][0]
        .as_object_mut()
        .unwrap()
        .remove("icon");
    sent["marketplaces"][0]["color"] = "red".into();
    let request = client.post("/settings").json(&sent);
    let answer = call(request.header("x-connect-user-id", "UR-1")).await;
    assert_eq!(answer, (StatusCode::OK, settings.clone()));
    let saved = RecordedRequest {
        line: "PUT /v1/devops/installations/EIN-1".to_owned(),
        key: "ApiKey its own".to_owned(),
        content: json!({"settings": settings}),
    };
    assert_eq!(connect.asked(), [saved]);
    log.has("INFO The settings of installation EIN-1, user UR-1 were saved");

    let nothing = json!({"marketplaces": []});
    let answer = call(client.post("/settings").json(&json!({}))).await;
    assert_eq!(answer, (StatusCode::OK, nothing));
}

#[tokio::test]
async fn settings_that_are_wrong_are_refused_with_the_reason_and_not_saved() {
    let connect = connect(Value::Null);
    let client = client_of(&connect);
    let with = |field: &str, value: Value| {
        let mut marketplaces = marketplaces([1]);
        marketplaces[0][field] = value;
        json!({"marketplaces": marketplaces})
    };
    let mut nameless = with("id", "MP-1".into());
    nameless["marketplaces"][0]
        .as_object_mut()
        .unwrap()
        .remove("name");
    for (settings, reason) in [
        (json!([]), "invalid type: sequence"),
        (
            json!({"marketplaces": 5}),
            "marketplaces: invalid type: integer `5`",
        ),
        (
            json!({"marketplaces": ["MP-1"]}),
            "marketplaces[0]: invalid type: string \"MP-1\", expected an object",
        ),
        (nameless, "missing field `name`"),
        (
            with("description", Value::Null),
            "marketplaces[0].description: invalid type: null",
        ),
        (
            with("icon", 5.into()),
            "marketplaces[0].icon: invalid type: integer",
        ),
        (with("id", "".into()), "marketplaces: `` is not an ID"),
        (
            with("id", "MP-1)".into()),
            "marketplaces: `MP-1)` is not an ID",
        ),
        (
            json!({"marketplaces": marketplaces([1, 2, 1])}),
            "MP-1 is there more than once",
        ),
        (
            json!({"marketplaces": marketplaces(0..101)}),
            "at most 100 are allowed",
        ),
    ] {
        let (answered, answer) = call(client.post("/settings").json(&settings)).await;
        assert_eq!(answered, StatusCode::UNPROCESSABLE_ENTITY, "{settings}");
        let error = answer["error"].as_str().unwrap();
        assert!(error.contains(reason), "{settings}: {error}");
    }
    let large = vec![b' '; 3 * 1024 * 1024];
    for (request, expected) in [
        (
            as_json(client.post("/settings").body("{")),
            StatusCode::BAD_REQUEST,
        ),
        (
            client.post("/settings").body("{}"),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ),
        (
            as_json(client.post("/settings").body(large)),
            StatusCode::PAYLOAD_TOO_LARGE,
        ),
    ] {
        let (answered, answer) = call(request).await;
        assert_eq!(answered, expected);
        assert!(answer["error"].is_string());
    }
    assert_eq!(connect.asked(), []);
    let (answered, _) = call(client.post("/settings").json(&json!({}))).await;
    assert_eq!(answered, StatusCode::OK);
}

#[tokio::test]
async fn all_marketplaces_are_listed_page_by_page() {
    let connect = Connect::start(|line| {
        let offset = line
            .strip_prefix("GET /v1/marketplaces?limit=100&offset=")
            .unwrap();
        let offset: u32 = offset.parse().unwrap();
        let mut resources = marketplaces(offset..250.min(offset + 100));
        for resource in resources.as_array_mut().unwrap() {
            resource["owner"] = json!({"id": "PA-1"});
            resource["icon"] = "/icon.svg".into();
        }
        page(resources, 250)
    });
    let (answered, listed) = call(client_of(&connect).get("/marketplaces")).await;
    assert_eq!(answered, StatusCode::OK);
    let mut expected = marketplaces(0..250);
    for marketplace in expected.as_array_mut().unwrap() {
        marketplace["icon"] = "/icon.svg".into();
    }
    assert_eq!(listed, expected);
    assert_eq!(connect.lines().len(), 3);
}

#[tokio::test]
async fn a_list_that_never_ends_is_ended() {
    let connect = Connect::start(|_: &str| page(json!([]), 250));
    let answer = call(client_of(&connect).get("/marketplaces")).await;
    assert_eq!(answer, (StatusCode::OK, json!([])));
    assert_eq!(connect.lines().len(), 1);
}

#[tokio::test]
async fn the_key_of_the_call_comes_before_the_extension_s_own() {
    let connect = connect(Value::Null);
    let client = client_of(&connect);
    for (key, sent) in [
        (None, "ApiKey its own"),
        (Some("ApiKey SU-1:a"), "ApiKey SU-1:a"),
        (Some("SU-1:b"), "ApiKey SU-1:b"),
    ] {
        let mut request = client.get("/settings");
        if let Some(key) = key {
            request = request.header("x-connect-installation-api-key", key);
        }
        // Only the operator decides where keys are sent.
        request = request.header("x-connect-api-gateway-url", "http://127.0.0.1:9/");
        assert_eq!(call(request).await.0, StatusCode::OK);
        assert_eq!(connect.asked().last().unwrap().key, sent);
    }
}

#[tokio::test]
async fn a_call_without_an_installation_or_with_one_that_is_not_there_is_refused() {
    let connect = connect(Value::Null);
    let client = client_of(&connect);
    let log = Log::start();
    for path in ["/settings", "/chart"] {
        assert_eq!(
            call_as(client.get(path)).await,
            (
                StatusCode::UNPROCESSABLE_ENTITY,
                json!({"error": "the header field x-connect-installation-id is missing"})
            )
        );
    }
    log.has("DEBUG GET /chart 422: the header field x-connect-installation-id is missing");
    let save = || client.post("/settings").json(&json!({}));
    assert_eq!(call_as(save()).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(connect.asked(), []);
    for id in ["EIN-2", "..", "."] {
        for request in [client.get("/settings"), client.get("/chart"), save()] {
            let request = request.header("x-connect-installation-id", id);
            assert_eq!(
                call_as(request).await,
                (
                    StatusCode::NOT_FOUND,
                    json!({"error": format!("there is no installation `{id}`")})
                )
            );
        }
    }
    assert_eq!(connect.asked().len(), 3);
    let request = client
        .get("/chart")
        .header("x-connect-installation-id", &b"\xff"[..]);
    assert_eq!(call_as(request).await.0, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn where_connect_fails_the_answer_is_a_bad_gateway_and_the_next_call_is_served() {
    let connect = Connect::start(|line: &str| match line {
        "GET /v1/devops/installations/EIN-1" => {
            json_answer(json!({"settings": {"marketplaces": marketplaces([1])}}))
        }
        "GET /v1/devops/installations/EIN-2" => {
            json_answer(json!({"settings": {"marketplaces": 5}}))
        }
        "GET /v1/devops/installations/EIN-3" => json_answer(json!([])),
        "GET /v1/marketplaces?limit=100&offset=0" => json_answer(marketplaces([1])),
        "PUT /v1/devops/installations/EIN-1" => status(StatusCode::FORBIDDEN),
        line if line.starts_with("GET /v1/subscriptions/assets?") => json_answer(json!([])),
        _ => status(StatusCode::INTERNAL_SERVER_ERROR),
    });
    let client = client_of(&connect);
    let log = Log::start();
    for (request, installation, reason) in [
        (
            client.get("/chart"),
            "EIN-1",
            "the marketplace (CloudBlue Connect): its answer does not say how many there are",
        ),
        (
            client.get("/marketplaces"),
            "EIN-1",
            "the marketplace (CloudBlue Connect): its answer does not say how many there are",
        ),
        (
            client.get("/settings"),
            "EIN-2",
            "the settings of the installation cannot be read: ",
        ),
        (
            client.get("/settings"),
            "EIN-3",
            "the marketplace (CloudBlue Connect): its answer cannot be read",
        ),
        (
            client.get("/settings"),
            "EIN-4",
            "the marketplace (CloudBlue Connect): it answered with status 500",
        ),
        (
            client.post("/settings").json(&json!({})),
            "EIN-1",
            "the marketplace (CloudBlue Connect): it answered with status 403",
        ),
    ] {
        let request = request.header("x-connect-installation-id", installation);
        let (answered, answer) = call_as(request).await;
        assert_eq!(answered, StatusCode::BAD_GATEWAY, "{reason}");
        let error = answer["error"].as_str().unwrap();
        assert!(error.starts_with(reason), "{error}");
        assert!(
            log.text().contains(&format!(" 502: {reason}")),
            "{}",
            log.text()
        );
    }
    assert_eq!(call(client.get("/settings")).await.0, StatusCode::OK);
}

#[tokio::test]
async fn connect_that_is_too_slow_is_a_gateway_time_out_and_one_that_is_not_there_a_bad_gateway() {
    let connect = connect(Value::Null);
    connect.hold_answers();
    let mut settings = connect.settings();
    settings.connect_timeout = Some(Duration::from_millis(50));
    let client = TestClient::new(chart(&settings));
    let (answered, answer) = call(client.get("/chart")).await;
    assert_eq!(answered, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(
        answer["error"],
        "the marketplace (CloudBlue Connect): it did not answer in time"
    );

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    settings.connect_url = Some(url.parse().unwrap());
    let client = TestClient::new(chart(&settings));
    let (answered, answer) = call(client.get("/chart")).await;
    assert_eq!(answered, StatusCode::BAD_GATEWAY);
    assert_eq!(
        answer["error"],
        "the marketplace (CloudBlue Connect): it cannot be reached"
    );
}

#[tokio::test]
async fn a_missing_setting_is_named_and_the_other_paths_are_served() {
    let mut no_key = Settings::default();
    no_key.connect_url = Some("http://127.0.0.1:9/".parse().unwrap());
    let mut bad_key = no_key.clone();
    bad_key.connect_token = Some(Token::new("a\nb"));
    for (settings, named) in [
        (
            no_key,
            "this is not set up: it needs `CONNECT_TOKEN` in the environment",
        ),
        (
            bad_key,
            "`CONNECT_TOKEN` in the environment is no key that a request can hold",
        ),
    ] {
        let client = TestClient::new(chart(&settings));
        for request in [
            client.get("/settings"),
            client.get("/marketplaces"),
            client.get("/chart"),
            client.post("/settings").json(&json!({})),
        ] {
            let answer = (StatusCode::SERVICE_UNAVAILABLE, json!({"error": named}));
            assert_eq!(call(request).await, answer);
        }
        let page = client.get("/").send().await.unwrap();
        assert_eq!(page.status(), StatusCode::OK);
        assert!(
            !page.text().contains("A stand-in inside"),
            "{}",
            page.text()
        );
        assert_eq!(call(client.get("/nosuch")).await.0, StatusCode::NOT_FOUND);
        let refused = call(client.delete("/chart")).await.0;
        assert_eq!(refused, StatusCode::METHOD_NOT_ALLOWED);
    }
}

#[tokio::test]
async fn without_settings_a_stand_in_has_a_chart_and_the_page_and_the_log_say_so() {
    let client = crate::client("chart");
    let log = Log::start();
    let (answered, chart) = call(client.get("/chart")).await;
    assert_eq!(answered, StatusCode::OK);
    let labels = json!(["MP-1", "MP-2", "MP-3", "MP-4", "MP-5"]);
    assert_eq!(chart["data"]["labels"], labels);
    let counts = json!([84, 131, 57, 22, 103]);
    assert_eq!(chart["data"]["datasets"][0]["data"], counts);

    let (_, listed) = call(client.get("/marketplaces")).await;
    let chosen = json!({"marketplaces": [listed[3]]});
    let saved = call(client.post("/settings").json(&chosen)).await;
    assert_eq!(saved, (StatusCode::OK, chosen));
    let (_, chart) = call(client.get("/chart")).await;
    assert_eq!(chart["data"]["labels"], json!(["MP-4"]));
    assert_eq!(chart["data"]["datasets"][0]["data"], json!([22]));

    let elsewhere = client
        .get("/chart")
        .header("x-connect-installation-id", "EIN-2");
    let (answered, _) = call_as(elsewhere).await;
    assert_eq!(answered, StatusCode::NOT_FOUND);

    let notice = "A stand-in inside this program answers for the marketplace (CloudBlue Connect). `--connect-url` or \
                  `CONNECT_URL` names the real one.";
    assert_eq!(log.text().matches(notice).count(), 1, "{}", log.text());
    let page = client.get("/").send().await.unwrap();
    let (sentence, _) = notice.split_once(" `--").unwrap();
    assert!(page.text().contains(sentence), "{}", page.text());
}
