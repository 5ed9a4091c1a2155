//! An event of each type, for the tests of all types.

use bytes::Bytes;
use callgate::{
    HttpRequestBody, HttpResponseBody, HttpResponseDebug, HttpResponseEarlyHint,
    HttpResponsePathSend, HttpResponseStart, HttpResponseTrailers, LifespanShutdownComplete,
    LifespanShutdownFailed, LifespanStartupComplete, LifespanStartupFailed, Message, ReceiveEvent,
    SendEvent, WebSocketAccept, WebSocketClose, WebSocketDisconnect,
};

/// Returns an event of each type that an application receives.
pub(crate) fn receive_events() -> Vec<ReceiveEvent> {
    vec![
        ReceiveEvent::HttpRequestBody(HttpRequestBody::last("content")),
        ReceiveEvent::HttpDisconnect,
        ReceiveEvent::HttpShutdown,
        ReceiveEvent::WebSocketConnect,
        ReceiveEvent::WebSocketReceive(Message::text("hello")),
        ReceiveEvent::WebSocketDisconnect(WebSocketDisconnect::new(1001)),
        ReceiveEvent::LifespanStartup,
        ReceiveEvent::LifespanShutdown,
    ]
}

/// Returns an event of each type that an application sends.
pub(crate) fn send_events() -> Vec<SendEvent> {
    vec![
        HttpResponseStart::ok().into(),
        HttpResponseBody::last("content").into(),
        HttpResponseTrailers::default().into(),
        HttpResponsePathSend::new("/srv/logo.png").into(),
        HttpResponseEarlyHint::default().into(),
        HttpResponseDebug::default().into(),
        WebSocketAccept::new().into(),
        Message::binary(Bytes::from_static(b"\xff")).into(),
        WebSocketClose::new(1000).into(),
        SendEvent::DenialResponseStart(HttpResponseStart::ok()),
        SendEvent::DenialResponseBody(HttpResponseBody::end()),
        LifespanStartupComplete::new().into(),
        LifespanStartupFailed::new("no database").into(),
        LifespanShutdownComplete::new().into(),
        LifespanShutdownFailed::new("still busy").into(),
    ]
}
