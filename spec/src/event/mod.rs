mod http;
mod lifespan;
mod websocket;

use bytestring::ByteString;

pub use self::http::{
    HttpRequestBody, HttpResponseBody, HttpResponseDebug, HttpResponseEarlyHint,
    HttpResponsePathSend, HttpResponseStart, HttpResponseTrailers,
};
pub use self::lifespan::{
    LifespanShutdownComplete, LifespanShutdownFailed, LifespanStartupComplete,
    LifespanStartupFailed,
};
pub use self::websocket::{Message, WebSocketAccept, WebSocketClose, WebSocketDisconnect};

/// An event for the application.
///
/// An application ignores events that it does not know, because later versions may add events (rule
/// `CORE-18`).
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(tag = "type"))]
#[non_exhaustive]
pub enum ReceiveEvent {
    /// `http.request`: a part of the request's content, or the complete content.
    #[cfg_attr(feature = "serde", serde(rename = "http.request"))]
    HttpRequestBody(HttpRequestBody),
    /// `http.disconnect`: the client is gone, the response is complete, or the application has
    /// broken a rule.
    #[cfg_attr(feature = "serde", serde(rename = "http.disconnect"))]
    HttpDisconnect,
    /// `http.shutdown`: the server is shutting down. The application ends its response; sends
    /// continue to work. A feature.
    #[cfg_attr(feature = "serde", serde(rename = "http.shutdown"))]
    HttpShutdown,
    /// `websocket.connect`: a client requests a WebSocket.
    #[cfg_attr(feature = "serde", serde(rename = "websocket.connect"))]
    WebSocketConnect,
    /// `websocket.receive`: a message from the client.
    #[cfg_attr(feature = "serde", serde(rename = "websocket.receive"))]
    WebSocketReceive(Message),
    /// `websocket.disconnect`: the WebSocket has ended.
    #[cfg_attr(feature = "serde", serde(rename = "websocket.disconnect"))]
    WebSocketDisconnect(WebSocketDisconnect),
    /// `lifespan.startup`: the server is about to accept connections.
    #[cfg_attr(feature = "serde", serde(rename = "lifespan.startup"))]
    LifespanStartup,
    /// `lifespan.shutdown`: the last exchange has ended.
    #[cfg_attr(feature = "serde", serde(rename = "lifespan.shutdown"))]
    LifespanShutdown,
    /// An event that this version of the protocol does not define, with its name. Servers of a
    /// later version yield such events. Tests also yield such events, to check that an application
    /// ignores them (rule `CORE-18`). Unknown events have no serialised form.
    #[cfg_attr(feature = "serde", serde(skip))]
    Unknown(ByteString),
}

