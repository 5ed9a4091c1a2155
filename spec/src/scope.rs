use std::borrow::Cow;
use std::ops::{Deref, DerefMut};

use bytestring::ByteString;
use http::{HeaderMap, Method, Uri, request};

use crate::{AppError, RequestScope};

/// The description of an exchange, which the application receives with the call.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(tag = "type", rename_all = "lowercase"))]
#[non_exhaustive]
pub enum Scope {
    /// One HTTP request and its response.
    Http(Box<HttpScope>),
    /// One WebSocket, from the handshake to its end.
    WebSocket(Box<WebSocketScope>),
    /// The lifespan of the server: its start-up and its shutdown.
    Lifespan(LifespanScope),
    /// A kind of scope that this version of the protocol does not define, with its name. Servers of
    /// a later version create such scopes. Tests also create such scopes, to check that an
    /// application declines them (rule `CORE-02`). Unknown scopes have no serialised form.
    #[cfg_attr(feature = "serde", serde(skip))]
    Unknown(ByteString),
}

impl Scope {
    /// Returns the name of this kind of scope, as in ASGI: `http`, `websocket` or `lifespan`.
    #[must_use]
    pub fn type_name(&self) -> &str {
        match self {
            Self::Http(_) => "http",
            Self::WebSocket(_) => "websocket",
            Self::Lifespan(_) => "lifespan",
            Self::Unknown(name) => name,
        }
    }

    /// Returns the scope of an HTTP request.
    ///
    /// ```
    /// use callgate::{AppError, HttpResponseBody, HttpResponseStart, Receiver, Scope, Sender};
    ///
    /// async fn app(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
    ///     let request = scope.into_http()?;
    ///     sender.send(HttpResponseStart::ok()).await?;
    ///     Ok(sender.send(HttpResponseBody::last(request.path().into_owned())).await?)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns [`AppError::Unsupported`] for any other kind of scope. An application that returns
    /// this error declines the exchange (rule `CORE-02`).
    pub fn into_http(self) -> Result<Box<HttpScope>, AppError> {
        match self {
            Self::Http(scope) => Ok(scope),
            _ => Err(AppError::Unsupported),
        }
    }

    /// Returns the scope of a WebSocket.
    ///
    /// # Errors
    ///
    /// Returns [`AppError::Unsupported`] for any other kind of scope, like
    /// [`into_http`](Self::into_http).
    pub fn into_websocket(self) -> Result<Box<WebSocketScope>, AppError> {
        match self {
            Self::WebSocket(scope) => Ok(scope),
            _ => Err(AppError::Unsupported),
        }
    }

    /// Returns the scope of the server's lifespan.
    ///
    /// # Errors
    ///
    /// Returns [`AppError::Unsupported`] for any other kind of scope, like
    /// [`into_http`](Self::into_http).
    pub fn into_lifespan(self) -> Result<LifespanScope, AppError> {
        match self {
            Self::Lifespan(scope) => Ok(scope),
            _ => Err(AppError::Unsupported),
        }
    }

    /// Returns the common part of HTTP requests and WebSockets; `None` for lifespan and for unknown
    /// scopes.
    #[must_use]
    pub fn request(&self) -> Option<&RequestScope> {
        match self {
            Self::Http(scope) => Some(&scope.request),
            Self::WebSocket(scope) => Some(&scope.request),
            Self::Lifespan(_) | Self::Unknown(_) => None,
        }
    }

    /// Returns the common part of HTTP requests and WebSockets as a mutable reference, for a
    /// middleware that changes the scope; `None` for lifespan and for unknown scopes.
    pub fn request_mut(&mut self) -> Option<&mut RequestScope> {
        match self {
            Self::Http(scope) => Some(&mut scope.request),
            Self::WebSocket(scope) => Some(&mut scope.request),
            Self::Lifespan(_) | Self::Unknown(_) => None,
        }
    }

    /// Returns the target of the request; `None` for lifespan.
    #[must_use]
    pub fn uri(&self) -> Option<&Uri> {
        self.request().map(|request| &request.uri)
    }

    /// Returns the header fields of the request; `None` for lifespan.
    #[must_use]
    pub fn headers(&self) -> Option<&HeaderMap> {
        self.request().map(|request| &request.headers)
    }

    /// Returns the path at which the application is mounted; `None` for lifespan.
    #[must_use]
    pub fn root_path(&self) -> Option<&ByteString> {
        self.request().map(|request| &request.root_path)
    }

