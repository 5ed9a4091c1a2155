use std::time::{Duration, SystemTime};

use callgate::{Feature, Receiver, Scope, SendEvent, Sender};
use callgate_toolkit::respond;
use callgate_toolkit::test_client::{ResponseExt, TestClient, TestExchange};
use http::{Method, StatusCode};
use tempfile::TempDir;

/// Returns a client of an application that answers with the file of the path. The directory has
/// `page.html`, of 70 000 bytes, and `empty`.
fn files() -> (TestClient, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("page.html"), "x".repeat(70_000)).unwrap();
    std::fs::write(directory.path().join("empty"), "").unwrap();
    let root = directory.path().to_owned();
    let client = TestClient::new(move |scope: Scope, _: Receiver, sender: Sender| {
        let root = root.clone();
        async move {
            let scope = scope.into_http()?;
            let path = root.join(scope.path().trim_start_matches('/'));
            respond::file(&scope, path)
                .header("x-a", "1")
                .send(&sender)
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
                        scope.features = scope.features.without(Feature::PathSend);
                    }
                });
            let response = request.send().await.unwrap();
            TestExchange::of(&response).ended().await.unwrap();
            assert_eq!(
                response.headers()["content-type"],
                "text/html; charset=utf-8"
            );
            assert_eq!(response.headers()["content-length"], "70000");
            assert_eq!(response.headers()["x-a"], "1");
            let length = if method == Method::GET { 70_000 } else { 0 };
            assert_eq!(response.body().len(), length);
            let transcript = TestExchange::of(&response).transcript();
            let is_path_sent = transcript
                .sent()
                .any(|event| matches!(event, SendEvent::HttpResponsePathSend(_)));
            assert_eq!(is_path_sent, is_offered);
        }
    }
    let empty = client.get("/empty").send().await.unwrap();
    assert_eq!(empty.headers()["content-type"], "application/octet-stream");
    assert_eq!(empty.text(), "");
}

#[tokio::test]
async fn a_client_with_the_newest_version_gets_304() {
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
    assert_eq!(again.headers()["last-modified"], modified);
    assert_eq!(again.headers()["etag"], first.headers()["etag"]);
}

#[tokio::test]
async fn the_conditions_of_a_request_are_looked_at_in_their_order() {
    let (client, directory) = files();
    let path = directory.path().join("page.html");
    let first = client.get("/page.html").send().await.unwrap();
    let etag = first.headers()["etag"].to_str().unwrap();
    let modified = first.headers()["last-modified"].to_str().unwrap();
    let (weak, listed) = (format!("W/{etag}"), format!("\"a\", \"b,c\",{etag}"));
    let (past, future) = (
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 GMT",
    );
    let is_new = [
        (vec![("if-none-match", etag)], 304),
        (vec![("if-none-match", &*weak)], 304),
        (vec![("if-none-match", &*listed)], 304),
        (
            vec![("if-none-match", "\"a\""), ("if-none-match", etag)],
            304,
        ),
        (vec![("if-none-match", "*")], 304),
        (vec![("if-none-match", "\"a\"")], 200),
        (vec![("if-none-match", "a")], 200),
        // The tag counts, and not the date.
        (
            vec![("if-none-match", "\"a\""), ("if-modified-since", modified)],
            200,
        ),
        (
            vec![("if-none-match", etag), ("if-modified-since", past)],
            304,
        ),
        (vec![("if-modified-since", future)], 304),
        (vec![("if-modified-since", "yesterday")], 200),
        (vec![("if-match", etag)], 200),
        (vec![("if-match", &*listed)], 200),
        (vec![("if-match", "*")], 200),
        (vec![("if-match", &*weak)], 412),
        (vec![("if-match", "\"a\"")], 412),
        (vec![("if-match", etag), ("if-unmodified-since", past)], 200),
        (vec![("if-unmodified-since", past)], 412),
        (vec![("if-unmodified-since", modified)], 200),
        (vec![("if-match", etag), ("if-none-match", etag)], 304),
        (vec![("if-match", "\"a\""), ("if-none-match", etag)], 412),
        (vec![("if-none-match", etag), ("range", "bytes=0-1")], 304),
    ];
    for (fields, status) in is_new {
        for method in [Method::GET, Method::HEAD] {
            let request = client.method(method, "/page.html");
            let request = fields.iter().fold(request, |request, (name, value)| {
                request.header(*name, *value)
            });
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), status, "{fields:?}");
            if status != 200 {
                assert_eq!(response.headers()["etag"], etag);
                assert!(response.body().len() < 100, "{fields:?}");
            }
        }
    }
    // Another length or another time is another state.
    let file = std::fs::File::options().append(true).open(&path).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    let older = client.get("/page.html").send().await.unwrap();
    assert_ne!(older.headers()["etag"], etag);
    assert_eq!(older.headers()["last-modified"], past);
    file.set_len(10).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    let shorter = client.get("/page.html").send().await.unwrap();
    assert_ne!(shorter.headers()["etag"], older.headers()["etag"]);
}

