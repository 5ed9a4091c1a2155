//! No application can put octets of its own outside the field, the frame or the content that an event is
//! for. Each test looks at the octets on the wire.

use std::sync::Arc;

use callgate::{
    AppError, HttpResponseBody, HttpResponseEarlyHint, HttpResponsePathSend, HttpResponseStart,
    HttpResponseTrailers, HttpScope, Receiver, SendError, Sender, WebSocketAccept, WebSocketClose,
    WebSocketScope,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::support::frames::{self, CLOSE, FIN, close};
use crate::support::{Server, find, get, http, http2, start, tell, websocket, whole};

/// Texts that would end a field, a line or a head, each followed by what would be injected.
const HOSTILE: [&str; 9] = [
    "a\r\ninjected: 1",
    "a\ninjected: 1",
    "a\rinjected: 1",
    "a\r\n\r\ninjected",
    "a\n\ninjected",
    "a\0injected: 1",
    "a\u{7f}injected",
    "a\u{1b}[injected",
    "\r\n 0\r\n\r\ninjected",
];

/// The values that a header field can have beyond visible ASCII: a tab, and octets above it.
const ALLOWED: [&[u8]; 3] = [b"a\tb", b"\xc3\xa9", b"\x80\xff"];

/// Returns the text whose number is the last segment of the path.
fn hostile(path: &str) -> &'static str {
    let number = path.rsplit('/').next().unwrap();
    HOSTILE[number.parse::<usize>().unwrap()]
}

/// Reads all that the server sends.
async fn wire(server: &Server, request: impl AsRef<[u8]>) -> Vec<u8> {
    let mut client = server.connect().await;
    client.send(request).await;
    client.half_close().await;
    client.rest_octets().await
}

/// Asserts that nothing was injected, and that every line of the head is a line of the server.
fn assert_clean(wire: &[u8]) {
    let shown = String::from_utf8_lossy(wire);
    assert_eq!(find(wire, b"injected"), None, "{shown:?}");
    let end = find(wire, b"\r\n\r\n").expect("a head");
    for line in wire[..end].split(|octet| *octet == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let is_text = |octet: &u8| *octet == b'\t' || (*octet >= b' ' && *octet != 0x7f);
        assert!(line.iter().all(is_text), "{shown:?}");
        assert!(
            line.starts_with(b"HTTP/1.1 ") || find(line, b": ").is_some(),
            "{shown:?}"
        );
    }
}

#[tokio::test]
async fn a_builder_that_is_given_a_line_end_fails_the_call_and_sends_nothing_of_it() {
    async fn app(_: (), scope: HttpScope, _: Receiver, sender: Sender) -> Result<(), AppError> {
        let text = hostile(scope.raw_path());
        let head = HttpResponseStart::ok();
        let head = match scope.raw_path().split('/').nth(1).unwrap() {
            "name" => head.header(text, "a"),
            "location" => head.set_header("location", text),
            _ => head.header("x-a", text),
        };
        sender.send(head).await?;
        sender.send(HttpResponseBody::last("sent")).await?;
        Ok(())
    }
    let server = Server::start(http((), app));
    let mut client = http2::Client::connect(&server).await;
    for place in ["name", "location", "value"] {
        for number in 0..HOSTILE.len() {
            let path = format!("/{place}/{number}");
            let wire = wire(&server, get(&path)).await;
            assert!(wire.starts_with(b"HTTP/1.1 500 "), "{path}");
            assert_clean(&wire);
            assert_eq!(client.get(&path).await.unwrap().status(), 500, "{path}");
        }
    }
    server.finish().await;
}

