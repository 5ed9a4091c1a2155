use callgate::LifespanScope;
use http::{Method, StatusCode};

use crate::support::{app, assert_declines, get, http_scope, request, websocket_scope};

#[tokio::test]
async fn says_hello_as_plain_text() {
    let (start, content) = get(&app("hello"), "/").await;
    assert_eq!(start.status, StatusCode::OK);
    assert_eq!(start.headers["content-type"], "text/plain; charset=utf-8");
    assert_eq!(content, "Hello, world!\n");
}

#[tokio::test]
async fn methods_other_than_get_and_head_are_not_allowed() {
    for name in ["hello", "time", "scope", "gallery"] {
        let scope = http_scope(Method::POST, "/");
        let (start, _) = request(&app(name), scope).await;
        assert_eq!(start.status, StatusCode::METHOD_NOT_ALLOWED, "{name}");
        assert_eq!(start.headers["allow"], "GET, HEAD");

        let scope = http_scope(Method::HEAD, "/");
        let (start, _) = request(&app(name), scope).await;
        assert_eq!(start.status, StatusCode::OK, "{name}");
    }
}

#[tokio::test]
async fn scopes_that_are_not_served_are_declined() {
    for name in ["hello", "time"] {
        assert_declines(&app(name), websocket_scope("/")).await;
    }
    for name in ["hello", "echo", "time", "counter", "scope"] {
        assert_declines(&app(name), LifespanScope::new()).await;
    }
    assert_declines(&app("counter"), http_scope(Method::GET, "/")).await;
}
