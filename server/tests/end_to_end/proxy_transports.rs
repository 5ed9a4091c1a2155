//! A server behind proxies, over each transport.

use std::net::Ipv6Addr;
use std::time::Duration;

use bytes::Bytes;
use callgate::Scheme;
use callgate_server::{ProxyProtocol, Server as BoundServer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::frames::ask;
use crate::support::http2::{Client, request};
use crate::support::{Server, config, http, says, tell, websocket, whole, within};

const HEADER: &[u8] = b"PROXY TCP6 2001:db8::7 2001:db8::1 1025 443\r\n";

#[tokio::test]
async fn header_fields_of_a_trusted_peer_set_the_scope_over_http2() {
    let (teller, mut told) = tell();
    let server = Server::start(http(teller, async |teller, scope, _, sender| {
        teller.tell((scope.client, scope.scheme, scope.headers["host"].clone()));
        whole(&sender, "").await
    }));
    let mut client = Client::connect(&server).await;
    let mut request = request("/");
    let fields = request.headers_mut();
    fields.insert("x-forwarded-for", "192.0.2.1".parse().unwrap());
    fields.insert("x-forwarded-proto", "https".parse().unwrap());
    fields.insert("x-forwarded-host", "a.example".parse().unwrap());
    let (response, _) = client.requests.send_request(request, true).unwrap();
    within(response).await.unwrap();
    let client = Some("192.0.2.1:0".parse().unwrap());
    let host = "a.example".parse().unwrap();
    assert_eq!(told.next().await, (client, Scheme::Https, host));
    server.finish().await;
}

#[tokio::test]
async fn header_fields_of_a_trusted_peer_set_the_scope_of_a_websocket() {
    let (teller, mut told) = tell();
    let app = websocket(teller, async |teller, scope, _, _| {
        teller.tell((scope.client, scope.scheme, scope.root_path.to_string()));
        Ok(())
    });
    let server = Server::with(config().root_path("/inner".into()), app);
    let fields =
        "x-forwarded-for: 192.0.2.1\r\nx-forwarded-proto: wss\r\nx-forwarded-prefix: /a%20b\r\n";
    let (stream, _) = ask(&server, "/", fields).await;
    let client = Some("192.0.2.1:0".parse().unwrap());
    assert_eq!(
        told.next().await,
        (client, Scheme::Https, "/a b/inner".into())
    );
    drop(stream);
    server.finish().await;
}

#[tokio::test]
async fn a_proxy_header_stands_before_http2() {
    let (teller, mut told) = tell();
    let app = http(teller, async |teller, scope, _, sender| {
        teller.tell((scope.client, scope.server));
        whole(&sender, "").await
    });
    let server = Server::with(config().proxy_protocol(ProxyProtocol::Required), app);
    let mut stream = within(TcpStream::connect(server.address)).await.unwrap();
    within(stream.write_all(HEADER)).await.unwrap();
    let handshake = h2::client::Builder::new().handshake::<_, Bytes>(stream);
    let (mut requests, connection) = within(handshake).await.unwrap();
    tokio::spawn(connection);
    let (response, _) = requests.send_request(request("/"), true).unwrap();
    within(response).await.unwrap();
    let client = Some("[2001:db8::7]:1025".parse().unwrap());
    let address = Some("[2001:db8::1]:443".parse().unwrap());
    assert_eq!(told.next().await, (client, address));
    server.finish().await;
}

#[tokio::test]
async fn a_proxy_header_that_does_not_come_in_time_ends_the_connection() {
    let configured = config()
        .proxy_protocol(ProxyProtocol::Required)
        .timeout_request_head(Duration::from_millis(20));
    let server = Server::with(configured, says("x"));
    for sent in [&b""[..], b"PROXY TCP4 1"] {
        let mut client = server.connect().await;
        client.send(sent).await;
        assert_eq!(client.rest().await, "");
    }
    server.finish().await;
}

#[tokio::test]
async fn a_peer_whose_address_is_mapped_into_ipv6_is_a_peer_of_ipv4() {
    let app = http((), async |(), scope, _, sender| {
        whole(&sender, scope.client.unwrap().ip().to_string()).await
    });
    let listener = std::net::TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let configured = config().forwarded_allow_ips("127.0.0.1".parse().unwrap());
    let server = BoundServer::new(app)
        .config(configured)
        .listener(listener)
        .unwrap();
    tokio::spawn(server.serve_until(std::future::pending()));
    for (fields, expected) in [
        ("", "127.0.0.1"),
        ("x-forwarded-for: 192.0.2.1\r\n", "192.0.2.1"),
    ] {
        let stream = within(TcpStream::connect(("127.0.0.1", port)))
            .await
            .unwrap();
        assert_eq!(content_of(stream, fields).await, expected);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn the_peers_of_unix_sockets_are_trusted_by_their_own_word() {
    for (allowed, expected) in [
        ("unix", "Some(192.0.2.1:0)"),
        ("127.0.0.1,::1", "None"),
        ("*", "Some(192.0.2.1:0)"),
    ] {
        let app = http((), async |(), scope, _, sender| {
            whole(&sender, format!("{:?}", scope.client)).await
        });
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let configured = config().forwarded_allow_ips(allowed.parse().unwrap());
        let server = BoundServer::new(app)
            .config(configured)
            .listener(listener)
            .unwrap();
        tokio::spawn(server.serve_until(std::future::pending()));
        let stream = within(tokio::net::UnixStream::connect(&path))
            .await
            .unwrap();
        let content = content_of(stream, "x-forwarded-for: 192.0.2.1\r\n").await;
        assert_eq!(content, expected, "{allowed}");
    }
}

/// Sends a request, and returns the content of its response.
async fn content_of(
    mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    fields: &str,
) -> String {
    let request = format!("GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n{fields}\r\n");
    within(stream.write_all(request.as_bytes())).await.unwrap();
    let mut response = String::new();
    within(stream.read_to_string(&mut response)).await.unwrap();
    response.rsplit("\r\n").next().unwrap().to_owned()
}