#[tokio::test]
async fn a_file_of_the_future_is_sent_as_one_of_now() {
    let (client, directory) = files();
    let path = directory.path().join("page.html");
    let file = std::fs::File::options().append(true).open(path).unwrap();
    // The years 2200 and 10000.
    for seconds in [7_258_118_400, 253_402_300_800] {
        let future = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        // A file system that does not know a year takes another or leaves it as it is.
        let _ = file.set_modified(future);
        let response = client.get("/page.html").send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let modified = response.headers()["last-modified"].to_str().unwrap();
        let modified = httpdate::parse_http_date(modified).unwrap();
        assert!(modified <= SystemTime::now(), "{modified:?}");
        let etag = &response.headers()["etag"];
        let again = client.get("/page.html").header("if-none-match", etag);
        assert_eq!(again.send().await.unwrap().status(), 304);
    }
}

/// Returns a client of a file `digits` with the ten digits.
fn digits() -> (TestClient, TempDir) {
    let (client, directory) = files();
    std::fs::write(directory.path().join("digits"), "0123456789").unwrap();
    (client, directory)
}

#[tokio::test]
async fn a_part_of_a_file_is_sent_with_where_it_is_and_the_rest_is_not() {
    let (client, _directory) = digits();
    for (range, sent, content) in [
        ("bytes=0-0", "bytes 0-0/10", "0"),
        ("bytes=2-4", "bytes 2-4/10", "234"),
        ("bytes=5-99", "bytes 5-9/10", "56789"),
        ("bytes=7-", "bytes 7-9/10", "789"),
        ("bytes=-1", "bytes 9-9/10", "9"),
        ("bytes=4-5,2-4", "bytes 2-5/10", "2345"),
    ] {
        let request = client.get("/digits").header("range", range);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::PARTIAL_CONTENT, "{range}");
        assert_eq!(response.headers()["content-range"], sent);
        assert_eq!(
            response.headers()["content-length"],
            content.len().to_string()
        );
        assert_eq!(response.headers()["accept-ranges"], "bytes");
        assert_eq!(response.text(), content);
        TestExchange::of(&response).ended().await.unwrap();
    }
    // A file that is read in several pieces.
    let request = client.get("/page.html").header("range", "bytes=1-69999");
    let response = request.send().await.unwrap();
    assert_eq!(response.body().len(), 69_999);
}

#[tokio::test]
async fn several_parts_are_sent_as_one_message_of_several() {
    let (client, _directory) = digits();
    let request = client.get("/digits").header("range", "bytes=7-,0-1");
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::PARTIAL_CONTENT);
    assert!(!response.headers().contains_key("content-range"));
    let content_type = response.headers()["content-type"].to_str().unwrap();
    let boundary = content_type
        .strip_prefix("multipart/byteranges; boundary=")
        .unwrap();
    let part = |range, content| {
        format!(
            "\r\n--{boundary}\r\ncontent-type: application/octet-stream\r\n\
             content-range: bytes {range}/10\r\n\r\n{content}"
        )
    };
    let (first, last) = (part("0-1", "01"), part("7-9", "789"));
    assert_eq!(
        response.text(),
        format!("{first}{last}\r\n--{boundary}--\r\n")
    );
    let length = response.text().len().to_string();
    assert_eq!(response.headers()["content-length"], length);
    TestExchange::of(&response).ended().await.unwrap();
}

#[tokio::test]
async fn a_range_past_the_end_is_refused_with_the_length() {
    let (client, _directory) = digits();
    for range in ["bytes=10-", "bytes=99-100", "bytes=-0"] {
        let request = client.get("/digits").header("range", range);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::RANGE_NOT_SATISFIABLE);
        assert_eq!(response.headers()["content-range"], "bytes */10");
    }
}

