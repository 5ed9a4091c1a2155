//! Redirects that a client follows (RFC 9110, 15.4).

use callgate::{
    AppError, HttpResponseBody, HttpResponseStart, ReceiveEvent, Receiver, Scope, Sender,
};
use callgate_toolkit::read;
use callgate_toolkit::respond;
use callgate_toolkit::test_client::{
    Body, Error, RequestBuilder, ResponseExt, TestClient, TestExchange,
};
use futures_util::stream;
use http::{HeaderMap, Method, StatusCode};
use percent_encoding::percent_decode_str;

/// Redirects `/STATUS?LOCATION` to the decoded location, and responds to other targets with the request.
async fn app(scope: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    let scope = scope.into_http()?;
    let body = read::bytes(&mut receiver, 1024).await?;
    if let Ok(status) = scope
        .route_path()
        .trim_start_matches('/')
        .parse::<StatusCode>()
    {
        let response = respond::text("elsewhere").status(status);
        let location: Vec<u8> = percent_decode_str(scope.query()).collect();
        let response = match &*location {
            [] => response,
            location => response.header("location", location),
        };
        response
            .header("set-cookie", "seen=1")
            .send(&sender)
            .await?;
        return Ok(());
    }
    let fields = [
        "host",
        "content-type",
        "content-length",
        "x-a",
        "authorization",
        "cookie",
    ];
    let fields = fields.map(|name| match scope.headers.get(name) {
        Some(value) => format!(" {name}={}", value.to_str().unwrap()),
        None => String::new(),
    });
    let text = format!(
        "{} {}://{}{} {:?}",
        scope.method,
        scope.scheme,
        scope.uri,
        fields.concat(),
        String::from_utf8_lossy(&body),
    );
    respond::text(text).send(&sender).await?;
    Ok(())
}

/// Returns the content of the last response, or its status when that is not 200.
async fn text_of(request: RequestBuilder<'_>) -> String {
    let response = request.send().await.unwrap();
    match response.status() {
        StatusCode::OK => response.text().to_owned(),
        status => status.as_str().to_owned(),
    }
}

#[tokio::test]
async fn redirects_are_followed_where_the_client_or_the_request_says_so() {
    let client = TestClient::new(app);
    let asked = "GET http:///there host=localhost cookie=seen=1 \"\"";
    assert_eq!(text_of(client.get("/302?/there")).await, "302");
    assert_eq!(
        text_of(client.get("/302?/there").follow_redirects(true)).await,
        asked
    );
    let client = client.follow_redirects(true);
    assert_eq!(text_of(client.get("/302?/there")).await, asked);
    assert_eq!(
        text_of(client.get("/302?/there").follow_redirects(false)).await,
        "302"
    );
    let response = client.get("/302?/there").start().response().await.unwrap();
    assert_eq!(response.status(), 302);
}

#[tokio::test]
async fn the_method_and_the_content_after_a_redirect_are_those_of_the_fetch_standard() {
    let client = TestClient::new(app).follow_redirects(true).ignore_cookies();
    for (status, method, next) in [
        (301, Method::POST, Method::GET),
        (302, Method::POST, Method::GET),
        (303, Method::POST, Method::GET),
        (303, Method::PUT, Method::GET),
        (301, Method::PUT, Method::PUT),
        (302, Method::DELETE, Method::DELETE),
        (307, Method::POST, Method::POST),
        (308, Method::POST, Method::POST),
        (308, Method::PATCH, Method::PATCH),
    ] {
        let request = client.method(method.clone(), format!("/{status}?/there"));
        let request = request
            .header("content-type", "text/plain")
            .header("x-a", "b")
            .body("hi");
        let about_content = match next {
            Method::GET => "",
            _ => " content-type=text/plain content-length=2",
        };
        let content = if next == Method::GET { "" } else { "hi" };
        assert_eq!(
            text_of(request).await,
            format!("{next} http:///there host=localhost{about_content} x-a=b {content:?}"),
            "{status} {method}"
        );
    }
    let response = client.head("/303?/there").send().await.unwrap();
    let transcript = TestExchange::of(&response).transcript().to_string();
    assert!(transcript.contains("HEAD /there"), "{transcript}");
}

