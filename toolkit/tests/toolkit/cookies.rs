use callgate::{AppError, Receiver, Scope, Sender};
use callgate_toolkit::cookies::{Cookie, SameSite};
use callgate_toolkit::test_client::{ResponseExt, TestClient};
use callgate_toolkit::{read, respond};
use http::Response;

/// Responds with the cookies of the request, sorted by name.
async fn show(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
    let scope = scope.into_http()?;
    let cookies = read::cookies(&scope);
    let mut lines: Vec<_> = cookies
        .iter()
        .map(|cookie| format!("{}={}", cookie.name(), cookie.value()))
        .collect();
    lines.sort();
    respond::text(lines.join("|")).send(&sender).await
}

#[tokio::test]
async fn cookies_are_read_decoded_and_the_first_of_a_name_counts() {
    let client = TestClient::new(show);
    for (fields, found) in [
        (&["a=1; b=two"][..], "a=1|b=two"),
        (&["a=1", "b=2; a=3"][..], "a=1|b=2"),
        (&["a=%C3%A9%3B%20x; b=a+b"][..], "a=é; x|b=a+b"),
        (&["a=1=2; b=\"q\""][..], "a=1=2|b=\"q\""),
        // Without `=`, without a name, not UTF-8 once decoded.
        (&["x; =1; b=%FF; a=1"][..], "a=1"),
        (&[][..], ""),
    ] {
        let mut request = client.get("/");
        for field in fields {
            request = request.header("cookie", *field);
        }
        assert_eq!(request.send().await.unwrap().text(), found, "{fields:?}");
    }
}

fn set<B>(response: &Response<B>) -> Vec<&str> {
    let fields = response.headers().get_all("set-cookie").iter();
    fields.map(|field| field.to_str().unwrap()).collect()
}

#[tokio::test]
async fn a_response_sets_and_removes_cookies() {
    async fn app(_: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
        let session = Cookie::build(("session", "é; x"))
            .path("/")
            .http_only(true)
            .same_site(SameSite::Strict);
        let response = respond::text("").cookie(session).cookie(("theme", "dark"));
        let response = response.remove_cookie(Cookie::build("old").path("/"));
        response.send(&sender).await
    }
    let client = TestClient::new(app);
    let response = client.get("/").send().await.unwrap();
    let set = set(&response);
    assert_eq!(
        set[0],
        "session=%C3%A9%3B%20x; HttpOnly; SameSite=Strict; Path=/"
    );
    assert_eq!(set[1], "theme=dark");
    assert!(
        set[2].starts_with("old=; Path=/; Max-Age=0; Expires="),
        "{}",
        set[2]
    );
    assert_eq!(set.len(), 3);
}

#[tokio::test]
async fn a_cookie_comes_back_as_it_was_set_and_not_once_it_is_removed() {
    async fn app(scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        let path = scope.uri().unwrap().path().to_owned();
        match &*path {
            "/set" => {
                respond::text("")
                    .cookie(("a", "1; é=%"))
                    .send(&sender)
                    .await
            }
            "/remove" => respond::text("").remove_cookie("a").send(&sender).await,
            _ => show(scope, receiver, sender).await,
        }
    }
    let client = TestClient::new(app);
    for (path, text) in [("/set", ""), ("/", "a=1; é=%"), ("/remove", ""), ("/", "")] {
        assert_eq!(
            client.get(path).send().await.unwrap().text(),
            text,
            "{path}"
        );
    }
}

#[tokio::test]
async fn the_changes_of_a_jar_are_set() {
    async fn app(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
        let scope = scope.into_http()?;
        let mut jar = read::cookies(&scope);
        jar.remove("a");
        jar.add(("c", "3"));
        respond::text("").cookies(&jar).send(&sender).await
    }
    let client = TestClient::new(app);
    let request = client.get("/").header("cookie", "a=1; b=2");
    let response = request.send().await.unwrap();
    let mut set = set(&response);
    set.sort_unstable();
    assert!(set[0].starts_with("a=; Max-Age=0"), "{}", set[0]);
    assert_eq!(set[1..], ["c=3"]);
}
