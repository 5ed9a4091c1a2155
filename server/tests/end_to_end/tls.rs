//! TLS: handshakes, certificates, the end of connections, and the scope.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use callgate::{
    AppError, Feature, HttpResponseBody, HttpResponsePathSend, HttpResponseStart, ReceiveEvent,
    Scheme, Scope, WebSocketAccept,
};
use callgate_server::config::{ClientCertificates, TlsVersion};
use rustls::HandshakeKind;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc::unbounded_channel;
use tokio_rustls::client::TlsStream;

use crate::support::tls::{Authority, connect};
use crate::support::{Client, Server, frames, http, says, websocket, whole, within};

type TlsClient = TlsStream<TcpStream>;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: test\r\n\r\n";

/// Sends octets, and reads up to the end of the connection. Fails without `close_notify`.
async fn ask(mut client: TlsClient, request: &[u8]) -> io::Result<String> {
    client.write_all(request).await?;
    let mut response = Vec::new();
    within(client.read_to_end(&mut response)).await?;
    Ok(String::from_utf8_lossy(&response).into_owned())
}

/// Makes a request that is the last on its connection.
async fn get(client: TlsClient) -> io::Result<String> {
    ask(
        client,
        b"GET / HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n",
    )
    .await
}

#[tokio::test]
async fn a_connection_of_each_version_is_served_and_ends_with_close_notify() {
    let authority = Authority::new();
    let server = Server::with(authority.config("a.test"), says("hello"));
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let client = authority.client_of(version);
        let client = connect(&server, client, "a.test").await.unwrap();
        assert!(get(client).await.unwrap().ends_with("hello"));
    }
    server.finish().await;
}

#[tokio::test]
async fn a_version_below_the_lowest_is_refused() {
    let authority = Authority::new();
    let mut config = authority.config("a.test");
    config.tls.min_version = TlsVersion::Tls13;
    let server = Server::with(config, says("hello"));
    let client = authority.client_of(&rustls::version::TLS12);
    connect(&server, client, "a.test").await.unwrap_err();
}

#[tokio::test]
async fn a_client_gets_the_certificate_for_the_name_that_it_asks_for() {
    let authority = Authority::new();
    let mut config = authority.config("a.test");
    let (certfile, keyfile) = authority.write("other", &authority.issue("*.b.test"));
    config.tls.certfile.push(certfile);
    config.tls.keyfile.push(keyfile);
    let server = Server::with(config, says("hello"));
    for name in ["a.test", "www.b.test"] {
        let client = connect(&server, authority.client(), name).await.unwrap();
        assert!(get(client).await.is_ok(), "{name}");
    }
    connect(&server, authority.client(), "b.test")
        .await
        .unwrap_err();
}

