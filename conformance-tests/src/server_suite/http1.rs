//! A client of HTTP/1 that writes any octets, and reads strictly.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use memchr::memmem;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::case_log::CaseLog;
use super::client_stream::ClientStream;
use super::request::{Request, Response};
use super::result::{CaseResult, within};
use crate::Verdict;
use callgate::transcript::{Direction, Entry};

/// The largest head that is read, in bytes.
const MAX_HEAD: usize = 64 * 1024;
const MAX_FIELDS: usize = 128;
/// The room in the read buffer for each read, in bytes.
const READ_ROOM: usize = 16 * 1024;

#[derive(Debug)]
pub(crate) struct Http1 {
    stream: ClientStream,
    /// The read buffer.
    unread: BytesMut,
    log: CaseLog,
    timeout: Duration,
}

impl Http1 {
    pub(crate) fn new(stream: ClientStream, log: CaseLog, timeout: Duration) -> Self {
        Self {
            stream,
            unread: BytesMut::new(),
            log,
            timeout,
        }
    }

    /// Returns the client's address.
    pub(crate) fn address(&self) -> CaseResult<SocketAddr> {
        self.stream
            .local_addr()
            .map_err(|error| Verdict::failed(format!("the connection is gone: {error}")))
    }

    /// Writes these octets.
    pub(crate) async fn send(&mut self, octets: impl AsRef<[u8]>) -> CaseResult {
        let octets = octets.as_ref();
        self.log.push(Entry::Wire(
            Direction::ToServer,
            Bytes::copy_from_slice(octets),
        ));
        let written = within(
            self.timeout,
            "the server to take what is sent",
            self.write_all(octets),
        );
        written
            .await?
            .map_err(|error| Verdict::failed(format!("the server takes nothing: {error}")))
    }

    async fn write_all(&mut self, octets: &[u8]) -> io::Result<()> {
        self.stream.write_all(octets).await?;
        self.stream.flush().await
    }

    /// Writes as many of these octets as the server takes at once within this time. Returns their
    /// number.
    pub(crate) async fn send_within(&mut self, time: Duration, octets: &[u8]) -> CaseResult<usize> {
        match tokio::time::timeout(time, self.stream.write(octets)).await {
            Err(_) => Ok(0),
            Ok(written) => written
                .map_err(|error| Verdict::failed(format!("the server takes nothing: {error}"))),
        }
    }

