use std::collections::BTreeMap;
use std::path::PathBuf;

use bytes::Bytes;
use bytestring::ByteString;
use http::StatusCode;
use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::State;

/// An event for the application.
///
/// Applications ignore events that they do not know (rule `CORE-18`): more may come.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(tag = "type"))]
#[non_exhaustive]
pub enum ReceiveEvent {
    /// `http.request`: a part of the request's content, or all of it.
    #[cfg_attr(feature = "serde", serde(rename = "http.request"))]
    HttpRequest(HttpRequest),
    /// `http.disconnect`: the client is gone, the response is complete, or a rule was broken.
    #[cfg_attr(feature = "serde", serde(rename = "http.disconnect"))]
    HttpDisconnect,
    /// `websocket.connect`: a client wants to open a WebSocket.
    #[cfg_attr(feature = "serde", serde(rename = "websocket.connect"))]
    WebSocketConnect,
    /// `websocket.receive`: a message from the client.
    #[cfg_attr(feature = "serde", serde(rename = "websocket.receive"))]
    WebSocketReceive(Message),
    /// `websocket.disconnect`: the WebSocket is over.
    #[cfg_attr(feature = "serde", serde(rename = "websocket.disconnect"))]
    WebSocketDisconnect(WebSocketDisconnect),
    /// `lifespan.startup`: the server is about to accept connections.
    #[cfg_attr(feature = "serde", serde(rename = "lifespan.startup"))]
    LifespanStartup,
    /// `lifespan.shutdown`: the last exchange has ended.
    #[cfg_attr(feature = "serde", serde(rename = "lifespan.shutdown"))]
    LifespanShutdown,
    /// An event that this version of the protocol does not know, by its name. Servers of a later
    /// version make it, and checks that an application ignores it (rule `CORE-18`). It has no
    /// serialised form.
    #[cfg_attr(feature = "serde", serde(skip))]
    Unknown(ByteString),
}

impl ReceiveEvent {
    /// The type of this event in the documents, which is ASGI's: `http.request`, for example.
    #[must_use]
    pub fn type_name(&self) -> &str {
        match self {
            Self::HttpRequest(_) => "http.request",
            Self::HttpDisconnect => "http.disconnect",
            Self::WebSocketConnect => "websocket.connect",
            Self::WebSocketReceive(_) => "websocket.receive",
            Self::WebSocketDisconnect(_) => "websocket.disconnect",
            Self::LifespanStartup => "lifespan.startup",
            Self::LifespanShutdown => "lifespan.shutdown",
            Self::Unknown(name) => name,
        }
    }
}

/// An event from the application.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(tag = "type"))]
#[non_exhaustive]
pub enum SendEvent {
    /// `http.response.start`: status and headers.
    #[cfg_attr(feature = "serde", serde(rename = "http.response.start"))]
    HttpResponseStart(HttpResponseStart),
    /// `http.response.body`: a part of the response's content, or all of it.
    #[cfg_attr(feature = "serde", serde(rename = "http.response.body"))]
    HttpResponseBody(HttpResponseBody),
    /// `http.response.trailers`: header fields after the content. An extension.
    #[cfg_attr(feature = "serde", serde(rename = "http.response.trailers"))]
    HttpResponseTrailers(HttpResponseTrailers),
    /// `http.response.pathsend`: the content is this file's. An extension.
    #[cfg_attr(feature = "serde", serde(rename = "http.response.pathsend"))]
    HttpPathSend(HttpPathSend),
    /// `http.response.early_hint`: links to fetch early. An extension.
    #[cfg_attr(feature = "serde", serde(rename = "http.response.early_hint"))]
    EarlyHints(EarlyHints),
    /// `http.response.debug`: facts for a test client. An extension.
    #[cfg_attr(feature = "serde", serde(rename = "http.response.debug"))]
    HttpDebug(HttpDebug),
    /// `websocket.accept`: open the WebSocket.
    #[cfg_attr(feature = "serde", serde(rename = "websocket.accept"))]
    WebSocketAccept(WebSocketAccept),
    /// `websocket.send`: a message to the client.
    #[cfg_attr(feature = "serde", serde(rename = "websocket.send"))]
    WebSocketSend(Message),
    /// `websocket.close`: close the WebSocket, or refuse it.
    #[cfg_attr(feature = "serde", serde(rename = "websocket.close"))]
    WebSocketClose(WebSocketClose),
    /// `websocket.http.response.start`: deny the WebSocket with this response. An extension.
    #[cfg_attr(feature = "serde", serde(rename = "websocket.http.response.start"))]
    DenialResponseStart(HttpResponseStart),
    /// `websocket.http.response.body`: the content of that response. An extension.
    #[cfg_attr(feature = "serde", serde(rename = "websocket.http.response.body"))]
    DenialResponseBody(HttpResponseBody),
    /// `lifespan.startup.complete`: ready to serve.
    #[cfg_attr(feature = "serde", serde(rename = "lifespan.startup.complete"))]
    LifespanStartupComplete(LifespanStartupComplete),
    /// `lifespan.startup.failed`: not able to serve.
    #[cfg_attr(feature = "serde", serde(rename = "lifespan.startup.failed"))]
    LifespanStartupFailed(LifespanStartupFailed),
    /// `lifespan.shutdown.complete`: all is put away.
    #[cfg_attr(feature = "serde", serde(rename = "lifespan.shutdown.complete"))]
    LifespanShutdownComplete,
    /// `lifespan.shutdown.failed`: something could not be put away.
    #[cfg_attr(feature = "serde", serde(rename = "lifespan.shutdown.failed"))]
    LifespanShutdownFailed(LifespanShutdownFailed),
}