impl ReceiveEvent {
    /// Returns the name of this event in the documents, such as `http.request`. Events that ASGI
    /// defines have ASGI's name.
    #[must_use]
    pub fn type_name(&self) -> &str {
        match self {
            Self::HttpRequestBody(_) => "http.request",
            Self::HttpDisconnect => "http.disconnect",
            Self::HttpShutdown => "http.shutdown",
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
    /// `http.response.body`: a part of the response's content, or the complete content.
    #[cfg_attr(feature = "serde", serde(rename = "http.response.body"))]
    HttpResponseBody(HttpResponseBody),
    /// `http.response.trailers`: trailer fields after the content. A feature.
    #[cfg_attr(feature = "serde", serde(rename = "http.response.trailers"))]
    HttpResponseTrailers(HttpResponseTrailers),
    /// `http.response.pathsend`: the file that is the content. A feature.
    #[cfg_attr(feature = "serde", serde(rename = "http.response.pathsend"))]
    HttpResponsePathSend(HttpResponsePathSend),
    /// `http.response.early_hint`: links to resources that the client can fetch before the
    /// response. A feature.
    #[cfg_attr(feature = "serde", serde(rename = "http.response.early_hint"))]
    HttpResponseEarlyHint(HttpResponseEarlyHint),
    /// `http.response.debug`: information for a test client. A feature.
    #[cfg_attr(feature = "serde", serde(rename = "http.response.debug"))]
    HttpResponseDebug(HttpResponseDebug),
    /// `websocket.accept`: opens the WebSocket.
    #[cfg_attr(feature = "serde", serde(rename = "websocket.accept"))]
    WebSocketAccept(WebSocketAccept),
    /// `websocket.send`: a message to the client.
    #[cfg_attr(feature = "serde", serde(rename = "websocket.send"))]
    WebSocketSend(Message),
    /// `websocket.close`: closes or refuses the WebSocket.
    #[cfg_attr(feature = "serde", serde(rename = "websocket.close"))]
    WebSocketClose(WebSocketClose),
    /// `websocket.http.response.start`: the head of a response that denies the WebSocket. A
    /// feature.
    #[cfg_attr(feature = "serde", serde(rename = "websocket.http.response.start"))]
    DenialResponseStart(HttpResponseStart),
    /// `websocket.http.response.body`: a part of the content of a denial response. A feature.
    #[cfg_attr(feature = "serde", serde(rename = "websocket.http.response.body"))]
    DenialResponseBody(HttpResponseBody),
    /// `lifespan.startup.complete`: the application is ready to serve.
    #[cfg_attr(feature = "serde", serde(rename = "lifespan.startup.complete"))]
    LifespanStartupComplete(LifespanStartupComplete),
    /// `lifespan.startup.failed`: the application cannot serve.
    #[cfg_attr(feature = "serde", serde(rename = "lifespan.startup.failed"))]
    LifespanStartupFailed(LifespanStartupFailed),
    /// `lifespan.shutdown.complete`: the application has released its resources.
    #[cfg_attr(feature = "serde", serde(rename = "lifespan.shutdown.complete"))]
    LifespanShutdownComplete(LifespanShutdownComplete),
    /// `lifespan.shutdown.failed`: the application could not release its resources.
    #[cfg_attr(feature = "serde", serde(rename = "lifespan.shutdown.failed"))]
    LifespanShutdownFailed(LifespanShutdownFailed),
}

impl SendEvent {
    /// Returns the name of this event in the documents, such as `http.response.start`. Events that
    /// ASGI defines have ASGI's name.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::HttpResponseStart(_) => "http.response.start",
            Self::HttpResponseBody(_) => "http.response.body",
            Self::HttpResponseTrailers(_) => "http.response.trailers",
            Self::HttpResponsePathSend(_) => "http.response.pathsend",
            Self::HttpResponseEarlyHint(_) => "http.response.early_hint",
            Self::HttpResponseDebug(_) => "http.response.debug",
            Self::WebSocketAccept(_) => "websocket.accept",
            Self::WebSocketSend(_) => "websocket.send",
            Self::WebSocketClose(_) => "websocket.close",
            Self::DenialResponseStart(_) => "websocket.http.response.start",
            Self::DenialResponseBody(_) => "websocket.http.response.body",
            Self::LifespanStartupComplete(_) => "lifespan.startup.complete",
            Self::LifespanStartupFailed(_) => "lifespan.startup.failed",
            Self::LifespanShutdownComplete(_) => "lifespan.shutdown.complete",
            Self::LifespanShutdownFailed(_) => "lifespan.shutdown.failed",
        }
    }
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
    HttpResponsePathSend => HttpResponsePathSend,
    HttpResponseEarlyHint => HttpResponseEarlyHint,
    HttpResponseDebug => HttpResponseDebug,
    WebSocketAccept => WebSocketAccept,
    Message => WebSocketSend,
    WebSocketClose => WebSocketClose,
    LifespanStartupComplete => LifespanStartupComplete,
    LifespanStartupFailed => LifespanStartupFailed,
    LifespanShutdownComplete => LifespanShutdownComplete,
    LifespanShutdownFailed => LifespanShutdownFailed,
}
