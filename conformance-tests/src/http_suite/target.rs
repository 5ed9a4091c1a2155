//! The server under test, as its clients see it.

use tokio::net::TcpStream;

use super::options::{HttpOptions, HttpTarget};
use crate::Verdict;
use crate::server_suite::case_log::CaseLog;
use crate::server_suite::client_stream::ClientStream;
use crate::server_suite::client_tls::ClientCertificateKind;
use crate::server_suite::http1::Http1;
use crate::server_suite::http2::is_spoken;
use crate::server_suite::request::Response;
use crate::server_suite::result::{CaseResult, must, within};

/// The name of HTTP/1.1 and of HTTP/2 in a TLS handshake (RFC 7301, RFC 9113).
const HTTP1: &[u8] = b"http/1.1";
const HTTP2: &[u8] = b"h2";

/// The server under test, with the options of the suite.
pub(super) struct Target<'a> {
    at: &'a HttpTarget,
    pub(super) options: &'a HttpOptions,
    pub(super) log: CaseLog,
    speaks_http2: bool,
}

impl<'a> Target<'a> {
    /// Finds out whether the server speaks HTTP/2.
    pub(super) async fn new(at: &'a HttpTarget, options: &'a HttpOptions) -> Self {
        let mut target = Self {
            at,
            options,
            log: CaseLog::default(),
            speaks_http2: false,
        };
        if let Ok(stream) = target.stream(HTTP2).await {
            target.speaks_http2 = is_spoken(stream, options.timeout).await;
        }
        target
    }

    async fn stream(&self, protocol: &[u8]) -> CaseResult<ClientStream> {
        let refused =
            |error| Verdict::failed(format!("the server refuses the connection: {error}"));
        let connect = TcpStream::connect(self.at.address);
        let stream = within(self.options.timeout, "a connection", connect).await?;
        let stream = stream.map_err(refused)?;
        // Small packets are to leave at once. A connection that is gone fails later.
        let _ = stream.set_nodelay(true);
        let Some(tls) = &self.at.tls else {
            return Ok(ClientStream::Cleartext(stream));
        };
        let handshake = tls.connect(stream, protocol, ClientCertificateKind::None);
        let stream = within(self.options.timeout, "a TLS handshake", handshake).await?;
        Ok(ClientStream::Tls(Box::new(stream.map_err(refused)?)))
    }

    /// Opens a connection for HTTP/1.1.
    pub(super) async fn connect(&self) -> CaseResult<Http1> {
        let stream = self.stream(HTTP1).await?;
        Ok(Http1::new(stream, self.log.clone(), self.options.timeout))
    }

    /// Opens a connection for HTTP/2, whose octets the case writes.
    pub(super) async fn connect_http2(&self) -> CaseResult<Http1> {
        if !self.speaks_http2 {
            let how = match self.at.tls {
                None => "the server does not speak HTTP/2 by prior knowledge",
                Some(_) => "the server does not negotiate HTTP/2",
            };
            return Err(Verdict::NotApplicable(how.into()));
        }
        let stream = self.stream(HTTP2).await?;
        Ok(Http1::new(stream, self.log.clone(), self.options.timeout))
    }

    pub(super) fn authority(&self) -> &str {
        &self.at.authority
    }

