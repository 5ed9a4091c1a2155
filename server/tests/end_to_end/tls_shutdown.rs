//! A shutdown of the server while clients make their handshakes.

use std::io::{ErrorKind, Read as _, Write as _};
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::shutdown::{is_last_response, within_a_second};
use crate::support::tls::Authority;
use crate::support::{Server, get, says, within};

/// The time that a new connection has for its first request, although the server drains.
const FIRST_REQUEST_GRACE: Duration = Duration::from_secs(1);

/// A client that makes its handshake step by step.
struct Handshaking {
    session: ClientConnection,
    stream: TcpStream,
}

impl Handshaking {
    /// Connects, sends the first message, and waits for the answer of the server.
    async fn begin(server: &Server, config: ClientConfig) -> Self {
        let stream = within(TcpStream::connect(server.address)).await.unwrap();
        Self::over(stream, config).await
    }

    /// Sends the first message over a connection, and waits for the answer of the server.
    async fn over(stream: TcpStream, config: ClientConfig) -> Self {
        let name = ServerName::try_from("a.test").unwrap();
        let session = ClientConnection::new(config.into(), name).unwrap();
        let mut client = Self { session, stream };
        client.write().await;
        within(client.stream.readable()).await.unwrap();
        client
    }

    async fn write(&mut self) {
        let mut octets = Vec::new();
        while self.session.wants_write() {
            self.session.write_tls(&mut octets).unwrap();
        }
        within(self.stream.write_all(&octets)).await.unwrap();
    }

    /// Reads once. Returns whether the connection goes on.
    async fn read(&mut self) -> bool {
        let mut octets = vec![0; 16 * 1024];
        let length = match within(self.stream.read(&mut octets)).await {
            Err(error) if error.kind() == ErrorKind::ConnectionReset => 0,
            read => read.unwrap(),
        };
        let mut octets = &octets[..length];
        while !octets.is_empty() {
            self.session.read_tls(&mut octets).unwrap();
            self.session.process_new_packets().unwrap();
        }
        length > 0
    }

    /// Completes the handshake, and waits until the server has completed it.
    async fn complete(&mut self) {
        while self.session.is_handshaking() {
            assert!(self.read().await, "the connection ended in the handshake");
            self.write().await;
        }
        // In TLS 1.3, the server sends its tickets then. In TLS 1.2, its last message was the last of all.
        if self.session.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3) {
            self.read().await;
        }
    }

    /// Sends a request.
    async fn request(&mut self) {
        let mut writer = self.session.writer();
        writer.write_all(get("/").as_bytes()).unwrap();
        self.write().await;
    }

    /// Returns the content that has been read and decrypted.
    fn content(&mut self) -> String {
        let mut content = Vec::new();
        // The error says that there is no more yet.
        let _ = self.session.reader().read_to_end(&mut content);
        String::from_utf8(content).unwrap()
    }

    /// Sends a request, and reads its response.
    async fn response(&mut self) -> String {
        self.request().await;
        let mut response = String::new();
        while !response.ends_with("served") {
            assert!(self.read().await, "the connection ended: {response}");
            response += &self.content();
        }
        response
    }

    /// Sends a request, and reads to the end of the connection.
    async fn ask(&mut self) -> String {
        self.request().await;
        while self.read().await {}
        self.content()
    }
}

/// Starts a server whose handshakes have this time.
fn start(authority: &Authority, limit: Duration) -> Server {
    let mut config = authority.config("a.test");
    config.timeouts.tls_handshake = limit;
    config.timeouts.graceful_shutdown = Some(Duration::from_secs(600));
    Server::with(config, says("served"))
}

/// Begins the shutdown, and waits until the server drains: a response is the last on its connection.
async fn stop(server: &Server, authority: &Authority) {
    let mut used = Handshaking::begin(server, authority.client()).await;
    used.complete().await;
    assert!(!used.response().await.contains("connection: close"));
    server.stop();
    while !used.response().await.contains("connection: close") {}
    while used.read().await {}
}

#[tokio::test]
async fn a_handshake_that_has_begun_is_completed_and_the_request_behind_it_is_served() {
    let authority = Authority::new();
    let mut server = start(&authority, Duration::from_secs(600));
    let versions = [&rustls::version::TLS12, &rustls::version::TLS13];
    let mut clients = Vec::new();
    for version in versions {
        clients.push(Handshaking::begin(&server, authority.client_of(version)).await);
    }
    // The first request of a younger connection would be served for its age alone.
    tokio::time::sleep(FIRST_REQUEST_GRACE).await;
    stop(&server, &authority).await;
    for mut client in clients {
        client.complete().await;
        // The server would close an idle connection meanwhile.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let response = client.ask().await;
        assert!(response.ends_with("served"), "{response}");
    }
    server.ended().await.unwrap();
}

#[tokio::test]
async fn the_handshake_and_the_request_of_a_new_connection_are_served_while_the_server_drains() {
    let authority = Authority::new();
    within_a_second(Duration::ZERO, async || {
        let mut server = start(&authority, Duration::from_secs(600));
        let stream = within(TcpStream::connect(server.address)).await.unwrap();
        stop(&server, &authority).await;
        let mut new = Handshaking::over(stream, authority.client()).await;
        if !new.read().await {
            return Err("no handshake".to_owned());
        }
        new.write().await;
        new.complete().await;
        let response = new.ask().await;
        server.ended().await.unwrap();
        is_last_response(response, "served")
    })
    .await;
}

#[tokio::test]
async fn the_first_request_behind_a_new_handshake_is_served_while_the_server_drains() {
    let authority = Authority::new();
    within_a_second(Duration::ZERO, async || {
        let mut server = start(&authority, Duration::from_secs(600));
        let mut new = Handshaking::begin(&server, authority.client()).await;
        new.complete().await;
        stop(&server, &authority).await;
        let response = new.ask().await;
        server.ended().await.unwrap();
        is_last_response(response, "served")
    })
    .await;
}

#[tokio::test]
async fn a_client_that_sends_nothing_does_not_delay_the_shutdown_for_long() {
    let authority = Authority::new();
    let mut server = start(&authority, Duration::from_secs(600));
    let _silent = within(TcpStream::connect(server.address)).await.unwrap();
    stop(&server, &authority).await;
    server.ended().await.unwrap();
}

#[tokio::test]
async fn a_client_that_sends_no_request_delays_the_shutdown_by_the_time_of_a_handshake() {
    let authority = Authority::new();
    let mut server = start(&authority, Duration::from_millis(500));
    let mut silent = Handshaking::begin(&server, authority.client()).await;
    stop(&server, &authority).await;
    silent.complete().await;
    while silent.read().await {}
    server.ended().await.unwrap();
}
