//! A connection: the version of HTTP is detected by the first octets, and then serves it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::BytesMut;
use futures_util::FutureExt as _;
use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;

use crate::config::HttpVersions;
use crate::context::ServerContext;
use crate::rejection::Rejection;
use crate::stage::{Stage, Stages};
use crate::stream::Stream;
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
}

/// Serves a connection until it is over.
pub(crate) async fn serve(info: ConnectionInfo, mut stream: Stream) {
    // Each response is one write already. Waiting for more output would only delay it.
    stream.set_nodelay();
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