    pub(super) fn scheme(&self) -> &'static str {
        match self.at.tls {
            None => "http",
            Some(_) => "https",
        }
    }

    pub(super) fn path(&self) -> &str {
        &self.options.path
    }

    /// Returns the path that takes requests with content.
    pub(super) fn content_path(&self) -> &str {
        self.options.content_path.as_deref().unwrap_or(self.path())
    }

    /// Returns a request of HTTP/1.1 with these lines of fields, each with its end.
    pub(super) fn request(&self, method: &str, path: &str, fields: &str) -> String {
        let host = self.authority();
        format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n{fields}\r\n")
    }

    /// Returns a request of the path of the target with GET and with these lines of fields.
    pub(super) fn get(&self, fields: &str) -> String {
        self.request("GET", self.path(), fields)
    }

    /// Returns the beginning of a request with content.
    pub(super) fn post(&self, fields: &str) -> String {
        self.request("POST", self.content_path(), fields)
    }

    /// Makes a GET of this path over a connection of its own.
    pub(super) async fn response_of(&self, path: &str) -> CaseResult<Response> {
        let mut client = self.connect().await?;
        client.send(self.request("GET", path, "")).await?;
        client.response().await
    }

    /// Sends a request whose head is refused: the answer is 400, and the connection is closed without a
    /// further answer, although a further request follows.
    pub(super) async fn expect_refused(&self, request: &str) -> CaseResult {
        self.expect_refused_with(request, &[400]).await
    }

    /// Does what [`Target::expect_refused`] does, with an answer of one of these statuses.
    pub(super) async fn expect_refused_with(&self, request: &str, statuses: &[u16]) -> CaseResult {
        let mut client = self.connect().await?;
        client.send(format!("{request}{}", self.get(""))).await?;
        let answer = client.response().await?;
        must!(
            statuses.contains(&answer.status),
            "the answer is {}",
            answer.status
        );
        expect_end(&mut client).await
    }

    /// Sends a request whose content is malformed. An answer other than 400 may begin before the server has
    /// read the content, and then be cut. The connection is closed without an answer to a further request.
    pub(super) async fn expect_content_refused(&self, request: &str) -> CaseResult {
        let mut client = self.connect().await?;
        client.send(format!("{request}{}", self.get(""))).await?;
        let (octets, _) = client.read_to_any_end().await?;
        let answers = final_answers(&octets);
        must!(answers.len() <= 1, "the answers are {answers:?}");
        Ok(())
    }

    /// Sends a request with these lines of fields, and a further request behind it. The lines have `content-length: {}`
    /// in a place where no field begins; `{}` becomes the length of the further request. Returns the statuses of the
    /// answers: a server that reads the length as a field takes the further request for content.
    pub(super) async fn answers_to_no_length(&self, lines: &str) -> CaseResult<Vec<u16>> {
        let further = self.get("connection: close\r\n");
        let lines = lines.replace("{}", &further.len().to_string());
        let mut client = self.connect().await?;
        client
            .send(format!(
                "GET {} HTTP/1.1\r\n{lines}host: {}\r\n\r\n{further}",
                self.path(),
                self.authority()
            ))
            .await?;
        let (octets, _) = client.read_to_any_end().await?;
        Ok(final_answers(&octets))
    }
}

/// Returns the statuses of the final answers among the octets of a connection.
fn final_answers(octets: &[u8]) -> Vec<u16> {
    let begins = memchr::memmem::find_iter(octets, b"HTTP/1.");
    let statuses = begins.filter_map(|at| {
        let digits = octets.get(at + 9..at + 12)?;
        std::str::from_utf8(digits).ok()?.parse().ok()
    });
    statuses
        .filter(|status| (200..=599).contains(status))
        .collect()
}

/// Checks that the connection ends, in any way, and that nothing comes before its end.
pub(super) async fn expect_end(client: &mut Http1) -> CaseResult {
    let (rest, _) = client.read_to_any_end().await?;
    must!(
        rest.is_empty(),
        "the server sent `{}` before it closed the connection",
        rest.escape_ascii()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interim_answers_and_content_are_no_final_answers() {
        for (octets, answers) in [
            (&b""[..], &[][..]),
            (
                b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
                &[200],
            ),
            (
                b"HTTP/1.1 200 OK\r\n\r\nGET / HTTP/1.1\r\nhost: one\r\n\r\n",
                &[200],
            ),
            (b"HTTP/1.1 404 \r\n\r\nHTTP/1.1 200 OK\r\n\r\n", &[404, 200]),
        ] {
            assert_eq!(final_answers(octets), answers);
        }
    }
}
