use callgate::{AppError, HttpRequestBody, HttpScope, ReceiveEvent};
use callgate_toolkit::multipart::Limits;
use callgate_toolkit::read::{self, ReadError};
use http::Method;

use crate::scripted::Scripted;

/// A form with a value, a file and an empty field, with a preamble and an epilogue.
const FORM: &str = "preamble\r\n--b-1\r\n\
    content-disposition: form-data; name=\"title\"\r\n\r\n\
    A \r\n-- title\r\n--b-1  \r\n\
    Content-Disposition: form-data; name=\"file\"; filename=\"a b.txt\"\r\n\
    content-type: text/plain\r\n\r\n\
    \r\n--b-2\r\n\r\n--b-1\r\n\
    content-disposition: form-data; name=\"empty\"\r\n\r\n\r\n--b-1--\r\nepilogue";

fn scope() -> HttpScope {
    let mut scope = HttpScope::new(Method::POST, "/".parse().unwrap());
    let content_type = "multipart/form-data; boundary=b-1".parse().unwrap();
    scope.headers.insert("content-type", content_type);
    scope
}

/// Returns a channel with this content, each part of which is an event.
fn content(parts: &[&[u8]]) -> std::sync::Arc<Scripted> {
    let channel = Scripted::new(0);
    let (last, parts) = parts.split_last().unwrap();
    for part in parts {
        channel.push(ReceiveEvent::HttpRequestBody(HttpRequestBody::part(
            part.to_vec(),
        )));
    }
    channel.push(ReceiveEvent::HttpRequestBody(HttpRequestBody::last(
        last.to_vec(),
    )));
    channel
}

/// Reads all fields of a form.
async fn read_all(
    parts: &[&[u8]],
    limits: Limits,
) -> Result<Vec<(String, Option<String>, Option<String>, String)>, ReadError> {
    let (mut receiver, _) = content(parts).pair();
    let mut form = read::multipart(&scope(), &mut receiver, limits)?;
    let mut fields = Vec::new();
    while let Some(field) = form.next().await? {
        fields.push((
            field.name().unwrap().to_owned(),
            field.file_name().map(ToOwned::to_owned),
            field.content_type().map(ToOwned::to_owned),
            field.text().await?,
        ));
    }
    Ok(fields)
}

#[tokio::test]
async fn a_form_is_read_however_it_is_divided() {
    let form = FORM.as_bytes();
    let limits = Limits::new(FORM.len());
    let expected = [
        ("title".into(), None, None, "A \r\n-- title".into()),
        (
            "file".into(),
            Some("a b.txt".into()),
            Some("text/plain".into()),
            "\r\n--b-2\r\n".into(),
        ),
        ("empty".into(), None, None, String::new()),
    ];
    assert_eq!(read_all(&[form], limits).await.unwrap(), expected);
    for at in 0..=form.len() {
        let (first, second) = form.split_at(at);
        let fields = read_all(&[first, second], limits).await;
        assert_eq!(fields.unwrap(), expected, "divided at {at}");
    }
    let octets: Vec<_> = form.chunks(1).collect();
    assert_eq!(read_all(&octets, limits).await.unwrap(), expected);
}

#[tokio::test]
async fn the_unread_rest_of_a_field_is_skipped() {
    let form = FORM.as_bytes();
    for at in 0..=form.len() {
        let (first, second) = form.split_at(at);
        let (mut receiver, _) = content(&[first, second]).pair();
        let mut form = read::multipart(&scope(), &mut receiver, Limits::new(1000)).unwrap();
        let mut names = Vec::new();
        while let Some(field) = form.next().await.unwrap() {
            names.push(field.name().unwrap().to_owned());
        }
        assert_eq!(names, ["title", "file", "empty"], "divided at {at}");
        assert!(form.next().await.unwrap().is_none());
    }
}

#[tokio::test]
async fn each_limit_is_an_error_of_its_own() {
    let octets: Vec<_> = FORM.as_bytes().chunks(1).collect();
    for parts in [&[FORM.as_bytes()][..], &octets] {
        for (limits, error) in [
            (Limits::new(200), ReadError::TooLarge { limit: 200 }),
            (
                Limits::new(1000).per_field(11),
                ReadError::FieldTooLarge {
                    name: "title".into(),
                    limit: 11,
                },
            ),
            (
                Limits::new(1000).max_fields(2),
                ReadError::TooManyFields { limit: 2 },
            ),
        ] {
            assert_eq!(error.status(), 413);
            assert_eq!(read_all(parts, limits).await.unwrap_err(), error);
        }
        let limits = Limits::new(FORM.len()).per_field(12).max_fields(3);
        read_all(parts, limits).await.unwrap();
    }
}

