//! Redirects, followed within the application.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_LOCATION,
    CONTENT_TYPE, EXPECT, HeaderName, LOCATION, TRANSFER_ENCODING,
};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use percent_encoding::percent_decode_str;
use url::{Position, Url};

use super::TestClient;
use super::body::Body;
use super::error::Error;
use super::request::{RequestBuilder, whole};
use super::response::Streaming;

/// How many redirects are followed in a row: the bound of the fetch standard.
const MOST: usize = 20;

/// The fields about content that goes when a request becomes GET.
const ABOUT_CONTENT: [HeaderName; 7] = [
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_LENGTH,
    CONTENT_LOCATION,
    CONTENT_TYPE,
    EXPECT,
    TRANSFER_ENCODING,
];

impl TestClient {
    /// Whether redirects are followed by [`send`](RequestBuilder::send) and
    /// [`stream`](RequestBuilder::stream): 301, 302, 303, 307 and 308 with a `location` (RFC 9110,
    /// 15.4). Default: they are not. A WebSocket's handshake never follows them.
    ///
    /// - They are followed within the application: to the host that the request went to, at the
    ///   same port (the default ports of `http` and `https` count as the same), below the
    ///   [root path](Self::root_path). A redirect to anywhere else is returned as it is.
    /// - As the fetch standard has it, POST becomes GET after 301 and 302, any method but HEAD after
    ///   303, without the content and the fields about it. Everything else goes again as it was,
    ///   but for `authorization` from `https` to `http`.
    /// - At most 20 are followed in a row; one more is [`Error::Redirect`].
    ///
    /// Each request is an exchange of its own; the responses before the last are its
    /// [`history`](super::ResponseExt::history).
    ///
    /// ```
    /// # use callgate::{AppError, Receiver, Scope, Sender};
    /// # use callgate_toolkit::respond;
    /// # use callgate_toolkit::test_client::{ResponseExt, TestClient};
    /// async fn app(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
    ///     let Scope::Http(scope) = scope else {
    ///         return Err(AppError::Unsupported);
    ///     };
    ///     match scope.raw_path() {
    ///         "/old" => respond::redirect("/new").send(&sender).await?,
    ///         path => respond::text(path).send(&sender).await?,
    ///     }
    ///     Ok(())
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let client = TestClient::new(app).follow_redirects(true);
    /// let response = client.get("/old").send().await?;
    /// assert_eq!(response.text(), "/new");
    /// assert_eq!(response.history().len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn follow_redirects(mut self, follows: bool) -> Self {
        self.settings.follows_redirects = follows;
        self
    }
}

/// The responses before this one.
#[derive(Clone)]
pub(super) struct History(pub(super) Arc<[Response<Bytes>]>);

/// Makes the request, and those that it is redirected to.
pub(super) async fn follow(mut builder: RequestBuilder<'_>) -> Result<Response<Streaming>, Error> {
    let client = builder.client;
    let mut history: Vec<Response<Bytes>> = Vec::new();
    loop {
        let again = Again::of(&mut builder);
        let pending = builder.start();
        let url = pending.origin.url.clone();
        let mut response = pending.stream().await?;
        let next = match (url, location(&response)) {
            (Some(url), Some(location)) => {
                let is_last = history.len() == MOST;
                let root_path = &client.settings.root_path;
                again.redirected(&url, response.status(), location, root_path, is_last)
            }
            _ => Ok(None),
        };
        let Some(next) = next.transpose() else {
            response.extensions_mut().insert(History(history.into()));
            return Ok(response);
        };
        let mut response = whole(response).await?;
        match next {
            Ok(request) => builder = RequestBuilder::redirected(client, request),
            Err(reason) => {
                response.extensions_mut().insert(History(history.into()));
                return Err(Error::Redirect(response.into(), reason));
            }
        }
        history.push(response);
    }
}

/// Where a redirect leads; none when it is not one that can be followed.
fn location<B>(response: &Response<B>) -> Option<&HeaderValue> {
    let is_redirect = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    response.headers().get(LOCATION).filter(|_| is_redirect)
}

/// What is needed to make a request again.
struct Again {
    parts: Parts,
    /// None when the content cannot be sent twice.
    body: Option<Body>,
}

impl Again {
    fn of(builder: &mut RequestBuilder<'_>) -> Self {
        let (mut parts, body) = std::mem::take(&mut builder.request).into_parts();
        if !builder.is_redirected {
            builder.client.settings.add_headers(&mut parts.headers);
        }
        let again = Self {
            parts: parts.clone(),
            body: body.try_clone(),
        };
        builder.request = Request::from_parts(parts, body);
        again
    }

    /// The next request; none when it is not one to the application. An error says why there can
    /// be none.
    fn redirected(
        mut self,
        from: &Url,
        status: StatusCode,
        location: &HeaderValue,
        root_path: &str,
        is_last: bool,
    ) -> Result<Option<Request<Body>>, String> {
        let to = resolve(from, location)?;
        if !is_within(from, &to, root_path) {
            return Ok(None);
        }
        if is_last {
            return Err(format!("{MOST} have been followed in a row"));
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

/// What a location is a reference to, without user and password.
fn resolve(from: &Url, location: &HeaderValue) -> Result<Url, String> {
    let reference = std::str::from_utf8(location.as_bytes()).ok();
    let url = reference.and_then(|reference| from.join(reference).ok());
    let mut url = url.ok_or_else(|| not_a_url(location))?;
    // Fails where a URL can have none.
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

/// Whether the application is there, too.
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
