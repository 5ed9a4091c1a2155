//! Responses to requests for which the application is not called.

use std::time::SystemTime;

use bytes::Bytes;
use callgate::HttpResponseStart;
use http::header::{self, HeaderName, HeaderValue};
use http::{Response, StatusCode, Version};

use callgate_drive::ResponseBody;

use crate::context::ServerContext;

/// A short response in plain text, after which an HTTP/1 connection is closed.
#[derive(Debug)]
pub(crate) struct Rejection {
    status: StatusCode,
    reason: &'static str,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Rejection {
    pub(crate) fn new(status: StatusCode, reason: &'static str) -> Self {
        Self {
            status,
            reason,
            header: None,
        }
    }

    pub(crate) fn bad_request(reason: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, reason)
    }

    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.header = Some((name, value));
        self
    }

    /// Returns the response to a head that hyper cannot parse; `None` for other errors, after which
    /// no client waits for a response. `input` is the beginning of the head.
    pub(crate) fn of(error: &hyper::Error, input: &[u8]) -> Option<Self> {
        if !error.is_parse() {
            return None;
        }
        // hyper distinguishes these errors only in their texts.
        let words = error.to_string();
        Some(if error.is_parse_too_large() && words.contains("URI") {
            Self::new(StatusCode::URI_TOO_LONG, "the target is too long")
        } else if error.is_parse_too_large() {
            Self::new(
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "the head of the request is too large",
            )
        } else if words.contains("version") && names_version(input) {
            Self::unsupported_version()
        } else if words.contains("version") {
            Self::bad_request("the request line is malformed")
        } else if words.contains("method") {
            Self::bad_request("the method is malformed")
        } else if words.contains("URI") {
            Self::bad_request("the target is malformed")
        } else if words.contains("content-length") {
            Self::bad_request("`content-length` is malformed or given twice")
        } else if words.contains("transfer-encoding") {
            Self::bad_request("`transfer-encoding` is malformed or out of place")
        } else {
            Self::bad_request("a header field is malformed")
        })
    }

    pub(crate) fn unsupported_version() -> Self {
        Self::new(
            StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            "this version of HTTP is not supported",
        )
    }

    pub(crate) fn too_slow() -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "the head of the request did not come in time",
        )
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn reason(&self) -> &'static str {
        self.reason
    }

    fn text(&self) -> String {
        format!(
            "{} {}: {}\n",
            self.status.as_u16(),
            self.status.canonical_reason().unwrap_or_default(),
            self.reason
        )
    }

    /// Returns the response for hyper to send over this version.
    pub(crate) fn into_response(self, version: Version) -> Response<ResponseBody> {
        let mut response = Response::new(ResponseBody::from(Bytes::from(self.text())));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, TEXT);
        if version < Version::HTTP_2 {
            headers.insert(header::CONNECTION, CLOSE);
        }
        headers.extend(self.header);
        response
    }

    /// Returns the bytes of the response, for a connection that hyper has given up.
    pub(crate) fn into_bytes(self, server: &ServerContext) -> Vec<u8> {
        let content = self.text();
        let mut response = self.into_response(Version::HTTP_11);
        server.add_default_headers(response.headers_mut());
        if server.config.date_header && !response.headers().contains_key(header::DATE) {
            let now = httpdate::fmt_http_date(SystemTime::now());
            let now = now.try_into().expect("a date is a value");
            response.headers_mut().insert(header::DATE, now);
        }
        let mut bytes = format!(
            "HTTP/1.1 {}\r\ncontent-length: {}\r\n",
            response.status(),
            content.len()
        )
        .into_bytes();
        for (name, value) in response.headers() {
            let field = [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"];
            bytes.extend(field.concat());
        }
        bytes.extend([b"\r\n", content.as_bytes()].concat());
        bytes
    }
}

/// Returns whether the input begins with a request line that ends with a version of HTTP.
fn names_version(input: &[u8]) -> bool {
    let line = input.split(|octet| matches!(octet, b'\r' | b'\n')).next();
    let mut words = line.unwrap_or_default().split(|octet| *octet == b' ');
    words
        .nth(2)
        .is_some_and(|version| version.starts_with(b"HTTP/"))
        && words.next().is_none()
}

const CLOSE: HeaderValue = HeaderValue::from_static("close");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// Returns the response that replaces the application's. It has the status only, so that nothing is
/// revealed (rule `HTTP-34`).
#[cold]
pub(crate) fn replacement(
    status: StatusCode,
    version: Version,
) -> (HttpResponseStart, ResponseBody) {
    let text = status.canonical_reason().unwrap_or_default();
    let mut head = HttpResponseStart::new(status).header(header::CONTENT_TYPE, TEXT);
    if status == StatusCode::BAD_REQUEST && version < Version::HTTP_2 {
        head = head.header(header::CONNECTION, CLOSE);
    }
    (head, Bytes::from_static(text.as_bytes()).into())
}
