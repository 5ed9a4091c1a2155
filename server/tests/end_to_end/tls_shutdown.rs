//! A shutdown of the server while clients make their handshakes.

use std::io::Write as _;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::tls::Authority;
use crate::support::{Server, get, says, within};

/// A client that makes its handshake step by step.
struct Handshaking {
    session: ClientConnection,
    stream: TcpStream,
}

impl Handshaking {
    /// Sends the first message, and waits for the answer of the server.
    async fn begin(server: &Server, config: ClientConfig) -> Self {
        let name = ServerName::try_from("a.test").unwrap();
        let mut client = Self {
            session: ClientConnection::new(config.into(), name).unwrap(),
            stream: within(TcpStream::connect(server.address)).await.unwrap(),
        };
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
        let length = within(self.stream.read(&mut octets)).await.unwrap();
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
            self.read().await;
            self.write().await;
        }
        // In TLS 1.3, the server sends its tickets then. In TLS 1.2, its last message was the last of all.
        if self.session.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3) {
            self.read().await;
        }
    }

    /// Sends a request, and reads to the end of the connection.
    async fn ask(&mut self) -> String {
        let mut response = String::new();
        self.session
            .writer()
            .write_all(get("/").as_bytes())
            .unwrap();
        self.write().await;
        while self.read().await {}
        let mut reader = self.session.reader();
        std::io::Read::read_to_string(&mut reader, &mut response).unwrap();
        response
    }
}

/// Starts a server whose handshakes have this time.
fn start(authority: &Authority, limit: Duration) -> Server {
    let mut config = authority.config("a.test");
    config.timeouts.tls_handshake = limit;
    config.timeouts.graceful_shutdown = Some(Duration::from_secs(600));
    Server::with(config, says("served"))
}

/// Begins the shutdown, and waits until the server drains: it closes a connection that is idle.
async fn stop(server: &Server, authority: &Authority) {
    let mut idle = Handshaking::begin(server, authority.client()).await;
    idle.complete().await;
    server.stop();
    while idle.read().await {}
}

#[tokio::test]
async fn a_handshake_that_has_begun_is_completed_and_the_request_behind_it_is_served() {
    let authority = Authority::new();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut server = start(&authority, Duration::from_secs(600));
        let mut client = Handshaking::begin(&server, authority.client_of(version)).await;
        stop(&server, &authority).await;
        client.complete().await;
        let response = client.ask().await;
        assert!(response.ends_with("served"), "{response}");
        drop(client);
        server.ended().await.unwrap();
    }
}

#[tokio::test]
async fn a_client_that_has_sent_nothing_does_not_delay_the_shutdown() {
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