    /// Returns the decoded path below [`root_path`](Self::root_path); `None` for lifespan.
    #[must_use]
    pub fn route_path(&self) -> Option<Cow<'_, str>> {
        self.request().map(RequestScope::route_path)
    }

    /// Sets the root path for the application that is called next. `root_path` is the complete
    /// decoded path: the previous root path followed by the prefix (rule `SCOPE-16`). A lifespan
    /// scope has no root path and does not change.
    pub fn set_root_path(&mut self, root_path: impl Into<ByteString>) {
        if let Some(request) = self.request_mut() {
            request.root_path = root_path.into();
        }
    }
}

/// The scope of one HTTP request.
///
/// Servers and test clients create a scope with [`HttpScope::new`] or [`HttpScope::from_parts`],
/// and set any field afterwards. The field [`request`](Self::request) holds the common part of HTTP
/// requests and WebSockets. The scope dereferences to this part: `scope.headers`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct HttpScope {
    /// The method, exactly as received.
    pub method: Method,
    /// The target, the header fields and the other fields that HTTP requests and WebSockets share.
    pub request: RequestScope,
}

impl HttpScope {
    /// Creates a scope with this method and target. The version is HTTP/1.1, and all other fields
    /// are empty.
    #[must_use]
    pub fn new(method: Method, uri: Uri) -> Self {
        Self {
            method,
            request: RequestScope::new(uri),
        }
    }

    /// Creates the scope of a request from the head of the request. The method, the target, the
    /// version, the header fields and the `http::Extensions` are moved. All other fields are empty.
    ///
    /// The target must be in origin form, which this function does not check.
    ///
    /// ```
    /// use callgate::HttpScope;
    ///
    /// let request = http::Request::put("/orders/7?draft").body(()).unwrap();
    /// let scope = HttpScope::from_parts(request.into_parts().0);
    /// assert_eq!((scope.path().as_ref(), scope.query()), ("/orders/7", "draft"));
    /// ```
    #[must_use]
    #[inline]
    pub fn from_parts(head: request::Parts) -> Self {
        Self {
            method: head.method,
            request: RequestScope {
                uri: head.uri,
                version: head.version,
                headers: head.headers,
                extensions: head.extensions,
                ..RequestScope::default()
            },
        }
    }
}

impl Deref for HttpScope {
    type Target = RequestScope;

    fn deref(&self) -> &RequestScope {
        &self.request
    }
}

impl DerefMut for HttpScope {
    fn deref_mut(&mut self) -> &mut RequestScope {
        &mut self.request
    }
}

/// The scope of one WebSocket.
///
/// Servers and test clients create a scope with [`WebSocketScope::new`], and set any field
/// afterwards. The field [`request`](Self::request) holds the common part of HTTP requests and
/// WebSockets. The scope dereferences to this part: `scope.headers`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct WebSocketScope {
    /// The subprotocols that the client offers, in the client's order of preference.
    pub subprotocols: Vec<ByteString>,
    /// The target, the header fields and the other fields that HTTP requests and WebSockets share.
    pub request: RequestScope,
}

impl WebSocketScope {
    /// Creates a scope with this target. The version is HTTP/1.1, and all other fields are empty.
    #[must_use]
    pub fn new(uri: Uri) -> Self {
        Self {
            subprotocols: Vec::new(),
            request: RequestScope::new(uri),
        }
    }
}

impl Deref for WebSocketScope {
    type Target = RequestScope;

    fn deref(&self) -> &RequestScope {
        &self.request
    }
}

impl DerefMut for WebSocketScope {
    fn deref_mut(&mut self) -> &mut RequestScope {
        &mut self.request
    }
}

/// The scope of the server's lifespan, which has no fields. The application returns the state of
/// its start-up with [`LifespanStartupComplete`](crate::LifespanStartupComplete).
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct LifespanScope {}

impl LifespanScope {
    /// Creates the scope of a server's lifespan.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl From<HttpScope> for Scope {
    fn from(scope: HttpScope) -> Self {
        Self::Http(Box::new(scope))
    }
}

impl From<Box<HttpScope>> for Scope {
    fn from(scope: Box<HttpScope>) -> Self {
        Self::Http(scope)
    }
}

impl From<WebSocketScope> for Scope {
    fn from(scope: WebSocketScope) -> Self {
        Self::WebSocket(Box::new(scope))
    }
}

impl From<Box<WebSocketScope>> for Scope {
    fn from(scope: Box<WebSocketScope>) -> Self {
        Self::WebSocket(scope)
    }
}

impl From<LifespanScope> for Scope {
    fn from(scope: LifespanScope) -> Self {
        Self::Lifespan(scope)
    }
}