#[tokio::test]
async fn a_limit_holds_for_a_field_that_is_skipped() {
    let (mut receiver, _) = content(&[FORM.as_bytes()]).pair();
    let limits = Limits::new(1000).per_field(11);
    let mut form = read::multipart(&scope(), &mut receiver, limits).unwrap();
    form.next().await.unwrap().unwrap();
    let error = form.next().await.unwrap_err();
    assert!(matches!(error, ReadError::FieldTooLarge { .. }));
}

#[tokio::test]
async fn a_form_that_is_malformed_or_has_no_end_is_an_error() {
    for form in [
        "",
        "--b-1",
        "--b-1\r\n",
        "--b-2\r\n\r\n",
        "--b-1\r\nno colon\r\n\r\n\r\n--b-1--",
        "--b-1\r\ncontent-disposition: form-data; name=a\r\n\r\nno end",
        "--b-1\r\ncontent-disposition: form-data; name=a\r\n\r\nno end\r\n--b-1",
    ] {
        let error = read_all(&[form.as_bytes()], Limits::new(1000)).await;
        let error = error.unwrap_err();
        assert_eq!(error.status(), 400, "{form:?}: {error}");
    }
}

#[tokio::test]
async fn a_head_without_end_is_refused_before_the_limit_of_the_form() {
    let head = [b"--b-1\r\nx-long: "[..].to_vec(), vec![b'x'; 8 << 20]].concat();
    let preamble = vec![b'x'; 8 << 20];
    for content in [head, preamble] {
        let parts: Vec<_> = content.chunks(1024).collect();
        let (mut receiver, channel) = {
            let channel = self::content(&parts);
            (channel.pair().0, channel)
        };
        let mut form = read::multipart(&scope(), &mut receiver, Limits::new(64 << 20)).unwrap();
        let error = form.next().await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the content is malformed: the head of a field is larger than 16384 bytes"
        );
        drop(form);
        assert_eq!(channel.unreceived(), parts.len() - 16);
    }
}

#[tokio::test]
async fn the_head_of_a_field_may_come_with_much_of_its_content() {
    let head = "--b-1\r\ncontent-disposition: form-data; name=a\r\n\r\n";
    let content = format!("{head}{}\r\n--b-1--", "x".repeat(64 * 1024));
    for at in [1, head.len() - 1, head.len()] {
        let (first, second) = content.as_bytes().split_at(at);
        let fields = read_all(&[first, second], Limits::new(1 << 20)).await;
        assert_eq!(fields.unwrap()[0].3.len(), 64 * 1024, "divided at {at}");
    }
}

#[tokio::test]
async fn a_file_is_received_no_faster_than_its_chunks_are_read() {
    let head = b"--b-1\r\ncontent-disposition: form-data; name=a\r\n\r\n";
    let chunk = [b'x'; 1024];
    let mut parts = vec![&head[..]];
    parts.extend([&chunk[..]; 100]);
    parts.push(b"\r\n--b-1--");
    let channel = content(&parts);
    let (mut receiver, _) = channel.pair();
    let mut form = read::multipart(&scope(), &mut receiver, Limits::new(1 << 20)).unwrap();
    let mut field = form.next().await.unwrap().unwrap();
    for received in 1..=100 {
        assert_eq!(channel.unreceived(), parts.len() - received);
        assert_eq!(field.chunk().await.unwrap().unwrap().len(), 1024);
    }
    while let Some(chunk) = field.chunk().await.unwrap() {
        assert!(chunk.is_empty());
    }
    assert!(form.next().await.unwrap().is_none());
}

#[tokio::test]
async fn content_that_is_no_form_is_refused_without_reading() {
    for (content_type, length, status) in [
        ("text/plain", "1", 415),
        ("multipart/mixed; boundary=b", "1", 415),
        ("multipart/form-data", "1", 400),
        ("multipart/form-data; boundary=b", "11", 413),
        ("Multipart/Form-Data; boundary=\"b\"", "10", 200),
    ] {
        let mut scope = scope();
        scope
            .headers
            .insert("content-type", content_type.parse().unwrap());
        scope
            .headers
            .insert("content-length", length.parse().unwrap());
        let (mut receiver, _) = Scripted::new(0).pair();
        let found = match read::multipart(&scope, &mut receiver, Limits::new(10)) {
            Ok(_) => 200,
            Err(error) => error.status().as_u16(),
        };
        assert_eq!(found, status, "{content_type}");
    }
}

#[tokio::test]
async fn a_client_that_goes_away_within_a_form_is_disconnected() {
    let channel = Scripted::new(0);
    let part = HttpRequestBody::part(&FORM.as_bytes()[..80]);
    channel.push(ReceiveEvent::HttpRequestBody(part));
    channel.push(ReceiveEvent::HttpDisconnect);
    let (mut receiver, _) = channel.pair();
    let mut form = read::multipart(&scope(), &mut receiver, Limits::new(1000)).unwrap();
    let field = form.next().await.unwrap().unwrap();
    let error = field.bytes().await.unwrap_err();
    assert_eq!(error, ReadError::Disconnected);
    assert!(AppError::from(error).is_disconnected());
}