#[tokio::test]
async fn the_version_of_http_is_negotiated() {
    let authority = Authority::new();
    let server = Server::with(authority.config("a.test"), says("hello"));
    let mut client = authority.client();
    client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let client = connect(&server, client, "a.test").await.unwrap();
    assert_eq!(client.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (requests, connection) = within(h2::client::handshake(client)).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut requests = within(requests.ready()).await.unwrap();
    let request = ::http::Request::get("https://a.test/").body(()).unwrap();
    let (response, _) = requests.send_request(request, true).unwrap();
    let response = within(response).await.unwrap();
    let text = crate::support::http2::text(response.into_body()).await;
    assert_eq!(text.unwrap(), "hello");
    drop(requests);
    within(connection).await.unwrap().unwrap();
    server.finish().await;
}

#[tokio::test]
async fn a_session_is_resumed() {
    let authority = Authority::new();
    let server = Server::with(authority.config("a.test"), says("hello"));
    let config = Arc::new(authority.client());
    let mut kinds = Vec::new();
    for _ in 0..2 {
        let mut client = connect(&server, config.clone(), "a.test").await.unwrap();
        client.write_all(REQUEST).await.unwrap();
        // The tickets come before the response.
        within(client.read(&mut [0; 1024])).await.unwrap();
        kinds.push(client.get_ref().1.handshake_kind().unwrap());
    }
    assert_eq!(kinds, [HandshakeKind::Full, HandshakeKind::Resumed]);
}

#[tokio::test]
async fn client_certificates_are_required_checked_and_shown_to_the_application() {
    let authority = Authority::new();
    let mut config = authority.config("a.test");
    config.tls.cert_reqs = ClientCertificates::Required;
    config.tls.ca_certs = Some(authority.file("ca.pem", authority.pem()));
    config.tls.crlfile = Some(authority.file("crl.pem", authority.revoke(7)));
    let app = http((), async |(), scope, _, sender| {
        let tls = scope.tls.as_ref().unwrap();
        let name = tls.client_cert_name.clone().unwrap();
        whole(&sender, format!("{name} {}", tls.client_cert_chain.len())).await
    });
    let server = Server::with(config, app);
    let answer = async |client| get(connect(&server, client, "a.test").await?).await;
    let client = authority.issue("someone");
    let response = answer(authority.client_with(Some(&client))).await.unwrap();
    assert!(response.ends_with("CN=someone 1"), "{response}");
    let revoked =
        authority.issue_with("revoked", |params| params.serial_number = Some(7u64.into()));
    let stranger = Authority::new().issue("someone");
    for client in [None, Some(&revoked), Some(&stranger)] {
        answer(authority.client_with(client)).await.unwrap_err();
    }
}

#[tokio::test]
async fn an_optional_certificate_may_be_missing_but_not_wrong() {
    let authority = Authority::new();
    let mut config = authority.config("a.test");
    config.tls.cert_reqs = ClientCertificates::Optional;
    config.tls.ca_certs = Some(authority.file("ca.pem", authority.pem()));
    let server = Server::with(config, says("hello"));
    let answer = async |client| get(connect(&server, client, "a.test").await?).await;
    let client = authority.issue("someone");
    answer(authority.client()).await.unwrap();
    answer(authority.client_with(Some(&client))).await.unwrap();
    let stranger = Authority::new().issue("someone");
    answer(authority.client_with(Some(&stranger)))
        .await
        .unwrap_err();
}

#[tokio::test]
async fn the_security_of_a_connection_to_a_proxy_is_not_that_of_its_client() {
    let authority = Authority::new();
    let trusting = || {
        let mut config = authority.config("a.test");
        config.tls.cert_reqs = ClientCertificates::Required;
        config.tls.ca_certs = Some(authority.file("ca.pem", authority.pem()));
        config
    };
    let mut distrusting = trusting();
    distrusting.proxy.forwarded_allow_ips = "192.0.2.9".parse().unwrap();
    let proxy = authority.issue("proxy");
    let (https, hidden) = (
        "x-forwarded-proto: https\r\n",
        "x-forwarded-for: rubbish\r\n",
    );
    for (config, fields, expected) in [
        (trusting(), "", "https true CN=proxy"),
        (trusting(), https, "https false none"),
        (
            trusting(),
            "x-forwarded-for: 192.0.2.1\r\n",
            "https false none",
        ),
        (trusting(), hidden, "https false none"),
        (trusting(), "x-forwarded-proto: http\r\n", "http false none"),
        (distrusting, https, "https true CN=proxy"),
    ] {
        let app = http((), async |(), scope, _, sender| {
            let tls = scope.tls.as_ref();
            let certificate = tls.and_then(|tls| tls.client_cert_name.clone());
            let (scheme, offers) = (scope.scheme, scope.features.contains(Feature::Tls));
            let certificate = certificate.unwrap_or_else(|| "none".into());
            whole(&sender, format!("{scheme} {offers} {certificate}")).await
        });
        let server = Server::with(config, app);
        let client = connect(&server, authority.client_with(Some(&proxy)), "a.test");
        let request = format!("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{fields}\r\n");
        let response = ask(client.await.unwrap(), request.as_bytes()).await;
        let response = response.unwrap();
        assert!(response.ends_with(expected), "{fields}: {response}");
    }
}

#[tokio::test]
async fn the_scope_has_the_security_of_the_connection() {
    let authority = Authority::new();
    let pair = authority.issue("a.test");
    let (certfile, keyfile) = authority.write("own", &pair);
    let mut config = crate::support::config();
    config.tls.certfile = vec![certfile];
    config.tls.keyfile = vec![keyfile];
    let (send, mut scopes) = unbounded_channel();
    let server = Server::with(config, move |scope: Scope, _, _| {
        send.send(scope).unwrap();
        async { Err::<(), _>(AppError::Unsupported) }
    });
    // The first scope is that of the lifespan.
    within(scopes.recv()).await.unwrap();
    let websocket = frames::handshake("/", "");
    for request in [REQUEST, websocket.as_bytes()] {
        let mut client = connect(&server, authority.client(), "a.test")
            .await
            .unwrap();
        client.write_all(request).await.unwrap();
        let scope = within(scopes.recv()).await.unwrap();
        let (scheme, features, tls) = match &scope {
            Scope::Http(scope) => (scope.scheme, scope.features, scope.tls.clone()),
            Scope::WebSocket(scope) => (scope.scheme, scope.features, scope.tls.clone()),
            _ => panic!("{scope:?}"),
        };
        assert_eq!(scheme, Scheme::Https);
        assert!(features.contains(Feature::Tls));
        let tls = tls.unwrap();
        assert_eq!(tls.tls_version, Some(0x0304));
        assert_eq!(tls.cipher_suite.unwrap() >> 8, 0x13);
        let own = pair.pem.replace('\r', "");
        assert_eq!(tls.server_cert.as_deref(), Some(own.as_str()));
        assert!(tls.client_cert_chain.is_empty());
    }
}

#[tokio::test]
async fn a_websocket_is_carried_over_tls() {
    let authority = Authority::new();
    let app = websocket((), async |(), _, mut receiver, sender| {
        receiver.receive().await;
        sender.send(WebSocketAccept::new()).await?;
        while let ReceiveEvent::WebSocketReceive(message) = receiver.receive().await {
            sender.send(message).await?;
        }
        Ok(())
    });
    let server = Server::with(authority.config("a.test"), app);
    let stream = connect(&server, authority.client(), "a.test")
        .await
        .unwrap();
    let mut client = Client::over(stream);
    client.send(frames::handshake("/", "")).await;
    assert_eq!(client.head().await.status, 101);
    for text in ["a".to_owned(), "b".repeat(1 << 20)] {
        let frame = frames::frame(0x81, &text);
        client.send(frame).await;
        assert!(client.message().await == text);
    }
    client.send(frames::close(1000, "")).await;
    client.closed_with(1000).await;
}

#[tokio::test]
async fn a_file_and_large_content_arrive_whole() {
    let authority = Authority::new();
    let content: Vec<u8> = (0..3_000_000u32).map(|index| (index % 251) as u8).collect();
    let path = authority.file("content", &content);
    let expected = content.clone();
    let app = http(
        (path, content),
        async |(path, content), scope, _, sender| {
            sender.send(HttpResponseStart::ok()).await?;
            match scope.path().as_ref() {
                "/file" => sender.send(HttpResponsePathSend::new(path)).await?,
                _ => sender.send(HttpResponseBody::last(content)).await?,
            }
            Ok(())
        },
    );
    let server = Server::with(authority.config("a.test"), app);
    for path in ["/file", "/content"] {
        let mut client = connect(&server, authority.client(), "a.test")
            .await
            .unwrap();
        let request = format!("GET {path} HTTP/1.0\r\nhost: test\r\n\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        let mut response = Vec::new();
        within(client.read_to_end(&mut response)).await.unwrap();
        assert!(response.ends_with(&expected), "{path}: {}", response.len());
    }
}

#[tokio::test]
async fn a_slow_client_gets_the_last_octets_while_its_connection_stays_open() {
    // More than the buffers of both sockets, so that the last write waits for the client.
    const LENGTH: usize = 1_000_000;
    let authority = Authority::new();
    let app = http((), async |(), _, _, sender| {
        whole(&sender, vec![b'x'; LENGTH]).await
    });
    let mut config = authority.config("a.test");
    // The end of the connection would write the rest.
    config.timeouts.keep_alive = Duration::from_secs(600);
    let server = Server::with_small_buffer(config, app);
    let mut client = connect(&server, authority.client(), "a.test")
        .await
        .unwrap();
    client.write_all(REQUEST).await.unwrap();
    let (mut received, mut chunk) = (0, vec![0; 4096]);
    while received < LENGTH {
        let read = within(client.read(&mut chunk)).await.unwrap();
        assert_ne!(read, 0, "the connection has ended");
        received += read;
        // The server, which is on this thread, writes before the client reads on.
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_is_gone_at_once_and_not_half_closed() {
    let authority = Authority::new();
    let (send, mut ends) = unbounded_channel();
    let app = http(send, async |send, _, mut receiver, _| {
        while !matches!(receiver.receive().await, ReceiveEvent::HttpDisconnect) {}
        send.send("disconnect").unwrap();
        Ok(())
    });
    let mut config = authority.config("a.test");
    config.timeouts.half_close = Duration::from_secs(600);
    let server = Server::with(config, app);
    for request in [
        REQUEST,
        b"POST / HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n",
    ] {
        let mut client = connect(&server, authority.client(), "a.test")
            .await
            .unwrap();
        client.write_all(request).await.unwrap();
        // Without `close_notify`.
        let (stream, _) = client.into_inner();
        drop(stream);
        assert_eq!(within(ends.recv()).await, Some("disconnect"));
    }
}

#[tokio::test]
async fn a_client_that_has_sent_close_notify_gets_its_response() {
    let authority = Authority::new();
    let (go, gone) = tokio::sync::oneshot::channel();
    let gone = Arc::new(std::sync::Mutex::new(Some(gone)));
    let app = http(gone, async |gone, _, _, sender| {
        let gone = gone.lock().unwrap().take().unwrap();
        gone.await.unwrap();
        whole(&sender, "after all").await
    });
    let server = Server::with(authority.config("a.test"), app);
    let mut client = connect(&server, authority.client(), "a.test")
        .await
        .unwrap();
    client.write_all(REQUEST).await.unwrap();
    client.get_mut().1.send_close_notify();
    client.flush().await.unwrap();
    go.send(()).unwrap();
    let mut response = String::new();
    within(client.read_to_string(&mut response)).await.unwrap();
    assert!(response.ends_with("after all"), "{response}");
}

#[tokio::test]
async fn cleartext_is_answered_in_cleartext() {
    let authority = Authority::new();
    let server = Server::with(authority.config("a.test"), says("hello"));
    let response = server.ask_all(REQUEST).await;
    assert!(response.starts_with("HTTP/1.1 400 "), "{response}");
    assert!(response.contains("speaks HTTPS"), "{response}");
}

#[tokio::test]
async fn a_client_that_makes_no_handshake_is_closed_and_holds_nobody_up() {
    let authority = Authority::new();
    let mut config = authority.config("a.test");
    config.timeouts.tls_handshake = Duration::from_millis(300);
    let server = Server::with(config, says("hello"));
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    // The beginning of a record.
    silent.write_all(&[22, 3, 1]).await.unwrap();
    let client = connect(&server, authority.client(), "a.test")
        .await
        .unwrap();
    get(client).await.unwrap();
    let end = within(silent.read(&mut [0])).await;
    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
}