impl SendEvent {
    /// The type of this event in the documents, which is ASGI's: `http.response.start`, for example.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::HttpResponseStart(_) => "http.response.start",
            Self::HttpResponseBody(_) => "http.response.body",
            Self::HttpResponseTrailers(_) => "http.response.trailers",
            Self::HttpPathSend(_) => "http.response.pathsend",
            Self::EarlyHints(_) => "http.response.early_hint",
            Self::HttpDebug(_) => "http.response.debug",
            Self::WebSocketAccept(_) => "websocket.accept",
            Self::WebSocketSend(_) => "websocket.send",
            Self::WebSocketClose(_) => "websocket.close",
            Self::DenialResponseStart(_) => "websocket.http.response.start",
            Self::DenialResponseBody(_) => "websocket.http.response.body",
            Self::LifespanStartupComplete(_) => "lifespan.startup.complete",
            Self::LifespanStartupFailed(_) => "lifespan.startup.failed",
            Self::LifespanShutdownComplete => "lifespan.shutdown.complete",
            Self::LifespanShutdownFailed(_) => "lifespan.shutdown.failed",
        }
    }
}

/// A part of a request's content: `http.request`.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct HttpRequest {
    /// The next bytes of the content; may be empty.
    #[cfg_attr(feature = "serde", serde(with = "crate::serial::bytes"))]
    pub body: Bytes,
    /// Whether more events follow. The content is whole when this is unset.
    pub more_body: bool,
    /// The trailer fields, on the last event, when the client sent some.
    #[cfg_attr(
        feature = "serde",
        serde(
            with = "crate::serial::trailers",
            skip_serializing_if = "Option::is_none"
        )
    )]
    pub trailers: Option<Box<HeaderMap>>,
}

impl HttpRequest {
    /// A part of the content; `more_body` says whether others follow.
    pub fn new(body: impl Into<Bytes>, more_body: bool) -> Self {
        Self {
            body: body.into(),
            more_body,
            trailers: None,
        }
    }

    /// A part that others follow.
    pub fn part(body: impl Into<Bytes>) -> Self {
        Self {
            body: body.into(),
            more_body: true,
            trailers: None,
        }
    }

    /// The last part, or the whole content.
    pub fn last(body: impl Into<Bytes>) -> Self {
        Self {
            body: body.into(),
            more_body: false,
            trailers: None,
        }
    }

    /// With trailer fields, on the last part.
    #[must_use]
    pub fn trailers(mut self, fields: HeaderMap) -> Self {
        self.trailers = Some(Box::new(fields));
        self
    }
}

/// The head of a response: `http.response.start`.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct HttpResponseStart {
    /// A final status, 200 to 599 (rule `HTTP-17`).
    #[cfg_attr(feature = "serde", serde(with = "crate::serial::status"))]
    pub status: StatusCode,
    /// The header fields.
    #[cfg_attr(feature = "serde", serde(default, with = "crate::serial::headers"))]
    pub headers: HeaderMap,
    /// Whether trailer fields follow the content: an extension (rule `EXT-03`).
    #[cfg_attr(feature = "serde", serde(default))]
    pub trailers: bool,
}

