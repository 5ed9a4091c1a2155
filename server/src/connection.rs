//! A connection: the server reads the header of the PROXY protocol and sets up TLS, where the settings ask
//! for them, then detects the version of HTTP by the first octets, and serves the connection.

#[cfg(feature = "tls")]
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::{BufMut, BytesMut};
use callgate::TlsInfo;
use futures_util::FutureExt as _;
use tokio::io::AsyncReadExt as _;
#[cfg(feature = "tls")]
use tokio::time::Instant;
use tokio::time::{sleep, timeout};

use crate::config::HttpVersions;
use crate::context::ServerContext;
use crate::http1;
#[cfg(feature = "http2")]
use crate::http2;
use crate::limit::Limit;
use crate::listener::Security;
use crate::proxy::{self, Parsed, ProxyProtocol, Source, TrustedPeers};
#[cfg(feature = "tls")]
use crate::registry::ConnectionSecurity;
use crate::registry::{OpenConnection, Protocol};
use crate::rejection::Rejection;
use crate::report;
#[cfg(feature = "tls")]
use crate::socket::Socket;
use crate::stage::Stage;
use crate::stream::Stream;
#[cfg(feature = "tls")]
use crate::tls::{self, HandshakeError};

/// The first octets of a client that speaks HTTP/2 by prior knowledge (RFC 9113, 3.4).
#[cfg(feature = "http2")]
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The size of the first read, in octets.
const FIRST_READ: usize = 4096;

/// The server and the addresses of one connection.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionInfo {
    pub(crate) server: Arc<ServerContext>,
    /// The entry of the connection in the registry.
    pub(crate) open: Arc<OpenConnection>,
    /// The address of the peer. `None` for a Unix socket.
    pub(crate) peer: Option<SocketAddr>,
    /// The address of the client: that of the PROXY protocol, or the peer's.
    pub(crate) client: Option<SocketAddr>,
    /// The address that the client connected to.
    pub(crate) address: Option<SocketAddr>,
    /// Whether the client is a trusted proxy, whose header fields tell of its own clients.
    pub(crate) is_trusted_proxy: bool,
    /// The security of the connection, once it is secured.
    pub(crate) tls: Option<Arc<TlsInfo>>,
}

impl ConnectionInfo {
    /// Creates the information on a connection without a header of the PROXY protocol.
    pub(crate) fn new(
        server: Arc<ServerContext>,
        peer: Option<SocketAddr>,
        address: Option<SocketAddr>,
    ) -> Self {
        let [peer, address] = [peer, address].map(|it| it.map(canonical));
        Self {
            is_trusted_proxy: is_trusted(&server.config.proxy.forwarded_allow_ips, peer),
            open: server.registry.add(peer),
            server,
            peer,
            client: peer,
            address,
            tls: None,
        }
    }

    /// Waits until the connection must end although it waits for its client: the server has reached
    /// `stage`, or another connection needs room.
    pub(crate) async fn must_end(&self, stage: Stage) {
        tokio::select! {
            biased;
            () = self.server.stages.reached(stage) => {}
            () = self.open.room_needed() => {}
        }
    }

    /// Waits until the connection must end although no octet of its first request has been read: the server
    /// drains, and the request of a new connection has had its time to arrive; or another connection needs
    /// room.
    async fn must_end_unused(&self) {
        let stages = &self.server.stages;
        let drained = async {
            stages.reached(Stage::Draining).await;
            tokio::select! {
                () = sleep(self.open.grace()) => {}
                () = stages.reached(Stage::Ending) => {}
            }
        };
        tokio::select! {
            biased;
            () = drained => {}
            () = self.open.room_needed() => {}
        }
    }

    /// Counts the connection for its client. Returns false if the client has too many connections. Trusted
    /// proxies and the peers of Unix sockets have no limit.
    fn count_client(&self) -> bool {
        let Some(client) = self.client.map(|client| client.ip()) else {
            return true;
        };
        let server = &*self.server;
        if server.config.proxy.forwarded_allow_ips.contains(client) {
            return true;
        }
        let most = server.max_client_connections;
        if self.open.count_for(client, most) {
            return true;
        }
        server.limits.reached(Limit::ClientConnections);
        server.registry.make_room(Some(client)) > 0 && self.open.count_for(client, most + 1)
    }
}

/// Returns the IPv4 address of an address that is mapped into IPv6, as on a socket for both.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::new(ip.into(), address.port()),
        IpAddr::V6(_) => address,
    }
}

fn is_trusted(trusted: &TrustedPeers, peer: Option<SocketAddr>) -> bool {
    match peer {
        Some(peer) => trusted.contains(peer.ip()),
        None => trusted.contains_unix(),
    }
}

