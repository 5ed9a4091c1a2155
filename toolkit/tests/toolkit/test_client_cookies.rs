//! Cookies that a client keeps (RFC 6265).

use callgate::{
    AppError, HttpResponseBody, HttpResponseStart, Message, Receiver, Scope, SendEvent, Sender,
    WebSocketAccept,
};
use callgate_toolkit::read;
use callgate_toolkit::test_client::{Error, ResponseExt, TestClient};
use http::{HeaderMap, StatusCode, Version};

/// Sets a cookie for each line of the content, and responds with the field `cookie`. A WebSocket gets
/// the field in a message, or is denied at `/deny`; both set a cookie with the response.
async fn app(scope: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    fn cookie(headers: &HeaderMap) -> String {
        let fields: Vec<_> = headers.get_all("cookie").iter().collect();
        format!("{fields:?}")
    }
    match scope {
        Scope::Http(scope) => {
            let content = read::bytes(&mut receiver, 1024).await?;
            let lines = String::from_utf8_lossy(&content);
            let start = lines.lines().fold(HttpResponseStart::ok(), |start, line| {
                start.header("set-cookie", line)
            });
            sender.send(start).await?;
            let content = HttpResponseBody::last(cookie(&scope.headers));
            sender.send(content).await?;
        }
        Scope::WebSocket(scope) if scope.raw_path() == "/deny" => {
            let start = HttpResponseStart::new(StatusCode::UNAUTHORIZED);
            let start = start.header("set-cookie", "denied=1");
            sender.send(SendEvent::DenialResponseStart(start)).await?;
            let content = HttpResponseBody::last(cookie(&scope.headers));
            sender.send(SendEvent::DenialResponseBody(content)).await?;
        }
        Scope::WebSocket(scope) => {
            let accept = WebSocketAccept::new().header("set-cookie", "accepted=1");
            sender.send(accept).await?;
            sender.send(Message::text(cookie(&scope.headers))).await?;
        }
        _ => return Err(AppError::Unsupported),
    }
    Ok(())
}

/// Makes the application set these cookies, one in each line.
async fn set(client: &TestClient, target: &str, cookies: &'static str) {
    client.post(target).body(cookies).send().await.unwrap();
}

/// Returns the field `cookie` that the application was sent.
async fn sent(client: &TestClient, target: &str) -> String {
    let response = client.get(target).send().await.unwrap();
    response.text().to_owned()
}