#[tokio::test]
async fn a_range_is_ignored_where_it_is_none_or_the_file_is_another_one() {
    let (client, _directory) = digits();
    let first = client.get("/digits").send().await.unwrap();
    let etag = first.headers()["etag"].to_str().unwrap();
    let modified = first.headers()["last-modified"].to_str().unwrap();
    let weak = format!("W/{etag}");
    for (range, only_if, status) in [
        ("bytes=0-1", etag, 206),
        ("bytes=0-1", modified, 200),
        ("bytes=0-1", &weak, 200),
        ("bytes=0-1", "\"a\"", 200),
        ("bytes=0-1", "Fri, 31 Dec 9999 23:59:59 GMT", 200),
        ("bytes=0-1", "Thu, 01 Jan 1970 00:00:00 GMT", 200),
        ("bytes=0-1", "yesterday", 200),
        ("bytes=99-", "\"a\"", 200),
        ("lines=0-1", etag, 200),
        ("bytes=1-0", etag, 200),
    ] {
        let request = client.get("/digits").header("range", range);
        let response = request.header("if-range", only_if).send().await.unwrap();
        assert_eq!(response.status(), status, "{range} {only_if}");
        let length = if status == 206 { 2 } else { 10 };
        assert_eq!(response.body().len(), length, "{range} {only_if}");
    }
    let request = client.head("/digits").header("range", "bytes=0-1");
    let head = request.send().await.unwrap();
    assert_eq!(head.status(), StatusCode::OK);
    assert_eq!(head.headers()["content-length"], "10");
}

#[tokio::test]
async fn parts_of_two_files_written_in_one_second_are_never_joined() {
    let (client, directory) = digits();
    let path = directory.path().join("digits");
    let written = async |content: &str, milliseconds| {
        std::fs::write(&path, content).unwrap();
        let file = std::fs::File::options().append(true).open(&path).unwrap();
        let modified = SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds);
        file.set_modified(modified).unwrap();
        client.get("/digits").send().await.unwrap()
    };
    let first = written("0123456789", 5_000).await;
    let second = written("abcdefghij", 5_500).await;
    let dates = [&first, &second].map(|response| &response.headers()["last-modified"]);
    assert_eq!(dates[0], dates[1]);
    for (only_if, content) in [
        (dates[0], "abcdefghij"),
        (&first.headers()["etag"], "abcdefghij"),
        (&second.headers()["etag"], "fghij"),
    ] {
        let request = client.get("/digits").header("range", "bytes=5-");
        let response = request.header("if-range", only_if).send().await.unwrap();
        assert_eq!(response.text(), content, "{only_if:?}");
    }
}

#[tokio::test]
async fn the_server_sends_whole_files_and_the_application_parts_of_them() {
    let (client, _directory) = digits();
    for (range, is_by_path) in [(None, true), (Some("bytes=0-1"), false)] {
        let mut request = client.get("/digits");
        if let Some(range) = range {
            request = request.header("range", range);
        }
        let response = request.send().await.unwrap();
        let transcript = TestExchange::of(&response).transcript();
        let is_path_sent = transcript
            .sent()
            .any(|event| matches!(event, SendEvent::HttpResponsePathSend(_)));
        assert_eq!(is_path_sent, is_by_path);
    }
}

#[tokio::test]
async fn validators_of_the_application_s_own_are_those_that_count() {
    let (_, directory) = digits();
    let path = directory.path().join("digits");
    let client = TestClient::new(move |scope: Scope, _: Receiver, sender: Sender| {
        let path = path.clone();
        async move {
            let scope = scope.into_http()?;
            let response = respond::file(&scope, path).header("etag", "W/\"7\"");
            response.send(&sender).await
        }
    });
    for (name, status) in [("if-none-match", 304), ("if-match", 412)] {
        let request = client.get("/").header(name, "W/\"7\"");
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()["etag"], "W/\"7\"");
        assert_eq!(response.status(), status);
    }
}

#[tokio::test]
async fn directories_and_missing_files_are_not_found_and_other_methods_not_allowed() {
    let (client, _directory) = files();
    let long = format!("/{}", "x".repeat(1000));
    for path in ["/nosuch", "/", "/page.html/below", "/nul%00.html", &long] {
        let response = client.get(path).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
    }
    let response = client.post("/page.html").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
}