/// Serves a connection until it is over.
pub(crate) async fn serve(mut info: ConnectionInfo, mut stream: Stream, security: Security) {
    // Each response is one write already. Waiting for more output would only delay it.
    stream.set_nodelay();
    info.open.register().await;
    if info.server.config.proxy.protocol == ProxyProtocol::Required
        && let Err(reason) = Box::pin(read_proxy_header(&mut info, &mut stream)).await
    {
        report::failed(info.peer, &reason);
        return;
    }
    if !info.count_client() {
        report::failed(
            info.client,
            &"the client has too many connections (--max-client-connections)",
        );
        return;
    }
    let mut input = BytesMut::new();
    let mut stream = match security {
        Security::Cleartext => stream,
        Security::Tls => match Box::pin(secure(&mut info, stream, &mut input)).await {
            Some(stream) => stream,
            None => return,
        },
    };
    let detected = detect(&info, &mut stream, &mut input).await;
    // Thousands of these futures are idle at a time, nearly all of them in `http1`. The other
    // futures are boxed, so that they take no memory there.
    match detected {
        #[cfg(feature = "http2")]
        Detected::Http2 => {
            info.open.set_protocol(Protocol::Http2);
            Box::pin(http2::serve(info, stream, input.freeze())).await;
        }
        #[cfg(feature = "http2")]
        Detected::Http1 if info.server.config.http.versions == HttpVersions::Http2 => {
            let rejection = Rejection::unsupported_version();
            Box::pin(http1::reject(&info, stream, rejection)).await;
        }
        Detected::Http1 => {
            info.open.set_protocol(Protocol::Http1);
            http1::serve(info, stream, input).await;
        }
        Detected::Tls => {
            let rejection = Rejection::bad_request("this port speaks HTTP, not HTTPS");
            Box::pin(http1::reject(&info, stream, rejection)).await;
        }
        Detected::TooSlow => {
            info.server.limits.reached(Limit::RequestHeadTime);
            Box::pin(http1::reject(&info, stream, Rejection::too_slow())).await;
        }
        Detected::Gone => {}
    }
}

/// Reads the header of the PROXY protocol, and no octet behind it. The error says why the connection is
/// closed.
async fn read_proxy_header(
    info: &mut ConnectionInfo,
    stream: &mut Stream,
) -> Result<(), &'static str> {
    if !info.is_trusted_proxy {
        return Err("the peer is no trusted proxy, so its PROXY header is not read");
    }
    let limit = info.server.config.timeouts.request_head;
    let reading = read_proxy_source(info, stream);
    let source = timeout(limit, reading)
        .await
        .map_err(|_| "the PROXY header did not come in time")??;
    match source {
        Source::Proxy => {}
        // The fields of a client that is not known are not believed.
        Source::Unknown => info.is_trusted_proxy = false,
        Source::Client { client, server } => {
            info.open.set_client(client);
            info.is_trusted_proxy =
                is_trusted(&info.server.config.proxy.forwarded_allow_ips, Some(client));
            info.client = Some(client);
            info.address = Some(server);
        }
    }
    Ok(())
}

async fn read_proxy_source(
    info: &ConnectionInfo,
    stream: &mut Stream,
) -> Result<Source, &'static str> {
    let mut header = BytesMut::new();
    loop {
        let missing = match proxy::parse(&header) {
            Parsed::Incomplete(missing) => missing,
            Parsed::Complete(source) => return Ok(source),
            Parsed::Malformed => return Err("the connection begins with no valid PROXY header"),
        };
        let mut missing = (&mut header).limit(missing);
        let read = match missing.get_ref().is_empty() {
            true => read_first(info, stream, &mut missing).await,
            false => tokio::select! {
                biased;
                read = stream.read_buf(&mut missing) => read,
                () = info.must_end(Stage::Ending) => Ok(0),
            },
        };
        if !matches!(read, Ok(1..)) {
            return Err("the connection ended before its PROXY header");
        }
    }
}

/// Secures the connection, if the server has a certificate. Returns `None` for a connection that is over.
///
/// A handshake that has begun before the server drains is completed, and the first octets behind it are
/// read into `input`, in the time of one handshake.
#[cfg(feature = "tls")]
async fn secure(info: &mut ConnectionInfo, stream: Stream, input: &mut BytesMut) -> Option<Stream> {
    let server = info.server.clone();
    let (acceptor, socket) = match (&server.tls, stream) {
        (Some(acceptor), Stream::Cleartext(socket)) => (acceptor, socket),
        (_, stream) => return Some(stream),
    };
    let start = Instant::now();
    let limit = server.config.timeouts.tls_handshake;
    let handshake = async {
        match has_begun(info, &socket).await {
            true => Some(tls::accept(acceptor, socket).await),
            false => None,
        }
    };
    let handshake = tokio::select! {
        biased;
        handshake = timeout(limit, handshake) => handshake.map(Option::transpose),
        () = info.must_end(Stage::Ending) => return None,
    };
    match handshake {
        Ok(Ok(None)) => {}
        Ok(Ok(Some((stream, tls)))) => {
            info.open.set_security(ConnectionSecurity {
                version: tls.tls_version,
                alpn: tls::negotiated_protocol(&stream),
            });
            info.tls = Some(tls);
            let mut stream = Stream::Tls(Box::new(stream));
            if server.stages.now() == Stage::Serving {
                return Some(stream);
            }
            input.reserve(FIRST_READ);
            let read = timeout(
                limit.saturating_sub(start.elapsed()),
                stream.read_buf(input),
            );
            return tokio::select! {
                biased;
                read = read => matches!(read, Ok(Ok(1..))).then_some(stream),
                () = info.must_end(Stage::Ending) => None,
            };
        }
        Ok(Err(HandshakeError::Cleartext(socket))) => {
            let rejection = Rejection::bad_request("this port speaks HTTPS, not HTTP");
            http1::reject(info, socket.into(), rejection).await;
        }
        Ok(Err(HandshakeError::Failed(error))) => {
            report::handshake_failed(
                info.client,
                &format_args!("the TLS handshake failed: {error}"),
            );
        }
        Err(_) => {
            server.limits.reached(Limit::TlsHandshakeTime);
            report::handshake_failed(info.client, &"the TLS handshake did not end in time");
        }
    }
    None
}

