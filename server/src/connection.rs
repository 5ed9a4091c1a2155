//! A connection: the version of HTTP is detected by the first octets, and then serves it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::BytesMut;
use callgate::TlsInfo;
use futures_util::FutureExt as _;
use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;

use crate::config::HttpVersions;
use crate::context::ServerContext;
use crate::rejection::Rejection;
#[cfg(feature = "tls")]
use crate::report;
use crate::stage::{Stage, Stages};
use crate::stream::Stream;
#[cfg(feature = "tls")]
use crate::tls::{self, HandshakeError};
use crate::{http1, http2};

/// The first octets of a client that speaks HTTP/2 by prior knowledge (RFC 9113, 3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The size of the first read, in octets.
const FIRST_READ: usize = 4096;

/// The server and the addresses of one connection.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionInfo {
    pub(crate) server: Arc<ServerContext>,
    /// The address of the client. `None` for a Unix socket, as for `address`.
    pub(crate) client: Option<SocketAddr>,
    /// The address that the client connected to.
    pub(crate) address: Option<SocketAddr>,
    /// The security of the connection, once it is secured.
    pub(crate) tls: Option<Arc<TlsInfo>>,
}

/// Serves a connection until it is over.
pub(crate) async fn serve(mut info: ConnectionInfo, stream: Stream) {
    // Each response is one write already. Waiting for more output would only delay it.
    stream.set_nodelay();
    let Some(mut stream) = Box::pin(secure(&mut info, stream)).await else {
        return;
    };
    let versions = info.server.config.http.versions;
    let mut input = BytesMut::new();
    let detected = match versions {
        HttpVersions::Http1 => Detected::Http1,
        _ => detect(&info, &mut stream, &mut input).await,
    };
    // Thousands of these futures are idle at a time, nearly all of them in `http1`. The other
    // futures are boxed, so that they take no memory there.
    match detected {
        Detected::Http2 => Box::pin(http2::serve(info, stream, input.freeze())).await,
        Detected::Http1 if versions == HttpVersions::Http2 => {
            let rejection = Rejection::unsupported_version();
            Box::pin(http1::reject(&info, stream, rejection)).await;
        }
        Detected::Http1 => http1::serve(info, stream, input).await,
        Detected::TooSlow => {
            Box::pin(http1::reject(&info, stream, Rejection::too_slow())).await;
        }
        Detected::Gone => {}
    }
}

/// Secures the connection, if the server speaks TLS. Returns `None` for a connection that is over.
#[cfg(feature = "tls")]
async fn secure(info: &mut ConnectionInfo, stream: Stream) -> Option<Stream> {
    let server = info.server.clone();
    let (acceptor, socket) = match (&server.tls, stream) {
        (Some(acceptor), Stream::Cleartext(socket)) => (acceptor, socket),
        (_, stream) => return Some(stream),
    };
    let limit = server.config.timeouts.tls_handshake;
    let handshake = tokio::select! {
        biased;
        handshake = timeout(limit, tls::accept(acceptor, socket)) => handshake,
        () = server.stages.reached(Stage::Ending) => return None,
    };
    match handshake {
        Ok(Ok((stream, tls))) => {
            info.tls = Some(tls);
            return Some(Stream::Tls(Box::new(stream)));
        }
        Ok(Err(HandshakeError::Cleartext(socket))) => {
            let rejection = Rejection::bad_request("this port speaks HTTPS, not HTTP");
            http1::reject(info, socket.into(), rejection).await;
        }
        Ok(Err(HandshakeError::Failed(error))) => {
            report::failed(
                info.client,
                &format_args!("the TLS handshake failed: {error}"),
            );
        }
        Err(_) => report::failed(info.client, &"the TLS handshake did not end in time"),
    }
    None
}

#[cfg(not(feature = "tls"))]
async fn secure(_: &mut ConnectionInfo, stream: Stream) -> Option<Stream> {
    Some(stream)
}

enum Detected {
    Http1,
    Http2,
    /// The client did not send its first octets in time.
    TooSlow,
    /// The connection is closed without a response: the client is gone or has sent nothing.
    Gone,
}

/// Reads into `input` until the version is known.
async fn detect(info: &ConnectionInfo, stream: &mut Stream, input: &mut BytesMut) -> Detected {
    let limit = info.server.config.timeouts.request_head;
    let reading = read_version(&info.server.stages, stream, input);
    match timeout(limit, reading).await {
        Ok(detected) => detected,
        Err(_) if input.is_empty() => Detected::Gone,
        Err(_) => Detected::TooSlow,
    }
}

async fn read_version(stages: &Stages, stream: &mut Stream, input: &mut BytesMut) -> Detected {
    loop {
        let compared = input.len().min(HTTP2_PREFACE.len());
        if input[..compared] != HTTP2_PREFACE[..compared] {
            return Detected::Http1;
        }
        if compared == HTTP2_PREFACE.len() {
            return Detected::Http2;
        }
        input.reserve(FIRST_READ);
        let read = match compared {
            0 => read_first(stages, stream, input).await,
            // A client that has begun its preface completes it, also while the server drains.
            _ => tokio::select! {
                biased;
                read = stream.read_buf(input) => read,
                () = stages.reached(Stage::Ending) => return Detected::Gone,
            },
        };
        if !matches!(read, Ok(1..)) {
            return Detected::Gone;
        }
    }
}

/// Reads the first octets of a connection. While the server drains, only octets that have arrived
/// are read. Returns 0 if there are none.
async fn read_first(
    stages: &Stages,
    stream: &mut Stream,
    input: &mut BytesMut,
) -> io::Result<usize> {
    tokio::select! {
        biased;
        read = stream.read_buf(input) => return read,
        () = stages.reached(Stage::Draining) => stream.read_directly(),
    }
    stream.read_buf(input).now_or_never().unwrap_or(Ok(0))
}