#[tokio::test]
async fn a_cookie_is_sent_back_until_it_is_removed() {
    let client = TestClient::new(app);
    assert_eq!(sent(&client, "/").await, "[]");
    set(&client, "/", "a=1\nb=2; Max-Age=3600").await;
    assert_eq!(sent(&client, "/").await, r#"["a=1; b=2"]"#);
    set(&client, "/", "a=3").await;
    assert_eq!(sent(&client, "/").await, r#"["a=3; b=2"]"#);
    set(&client, "/", "a=; Max-Age=0").await;
    assert_eq!(sent(&client, "/").await, r#"["b=2"]"#);
    set(&client, "/", "b=; Expires=Thu, 01 Jan 1970 00:00:00 GMT").await;
    assert_eq!(sent(&client, "/").await, "[]");
    assert_eq!(client.cookies().get("b"), None);
}

#[tokio::test]
async fn a_cookie_is_sent_below_its_path_and_longer_paths_come_first() {
    let client = TestClient::new(app);
    set(
        &client,
        "/shop/cart",
        "a=1\nb=2; Path=/\nc=3; Path=/shop/cart",
    )
    .await;
    assert_eq!(sent(&client, "/shop/cart?x").await, r#"["c=3; a=1; b=2"]"#);
    assert_eq!(sent(&client, "/shop/").await, r#"["a=1; b=2"]"#);
    assert_eq!(sent(&client, "/shopping").await, r#"["b=2"]"#);
    assert_eq!(sent(&client, "//shop/cart").await, r#"["b=2"]"#);
}

#[tokio::test]
async fn the_path_of_a_cookie_is_below_the_root_path_where_the_application_is_mounted() {
    let client = TestClient::new(app).root_path("/shop");
    set(&client, "/", "a=1\nb=2; Path=/shop/cart\nc=3; Path=/cart").await;
    assert_eq!(sent(&client, "/cart").await, r#"["b=2; a=1"]"#);
    assert_eq!(client.cookies().header("/cart").unwrap(), "b=2; a=1");
}

#[tokio::test]
async fn a_cookie_is_sent_to_its_host_and_to_those_below_its_domain() {
    let client = TestClient::new(app);
    let target = "http://a.shop.test:8000/";
    set(
        &client,
        target,
        "a=1\nb=2; Domain=shop.test\nc=3; Domain=bank.test",
    )
    .await;
    assert_eq!(
        sent(&client, "http://A.shop.test/").await,
        r#"["a=1; b=2"]"#
    );
    assert_eq!(sent(&client, "http://b.shop.test/").await, r#"["b=2"]"#);
    for other in ["/", "http://bank.test/", "http://workshop.test/"] {
        assert_eq!(sent(&client, other).await, "[]", "{other}");
    }
    // The field `host` is the host of a target that has none.
    let request = client.get("/").header("host", "shop.test");
    assert_eq!(request.send().await.unwrap().text(), r#"["b=2"]"#);
    set(&client, "http://[::1]/", "d=4").await;
    assert_eq!(sent(&client, "http://[::1]:1/").await, r#"["d=4"]"#);
}

#[tokio::test]
async fn a_secure_cookie_is_sent_over_https_only() {
    let client = TestClient::new(app);
    set(&client, "/", "a=1; Secure\nb=2; HttpOnly").await;
    assert_eq!(sent(&client, "/").await, r#"["b=2"]"#);
    assert_eq!(sent(&client, "https://localhost/").await, r#"["a=1; b=2"]"#);
    let websocket = client.websocket("wss://localhost/").connect().await;
    assert_eq!(websocket.unwrap().text().await.unwrap(), r#"["a=1; b=2"]"#);
}

#[tokio::test]
async fn cookies_go_with_handshakes_and_come_with_their_answers() {
    let client = TestClient::new(app);
    set(&client, "/", "a=1").await;
    let mut websocket = client.websocket("/").connect().await.unwrap();
    assert_eq!(websocket.text().await.unwrap(), r#"["a=1"]"#);
    assert_eq!(client.cookies().get("accepted").as_deref(), Some("1"));
    let refused = client.websocket("/deny").connect().await.unwrap_err();
    let Error::Refused(response) = refused else {
        panic!("{refused}");
    };
    assert_eq!(response.text(), r#"["a=1; accepted=1"]"#);
    assert_eq!(sent(&client, "/").await, r#"["a=1; accepted=1; denied=1"]"#);
}

#[tokio::test]
async fn a_request_with_cookies_of_its_own_is_sent_with_those_alone() {
    let client = TestClient::new(app);
    set(&client, "/", "a=1").await;
    let request = client
        .get("/")
        .header("cookie", "b=2")
        .header("cookie", "c=3");
    let response = request.version(Version::HTTP_2).send().await.unwrap();
    assert_eq!(response.text(), r#"["b=2; c=3"]"#);
    let handshake = client.websocket("/").header("cookie", "b=2");
    let mut websocket = handshake.connect().await.unwrap();
    assert_eq!(websocket.text().await.unwrap(), r#"["b=2"]"#);
}

#[tokio::test]
async fn cookies_of_a_streamed_response_are_kept_as_soon_as_its_head_is_there() {
    let client = TestClient::new(app);
    let pending = client.post("/").body("a=1").start();
    let response = pending.stream().await.unwrap();
    assert_eq!(sent(&client, "/").await, r#"["a=1"]"#);
    drop(response);
}

#[tokio::test]
async fn requests_at_the_same_time_share_the_cookies() {
    let client = TestClient::new(app);
    let cookies: Vec<String> = (0..16).map(|n| format!("c{n:02}={n}")).collect();
    let requests = cookies.iter().map(|cookie| {
        let request = client.post("/").body(cookie.clone());
        request.send()
    });
    for response in futures_util::future::join_all(requests).await {
        response.unwrap();
    }
    let field = client.cookies().header("/").unwrap();
    let mut kept: Vec<&str> = field.to_str().unwrap().split("; ").collect();
    kept.sort_unstable();
    assert_eq!(kept, cookies);
}

#[tokio::test]
async fn malformed_cookies_are_ignored() {
    let client = TestClient::new(app);
    set(&client, "/", "no cookie\n=1\na=1; Domain=.\nb=2").await;
    assert_eq!(sent(&client, "/").await, r#"["a=1; b=2"]"#);
    // A URL cannot have this host.
    let request = client.post("/").header("host", "a b").body("c=3");
    assert_eq!(request.send().await.unwrap().text(), "[]");
    assert_eq!(client.cookies().get("c"), None);
}

#[tokio::test]
async fn a_test_looks_at_cookies_and_sets_them() {
    let client = TestClient::new(app).header("host", "shop.test");
    client.cookies().set("/", "a=1; Path=/cart; Secure");
    client.cookies().set("/", "a=2");
    client.cookies().set("http://bank.test/", "b=3");
    assert_eq!(client.cookies().get("a").as_deref(), Some("1"));
    assert_eq!(client.cookies().get("c"), None);
    assert_eq!(client.cookies().header("/cart").unwrap(), "a=2");
    let cart = client.cookies().header("https://shop.test/cart");
    assert_eq!(cart.unwrap(), "a=1; a=2");
    assert_eq!(client.cookies().header("http://other.test/"), None);
    assert_eq!(sent(&client, "/cart").await, r#"["a=2"]"#);
    assert_eq!(
        format!("{:?}", client.cookies()),
        r#"["a=1; Secure; Path=/cart", "a=2", "b=3"]"#
    );
    client.cookies().set("/", "a=; Max-Age=0");
    client.cookies().set("/", "a=; Max-Age=0");
    assert_eq!(sent(&client, "/").await, "[]");
    assert_eq!(
        format!("{:?}", client.cookies()),
        r#"["a=1; Secure; Path=/cart", "b=3"]"#
    );
    client.cookies().clear();
    assert_eq!(client.cookies().header("https://shop.test/cart"), None);
}

#[test]
#[should_panic(expected = "the cookie `a=1; Domain=bank.test` cannot be set")]
fn a_cookie_that_cannot_come_from_its_target_cannot_be_set() {
    let client = TestClient::new(app);
    client.cookies().set("/", "a=1; Domain=bank.test");
}

#[tokio::test]
async fn a_client_that_ignores_cookies_sends_only_those_that_the_test_sets() {
    let client = TestClient::new(app).ignore_cookies();
    set(&client, "/", "a=1").await;
    let websocket = client.websocket("/").connect().await;
    websocket.unwrap();
    assert_eq!(sent(&client, "/").await, "[]");
    client.cookies().set("/", "b=2");
    assert_eq!(sent(&client, "/").await, r#"["b=2"]"#);
}