#[cfg(not(feature = "tls"))]
async fn secure(_: &mut ConnectionInfo, stream: Stream, _: &mut BytesMut) -> Option<Stream> {
    Some(stream)
}

/// Waits for the first octets of a handshake. When the connection must end, only octets that have arrived
/// count. Returns whether there are any.
#[cfg(feature = "tls")]
async fn has_begun(info: &ConnectionInfo, socket: &Socket) -> bool {
    tokio::select! {
        biased;
        () = poll_fn(|cx| socket.poll_input(cx)) => true,
        () = info.must_end_unused() => socket.has_input(),
    }
}

enum Detected {
    Http1,
    /// A handshake of TLS, in cleartext.
    Tls,
    #[cfg(feature = "http2")]
    Http2,
    /// The client did not send its first octets in time.
    TooSlow,
    /// The connection is closed without a response: the client is gone or has sent nothing.
    Gone,
}

/// Reads into `input` until the version is known.
async fn detect(info: &ConnectionInfo, stream: &mut Stream, input: &mut BytesMut) -> Detected {
    let limit = info.server.config.timeouts.request_head;
    let reading = read_version(info, stream, input);
    match timeout(limit, reading).await {
        Ok(detected) => detected,
        Err(_) if input.is_empty() => {
            info.server.limits.reached(Limit::RequestHeadTime);
            Detected::Gone
        }
        Err(_) => Detected::TooSlow,
    }
}

async fn read_version(
    info: &ConnectionInfo,
    stream: &mut Stream,
    input: &mut BytesMut,
) -> Detected {
    let versions = info.server.config.http.versions;
    loop {
        if let Some(detected) = version_of(input, versions) {
            return detected;
        }
        input.reserve(FIRST_READ);
        let read = match input.len() {
            0 => read_first(info, stream, input).await,
            // A client that has begun its preface completes it, also while the server drains.
            _ => tokio::select! {
                biased;
                read = stream.read_buf(input) => read,
                () = info.must_end(Stage::Ending) => return Detected::Gone,
            },
        };
        if !matches!(read, Ok(1..)) {
            return Detected::Gone;
        }
    }
}

/// The first octet of a TLS handshake (RFC 8446, 5.1), with which no request of HTTP begins.
const TLS_HANDSHAKE: u8 = 22;

/// Returns the version of a client that has sent these octets first; `None` if more octets are needed.
#[cfg(feature = "http2")]
fn version_of(input: &[u8], versions: HttpVersions) -> Option<Detected> {
    if input.first() == Some(&TLS_HANDSHAKE) {
        return Some(Detected::Tls);
    }
    let compared = input.len().min(HTTP2_PREFACE.len());
    let is_http1 = versions == HttpVersions::Http1 && compared > 0;
    if is_http1 || input[..compared] != HTTP2_PREFACE[..compared] {
        return Some(Detected::Http1);
    }
    (compared == HTTP2_PREFACE.len()).then_some(Detected::Http2)
}

/// Returns HTTP/1 for a client that has sent any other octet than that of a TLS handshake.
#[cfg(not(feature = "http2"))]
fn version_of(input: &[u8], _: HttpVersions) -> Option<Detected> {
    input.first().map(|octet| match *octet {
        TLS_HANDSHAKE => Detected::Tls,
        _ => Detected::Http1,
    })
}

/// Reads the first octets of a connection. When the connection must end, only octets that have arrived are
/// read. Returns 0 if there are none.
async fn read_first(
    info: &ConnectionInfo,
    stream: &mut Stream,
    input: &mut impl BufMut,
) -> io::Result<usize> {
    tokio::select! {
        biased;
        read = stream.read_buf(input) => return read,
        () = info.must_end_unused() => stream.read_directly(),
    }
    stream.read_buf(input).now_or_never().unwrap_or(Ok(0))
}