impl HttpResponseStart {
    /// A head with this status and no headers.
    #[must_use]
    pub fn new(status: StatusCode) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    /// A head with status 200 and no headers.
    #[must_use]
    pub fn ok() -> Self {
        Self::default()
    }

    /// Adds a header field; a field of the same name stays.
    ///
    /// # Panics
    ///
    /// When the name or the value cannot be a header field: for texts known to the program. Use
    /// [`headers`](Self::headers) for values that come from elsewhere.
    #[must_use]
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName>,
        N::Error: std::fmt::Debug,
        V: TryInto<HeaderValue>,
        V::Error: std::fmt::Debug,
    {
        append_header(&mut self.headers, name, value);
        self
    }

    /// Announces trailer fields after the content.
    #[must_use]
    pub fn with_trailers(mut self) -> Self {
        self.trailers = true;
        self
    }
}

/// A part of a response's content: `http.response.body`.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct HttpResponseBody {
    /// The next bytes of the content; may be empty.
    #[cfg_attr(feature = "serde", serde(with = "crate::serial::bytes"))]
    pub body: Bytes,
    /// Whether more events follow. The content is whole when this is unset.
    pub more_body: bool,
}

impl HttpResponseBody {
    /// A part of the content; `more_body` says whether others follow.
    pub fn new(body: impl Into<Bytes>, more_body: bool) -> Self {
        Self {
            body: body.into(),
            more_body,
        }
    }

    /// A part that others follow. An empty one sends the head alone, if it has not been sent.
    pub fn part(body: impl Into<Bytes>) -> Self {
        Self {
            body: body.into(),
            more_body: true,
        }
    }

    /// The last part, or the whole content.
    pub fn last(body: impl Into<Bytes>) -> Self {
        Self {
            body: body.into(),
            more_body: false,
        }
    }

    /// The end of a content that has been sent in parts.
    #[must_use]
    pub fn end() -> Self {
        Self::default()
    }
}

/// Header fields after the content: `http.response.trailers`. An extension.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct HttpResponseTrailers {
    /// The trailer fields.
    #[cfg_attr(feature = "serde", serde(with = "crate::serial::headers"))]
    pub headers: HeaderMap,
    /// Whether another such event follows.
    pub more_trailers: bool,
}

impl HttpResponseTrailers {
    /// Trailer fields that others follow.
    #[must_use]
    pub fn part(headers: HeaderMap) -> Self {
        Self {
            headers,
            more_trailers: true,
        }
    }

    /// The last trailer fields, or all of them.
    #[must_use]
    pub fn last(headers: HeaderMap) -> Self {
        Self {
            headers,
            more_trailers: false,
        }
    }
}

/// A file as the content: `http.response.pathsend`. An extension.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct HttpPathSend {
    /// An absolute path (rule `EXT-07`).
    pub path: PathBuf,
}

impl HttpPathSend {
    /// The file at this path.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

/// Links to fetch early: `http.response.early_hint`. An extension.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct EarlyHints {
    /// Values of `link` fields (RFC 8297).
    #[cfg_attr(feature = "serde", serde(with = "crate::serial::values"))]
    pub links: Vec<HeaderValue>,
}

impl EarlyHints {
    /// With these values of `link`.
    pub fn new(links: impl IntoIterator<Item = HeaderValue>) -> Self {
        Self {
            links: links.into_iter().collect(),
        }
    }
}

/// Facts for a test client: `http.response.debug`. An extension.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct HttpDebug {
    /// The facts by name, such as the template that was rendered.
    pub info: BTreeMap<String, String>,
}

impl HttpDebug {
    /// These facts.
    #[must_use]
    pub fn new(info: BTreeMap<String, String>) -> Self {
        Self { info }
    }
}

/// A WebSocket message, whole: what `websocket.receive` and `websocket.send` carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A text message.
    Text(ByteString),
    /// A binary message.
    Binary(Bytes),
}

impl Message {
    /// A text message.
    pub fn text(text: impl Into<ByteString>) -> Self {
        Self::Text(text.into())
    }

    /// A binary message.
    pub fn binary(bytes: impl Into<Bytes>) -> Self {
        Self::Binary(bytes.into())
    }

