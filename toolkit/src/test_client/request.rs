//! Requests, and responses that are to come.

use std::fmt;

use bytes::Bytes;
use callgate::{HttpScope, header_methods};
use callgate_drive::ResponseBody;
use http::{Request, Response, Version};
use tokio::sync::oneshot;

use super::body::Body;
use super::cookies::Origin;
use super::error::Error;
use super::exchange::TestExchange;
use super::redirect::{MAX_REDIRECTS, RepeatableRequest};
use super::response::{History, Streaming, whole};
use super::scope::{self, Edit};
use super::server::{Server, replacement};

/// A request that is not sent. Created by [`TestClient::get`](super::TestClient::get) and its siblings.
#[must_use = "a request is sent by `send`, `stream` or `start`"]
pub struct RequestBuilder<'a> {
    server: &'a Server,
    request: Request<Body>,
    edits: Vec<Edit<'a, HttpScope>>,
    is_disconnected: bool,
    follows_redirects: bool,
    /// Whether the request has the client's fields and the root path already.
    is_redirected: bool,
}

impl<'a> RequestBuilder<'a> {
    pub(super) fn new(server: &'a Server, request: Request<Body>) -> Self {
        Self {
            server,
            request,
            edits: Vec::new(),
            is_disconnected: false,
            follows_redirects: server.settings.follows_redirects,
            is_redirected: false,
        }
    }

    header_methods!(builder => builder.request.headers_mut());

    /// Sets the content. `content-length` is added when the length is known, and `transfer-encoding`
    /// over HTTP/1.1 otherwise.
    pub fn body(mut self, body: impl Into<Body>) -> Self {
        *self.request.body_mut() = body.into();
        self
    }

    /// Sets the content to a value as JSON, and adds `content-type`.
    ///
    /// # Panics
    ///
    /// When the value cannot be JSON.
    #[cfg(feature = "json")]
    pub fn json(self, value: &impl serde::Serialize) -> Self {
        let json = serde_json::to_vec(value).expect("a value that can be JSON");
        self.header("content-type", "application/json").body(json)
    }

    /// Sets the content to a value as the fields of a form, and adds `content-type`.
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

    /// Sets the version of HTTP. Default: the client's.
    pub fn version(mut self, version: Version) -> Self {
        *self.request.version_mut() = version;
        self
    }

    /// Sets whether redirects are followed. Default: the
    /// [client's](super::TestClient::follow_redirects) setting.
    pub fn follow_redirects(mut self, follows: bool) -> Self {
        self.follows_redirects = follows;
        self
    }

    /// Changes the scope, after everything else. The scopes after a redirect are not changed.
    pub fn with_scope(mut self, edit: impl FnOnce(&mut HttpScope) + Send + 'a) -> Self {
        self.edits.push(Box::new(edit));
        self
    }

    /// Disconnects the client before the application is called.
    pub fn disconnected(mut self) -> Self {
        self.is_disconnected = true;
        self
    }

    /// Sends the request and reads the whole response.
    ///
    /// Work after the response may go on: [`TestExchange::ended`] waits for it.
    ///
    /// # Errors
    ///
    /// [`Error::Violation`], [`Error::Cut`], [`Error::Disconnected`] and [`Error::TimedOut`]. Where
    /// [redirects are followed](super::TestClient::follow_redirects), [`Error::Redirect`] for a redirect
    /// after 20 others, for a `location` that is not a URL, and for a redirect that repeats streamed
    /// content.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime with its timer enabled.
    pub async fn send(self) -> Result<Response<Bytes>, Error> {
        whole(self.stream().await?).await
    }

    /// Sends the request and returns when the head of the response has come.
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
            self.follow().await
        } else {
            self.start().stream().await
        }
    }

    /// Sends the request, and those that follow redirects.
    async fn follow(mut self) -> Result<Response<Streaming>, Error> {
        let server = self.server;
        let mut history: Vec<Response<Bytes>> = Vec::new();
        loop {
            self.add_headers();
            let (copy, request) = RepeatableRequest::of(std::mem::take(&mut self.request));
            self.request = request;
            let pending = self.start();
            let url = pending.origin.url.clone();
            let mut response = pending.stream().await?;
            let is_last = history.len() == MAX_REDIRECTS;
            let next = match url {
                Some(url) => copy.redirected(&url, &response, &server.settings.root_path, is_last),
                None => Ok(None),
            };
            let Some(next) = next.transpose() else {
                response.extensions_mut().insert(History(history.into()));
                return Ok(response);
            };
            let mut response = whole(response).await?;
            match next {
                Ok(request) => self = Self::new(server, request),
                Err(reason) => {
                    response.extensions_mut().insert(History(history.into()));
                    return Err(Error::Redirect(response.into(), reason));
                }
            }
            self.is_redirected = true;
            history.push(response);
        }
    }

    /// Sends the request and returns at once. Redirects are not followed.
    ///
    /// # Panics
    ///
    /// As [`send`](Self::send).
    #[must_use]
    pub fn start(mut self) -> Pending {
        self.add_headers();
        let settings = &self.server.settings;
        let (parts, body) = self.request.into_parts();
        let version = parts.version;
        let root_path = if self.is_redirected {
            ""
        } else {
            &settings.root_path
        };
        match scope::http(settings, root_path, parts, body.length()) {
            Ok(mut scope) => {
                let url = scope::url(scope.scheme, &scope.headers, &scope.uri);
                let origin = Origin::new(settings, url);
                origin.add_cookies(&mut scope.headers);
                for edit in self.edits {
                    edit(&mut scope);
                }
                let (exchange, response) = self.server.http(scope, body, self.is_disconnected);
                Pending {
                    exchange,
                    response,
                    origin,
                }
            }
            Err(status) => {
                let (sender, response) = oneshot::channel();
                drop(sender.send(replacement(status, version)));
                Pending {
                    exchange: self.server.rejected(status),
                    response,
                    origin: Origin::default(),
                }
            }
        }
    }

    /// Adds the client's fields, unless a redirect has them already.
    fn add_headers(&mut self) {
        if !self.is_redirected {
            let headers = self.request.headers_mut();
            self.server.settings.add_headers(headers);
        }
    }
}

impl fmt::Debug for RequestBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.request.fmt(f)
    }
}

/// A request that has been sent, and whose response a test has not taken.
///
/// When this is dropped, the client disconnects.
#[derive(Debug)]
pub struct Pending {
    exchange: TestExchange,
    response: oneshot::Receiver<Response<ResponseBody>>,
    origin: Origin,
}

impl Pending {
    /// Returns the exchange, to disconnect from it for example.
    #[must_use]
    pub fn exchange(&self) -> &TestExchange {
        &self.exchange
    }

    /// Waits for the head of the response.
    ///
    /// # Errors
    ///
    /// As [`RequestBuilder::send`].
    pub async fn stream(self) -> Result<Response<Streaming>, Error> {
        let response = self.exchange.wait("a response", self.response).await?;
        let response = response.map_err(|_| Error::Disconnected)?;
        // Of a response that the application has begun, a broken rule is told with the content.
        if response.status().is_server_error() {
            self.exchange.check()?;
        }
        self.origin.keep_cookies(response.headers());
        Ok(Streaming::of(response, self.exchange))
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
