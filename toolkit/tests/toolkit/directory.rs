use std::fs;
use std::path::Path;
use std::time::SystemTime;

use callgate::{App, AppError, Feature, Receiver, Scope, SendEvent, Sender};
use callgate_conformance::Lint;
use callgate_toolkit::file::Directory;
use callgate_toolkit::mount::Mounts;
use callgate_toolkit::respond;
use callgate_toolkit::test_client::{ResponseExt, TestClient, TestExchange};
use http::{Method, StatusCode};
use tempfile::TempDir;

use crate::served::{Served, rest};

/// Creates `public` with files, and `secret` beside it. Returns the directory above both.
pub(crate) fn files() -> TempDir {
    let above = tempfile::tempdir().unwrap();
    fs::write(above.path().join("secret"), "secret").unwrap();
    for (path, content) in [
        ("index.html", "home"),
        ("page.html", "page"),
        ("a b é.txt", "spaces"),
        ("sub/index.html", "sub"),
        ("sub/.env", "secret"),
        ("empty/file", ""),
        (".git/config", "secret"),
        (".well-known/security.txt", "contact"),
        ("style.css", "style"),
        ("style.css.gz", "gzip"),
        ("style.css.br", "brotli"),
    ] {
        let path = above.path().join("public").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    above
}

pub(crate) fn directory(above: &TempDir) -> Directory {
    Directory::new(above.path().join("public"))
}

pub(crate) fn client(app: impl App) -> TestClient {
    TestClient::new(Lint::new(app).strict())
}

#[tokio::test]
async fn files_are_served_with_their_types_and_directories_by_their_index() {
    let above = files();
    let client = client(directory(&above));
    for (path, content, content_type) in [
        ("/", "home", "text/html; charset=utf-8"),
        ("/index.html", "home", "text/html; charset=utf-8"),
        ("/page.html?query", "page", "text/html; charset=utf-8"),
        ("/p%61ge.html", "page", "text/html; charset=utf-8"),
        ("/a%20b%20%C3%A9.txt", "spaces", "text/plain; charset=utf-8"),
        ("/sub/", "sub", "text/html; charset=utf-8"),
        ("/sub%2Findex.html", "sub", "text/html; charset=utf-8"),
        ("/empty/file", "", "application/octet-stream"),
        (
            "/.well-known/security.txt",
            "contact",
            "text/plain; charset=utf-8",
        ),
        ("/style.css.gz", "gzip", "application/gzip"),
    ] {
        let response = client.get(path).send().await.unwrap();
        TestExchange::of(&response).ended().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(response.text(), content, "{path}");
        assert_eq!(response.headers()["content-type"], content_type, "{path}");
        assert!(!response.headers().contains_key("vary"), "{path}");
    }
}

#[tokio::test]
async fn hidden_files_are_served_on_request() {
    let above = files();
    let client = client(directory(&above).hidden_files());
    let response = client.get("/.git/config").send().await.unwrap();
    assert_eq!(response.text(), "secret");
    let response = client.get("/../secret").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_directory_without_its_slash_is_redirected_within_the_site() {
    let above = files();
    let client = client(Mounts::new().mount("/static", directory(&above)));
    for (target, location) in [
        ("/static", "./static/"),
        ("/static?a=b", "./static/?a=b"),
        ("/static/sub", "./sub/"),
        ("/static/sub?//evil.example", "./sub/?//evil.example"),
        ("/static/s%75b", "./s%75b/"),
    ] {
        let response = client.get(target).send().await.unwrap();
        assert_eq!(
            response.status(),
            StatusCode::TEMPORARY_REDIRECT,
            "{target}"
        );
        assert_eq!(response.headers()["location"], location);
    }
    let response = client.get("/static/sub/").send().await.unwrap();
    assert_eq!(response.text(), "sub");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_file_that_the_server_cannot_open_by_its_path_is_streamed() {
    use callgate_toolkit::middleware::wrap;

    let above = files();
    let app = wrap(directory(&above), |scope: &mut Scope| {
        scope.request()?;
        Some(|event: &mut SendEvent| {
            if let SendEvent::HttpResponsePathSend(path_send) = event {
                path_send.path = "/nosuch".into();
            }
        })
    });
    let client = client(app);
    let response = client.get("/page.html").send().await.unwrap();
    TestExchange::of(&response).ended().await.unwrap();
    assert_eq!(response.text(), "page");
}

#[tokio::test]
async fn the_server_sends_the_file_or_it_is_streamed() {
    let above = files();
    let client = client(directory(&above));
    for method in [Method::GET, Method::HEAD] {
        for is_offered in [true, false] {
            let request = client.method(method.clone(), "/page.html");
            let request = request.with_scope(|scope| {
                if !is_offered {
                    scope.features = scope.features.without(Feature::PathSend);
                }
            });
            let response = request.send().await.unwrap();
            let exchange = TestExchange::of(&response);
            exchange.ended().await.unwrap();
            let content = if method == Method::GET { "page" } else { "" };
            assert_eq!(response.text(), content);
            assert_eq!(response.headers()["content-length"], "4");
            let is_path_sent = exchange
                .transcript()
                .sent()
                .any(|event| matches!(event, SendEvent::HttpResponsePathSend(_)));
            assert_eq!(is_path_sent, is_offered && cfg!(target_os = "linux"));
        }
    }
    let response = client.get("/page.html").header("range", "bytes=1-2");
    let response = response.send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.text()), (206, "ag"));
}

#[tokio::test]
async fn a_compressed_file_is_sent_to_the_clients_that_accept_it() {
    let above = files();
    let client = client(directory(&above).precompressed().header("vary", "origin"));
    let mut tags = Vec::new();
    for (accept, content, coding) in [
        ("gzip, br", "brotli", Some("br")),
        ("gzip;q=1, br;q=0.1", "gzip", Some("gzip")),
        ("zstd, gzip;q=0.1", "gzip", Some("gzip")),
        ("br;q=0", "style", None),
        ("identity", "style", None),
        ("identity, gzip;q=0.9", "style", None),
    ] {
        let request = client.get("/style.css").header("accept-encoding", accept);
        let response = request.send().await.unwrap();
        assert_eq!(response.text(), content, "{accept}");
        let headers = response.headers();
        let found = headers.get("content-encoding");
        assert_eq!(found.map(|coding| coding.to_str().unwrap()), coding);
        assert_eq!(headers["content-type"], "text/css; charset=utf-8");
        let vary: Vec<_> = headers.get_all("vary").iter().collect();
        assert_eq!(vary, ["origin", "accept-encoding"]);
        tags.push((coding, headers["etag"].clone()));

        let request = client.get("/style.css").header("accept-encoding", accept);
        let known = request.header("if-none-match", headers["etag"].clone());
        let known = known.send().await.unwrap();
        assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(known.headers().get_all("vary").iter().count(), 2);
    }
    tags.dedup();
    for (index, (coding, tag)) in tags.iter().enumerate() {
        for (other, other_tag) in &tags[index + 1..] {
            assert_eq!(tag == other_tag, coding == other, "{coding:?} {other:?}");
        }
    }
    let request = client.get("/page.html").header("accept-encoding", "br");
    let response = request.send().await.unwrap();
    assert_eq!(response.text(), "page");
    assert_eq!(response.headers().get_all("vary").iter().count(), 2);
}

#[tokio::test]
async fn a_compressed_file_of_the_same_length_and_time_has_another_tag() {
    let above = files();
    let public = above.path().join("public");
    for name in ["style.css", "style.css.gz", "style.css.br"] {
        fs::write(public.join(name), "same!").unwrap();
        let file = fs::File::options().append(true).open(public.join(name));
        file.unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    }
    let client = client(directory(&above).precompressed());
    let tag = async |accept: &str| {
        let request = client.get("/style.css").header("accept-encoding", accept);
        request.send().await.unwrap().headers()["etag"].clone()
    };
    let tags = [tag("").await, tag("gzip").await, tag("br").await];
    assert_ne!(tags[0], tags[1]);
    assert_ne!(tags[1], tags[2]);
    assert_ne!(tags[0], tags[2]);
}

#[tokio::test]
async fn fields_of_the_author_are_on_files_and_not_on_errors() {
    let above = files();
    let client = client(directory(&above).header("cache-control", "max-age=3600"));
    let response = client.get("/page.html").send().await.unwrap();
    assert_eq!(response.headers()["cache-control"], "max-age=3600");
    let modified = response.headers()["last-modified"].clone();
    let known = client
        .get("/page.html")
        .header("if-modified-since", modified);
    let known = known.send().await.unwrap();
    assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(known.headers()["cache-control"], "max-age=3600");
    for path in ["/nosuch", "/sub"] {
        let response = client.get(path).send().await.unwrap();
        assert!(!response.headers().contains_key("cache-control"), "{path}");
    }
}

#[tokio::test]
async fn other_methods_are_not_allowed_and_other_scopes_are_declined() {
    let above = files();
    let client = client(directory(&above));
    for method in [Method::POST, Method::OPTIONS, Method::DELETE] {
        let response = client.method(method, "/page.html").send().await.unwrap();
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.headers()["allow"], "GET, HEAD");
    }
    let refused = client.websocket("/").connect().await.unwrap_err();
    assert_eq!(refused.response().unwrap().status(), 501);
}