    /// The length of the payload in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// Whether the payload is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Open the WebSocket: `websocket.accept`.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct WebSocketAccept {
    /// One of those that the client offers, or none (rule `WS-06`).
    pub subprotocol: Option<ByteString>,
    /// Further header fields of the handshake's answer.
    #[cfg_attr(feature = "serde", serde(with = "crate::serial::headers"))]
    pub headers: HeaderMap,
}

impl WebSocketAccept {
    /// No subprotocol and no further headers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With this subprotocol, which the client must have offered.
    #[must_use]
    pub fn subprotocol(mut self, subprotocol: impl Into<ByteString>) -> Self {
        self.subprotocol = Some(subprotocol.into());
        self
    }

    /// Adds a header field, as [`HttpResponseStart::header`].
    ///
    /// # Panics
    ///
    /// When the name or the value cannot be a header field.
    #[must_use]
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName>,
        N::Error: std::fmt::Debug,
        V: TryInto<HeaderValue>,
        V::Error: std::fmt::Debug,
    {
        append_header(&mut self.headers, name, value);
        self
    }
}

/// Close the WebSocket, or refuse it before it is accepted: `websocket.close`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct WebSocketClose {
    /// A close code that may be sent (rule `WS-11`). Default 1000.
    pub code: u16,
    /// Why, for the client: at most 123 bytes. Default empty.
    pub reason: ByteString,
}

impl Default for WebSocketClose {
    fn default() -> Self {
        Self::new(1000)
    }
}

impl WebSocketClose {
    /// With this code and no reason.
    #[must_use]
    pub fn new(code: u16) -> Self {
        Self {
            code,
            reason: ByteString::new(),
        }
    }

    /// With this reason.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<ByteString>) -> Self {
        self.reason = reason.into();
        self
    }
}

/// The WebSocket is over: `websocket.disconnect`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct WebSocketDisconnect {
    /// The close code; 1005 when the client gave none, 1006 when it just went away.
    pub code: u16,
    /// Why, if it was said.
    pub reason: ByteString,
}

impl Default for WebSocketDisconnect {
    fn default() -> Self {
        Self::new(1005)
    }
}

impl WebSocketDisconnect {
    /// With this code and no reason.
    #[must_use]
    pub fn new(code: u16) -> Self {
        Self {
            code,
            reason: ByteString::new(),
        }
    }

    /// With this reason.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<ByteString>) -> Self {
        self.reason = reason.into();
        self
    }
}

/// Ready to serve: `lifespan.startup.complete`.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct LifespanStartupComplete {
    /// What every later scope shares. It has no serialised form.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub state: State,
}

impl LifespanStartupComplete {
    /// Ready, with nothing to share.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ready, sharing `state`.
    #[must_use]
    pub fn with_state(state: State) -> Self {
        Self { state }
    }
}

/// Not able to serve: `lifespan.startup.failed`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct LifespanStartupFailed {
    /// Why, for the person who started the server.
    pub message: String,
}

impl LifespanStartupFailed {
    /// For this reason.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
        }
    }
}

/// Something could not be put away: `lifespan.shutdown.failed`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct LifespanShutdownFailed {
    /// Why, for the person who stopped the server.
    pub message: String,
}

impl LifespanShutdownFailed {
    /// For this reason.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
        }
    }
}

fn append_header<N, V>(headers: &mut HeaderMap, name: N, value: V)
where
    N: TryInto<HeaderName>,
    N::Error: std::fmt::Debug,
    V: TryInto<HeaderValue>,
    V::Error: std::fmt::Debug,
{
    headers.append(
        name.try_into().expect("a valid header name"),
        value.try_into().expect("a valid header value"),
    );
}

macro_rules! into_send_event {
    ($($event:ident => $variant:ident),+ $(,)?) => {
        $(impl From<$event> for SendEvent {
            fn from(event: $event) -> Self {
                Self::$variant(event)
            }
        })+
    };
}

into_send_event! {
    HttpResponseStart => HttpResponseStart,
    HttpResponseBody => HttpResponseBody,
    HttpResponseTrailers => HttpResponseTrailers,
    HttpPathSend => HttpPathSend,
    EarlyHints => EarlyHints,
    HttpDebug => HttpDebug,
    WebSocketAccept => WebSocketAccept,
    Message => WebSocketSend,
    WebSocketClose => WebSocketClose,
    LifespanStartupComplete => LifespanStartupComplete,
    LifespanStartupFailed => LifespanStartupFailed,
    LifespanShutdownFailed => LifespanShutdownFailed,
}
