//! What a server listens on, and how it is told to stop.

use std::net::{Ipv4Addr, SocketAddr};

use callgate::{AppError, HttpScope, Receiver, Sender};
use callgate_server::{ListenAddr, ServeError, Server};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{config, http, says, whole, within};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n";

/// Sends a request, and reads until the server closes the connection.
pub(crate) async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> String {
    within(stream.write_all(REQUEST)).await.unwrap();
    let mut response = String::new();
    within(stream.read_to_string(&mut response)).await.unwrap();
    response
}

/// Answers with both addresses of the scope.
async fn addresses((): (), scope: HttpScope, _: Receiver, sender: Sender) -> Result<(), AppError> {
    whole(&sender, format!("{:?} {:?}", scope.client, scope.server)).await
}

#[tokio::test]
async fn a_server_serves_on_each_of_its_listeners() {
    let local = (Ipv4Addr::LOCALHOST, 0);
    let server = Server::new(says("served"))
        .config(config())
        .bind()
        .and_then(|server| server.listener(std::net::TcpListener::bind(local).unwrap()))
        .unwrap();
    let tokio_listener = tokio::net::TcpListener::bind(local).await.unwrap();
    let server = server.listener(tokio_listener).unwrap();
    let addresses: Vec<SocketAddr> = server
        .local_addrs()
        .iter()
        .map(|address| match address {
            ListenAddr::Tcp(address) => *address,
            other => panic!("{other}"),
        })
        .collect();
    assert_eq!(addresses.len(), 3);
    assert_eq!(server.local_addr(), Some(addresses[0]));
    let handle = server.handle();
    let serving = tokio::spawn(server.serve_until(std::future::pending()));
    for address in addresses {
        let stream = within(TcpStream::connect(address)).await.unwrap();
        assert!(ask(stream).await.ends_with("served"));
    }
    handle.shutdown();
    within(serving).await.unwrap().unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn scope_connections_of_unix_sockets_have_no_addresses() {
    let directory = tempfile::tempdir().unwrap();
    let (first, second) = (directory.path().join("1"), directory.path().join("2"));
    let std_listener = std::os::unix::net::UnixListener::bind(&first).unwrap();
    let tokio_listener = tokio::net::UnixListener::bind(&second).unwrap();
    let server = Server::new(http((), addresses))
        .listener(std_listener)
        .and_then(|server| server.listener(tokio_listener))
        .unwrap();
    let expected = [&first, &second].map(|path| ListenAddr::Unix(Some(path.clone())));
    assert_eq!(server.local_addrs(), expected);
    assert_eq!(
        server.local_addrs()[0].to_string(),
        format!("unix:{}", first.display())
    );
    assert_eq!(server.local_addr(), None);
    let handle = server.handle();
    let serving = tokio::spawn(server.serve_until(std::future::pending()));
    for path in [&first, &second] {
        let stream = within(tokio::net::UnixStream::connect(path)).await.unwrap();
        let response = ask(stream).await;
        assert!(response.ends_with("None None"), "{response}");
    }
    handle.shutdown();
    within(serving).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_server_without_a_listener_binds_when_it_serves() {
    let taken = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut configured = config();
    configured.listen.port = taken.local_addr().unwrap().port();
    let server = Server::new(says("x")).config(configured);
    let error = server
        .serve_until(std::future::pending())
        .await
        .unwrap_err();
    let ServeError::Listen {
        address, reason, ..
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!(*address, taken.local_addr().unwrap().into());
    assert_eq!(reason.kind(), std::io::ErrorKind::AddrInUse);
    assert_eq!(error.exit_status(), 3);
}

#[tokio::test]
async fn a_server_stops_when_the_future_of_its_caller_completes() {
    #[cfg(feature = "cli")]
    let (log, _guard) = crate::support::log::Log::capture();
    let server = Server::new(says("x")).config(config()).bind().unwrap();
    #[cfg(feature = "cli")]
    let address = server.local_addr().unwrap();
    let handle = server.handle();
    within(server.serve_until(async move { handle.started().await }))
        .await
        .unwrap();
    // The signals are the caller's, so the log does not speak of them.
    #[cfg(feature = "cli")]
    {
        let text = log.text();
        let messages: Vec<_> = text
            .lines()
            .filter_map(|line| Some(line.split_once(": ")?.1))
            .collect();
        let running = format!("Callgate running on http://{address}");
        assert_eq!(
            messages,
            [&*running, "Callgate is stopping", "Callgate has stopped"]
        );
    }
}

#[tokio::test]
async fn a_setting_that_cannot_be_used_is_named() {
    let mut configured = config();
    configured.proxy.root_path = "/a?b".into();
    let server = Server::new(says("x")).config(configured);
    let error = server
        .serve_until(std::future::pending())
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the setting `root_path` cannot be used: give a path without `?` and `#`, such as /api"
    );
    assert_eq!(error.exit_status(), 3);
}