#[tokio::test]
async fn octets_above_ascii_stay_in_their_field() {
    fn fields() -> HeaderMap {
        let name = HeaderName::from_static("x-a");
        let values = ALLOWED.map(|value| HeaderValue::from_bytes(value).unwrap());
        values
            .map(|value| (name.clone(), value))
            .into_iter()
            .collect()
    }
    let server = Server::start(http((), async |(), scope, _, sender| {
        let values = fields().into_iter().map(|(_, value)| value);
        if scope.version == http::Version::HTTP_11 {
            sender.send(HttpResponseEarlyHint::new(values)).await?;
        }
        let mut head = HttpResponseStart::ok().with_trailers();
        head.headers = fields();
        head.headers
            .insert("trailer", HeaderValue::from_static("x-a"));
        sender.send(head).await?;
        sender.send(HttpResponseBody::end()).await?;
        sender.send(HttpResponseTrailers::last(fields())).await?;
        Ok(())
    }));
    let request = "GET / HTTP/1.1\r\nhost: test\r\nte: trailers\r\nconnection: te\r\n\r\n";
    let wire = wire(&server, request).await;
    assert_clean(&wire);
    let lines = |name: &str| {
        let lines = ALLOWED.map(|value| [name.as_bytes(), b": ", value, b"\r\n"].concat());
        lines.concat()
    };
    // The hints, the head and the trailers.
    assert!(find(&wire, &lines("link")).is_some());
    assert!(find(&wire, &lines("x-a")).is_some());
    assert!(wire.ends_with(&[b"0\r\n".to_vec(), lines("x-a"), b"\r\n".to_vec()].concat()));

    let mut client = http2::Client::connect(&server).await;
    let response = client.get("/").await.unwrap();
    let received = response.headers().get_all("x-a").iter();
    let received: Vec<_> = received.map(HeaderValue::as_bytes).collect();
    assert_eq!(received, ALLOWED);
    server.finish().await;
}

#[tokio::test]
async fn a_status_has_one_line_without_a_reason_of_the_application() {
    let server = Server::start(http((), async |(), scope, _, sender| {
        let status = scope.raw_path()[1..].parse().unwrap();
        if let Err(error) = sender.send(start(status)).await {
            assert_eq!(error.rule().unwrap().id, "HTTP-17");
            return Ok(());
        }
        sender.send(HttpResponseBody::end()).await?;
        Ok(())
    }));
    for (status, line) in [
        (100, "HTTP/1.1 500 Internal Server Error\r\n"),
        (101, "HTTP/1.1 500 Internal Server Error\r\n"),
        (200, "HTTP/1.1 200 OK\r\n"),
        (299, "HTTP/1.1 299 \r\n"),
        (599, "HTTP/1.1 599 \r\n"),
        (600, "HTTP/1.1 500 Internal Server Error\r\n"),
        (999, "HTTP/1.1 500 Internal Server Error\r\n"),
    ] {
        let wire = wire(&server, get(&format!("/{status}"))).await;
        assert!(wire.starts_with(line.as_bytes()), "{status}");
        assert_clean(&wire);
    }
    server.finish().await;
}

/// The fields that frame a message belong to the server.
#[tokio::test]
async fn fields_of_framing_and_of_the_connection_are_refused() {
    const FIELDS: [(&str, &str); 10] = [
        ("transfer-encoding", "gzip"),
        ("transfer-encoding", "identity"),
        ("connection", "close, x-a"),
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("keep-alive", "timeout=0"),
        ("proxy-connection", "close"),
        ("content-length", "+8"),
        ("content-length", "8, 8"),
        ("content-length", "0x8"),
    ];
    let server = Server::start(http((), async |(), scope, _, sender| {
        let number: usize = scope.raw_path()[1..].parse().unwrap();
        let (name, value) = FIELDS[number];
        let head = HttpResponseStart::ok().header(name, value);
        sender.send(head).await?;
        sender.send(HttpResponseBody::last("injected")).await?;
        Ok(())
    }));
    let mut client = http2::Client::connect(&server).await;
    for (number, field) in FIELDS.iter().enumerate() {
        let path = format!("/{number}");
        let wire = wire(&server, get(&path)).await;
        assert!(wire.starts_with(b"HTTP/1.1 500 "), "{field:?}");
        assert_clean(&wire);
        let response = client.get(&path).await.unwrap();
        assert_eq!(response.status(), 500, "{field:?}");
        assert!(
            response
                .headers()
                .get_all(field.0)
                .iter()
                .all(|it| it != field.1)
        );
    }
    server.finish().await;
}

