//! A server behind proxies: the header fields of trusted peers, and the PROXY protocol.

use callgate::Scheme;
use callgate_server::{Config, ProxyHeaderFamily, ProxyProtocol, Server};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::support::{config, http, whole, within};

/// Starts a server that responds with what its scope says of the client, and sends it one request.
async fn scope_of(config: Config, before: &[u8], fields: &str) -> String {
    let app = http((), async |(), scope, _, sender| {
        let client = scope.client.map(|it| match it.port() {
            0 => it.ip().to_string(),
            _ if it.ip().is_loopback() => "peer".into(),
            _ => it.to_string(),
        });
        let scheme = if scope.scheme == Scheme::Https {
            "https"
        } else {
            "http"
        };
        let host = scope.headers["host"].to_str().unwrap();
        let left = scope
            .headers
            .keys()
            .filter(|name| name.as_str().contains("forwarded"));
        let text = format!(
            "{} {scheme} {host} {} {} {}",
            client.as_deref().unwrap_or("-"),
            scope.path(),
            scope.route_path(),
            left.count()
        );
        whole(&sender, text).await
    });
    let server = Server::new(app).config(config).bind().unwrap();
    let address = server.local_addr().unwrap();
    tokio::spawn(server.serve_until(std::future::pending()));
    let mut stream = within(TcpStream::connect(address)).await.unwrap();
    let request = format!("GET /p HTTP/1.1\r\nhost: h\r\nconnection: close\r\n{fields}\r\n");
    // Each octet of the header is a write of its own.
    for octet in before {
        if within(stream.write_all(&[*octet])).await.is_err() {
            break;
        }
    }
    within(stream.write_all(request.as_bytes())).await.ok();
    let mut response = Vec::new();
    within(stream.read_to_end(&mut response)).await.ok();
    let response = String::from_utf8(response).unwrap();
    response.rsplit("\r\n").next().unwrap().to_owned()
}

#[tokio::test]
async fn x_forwarded_fields_of_a_trusted_peer_set_the_scope() {
    for (fields, expected) in [
        ("", "peer http h /p /p 0"),
        (
            "x-forwarded-for: 192.0.2.1\r\nx-forwarded-proto: https\r\n",
            "192.0.2.1 https h /p /p 2",
        ),
        // What stands to the left of the client comes from the client.
        (
            "x-forwarded-for: rubbish, 10.0.0.1, 192.0.2.1, 127.0.0.1\r\n",
            "192.0.2.1 http h /p /p 1",
        ),
        (
            "x-forwarded-for: 10.0.0.1\r\nx-forwarded-for: 192.0.2.1:81\r\n",
            "192.0.2.1:81 http h /p /p 1",
        ),
        (
            "x-forwarded-for: 127.0.0.1, ::1\r\n",
            "127.0.0.1 http h /p /p 1",
        ),
        ("x-forwarded-for: unknown\r\n", "- http h /p /p 1"),
        (
            "x-forwarded-host: a.example\r\nx-forwarded-port: 8443\r\n",
            "peer http a.example:8443 /p /p 2",
        ),
        (
            "x-forwarded-proto: wss\r\nx-forwarded-port: 443\r\n",
            "peer https h /p /p 2",
        ),
        ("x-forwarded-prefix: /api/\r\n", "peer http h /api/p /p 1"),
        // The entry of the hop that the client is taken from.
        (
            "x-forwarded-for: 9.9.9.9, 192.0.2.1\r\nx-forwarded-proto: https, http\r\n",
            "192.0.2.1 http h /p /p 2",
        ),
        (
            "x-forwarded-for: 192.0.2.1, ::1\r\nx-forwarded-proto: https, http\r\n",
            "192.0.2.1 https h /p /p 2",
        ),
        // The other family has no effect, and is removed.
        (
            "forwarded: for=192.0.2.9;proto=https\r\n",
            "peer http h /p /p 0",
        ),
    ] {
        assert_eq!(scope_of(config(), b"", fields).await, expected, "{fields}");
    }
}

#[tokio::test]
async fn malformed_fields_are_removed_and_the_client_is_unknown() {
    for fields in [
        "x-forwarded-for: rubbish\r\n",
        "x-forwarded-for: 192.0.2.1\r\nx-forwarded-proto: gopher\r\n",
        "x-forwarded-host: a@b\r\n",
        "x-forwarded-host: a/b\r\n",
        "x-forwarded-host: a:99999\r\n",
        "x-forwarded-port: 0\r\n",
        "x-forwarded-prefix: //evil.example\r\n",
        "x-forwarded-proto: \u{e4}\r\n",
        "x-forwarded-for: 192.0.2.1, ::1, ::1\r\nx-forwarded-proto: https, http\r\n",
    ] {
        let scope = scope_of(config(), b"", fields).await;
        assert_eq!(scope, "- http h /p /p 0", "{fields}");
    }
}

#[tokio::test]
async fn forwarded_fields_of_a_trusted_peer_set_the_scope() {
    for (fields, expected) in [
        (
            "forwarded: for=9.9.9.9, for=\"[2001:db8::1]:81\";proto=https;host=a.example\r\n",
            "[2001:db8::1]:81 https a.example /p /p 1",
        ),
        (
            "forwarded: for=192.0.2.1;proto=https\r\nforwarded: for=127.0.0.1;proto=http\r\n",
            "192.0.2.1 https h /p /p 1",
        ),
        ("forwarded: proto=https\r\n", "peer https h /p /p 1"),
        ("forwarded: for=_x\r\n", "- http h /p /p 1"),
        ("x-forwarded-for: 192.0.2.1\r\n", "peer http h /p /p 0"),
        (
            "forwarded: for=\"1.2.3.4, for=192.0.2.1\r\n",
            "- http h /p /p 0",
        ),
    ] {
        let scope = scope_of(
            config().proxy_header_family(ProxyHeaderFamily::Forwarded),
            b"",
            fields,
        )
        .await;
        assert_eq!(scope, expected, "{fields}");
    }
}