#[tokio::test]
async fn trailer_fields_are_sent_again_with_the_content() {
    async fn app(scope: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        let mut events = vec![receiver.receive().await];
        while let Some(ReceiveEvent::HttpRequestBody(part)) = events.last()
            && part.more_body
        {
            events.push(receiver.receive().await);
        }
        let response = match scope.into_http()?.raw_path() {
            "/" => respond::redirect("/there").status(StatusCode::TEMPORARY_REDIRECT),
            _ => respond::text(format!("{events:?}")),
        };
        response.send(&sender).await?;
        Ok(())
    }
    let client = TestClient::new(app).follow_redirects(true);
    let trailers = HeaderMap::from_iter([("x-sum".parse().unwrap(), "7".parse().unwrap())]);
    let response = client
        .post("/")
        .body(Body::from("hi").trailers(trailers))
        .send();
    let response = response.await.unwrap();
    assert!(
        response.text().contains(r#"{"x-sum": "7"}"#),
        "{}",
        response.text()
    );
}

#[tokio::test]
async fn locations_are_resolved_against_where_the_request_went() {
    let client = TestClient::new(app).follow_redirects(true).ignore_cookies();
    for (target, asked) in [
        ("/a/302", "http:///a/302"),
        ("/302?there", "http:///there"),
        ("/302?../there%23part", "http:///there"),
        ("/302?there%3Fx=1", "http:///there?x=1"),
        ("/302?/caf%C3%A9%20%7C", "http:///caf%C3%A9%20|"),
        ("/302?http://user:word@localhost:80/x", "http:///x"),
        ("/302?HTTPS://LocalHost/x", "https:///x"),
        ("http://a.test:1/302?//a.test:1/x", "http:///x"),
        ("https://a.test/302?x", "https:///x"),
        ("/302?/302%3F/there", "http:///there"),
    ] {
        let response = text_of(client.get(target)).await;
        let response = response.split(' ').nth(1).unwrap_or(&response);
        assert_eq!(response, asked, "{target}");
    }
    assert_eq!(
        text_of(client.get("/302?//user:word@localhost/x")).await,
        r#"GET http:///x host=localhost """#
    );
    let request = client.get("/302?x").header("host", "shop.test:8000");
    assert_eq!(
        text_of(request).await,
        r#"GET http:///x host=shop.test:8000 """#
    );
}

#[tokio::test]
async fn other_responses_and_redirects_to_other_hosts_are_returned_unchanged() {
    let client = TestClient::new(app).follow_redirects(true);
    for (target, status) in [
        ("/300?/there", 300),
        ("/305?/there", 305),
        ("/201?/there", 201),
        ("/302", 302),
        ("/302?http://other.test/", 302),
        ("/302?//other.test/", 302),
        ("/302?http://localhost:8000/", 302),
        ("http://localhost:8000/302?http://localhost/", 302),
        ("/302?mailto:someone@localhost", 302),
        ("/302?ws://localhost/there", 302),
    ] {
        let response = client.get(target).send().await.unwrap();
        assert_eq!(response.status(), status, "{target}");
        assert_eq!(response.history().len(), 0, "{target}");
        TestExchange::of(&response).ended().await.unwrap();
    }
    let response = client
        .get("/302?/307%3Fhttp://other.test/")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (response.status(), response.history().len()),
        (StatusCode::TEMPORARY_REDIRECT, 1)
    );
}

#[tokio::test]
async fn below_a_root_path_redirects_are_followed_below_it_only() {
    let client = TestClient::new(app)
        .root_path("/caf é")
        .follow_redirects(true)
        .ignore_cookies();
    for (location, asked) in [
        ("there", "http:///caf%20%C3%A9/there"),
        ("/caf%2520%25C3%25A9/there", "http:///caf%20%C3%A9/there"),
        ("/caf%2520%25c3%25a9", "http:///caf%20%c3%a9"),
        ("/caf%20%C3%A9/there", "http:///caf%20%C3%A9/there"),
        ("/there", "302"),
        ("/caf%2520%25C3%25A9s/there", "302"),
        ("../there", "302"),
    ] {
        let response = text_of(client.get(format!("/302?{location}"))).await;
        let response = response.split(' ').nth(1).unwrap_or(&response);
        assert_eq!(response, asked, "{location}");
    }
}

#[tokio::test]
async fn cookies_of_a_redirect_go_with_the_next_request() {
    let client = TestClient::new(app).follow_redirects(true);
    client.cookies().set("/", "old=1");
    assert_eq!(
        text_of(client.post("/303?/there")).await,
        r#"GET http:///there host=localhost cookie=old=1; seen=1 """#
    );
}

