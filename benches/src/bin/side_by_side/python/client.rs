//! The client of the works: each connection checks every answer.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio_rustls::TlsConnector;

use super::work::{Answer, Traffic};
use crate::client::websocket::{TEXT, client_frame, handshake};
use crate::client::{Connections, Progress, connect, http2, start, unexpected};

/// The number of the rows of `brands.py`.
const BRANDS: usize = 20;
/// The most bytes that are read at once.
const BUFFER: usize = 64 * 1024;

/// A connection, in cleartext or over TLS.
trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

type Stream = BufReader<Box<dyn Transport>>;

/// Where the server is, and how it is spoken to.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) address: SocketAddr,
    pub(super) tls: Option<TlsConnector>,
}

/// Returns the client side of TLS for a server with this certificate.
pub(super) fn trusting(certificate: CertificateDer<'static>) -> io::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate).map_err(io::Error::other)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Starts the connections of a work in the current runtime.
pub(super) fn begin(traffic: Traffic, target: &Target) -> (Connections, Progress) {
    match traffic {
        Traffic::Requests { connections, .. } | Traffic::Messages { connections, .. } => {
            start(connections, |_, progress| {
                repeat(target.clone(), traffic, progress)
            })
        }
        Traffic::Streams {
            connections,
            streams,
        } => start(connections, |_, progress| {
            http2::repeat(target.address, streams, progress)
        }),
        Traffic::IdleWebSockets(_) => unreachable!("idle WebSockets are no load"),
    }
}

/// What a connection does again and again.
struct Exchange {
    request: Bytes,
    answer: Expected,
}

enum Expected {
    /// A response with this content.
    Response(Content),
    /// A text in a frame of a WebSocket.
    Frame(Vec<u8>),
}

enum Content {
    Text(Vec<u8>),
    Filler(usize),
}

impl Exchange {
    fn new(traffic: Traffic) -> Self {
        match traffic {
            Traffic::Requests {
                path,
                content,
                answer,
                ..
            } => Self {
                request: request(path, content),
                answer: Expected::Response(match answer {
                    Answer::Text(text) => Content::Text(text.trim_end().into()),
                    Answer::Filler(length) => Content::Filler(length),
                    Answer::Brands => Content::Text(brands().into()),
                }),
            },
            Traffic::Messages { size, .. } => {
                let text = vec![b'x'; size];
                Self {
                    request: client_frame(TEXT, &text).into(),
                    answer: Expected::Frame(text),
                }
            }
            Traffic::Streams { .. } | Traffic::IdleWebSockets(_) => {
                unreachable!("other clients have this traffic")
            }
        }
    }

    /// Makes the exchange. Returns whether the connection can be used once more.
    async fn make(&self, stream: &mut Stream, content: &mut Vec<u8>) -> io::Result<bool> {
        stream.get_mut().write_all(&self.request).await?;
        stream.get_mut().flush().await?;
        match &self.answer {
            Expected::Frame(text) => {
                let mut head = [0; 2];
                stream.read_exact(&mut head).await?;
                content.resize(usize::from(head[1]), 0);
                stream.read_exact(content).await?;
                if head[0] != TEXT || content != text {
                    return Err(unexpected("not the expected message", content));
                }
                Ok(true)
            }
            Expected::Response(expected) => {
                let is_kept = read_response(stream, content).await?;
                let is_expected = match expected {
                    Content::Text(text) => content.trim_ascii_end() == text,
                    Content::Filler(length) => {
                        content.len() == *length && content.iter().all(|&byte| byte == b'x')
                    }
                };
                if !is_expected {
                    return Err(unexpected("not the expected content", content));
                }
                Ok(is_kept)
            }
        }
    }
}

/// Returns a request with this many bytes of content.
fn request(path: &str, content: usize) -> Bytes {
    let method = if content == 0 { "GET" } else { "POST" };
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\naccept: */*\r\n");
    if content > 0 {
        request += &format!("content-type: text/plain\r\ncontent-length: {content}\r\n");
    }
    request += "\r\n";
    request += &"x".repeat(content);
    request.into()
}

/// Returns the list of `brands.py` as JSON.
fn brands() -> String {
    let brand = |number| format!(r#"{{"brand_id":{number},"brand_name":"brand {number}"}}"#);
    let brands: Vec<_> = (0..BRANDS).map(brand).collect();
    format!("[{}]", brands.join(","))
}

/// Makes exchanges again and again, and opens a new connection when the server has closed one.
async fn repeat(target: Target, traffic: Traffic, progress: Progress) -> io::Result<Infallible> {
    let exchange = Exchange::new(traffic);
    let mut content = Vec::new();
    let mut stream = open(&target, &exchange).await?;
    progress.all_ready().await;
    loop {
        // The server may close a connection after any answer, but not before the first.
        let mut is_used = false;
        loop {
            match exchange.make(&mut stream, &mut content).await {
                Ok(is_kept) => {
                    progress.add(1);
                    is_used = true;
                    if !is_kept {
                        break;
                    }
                }
                Err(error) if is_used && is_closed(&error) => break,
                Err(error) => return Err(error),
            }
        }
        stream = open(&target, &exchange).await?;
    }
}

fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}

async fn open(target: &Target, exchange: &Exchange) -> io::Result<Stream> {
    let stream = connect(target.address).await?;
    let stream: Box<dyn Transport> = match &target.tls {
        None => Box::new(stream),
        Some(tls) => {
            let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
            Box::new(tls.connect(name, stream).await?)
        }
    };
    let mut stream = BufReader::with_capacity(BUFFER, stream);
    if matches!(exchange.answer, Expected::Frame(_)) {
        let handshake = handshake("/", false);
        stream.get_mut().write_all(handshake.as_bytes()).await?;
        let mut line = String::new();
        let mut head = String::new();
        while line != "\r\n" {
            line.clear();
            read_line(&mut stream, &mut line).await?;
            head += &line;
        }
        if !head.starts_with("HTTP/1.1 101 ") {
            return Err(unexpected("not the expected response", head.as_bytes()));
        }
    }
    Ok(stream)
}

/// Reads a response with status 200, and its content. Returns whether the connection can be used once more.
async fn read_response(stream: &mut Stream, content: &mut Vec<u8>) -> io::Result<bool> {
    content.clear();
    let mut line = String::new();
    read_line(stream, &mut line).await?;
    if !line.starts_with("HTTP/1.1 200 ") {
        return Err(unexpected("not the expected response", line.as_bytes()));
    }
    let (mut length, mut is_chunked, mut is_kept) = (None, false, true);
    loop {
        line.clear();
        read_line(stream, &mut line).await?;
        let field = line.trim_end();
        let Some((name, value)) = field.split_once(':') else {
            break;
        };
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse::<usize>().ok();
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            is_chunked = value.eq_ignore_ascii_case("chunked");
        } else if name.eq_ignore_ascii_case("connection") {
            is_kept = !value.eq_ignore_ascii_case("close");
        }
    }
    match length {
        Some(length) if !is_chunked => read_more(stream, content, length).await?,
        _ if is_chunked => while read_chunk(stream, content, &mut line).await? {},
        _ => {
            stream.read_to_end(content).await?;
            is_kept = false;
        }
    }
    Ok(is_kept)
}

/// Reads a chunk. Returns whether it was not the last.
async fn read_chunk(
    stream: &mut Stream,
    content: &mut Vec<u8>,
    line: &mut String,
) -> io::Result<bool> {
    line.clear();
    read_line(stream, line).await?;
    let size = usize::from_str_radix(line.trim_end(), 16)
        .map_err(|_| unexpected("not the size of a chunk", line.as_bytes()))?;
    read_more(stream, content, size).await?;
    line.clear();
    read_line(stream, line).await?;
    Ok(size > 0)
}

/// Reads this many bytes.
async fn read_more(stream: &mut Stream, content: &mut Vec<u8>, count: usize) -> io::Result<()> {
    let before = content.len();
    content.resize(before + count, 0);
    stream.read_exact(&mut content[before..]).await.map(drop)
}

/// Reads a line with its end.
async fn read_line(stream: &mut Stream, line: &mut String) -> io::Result<()> {
    stream.read_line(line).await?;
    if line.ends_with('\n') {
        return Ok(());
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn response(octets: &'static str) -> io::Result<(bool, Vec<u8>)> {
        let transport: Box<dyn Transport> =
            Box::new(tokio::io::join(octets.as_bytes(), tokio::io::sink()));
        let mut content = Vec::new();
        let is_kept = read_response(&mut BufReader::new(transport), &mut content).await?;
        Ok((is_kept, content))
    }

    #[test]
    fn the_content_of_a_response_is_read_in_each_form() {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(async {
            for (octets, is_kept, content) in [
                ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc", true, "ab"),
                (
                    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\nA\r\n0123456789\r\n0\r\n\r\n",
                    true,
                    "ab0123456789",
                ),
                ("HTTP/1.1 200 OK\r\nConnection: close\r\ncontent-length: 1\r\n\r\na", false, "a"),
                ("HTTP/1.1 200 OK\r\n\r\nabc", false, "abc"),
            ] {
                let expected = (is_kept, content.as_bytes().to_owned());
                assert_eq!(response(octets).await.unwrap(), expected);
            }
            for octets in [
                "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n",
                "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab",
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n",
            ] {
                response(octets).await.unwrap_err();
            }
        });
    }
}
