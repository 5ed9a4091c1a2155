//! Redirects: the request that follows one.

use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_LOCATION,
    CONTENT_TYPE, EXPECT, HeaderName, LOCATION, TRANSFER_ENCODING,
};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use percent_encoding::percent_decode_str;
use url::{Position, Url};

use super::body::Body;

/// The number of redirects that are followed in a row: the limit of the fetch standard.
pub(super) const MAX_REDIRECTS: usize = 20;

/// The fields about the content, which are removed when a request becomes GET.
const ABOUT_CONTENT: [HeaderName; 7] = [
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_LENGTH,
    CONTENT_LOCATION,
    CONTENT_TYPE,
    EXPECT,
    TRANSFER_ENCODING,
];

/// Returns the location of a redirect; `None` when the response is not a redirect to follow.
fn location<B>(response: &Response<B>) -> Option<&HeaderValue> {
    let is_redirect = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    response.headers().get(LOCATION).filter(|_| is_redirect)
}

/// A copy of a request, which a redirect repeats.
pub(super) struct RepeatableRequest {
    parts: Parts,
    /// `None` when the content cannot be sent twice.
    body: Option<Body>,
}

impl RepeatableRequest {
    /// Returns a copy of a request.
    pub(super) fn of(request: Request<Body>) -> (Self, Request<Body>) {
        let (parts, body) = request.into_parts();
        let copy = Self {
            parts: parts.clone(),
            body: body.try_clone(),
        };
        (copy, Request::from_parts(parts, body))
    }

    /// Returns the request that follows the response; `None` when there is none within the application.
    /// An error says why a redirect cannot be followed.
    pub(super) fn redirected<B>(
        mut self,
        from: &Url,
        response: &Response<B>,
        root_path: &str,
        is_last: bool,
    ) -> Result<Option<Request<Body>>, String> {
        let Some(location) = location(response) else {
            return Ok(None);
        };
        let status = response.status();
        let to = resolve(from, location)?;
        if !is_within(from, &to, root_path) {
            return Ok(None);
        }
        if is_last {
            return Err(format!("{MAX_REDIRECTS} have been followed in a row"));
        }
        let target = to[..Position::AfterQuery].parse();
        self.parts.uri = target.map_err(|_| not_a_url(location))?;
        if becomes_get(&self.parts.method, status) {
            self.parts.method = Method::GET;
            self.body = Some(Body::empty());
            for name in ABOUT_CONTENT {
                self.parts.headers.remove(name);
            }
        }
        if from.scheme() == "https" && to.scheme() == "http" {
            self.parts.headers.remove(AUTHORIZATION);
        }
        let body = self
            .body
            .ok_or("streamed content cannot be sent twice (send it as bytes)")?;
        Ok(Some(Request::from_parts(self.parts, body)))
    }
}

/// Returns the URL of a location, without user and password.
fn resolve(from: &Url, location: &HeaderValue) -> Result<Url, String> {
    let reference = std::str::from_utf8(location.as_bytes()).ok();
    let url = reference.and_then(|reference| from.join(reference).ok());
    let mut url = url.ok_or_else(|| not_a_url(location))?;
    // Fails where a URL cannot have them.
    let _ = url.set_username("").and_then(|()| url.set_password(None));
    Ok(url)
}

fn not_a_url(location: &HeaderValue) -> String {
    let location = location.as_bytes().escape_ascii();
    format!("the location `{location}` is not a URL")
}

fn becomes_get(method: &Method, status: StatusCode) -> bool {
    match status {
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => *method == Method::POST,
        StatusCode::SEE_OTHER => *method != Method::GET && *method != Method::HEAD,
        _ => false,
    }
}

/// Returns whether the application serves the URL `to` as well.
fn is_within(from: &Url, to: &Url, root_path: &str) -> bool {
    let is_web = matches!(to.scheme(), "http" | "https");
    let is_there = to.host() == from.host() && to.port() == from.port();
    let mut segments = to.path().split('/').map(percent_decode_str);
    let is_below = root_path.split('/').all(|segment| {
        let decoded = segments.next();
        decoded.is_some_and(|decoded| decoded.eq(segment.bytes()))
    });
    is_web && is_there && is_below
}