    /// Writes as many of these octets as fit into the send buffer. Returns their number.
    pub(crate) fn try_send(&mut self, octets: &[u8]) -> CaseResult<usize> {
        match self.stream.try_write(octets) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            written => written
                .map_err(|error| Verdict::failed(format!("the server takes nothing: {error}"))),
        }
    }

    /// Writes these octets, or as many of them as the server takes before it ends the connection.
    pub(crate) async fn send_some(&mut self, octets: &[u8]) -> CaseResult {
        self.log
            .note(format!("the client sends {} bytes", octets.len()));
        let written = within(
            self.timeout,
            "the server to take what is sent",
            self.write_all(octets),
        );
        // A later read shows the error.
        let _ = written.await?;
        Ok(())
    }

    /// Sends a request and reads the whole response to it.
    pub(crate) async fn exchange(&mut self, request: &Request) -> CaseResult<Response> {
        self.send(request.http1()).await?;
        self.response_to(&request.method).await
    }

    /// Reads a whole response to a request with a method such as GET.
    pub(crate) async fn response(&mut self) -> CaseResult<Response> {
        self.response_to("GET").await
    }

    /// Reads a whole response to a request with this method.
    pub(crate) async fn response_to(&mut self, method: &str) -> CaseResult<Response> {
        let mut response = self.head().await?;
        let has_content = method != "HEAD" && !matches!(response.status, 100..=199 | 204 | 304);
        if !has_content {
            return Ok(response);
        }
        if response.lists("transfer-encoding", "chunked") {
            while let Some(chunk) = self.chunk().await? {
                response.body.extend_from_slice(&chunk);
            }
            response.trailers = self.fields().await?;
        } else if let Some(length) = response.field("content-length") {
            let length = length
                .parse()
                .map_err(|_| Verdict::failed(format!("`content-length` is `{length}`")))?;
            response.body = self.read_exactly(length).await?.to_vec();
        } else {
            response.body = self.read_to_end().await?;
        }
        Ok(response)
    }

    /// Reads the head of a response.
    pub(crate) async fn head(&mut self) -> CaseResult<Response> {
        let head = self
            .read_through(b"\r\n\r\n", "the head of a response")
            .await?;
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut parsed = httparse::Response::new(&mut fields);
        let malformed = |why: String| {
            let head = head.escape_ascii();
            Verdict::failed(format!("the response `{head}` is malformed: {why}"))
        };
        parsed
            .parse(&head)
            .map_err(|error| malformed(error.to_string()))?;
        Ok(Response {
            status: parsed.code.ok_or_else(|| malformed("no status".into()))?,
            fields: header_map(parsed.headers).map_err(malformed)?,
            ..Response::default()
        })
    }

    /// Reads the next chunk of chunked content. Returns none at the last chunk, before the trailer
    /// fields.
    pub(crate) async fn chunk(&mut self) -> CaseResult<Option<Bytes>> {
        let line = self.read_through(b"\r\n", "the size of a chunk").await?;
        let size = std::str::from_utf8(&line[..line.len() - 2])
            .ok()
            .and_then(|line| line.split(';').next())
            .and_then(|size| usize::from_str_radix(size.trim(), 16).ok())
            .ok_or_else(|| {
                Verdict::failed(format!("`{}` is no size of a chunk", line.escape_ascii()))
            })?;
        if size == 0 {
            return Ok(None);
        }
        let chunk = self.read_exactly(size).await?;
        let end = self.read_exactly(2).await?;
        if end != b"\r\n"[..] {
            let end = end.escape_ascii();
            return Err(Verdict::failed(format!("a chunk ends with `{end}`")));
        }
        Ok(Some(chunk))
    }

    /// Reads fields up to an empty line: the trailer of a chunked content.
    async fn fields(&mut self) -> CaseResult<HeaderMap> {
        let mut text = Vec::new();
        loop {
            let line = self.read_through(b"\r\n", "the end of a trailer").await?;
            text.extend_from_slice(&line);
            if line == b"\r\n"[..] {
                break;
            }
        }
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let malformed = |why: String| Verdict::failed(format!("the trailer is malformed: {why}"));
        match httparse::parse_headers(&text, &mut fields) {
            Ok(httparse::Status::Complete((_, fields))) => header_map(fields).map_err(malformed),
            Ok(httparse::Status::Partial) => Err(malformed("it has no end".into())),
            Err(error) => Err(malformed(error.to_string())),
        }
    }

    /// Reads this many octets.
    pub(crate) async fn read_exactly(&mut self, length: usize) -> CaseResult<Bytes> {
        while self.unread.len() < length {
            if self.fill("content").await? == 0 {
                return Err(Verdict::failed(format!(
                    "the connection ended after {} of {length} bytes",
                    self.unread.len()
                )));
            }
        }
        Ok(self.unread.split_to(length).freeze())
    }

    /// Reads up to this many octets. Returns none at the end of the connection, orderly or not.
    pub(crate) async fn read_up_to(&mut self, limit: usize) -> CaseResult<Option<Bytes>> {
        if self.is_at_end().await? {
            return Ok(None);
        }
        let length = limit.min(self.unread.len());
        Ok(Some(self.unread.split_to(length).freeze()))
    }

    /// Waits for octets or for the end of the connection, orderly or not. Returns whether the end came.
    pub(crate) async fn is_at_end(&mut self) -> CaseResult<bool> {
        if !self.unread.is_empty() {
            return Ok(false);
        }
        let filled = self.try_fill("octets or the end of the connection").await?;
        Ok(!matches!(filled, Ok(read) if read > 0))
    }

    /// Reads to the end of the connection, which must be an orderly one.
    pub(crate) async fn read_to_end(&mut self) -> CaseResult<Vec<u8>> {
        while self.fill("the end of the connection").await? > 0 {}
        Ok(std::mem::take(&mut self.unread).to_vec())
    }

    /// Reads to the end of the connection. Returns what came, and whether the end was orderly.
    pub(crate) async fn read_to_any_end(&mut self) -> CaseResult<(Vec<u8>, bool)> {
        let what = "the end of the connection";
        let is_orderly = loop {
            match self.try_fill(what).await? {
                Ok(0) => break true,
                Ok(_) => {}
                Err(_) => break false,
            }
        };
        Ok((std::mem::take(&mut self.unread).to_vec(), is_orderly))
    }

    /// Waits for `work` while the client reads what comes. A server that ends a connection over TLS may wait
    /// until the client has read its `close_notify`.
    pub(crate) async fn read_during<T>(
        &mut self,
        work: impl Future<Output = CaseResult<T>>,
    ) -> CaseResult<T> {
        let reading = async {
            while let Ok(Ok(1..)) = self.try_fill("octets or the end of the connection").await {}
            std::future::pending().await
        };
        tokio::select! {
            biased;
            done = work => done,
            never = reading => never,
        }
    }

    /// Checks that the server closes the connection, and sends nothing more.
    pub(crate) async fn expect_closed(&mut self) -> CaseResult {
        match self.read_to_end().await? {
            rest if rest.is_empty() => Ok(()),
            rest => Err(Verdict::failed(format!(
                "the server sent `{}` before it closed the connection",
                rest.escape_ascii()
            ))),
        }
    }

    /// Returns the bytes that have arrived and were not read, without waiting.
    pub(crate) fn unread_now(&mut self) -> &[u8] {
        loop {
            match self.stream.try_read_buf(&mut self.unread) {
                Ok(0) | Err(_) => return &self.unread,
                Ok(_) => {}
            }
        }
    }

    /// Half-closes the connection: ends the sending side only.
    pub(crate) async fn half_close(&mut self) -> CaseResult {
        self.log.note("the client ends its sending side");
        self.stream
            .shutdown()
            .await
            .map_err(|error| Verdict::failed(format!("the connection is gone: {error}")))
    }

    /// Resets the connection.
    pub(crate) fn reset(self) {
        self.log.note("the client resets the connection");
        // An error means that the connection is gone already.
        let _ = self.stream.set_zero_linger();
    }

    /// Reads up to and including `end`.
    pub(crate) async fn read_through(&mut self, end: &[u8], what: &str) -> CaseResult<Bytes> {
        loop {
            if let Some(at) = memmem::find(&self.unread, end) {
                return Ok(self.unread.split_to(at + end.len()).freeze());
            }
            if self.unread.remaining() > MAX_HEAD {
                return Err(Verdict::failed(format!("{what} does not end")));
            }
            if self.fill(what).await? == 0 {
                let unread = self.unread.escape_ascii();
                return Err(Verdict::failed(format!(
                    "the connection ended where {what} should have come, after `{unread}`"
                )));
            }
        }
    }

    async fn fill(&mut self, what: &str) -> CaseResult<usize> {
        let read = self.try_fill(what).await?;
        read.map_err(|error| {
            Verdict::failed(format!(
                "the connection broke while reading {what}: {error}"
            ))
        })
    }

    async fn try_fill(&mut self, what: &str) -> CaseResult<io::Result<usize>> {
        let before = self.unread.len();
        self.unread.reserve(READ_ROOM);
        let read = self.stream.read_buf(&mut self.unread);
        let read = within(self.timeout, what, read).await?;
        if self.unread.len() > before {
            self.log.push(Entry::Wire(
                Direction::ToClient,
                Bytes::copy_from_slice(&self.unread[before..]),
            ));
        }
        Ok(read)
    }
}