#[tokio::test]
async fn the_fields_of_other_peers_are_removed() {
    let proxy = config().forwarded_allow_ips("10.0.0.0/8".parse().unwrap());
    let fields =
        "x-forwarded-for: 192.0.2.1\r\nx-forwarded-proto: https\r\nforwarded: for=1.2.3.4\r\n";
    assert_eq!(scope_of(proxy, b"", fields).await, "peer http h /p /p 0");
    let proxy = config().proxy_headers(false);
    assert_eq!(scope_of(proxy, b"", fields).await, "peer http h /p /p 3");
}

#[tokio::test]
async fn the_proxy_protocol_names_the_client_and_no_octet_is_lost() {
    let proxy = config().proxy_protocol(ProxyProtocol::Required);
    let fields = "x-forwarded-for: 192.0.2.1\r\n";
    for (header, expected) in [
        (
            &b"PROXY TCP4 198.51.100.7 192.0.2.2 1025 80\r\n"[..],
            "198.51.100.7:1025 http h /p /p 0",
        ),
        (b"PROXY UNKNOWN\r\n", "peer http h /p /p 0"),
        (
            b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0",
            "192.0.2.1 http h /p /p 1",
        ),
        (b"", ""),
        (b"PROXY TCP4 x\r\n", ""),
    ] {
        assert_eq!(scope_of(proxy.clone(), header, fields).await, expected);
    }
    let proxy = proxy.forwarded_allow_ips("10.0.0.0/8".parse().unwrap());
    assert_eq!(scope_of(proxy, b"PROXY UNKNOWN\r\n", "").await, "");
}

#[tokio::test]
async fn fields_that_a_client_smuggles_past_its_proxy_do_not_count() {
    let x_forwarded = ProxyHeaderFamily::XForwarded;
    let forwarded = ProxyHeaderFamily::Forwarded;
    // The proxy appends `192.0.2.1`, or adds a field line of its own. The rest is the client's.
    for (family, fields, expected) in [
        (
            x_forwarded,
            "x-forwarded-for: 127.0.0.1, 192.0.2.1",
            "192.0.2.1 http h /p /p 1",
        ),
        (
            x_forwarded,
            "x-forwarded-for: ,,,, , 192.0.2.1,",
            "192.0.2.1 http h /p /p 1",
        ),
        (
            x_forwarded,
            "x-forwarded-for: \"1.2.3.4, 192.0.2.1",
            "192.0.2.1 http h /p /p 1",
        ),
        (
            x_forwarded,
            "X-Forwarded-For: \u{e4}\r\nx-forwarded-for: 192.0.2.1",
            "192.0.2.1 http h /p /p 1",
        ),
        (
            x_forwarded,
            "x-forwarded-for: \u{e4}, 192.0.2.1",
            "192.0.2.1 http h /p /p 1",
        ),
        (
            x_forwarded,
            "x-forwarded-for: 1.2.3.4\t192.0.2.1",
            "- http h /p /p 0",
        ),
        (
            x_forwarded,
            "x-forwarded-for: 1.2.3.4;192.0.2.1",
            "- http h /p /p 0",
        ),
        (
            x_forwarded,
            "x-forwarded-for: 192.0.2.1\r\nforwarded: for=1.2.3.4;host=evil",
            "192.0.2.1 http h /p /p 1",
        ),
        (
            x_forwarded,
            "x-forwarded-host: evil\r\nx-forwarded-host: a.example",
            "peer http a.example /p /p 1",
        ),
        (
            x_forwarded,
            "x-forwarded-proto: https,\r\nx-forwarded-proto: http",
            "peer http h /p /p 1",
        ),
        (
            x_forwarded,
            "x-forwarded-host: a.example@evil",
            "- http h /p /p 0",
        ),
        (
            x_forwarded,
            "x-forwarded-host: a.example\\evil",
            "- http h /p /p 0",
        ),
        (
            x_forwarded,
            "x-forwarded-prefix: /a/../../b",
            "- http h /p /p 0",
        ),
        (
            forwarded,
            "forwarded: for=127.0.0.1, for=192.0.2.1",
            "192.0.2.1 http h /p /p 1",
        ),
        (
            forwarded,
            "forwarded: for=1.2.3.4;proto=https\r\nforwarded: for=192.0.2.1",
            "192.0.2.1 http h /p /p 1",
        ),
        (
            forwarded,
            "forwarded: for=192.0.2.1;for=1.2.3.4",
            "- http h /p /p 0",
        ),
        (
            forwarded,
            "forwarded: for=\"1.2.3.4\r\nforwarded: for=192.0.2.1",
            "- http h /p /p 0",
        ),
        (
            forwarded,
            "forwarded: for=192.0.2.1\r\nx-forwarded-for: 1.2.3.4\r\nx-forwarded-proto: https",
            "192.0.2.1 http h /p /p 1",
        ),
    ] {
        let fields = format!("{fields}\r\n");
        let scope = scope_of(config().proxy_header_family(family), b"", &fields).await;
        assert_eq!(scope, expected, "{fields}");
    }
    // A folded line, a control character and white space in a name never come to the application.
    for fields in [
        "x-forwarded-for: 1.2.3.4,\r\n 192.0.2.1\r\n",
        "x-forwarded-for: 1.2.3.4\0\r\n",
        "x-forwarded-for : 1.2.3.4\r\n",
    ] {
        let content = scope_of(config(), b"", fields).await;
        assert!(
            content.starts_with("400 Bad Request"),
            "{fields:?}: {content}"
        );
    }
}
