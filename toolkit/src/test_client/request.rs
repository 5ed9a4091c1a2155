//! Requests, and responses that are to come.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;

use bytes::Bytes;
use callgate::HttpScope;
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Request, Response, Version};

use super::body::{Body, RequestBody};
use super::cookies::Origin;
use super::error::Error;
use super::exchange::Exchange;
use super::http_state::{End, HttpState};
use super::link::{Link, Protocol};
use super::redirect::{self, History};
use super::response::Streaming;
use super::{Edit, TestClient, scope};
use callgate::transcript::Entry;

/// A request that has not been made. Made by [`TestClient::get`] and its like.
#[must_use = "a request is made by `send`, `stream` or `start`"]
pub struct RequestBuilder<'a> {
    pub(super) client: &'a TestClient,
    pub(super) request: Request<Body>,
    edits: Vec<Edit<'a, HttpScope>>,
    is_gone: bool,
    follows_redirects: bool,
    /// Whether it has the client's fields and the root path already.
    pub(super) is_redirected: bool,
}

impl<'a> RequestBuilder<'a> {
    pub(super) fn new(client: &'a TestClient, request: Request<Body>) -> Self {
        Self {
            client,
            request,
            edits: Vec::new(),
            is_gone: false,
            follows_redirects: client.settings.follows_redirects,
            is_redirected: false,
        }
    }

    /// The request after a redirect.
    pub(super) fn redirected(client: &'a TestClient, request: Request<Body>) -> Self {
        Self {
            is_redirected: true,
            ..Self::new(client, request)
        }
    }

    /// Adds a header field; a field of the same name stays.
    ///
    /// # Panics
    ///
    /// When the name or the value cannot be a header field.
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName>,
        N::Error: fmt::Debug,
        V: TryInto<HeaderValue>,
        V::Error: fmt::Debug,
    {
        let name = name.try_into().expect("a valid header name");
        let value = value.try_into().expect("a valid header value");
        self.request.headers_mut().append(name, value);
        self
    }

    /// With this content. `content-length` is set when the length is known, else (in HTTP/1.1)
    /// `transfer-encoding`, as by any client.
    pub fn body(mut self, body: impl Into<Body>) -> Self {
        *self.request.body_mut() = body.into();
        self
    }

    /// With this value as JSON, and its `content-type`.
    ///
    /// # Panics
    ///
    /// When the value cannot be JSON.
    #[cfg(feature = "json")]
    pub fn json(self, value: &impl serde::Serialize) -> Self {
        let json = serde_json::to_vec(value).expect("a value that can be JSON");
        self.header("content-type", "application/json").body(json)
    }

    /// With this value as the fields of a form, and their `content-type`.
    ///
    /// # Panics
    ///
    /// When the value cannot be a form.
    #[cfg(feature = "form")]
    pub fn form(self, value: &impl serde::Serialize) -> Self {
        let form = serde_html_form::to_string(value).expect("a value that can be a form");
        self.header("content-type", "application/x-www-form-urlencoded")
            .body(form)
    }

    /// Over this version of HTTP. Default: the client's.
    pub fn version(mut self, version: Version) -> Self {
        *self.request.version_mut() = version;
        self
    }

    /// Whether redirects are followed. Default: as the
    /// [client](TestClient::follow_redirects) was told.
    pub fn follow_redirects(mut self, follows: bool) -> Self {
        self.follows_redirects = follows;
        self
    }

    /// Changes the scope, last of all, in any way that a server might. After a redirect, scopes
    /// are not changed.
    pub fn with_scope(mut self, edit: impl FnOnce(&mut HttpScope) + Send + 'a) -> Self {
        self.edits.push(Box::new(edit));
        self
    }

    /// The client has gone away before the application is called.
    pub fn gone(mut self) -> Self {
        self.is_gone = true;
        self
    }

    /// Makes the request and reads the whole response.
    ///
    /// Work after the response may go on: [`Exchange::ended`] waits for it.
    ///
    /// # Errors
    ///
    /// [`Error::Cut`], [`Error::Gone`] and [`Error::TimedOut`]. Where
    /// [redirects are followed](TestClient::follow_redirects), [`Error::Redirect`] at one after 20
    /// others, at a `location` that is not a URL, and at one that asks for content again that was
    /// streamed.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime with its timer enabled.
    pub async fn send(self) -> Result<Response<Bytes>, Error> {
        whole(self.stream().await?).await
    }

    /// Makes the request and returns as soon as the head of the response is there.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    ///
    /// # Panics
    ///
    /// As [`send`](Self::send).
    pub async fn stream(self) -> Result<Response<Streaming>, Error> {
        if self.follows_redirects {
            redirect::follow(self).await
        } else {
            self.start().stream().await
        }
    }