#[tokio::test]
async fn credentials_do_not_go_from_https_to_http() {
    let client = TestClient::new(app)
        .follow_redirects(true)
        .header("authorization", "secret")
        .ignore_cookies();
    for (target, sent) in [
        ("https://localhost/302?/x", " authorization=secret"),
        (
            "http://localhost/302?https://localhost/x",
            " authorization=secret",
        ),
        ("https://localhost/302?http://localhost/x", ""),
    ] {
        let text = text_of(client.get(target)).await;
        assert!(
            text.ends_with(&format!("/x host=localhost{sent} \"\"")),
            "{target}: {text}"
        );
    }
}

#[tokio::test]
async fn the_responses_before_the_last_are_its_history() {
    let client = TestClient::new(app).follow_redirects(true);
    let response = client.get("/301?/302%3F/there").send().await.unwrap();
    let statuses: Vec<_> = response
        .history()
        .iter()
        .map(|response| response.status().as_u16())
        .collect();
    assert_eq!(statuses, [301, 302]);
    assert!(
        response
            .history()
            .iter()
            .all(|response| response.text() == "elsewhere")
    );
    let first = TestExchange::of(&response.history()[0]);
    first.ended().await.unwrap();
    let transcript = first.transcript().to_string();
    assert!(
        transcript.contains("GET /301?/302%3F/there"),
        "{transcript}"
    );
    let transcript = TestExchange::of(&response).transcript().to_string();
    assert!(transcript.contains("GET /there"), "{transcript}");

    let streamed = client.get("/302?/there").stream().await.unwrap();
    assert_eq!(streamed.status(), 200);
}

#[tokio::test]
async fn twenty_redirects_are_followed_and_not_more() {
    /// Counts down to 0.
    async fn app(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
        let scope = scope.into_http()?;
        let left: u32 = scope.path().trim_start_matches('/').parse().unwrap();
        match left.checked_sub(1) {
            Some(left) => respond::redirect(format!("/{left}")).send(&sender).await?,
            None => respond::text("there").send(&sender).await?,
        }
        Ok(())
    }
    let client = TestClient::new(app).follow_redirects(true);
    let response = client.get("/20").send().await.unwrap();
    assert_eq!((response.text(), response.history().len()), ("there", 20));
    let error = client.get("/21").send().await.unwrap_err();
    let message = error.to_string();
    assert!(
        message.starts_with("the redirect cannot be followed: 20 have been"),
        "{message}"
    );
    assert!(message.contains("GET /1 "), "{message}");
    let response = error.response().unwrap();
    assert_eq!(
        (&response.headers()["location"], response.history().len()),
        (&"/0".parse().unwrap(), 20)
    );
}

#[tokio::test]
async fn streamed_content_that_is_to_be_sent_again_is_an_error() {
    let client = TestClient::new(app).follow_redirects(true);
    let streamed = || Body::stream(stream::iter([Ok::<_, ()>("hi")]));
    let error = client
        .post("/307?/there")
        .body(streamed())
        .send()
        .await
        .unwrap_err();
    let Error::Redirect(response, reason) = error else {
        panic!("{error}");
    };
    assert_eq!(response.status(), 307);
    assert!(reason.contains("cannot be sent twice"), "{reason}");
    let response = text_of(client.post("/303?/there").body(streamed())).await;
    assert!(response.starts_with("GET http:///there"), "{response}");
}

#[tokio::test]
async fn a_location_that_is_not_a_url_is_an_error() {
    let client = TestClient::new(app).follow_redirects(true);
    for location in ["http://%5B/", "%FF", "http://:1/"] {
        let error = client
            .get(format!("/302?{location}"))
            .send()
            .await
            .unwrap_err();
        let Error::Redirect(_, reason) = error else {
            panic!("{error}");
        };
        assert!(reason.ends_with("is not a URL"), "{reason}");
    }
}

#[tokio::test]
async fn a_redirect_that_is_cut_is_not_followed() {
    async fn app(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
        assert_eq!(scope.into_http()?.raw_path(), "/");
        let start = HttpResponseStart::new(StatusCode::FOUND).header("location", "/there");
        sender.send(start).await?;
        sender.send(HttpResponseBody::part("a")).await?;
        Err(AppError::failed("no database"))
    }
    let client = TestClient::new(app).follow_redirects(true);
    let error = client.get("/").send().await.unwrap_err();
    assert!(matches!(error, Error::Cut(_)), "{error}");
}