#[tokio::test]
async fn a_fallback_gets_what_the_directory_does_not_serve() {
    async fn fallback(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
        let scope = scope.into_http()?;
        let text = format!("{} {}", scope.method, scope.path());
        respond::text(text).send(&sender).await
    }
    let above = files();
    let client = client(directory(&above).fallback(fallback));
    for (method, path, content) in [
        (Method::GET, "/page.html", "page"),
        (Method::GET, "/nosuch", "GET /nosuch"),
        (Method::POST, "/page.html", "POST /page.html"),
        (Method::GET, "/.git/config", "GET /.git/config"),
    ] {
        let response = client.method(method, path).send().await.unwrap();
        assert_eq!(response.text(), content);
    }
}

#[tokio::test]
async fn a_root_that_is_missing_is_an_error_that_names_it() {
    for root in ["/nosuch/root", file!()] {
        let client = client(Directory::new(root));
        let response = client.get("/page.html").send().await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let failure = TestExchange::of(&response).ended().await.unwrap_err();
        assert!(failure.to_string().contains(root), "{failure}");
    }
}

#[tokio::test]
async fn a_large_file_arrives_whole_over_a_socket() {
    let above = files();
    let large = "0123456789".repeat(100_000);
    fs::write(above.path().join("public/large"), &large).unwrap();
    let served = Served::start(directory(&above));
    for range in ["", "range: bytes=0-\r\n"] {
        let mut client = served.request("GET /large").await;
        let end = format!("{range}\r\n");
        tokio::io::AsyncWriteExt::write_all(&mut client, end.as_bytes())
            .await
            .unwrap();
        let response = rest(client).await;
        assert!(response.ends_with(&format!("\r\n\r\n{large}")));
    }
    served.stop().await;
}

/// The rules of applications, checked by the suite.
mod rules {
    use super::*;

    callgate_conformance::app_tests!(
        Directory::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).precompressed(),
        callgate_conformance::AppOptions::new().path("/lib.rs")
    );
}
