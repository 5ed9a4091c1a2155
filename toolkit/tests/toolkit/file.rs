use callgate::{Extension, Receiver, Scope, SendEvent, Sender};
use callgate_toolkit::file::FileResponse;
use callgate_toolkit::test_client::{Exchange, ResponseExt, TestClient};
use http::{Method, StatusCode};
use tempfile::TempDir;

use crate::http;

/// A client of an application that answers with the file that the path names; the directory has
/// `page.html`, of 70 000 bytes, and `empty`.
fn files() -> (TestClient, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("page.html"), "x".repeat(70_000)).unwrap();
    std::fs::write(directory.path().join("empty"), "").unwrap();
    let root = directory.path().to_owned();
    let client = TestClient::new(move |scope: Scope, _: Receiver, sender: Sender| {
        let root = root.clone();
        async move {
            let scope = http(scope)?;
            let path = root.join(scope.path().trim_start_matches('/'));
            FileResponse::new(path)
                .header("x-a", "1")
                .send(&scope, &sender)
                .await
        }
    });
    (client, directory)
}

#[tokio::test]
async fn a_file_is_sent_by_the_server_or_streamed() {
    let (client, _directory) = files();
    for is_offered in [true, false] {
        for method in [Method::GET, Method::HEAD] {
            let request = client
                .method(method.clone(), "/page.html")
                .with_scope(|scope| {
                    if !is_offered {
                        scope.extensions = scope.extensions.without(Extension::PathSend);
                    }
                });
            let response = request.send().await.unwrap();
            Exchange::of(&response).ended().await.unwrap();
            assert_eq!(
                response.headers()["content-type"],
                "text/html; charset=utf-8"
            );
            assert_eq!(response.headers()["content-length"], "70000");
            assert_eq!(response.headers()["x-a"], "1");
            let length = if method == Method::GET { 70_000 } else { 0 };
            assert_eq!(response.body().len(), length);
            let transcript = Exchange::of(&response).transcript();
            let is_path_sent = transcript
                .sent()
                .any(|event| matches!(event, SendEvent::HttpPathSend(_)));
            assert_eq!(is_path_sent, is_offered);
        }
    }
    let empty = client.get("/empty").send().await.unwrap();
    assert_eq!(empty.headers()["content-type"], "application/octet-stream");
    assert_eq!(empty.text(), "");
}

#[tokio::test]
async fn a_client_that_has_the_newest_is_told_so() {
    let (client, _directory) = files();
    let first = client.get("/page.html").send().await.unwrap();
    let modified = first.headers()["last-modified"].clone();
    let again = client
        .get("/page.html")
        .header("if-modified-since", modified.clone());
    let again = again.send().await.unwrap();
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    assert!(again.body().is_empty());
    let old = client
        .get("/page.html")
        .header("if-modified-since", "Thu, 01 Jan 1970 00:00:00 GMT");
    assert_eq!(old.send().await.unwrap().status(), StatusCode::OK);
    let tagged = client
        .get("/page.html")
        .header("if-modified-since", modified)
        .header("if-none-match", "\"a\"");
    assert_eq!(tagged.send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn what_is_no_file_is_not_found_and_other_methods_are_not_allowed() {
    let (client, _directory) = files();
    for path in ["/nosuch", "/", "/page.html/below"] {
        let response = client.get(path).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
    }
    let response = client.post("/page.html").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
}