#[tokio::test]
async fn content_that_looks_like_the_end_of_a_message_stays_content() {
    const CONTENT: &str = "\r\n0\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    let server = Server::start(http((), async |(), _, _, sender| {
        sender.send(HttpResponseStart::ok()).await?;
        sender.send(HttpResponseBody::part(CONTENT)).await?;
        tokio::task::yield_now().await;
        sender.send(HttpResponseBody::last(CONTENT)).await?;
        Ok(())
    }));
    let mut client = server.connect().await;
    for _ in 0..2 {
        client.send(get("/")).await;
        let response = client.response().await;
        assert_eq!(response.body, CONTENT.repeat(2));
    }
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn a_path_appears_in_no_response() {
    let directory = tempfile::tempdir().unwrap();
    let name = "a\r\ninjected: 1";
    std::fs::write(directory.path().join(name), "content").unwrap();
    let path = Arc::new(directory.path().to_owned());
    let server = Server::start(http(path, async |path, scope, _, sender| {
        sender.send(HttpResponseStart::ok()).await?;
        let name = match scope.raw_path() {
            "/file" => "a\r\ninjected: 1",
            "/missing" => "b\r\ninjected: 1",
            _ => "a\0injected",
        };
        match sender
            .send(HttpResponsePathSend::new(path.join(name)))
            .await
        {
            Err(SendError::File { .. }) => sender.send(HttpResponseBody::last("none")).await?,
            sent => sent?,
        }
        Ok(())
    }));
    for (path, content) in [
        ("/file", "content"),
        ("/missing", "none"),
        ("/null", "none"),
    ] {
        let wire = wire(&server, get(path)).await;
        assert!(wire.starts_with(b"HTTP/1.1 200 OK\r\n"), "{path}");
        assert!(
            wire.ends_with(format!("\r\n\r\n{content}").as_bytes()),
            "{path}"
        );
        assert_clean(&wire);
    }
    server.finish().await;
}

#[tokio::test]
async fn a_subprotocol_with_a_line_end_is_not_accepted() {
    let app = async |(), scope: WebSocketScope, _, sender: Sender| {
        let accept = WebSocketAccept::new().subprotocol(hostile(scope.raw_path()));
        let error = sender.send(accept).await.unwrap_err();
        assert_eq!(error.rule().unwrap().id, "WS-06");
        Err(error.into())
    };
    let server = Server::start(websocket((), app));
    for number in 0..HOSTILE.len() {
        let fields = "sec-websocket-protocol: a, injected\r\n";
        let wire = wire(&server, frames::handshake(&format!("/{number}"), fields)).await;
        assert!(wire.starts_with(b"HTTP/1.1 500 "));
        assert_clean(&wire);
    }
    server.finish().await;
}

#[tokio::test]
async fn a_close_reason_stays_in_its_frame() {
    let (teller, mut told) = tell();
    let app =
        async |teller: crate::support::Teller<()>, scope: WebSocketScope, _, sender: Sender| {
            sender.send(WebSocketAccept::new()).await?;
            // A text message of the server begins with the octet 0x81, which no text has.
            let reason = format!("{}\u{81}\u{5}hello", hostile(scope.raw_path()));
            sender
                .send(WebSocketClose::new(4000).reason(reason))
                .await?;
            teller.tell(());
            Ok(())
        };
    let server = Server::start(websocket(teller, app));
    for (number, text) in HOSTILE.iter().enumerate() {
        let mut client = frames::open(&server, &format!("/{number}")).await;
        told.next().await;
        let reason = format!("{text}\u{81}\u{5}hello");
        let payload = [&4000_u16.to_be_bytes(), reason.as_bytes()].concat();
        assert_eq!(client.frame().await, (FIN | CLOSE, payload));
        client.send(close(4000, "")).await;
        assert_eq!(client.rest_octets().await, b"");
    }
    server.finish().await;
}

#[tokio::test]
async fn the_target_of_a_request_appears_in_no_response() {
    let server = Server::start(http((), async |(), _, _, sender| {
        whole(&sender, "ok").await
    }));
    for target in [
        "/%0d%0ainjected",
        "/%00injected",
        "*injected",
        "/injected\u{1}",
    ] {
        let wire = wire(&server, get(target)).await;
        assert_clean(&wire);
    }
    server.finish().await;
}