    /// Makes the request and returns at once. Redirects are not followed.
    ///
    /// # Panics
    ///
    /// As [`send`](Self::send).
    #[must_use]
    pub fn start(self) -> Pending {
        let settings = &self.client.settings;
        let (mut parts, body) = self.request.into_parts();
        let length = body.length();
        let mut root_path = "";
        if !self.is_redirected {
            settings.add_headers(&mut parts.headers);
            root_path = &settings.root_path;
        }
        let mut origin = Origin::default();
        let scope = match scope::http(settings, root_path, parts, length) {
            Ok(mut scope) => {
                let url = scope::url(scope.scheme, &scope.headers, &scope.uri);
                origin = Origin::new(settings, url);
                origin.add_cookies(&mut scope.headers);
                for edit in self.edits {
                    edit(&mut scope);
                }
                scope
            }
            Err(status) => {
                // The application never sees it.
                let scope = HttpScope::new(http::Method::GET, http::Uri::default());
                let mut state = HttpState::new(&scope);
                state.replace(status);
                let link = Link::new(Protocol::Http(state), RequestBody::new(body));
                link.change(|state| {
                    let note = format!("the server answered with {status}");
                    state.transcript.push(Entry::Note(note));
                    state.outcome = Some(Ok(()));
                });
                return Pending::new(self.client.exchange(link), origin);
            }
        };
        let protocol = Protocol::Http(HttpState::new(&scope));
        let link = Link::new(protocol, RequestBody::new(body));
        let exchange = self.client.exchange(link);
        if self.is_gone {
            exchange.disconnect();
        }
        self.client.call(&exchange, scope.into());
        Pending::new(exchange, origin)
    }
}

impl fmt::Debug for RequestBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.request.fmt(f)
    }
}

/// A request that has been made, and whose response has not been looked at.
///
/// Dropped, the client has gone away.
#[derive(Debug)]
pub struct Pending {
    /// None once the response is somebody else's to drop.
    exchange: Option<Exchange>,
    pub(super) origin: Origin,
}

impl Pending {
    fn new(exchange: Exchange, origin: Origin) -> Self {
        Self {
            exchange: Some(exchange),
            origin,
        }
    }

    /// The exchange, to disconnect from it for example.
    #[must_use]
    pub fn exchange(&self) -> &Exchange {
        self.exchange.as_ref().expect("taken only with `self`")
    }

    /// Waits for the head of the response.
    ///
    /// # Errors
    ///
    /// As [`RequestBuilder::send`].
    pub async fn stream(mut self) -> Result<Response<Streaming>, Error> {
        let exchange = self.exchange().clone();
        let link: &Arc<Link> = &exchange.link;
        let head = poll_fn(|cx| link.poll_take(cx, |state| state.http()?.take_head()));
        let mut head = match exchange.wait("a response", head).await? {
            Ok(head) => head,
            Err(End::Whole | End::Cut | End::Gone) => return Err(Error::Gone),
        };
        self.exchange = None;
        self.origin.keep_cookies(&head.headers);
        head.extensions.insert(exchange.clone());
        let body = Streaming::new(head.clone(), exchange);
        Ok(Response::from_parts(head, body))
    }

    /// Waits for the whole response.
    ///
    /// # Errors
    ///
    /// As [`RequestBuilder::send`].
    pub async fn response(self) -> Result<Response<Bytes>, Error> {
        whole(self.stream().await?).await
    }
}

/// The whole response.
pub(super) async fn whole(response: Response<Streaming>) -> Result<Response<Bytes>, Error> {
    let (mut head, mut body) = response.into_parts();
    let content = body.rest().await?;
    if let Some(trailers) = body.trailers() {
        head.extensions.insert(Trailers(trailers.clone()));
    }
    Ok(Response::from_parts(head, content))
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(exchange) = &self.exchange {
            exchange.link.change(|state| {
                if let Some(http) = state.http() {
                    http.abandon();
                }
            });
        }
    }
}

#[derive(Clone)]
struct Trailers(HeaderMap);

/// What tests ask of a whole response.
pub trait ResponseExt {
    /// The content as text.
    ///
    /// # Panics
    ///
    /// When it is not UTF-8.
    fn text(&self) -> &str;

    /// The content read as JSON.
    ///
    /// # Errors
    ///
    /// [`Error::Content`], with what is wrong and with the content.
    #[cfg(feature = "json")]
    fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, Error>;

    /// The trailer fields; none when there are none.
    fn trailers(&self) -> Option<&HeaderMap>;

    /// The redirects that were [followed](TestClient::follow_redirects) to this response, the first
    /// one first.
    fn history(&self) -> &[Response<Bytes>];
}

impl ResponseExt for Response<Bytes> {
    fn text(&self) -> &str {
        std::str::from_utf8(self.body()).expect("content that is text")
    }

    #[cfg(feature = "json")]
    fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(self.body()).map_err(|error| {
            let content = self.body().escape_ascii();
            Error::Content(format!(
                "the response is not as expected: {error}: {content}"
            ))
        })
    }

    fn trailers(&self) -> Option<&HeaderMap> {
        self.extensions()
            .get::<Trailers>()
            .map(|Trailers(fields)| fields)
    }

    fn history(&self) -> &[Response<Bytes>] {
        let history = self.extensions().get::<History>();
        history.map_or(&[], |History(responses)| responses)
    }
}