fn header_map(fields: &[httparse::Header<'_>]) -> Result<HeaderMap, String> {
    fields
        .iter()
        .map(|field| {
            let name = HeaderName::try_from(field.name).map_err(|error| error.to_string())?;
            let value = HeaderValue::from_bytes(field.value).map_err(|error| error.to_string())?;
            Ok((name, value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Arc;

    use rustls::ServerConfig;
    use rustls::crypto::ring;
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::oneshot;
    use tokio_rustls::TlsAcceptor;

    use super::*;
    use crate::server_suite::client_tls::{ClientCertificateKind, ClientTls};

    #[tokio::test]
    async fn a_server_that_ends_a_connection_gets_the_close_notify_of_the_client() {
        let tls = ClientTls::with_own_certificates().unwrap();
        let [certfile, keyfile] = tls.server_files().unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_file(certfile).unwrap()],
                PrivateKeyDer::from_pem_file(keyfile).unwrap(),
            )
            .unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (done, server_is_done) = oneshot::channel();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = TlsAcceptor::from(Arc::new(config));
            let mut stream = acceptor.accept(stream).await.unwrap();
            stream.write_all(b"octets").await.unwrap();
            stream.shutdown().await.unwrap();
            // An end without `close_notify` is an error.
            let _ = done.send(stream.read(&mut [0]).await.unwrap());
        });
        let stream = TcpStream::connect(address).await.unwrap();
        let connected = tls.connect(stream, b"http/1.1", ClientCertificateKind::None);
        let stream = ClientStream::Tls(Box::new(connected.await.unwrap()));
        let timeout = Duration::from_secs(5);
        let mut client = Http1::new(stream, CaseLog::default(), timeout);
        let server_is_done = within(timeout, "the server", server_is_done);
        let read = client.read_during(server_is_done).await;
        assert_eq!(read.unwrap().unwrap(), 0);
        assert_eq!(client.read_to_end().await.unwrap(), b"octets");
    }

    #[tokio::test]
    async fn a_server_that_ends_a_connection_gets_the_end_of_the_client() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (done, server_is_done) = oneshot::channel();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.shutdown().await.unwrap();
            let _ = done.send(stream.read(&mut [0]).await.unwrap());
        });
        let stream = ClientStream::Cleartext(TcpStream::connect(address).await.unwrap());
        let timeout = Duration::from_secs(5);
        let mut client = Http1::new(stream, CaseLog::default(), timeout);
        let server_is_done = within(timeout, "the server", server_is_done);
        let read = client.read_during(server_is_done).await;
        assert_eq!(read.unwrap().unwrap(), 0);
    }
}
