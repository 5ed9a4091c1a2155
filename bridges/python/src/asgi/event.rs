//! Events: from ASGI, and to it.

use bytes::Bytes;
use bytestring::ByteString;
use callgate::rule;
use callgate::{
    HttpResponseBody, HttpResponseEarlyHint, HttpResponsePathSend, HttpResponseStart,
    HttpResponseTrailers, LifespanShutdownComplete, LifespanShutdownFailed,
    LifespanStartupComplete, LifespanStartupFailed, Message, ReceiveEvent, SendEvent,
    WebSocketAccept, WebSocketClose, WebSocketDisconnect,
};
use http::header::{CONTENT_LENGTH, SEC_WEBSOCKET_PROTOCOL};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyDict, PyList, PyMemoryView, PyNone, PyString, PyTuple};

use super::call::Kind;
use crate::tolerance::Broken;

/// The most octets of the reason of a close (RFC 6455, 5.5).
const MAX_REASON: usize = 123;

/// Content of this length and more is not copied.
const SHARED_FROM: usize = 8 << 10;

/// Returns an event as the application receives it.
pub(super) fn to_python(py: Python<'_>, event: &ReceiveEvent) -> PyResult<Py<PyAny>> {
    let dict = PyDict::new(py);
    let set_type = |name: &Bound<'_, PyString>| dict.set_item(intern!(py, "type"), name);
    match event {
        ReceiveEvent::HttpRequestBody(body) => {
            set_type(intern!(py, "http.request"))?;
            dict.set_item(intern!(py, "body"), PyBytes::new(py, &body.body))?;
            dict.set_item(intern!(py, "more_body"), body.more_body)?;
        }
        ReceiveEvent::HttpDisconnect => set_type(intern!(py, "http.disconnect"))?,
        ReceiveEvent::WebSocketConnect => set_type(intern!(py, "websocket.connect"))?,
        ReceiveEvent::WebSocketReceive(message) => {
            set_type(intern!(py, "websocket.receive"))?;
            match message {
                Message::Text(text) => dict.set_item(intern!(py, "text"), &**text)?,
                Message::Binary(bytes) => {
                    dict.set_item(intern!(py, "bytes"), PyBytes::new(py, bytes))?;
                }
            }
        }
        ReceiveEvent::WebSocketDisconnect(WebSocketDisconnect { code, reason, .. }) => {
            set_type(intern!(py, "websocket.disconnect"))?;
            dict.set_item(intern!(py, "code"), code)?;
            dict.set_item(intern!(py, "reason"), &**reason)?;
        }
        ReceiveEvent::LifespanStartup => set_type(intern!(py, "lifespan.startup"))?,
        ReceiveEvent::LifespanShutdown => set_type(intern!(py, "lifespan.shutdown"))?,
        other => set_type(&PyString::new(py, other.type_name()))?,
    }
    Ok(dict.into_any().unbind())
}

/// Returns what an application receives whose call is over.
pub(super) fn disconnect(py: Python<'_>, kind: Kind) -> PyResult<Py<PyAny>> {
    let event = match kind {
        Kind::Http | Kind::Unknown => ReceiveEvent::HttpDisconnect,
        Kind::WebSocket => ReceiveEvent::WebSocketDisconnect(WebSocketDisconnect::new(1006)),
        Kind::Lifespan => ReceiveEvent::LifespanShutdown,
    };
    to_python(py, &event)
}

/// An event that the application sends, and its keys.
struct Keys<'a, 'py> {
    name: &'a str,
    event: &'a Bound<'py, PyDict>,
    broken: &'a mut Broken,
}

impl<'py> Keys<'_, 'py> {
    fn get(&self, key: &Bound<'py, PyString>) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(self.event.get_item(key)?.filter(|value| !value.is_none()))
    }

    fn invalid(&self, key: &str, expected: &str, value: &Bound<'_, PyAny>) -> PyErr {
        let found = value.get_type().name();
        let found = found.map_or_else(|_| "something else".into(), |name| name.to_string());
        PyTypeError::new_err(format!(
            "`{key}` of `{}` is not {expected} but {found}",
            self.name
        ))
    }

    fn flag(&self, key: &Bound<'py, PyString>) -> PyResult<bool> {
        match self.event.get_item(key)? {
            Some(value) => value.is_truthy(),
            None => Ok(false),
        }
    }

    fn octets(&self, key: &Bound<'py, PyString>) -> PyResult<Option<Bytes>> {
        self.get(key)?
            .map(|value| {
                octets(&value).ok_or_else(|| self.invalid(&key.to_string(), "bytes", &value))
            })
            .transpose()
    }

    fn text(&self, key: &Bound<'py, PyString>) -> PyResult<Option<ByteString>> {
        self.get(key)?
            .map(|value| match value.cast::<PyString>() {
                Ok(text) => Ok(ByteString::from(text.to_str()?)),
                Err(_) => Err(self.invalid(&key.to_string(), "str", &value)),
            })
            .transpose()
    }

    fn number(&self, key: &Bound<'py, PyString>) -> PyResult<Option<u16>> {
        self.get(key)?
            .map(|value| {
                value
                    .extract()
                    .map_err(|_| self.invalid(&key.to_string(), "a number from 0 to 65535", &value))
            })
            .transpose()
    }

    fn status(&self) -> PyResult<StatusCode> {
        let py = self.event.py();
        let number = self
            .number(intern!(py, "status"))?
            .ok_or_else(|| PyValueError::new_err(format!("`{}` has no `status`", self.name)))?;
        StatusCode::from_u16(number)
            .map_err(|_| PyValueError::new_err(format!("`status` of `{}` is {number}", self.name)))
    }

    /// Returns the header fields without those of the connection, which are the server's.
    fn headers(&mut self) -> PyResult<HeaderMap> {
        let py = self.event.py();
        let Some(value) = self.get(intern!(py, "headers"))? else {
            return Ok(HeaderMap::new());
        };
        let mut fields = HeaderMap::new();
        let mut add = |field: Bound<'py, PyAny>| -> PyResult<()> {
            let (name, value) = self.pair(&field)?;
            if self.broken.keeps_field(&name) {
                fields.append(name, value);
            }
            Ok(())
        };
        match value.cast::<PyList>() {
            Ok(list) => list.iter().try_for_each(&mut add)?,
            Err(_) => value.try_iter()?.try_for_each(|field| add(field?))?,
        }
        Ok(fields)
    }

    fn pair(&self, field: &Bound<'py, PyAny>) -> PyResult<(HeaderName, HeaderValue)> {
        let (name, value) = match field.cast::<PyTuple>() {
            Ok(tuple) if tuple.len() == 2 => (tuple.get_item(0)?, tuple.get_item(1)?),
            _ => {
                let mut items = field.try_iter()?;
                match (items.next(), items.next(), items.next()) {
                    (Some(name), Some(value), None) => (name?, value?),
                    _ => return Err(self.invalid("a field in headers", "a pair", field)),
                }
            }
        };
        let shown = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        let name =
            octets(&name).ok_or_else(|| self.invalid("the name of a field", "bytes", &name))?;
        let parsed = HeaderName::from_bytes(&name).map_err(|_| {
            PyValueError::new_err(format!(
                "`{}` has a field with the name {:?}",
                self.name,
                shown(&name)
            ))
        })?;
        let value =
            octets(&value).ok_or_else(|| self.invalid("the value of a field", "bytes", &value))?;
        let value = HeaderValue::from_maybe_shared(value).map_err(|_| {
            PyValueError::new_err(format!(
                "the value of `{parsed}` in `{}` is not permitted by HTTP",
                self.name
            ))
        })?;
        Ok((parsed, value))
    }

    fn links(&self) -> PyResult<Vec<HeaderValue>> {
        let py = self.event.py();
        let Some(value) = self.get(intern!(py, "links"))? else {
            return Ok(Vec::new());
        };
        let links = value.try_iter()?.map(|link| {
            let link = link?;
            let link = octets(&link).ok_or_else(|| self.invalid("a link", "bytes", &link))?;
            HeaderValue::from_maybe_shared(link)
                .map_err(|_| PyValueError::new_err("a link is not permitted by HTTP"))
        });
        links.collect()
    }

    fn start(&mut self) -> PyResult<HttpResponseStart> {
        let mut start = HttpResponseStart::new(self.status()?);
        start.headers = self.headers()?;
        start.trailers = self.flag(intern!(self.event.py(), "trailers"))?;
        Ok(start)
    }

    fn body(&self) -> PyResult<HttpResponseBody> {
        let py = self.event.py();
        let body = self.octets(intern!(py, "body"))?.unwrap_or_default();
        Ok(HttpResponseBody::new(
            body,
            self.flag(intern!(py, "more_body"))?,
        ))
    }

    fn message(&self) -> PyResult<String> {
        let text = self.text(intern!(self.event.py(), "message"))?;
        Ok(text.unwrap_or_default().to_string())
    }
}

/// Returns an event that the application sends, and takes note of what it breaks.
pub(super) fn from_python(event: &Bound<'_, PyAny>, broken: &mut Broken) -> PyResult<SendEvent> {
    let py = event.py();
    let Ok(event) = event.cast::<PyDict>() else {
        let kind = event.get_type().name()?;
        return Err(PyTypeError::new_err(format!(
            "an event is not a dict but {kind}"
        )));
    };
    let Some(kind) = event.get_item(intern!(py, "type"))? else {
        return Err(PyValueError::new_err("an event has no `type`"));
    };
    let kind = kind
        .cast::<PyString>()
        .map_err(|_| PyTypeError::new_err("the `type` of an event is not str"))?;
    let name = kind.to_str()?;
    let mut keys = Keys {
        name,
        event,
        broken,
    };
    Ok(match name {
        "http.response.start" => SendEvent::HttpResponseStart(keys.start()?),
        "http.response.body" => SendEvent::HttpResponseBody(keys.body()?),
        "http.response.trailers" => {
            let headers = keys.headers()?;
            SendEvent::HttpResponseTrailers(match keys.flag(intern!(py, "more_trailers"))? {
                true => HttpResponseTrailers::part(headers),
                false => HttpResponseTrailers::last(headers),
            })
        }
        "http.response.pathsend" => {
            let path = keys.text(intern!(py, "path"))?;
            let path = path
                .ok_or_else(|| PyValueError::new_err("`http.response.pathsend` has no `path`"))?;
            HttpResponsePathSend::new(path.to_string()).into()
        }
        "http.response.early_hint" => HttpResponseEarlyHint::new(keys.links()?).into(),
        "websocket.accept" => {
            let mut accept = WebSocketAccept::new();
            accept.subprotocol = keys.text(intern!(py, "subprotocol"))?;
            accept.headers = keys.headers()?;
            leave_handshake_out(&mut accept, keys.broken);
            accept.into()
        }
        "websocket.send" => {
            // ASGI permits both, and other servers send the octets then.
            match keys.octets(intern!(py, "bytes"))? {
                Some(bytes) => Message::binary(bytes).into(),
                None => match keys.text(intern!(py, "text"))? {
                    Some(text) => Message::text(text).into(),
                    None => {
                        return Err(PyValueError::new_err(
                            "`websocket.send` has neither `text` nor `bytes`",
                        ));
                    }
                },
            }
        }
        "websocket.close" => {
            let code = keys.number(intern!(py, "code"))?.unwrap_or(1000);
            let reason = keys.get(intern!(py, "reason"))?;
            // Frameworks give lists and long texts as well, and the reason is only text for people.
            let reason = reason.map(|reason| {
                let text = reason.str()?;
                let text = text.to_str()?;
                if text.len() > MAX_REASON {
                    let what = format!("the reason of a close is cut to {MAX_REASON} octets");
                    keys.broken.note(rule::CLOSE_REASON_LENGTH, what);
                }
                let mut ends = (0..=MAX_REASON.min(text.len())).rev();
                let end = ends.find(|end| text.is_char_boundary(*end));
                PyResult::Ok(text[..end.unwrap_or_default()].into())
            });
            let reason: ByteString = reason.transpose()?.unwrap_or_default();
            WebSocketClose::new(code).reason(reason).into()
        }
        "websocket.http.response.start" => SendEvent::DenialResponseStart(keys.start()?),
        "websocket.http.response.body" => SendEvent::DenialResponseBody(keys.body()?),
        "lifespan.startup.complete" => LifespanStartupComplete::new().into(),
        "lifespan.startup.failed" => LifespanStartupFailed::new(keys.message()?).into(),
        "lifespan.shutdown.complete" => LifespanShutdownComplete::new().into(),
        "lifespan.shutdown.failed" => LifespanShutdownFailed::new(keys.message()?).into(),
        _ => {
            let reason = format!("`{name}` is not an event of ASGI that an application sends here");
            return Err(PyRuntimeError::new_err(reason));
        }
    })
}

/// Leaves the fields out of an acceptance that are the server's. A subprotocol may be among them.
fn leave_handshake_out(accept: &mut WebSocketAccept, broken: &mut Broken) {
    let names = accept
        .headers
        .keys()
        .filter(|name| name.as_str().starts_with("sec-websocket-") || **name == CONTENT_LENGTH);
    let names: Vec<_> = names.cloned().collect();
    for name in names {
        let value = accept.headers.remove(&name);
        if name == SEC_WEBSOCKET_PROTOCOL && accept.subprotocol.is_none() {
            accept.subprotocol = value.and_then(|value| Some(value.to_str().ok()?.into()));
        }
        let what = format!("the field `{name}` is left out of the acceptance of a WebSocket");
        broken.note(rule::NO_HANDSHAKE_HEADERS, what);
    }
}

/// Returns octets of any kind; `None` if it is something else.
pub(crate) fn octets(value: &Bound<'_, PyAny>) -> Option<Bytes> {
    if let Ok(bytes) = value.cast::<PyBytes>() {
        let octets = bytes.as_bytes();
        return Some(match octets.len() {
            SHARED_FROM.. => Bytes::from_owner(PyBackedBytes::from(bytes.clone())),
            _ => Bytes::copy_from_slice(octets),
        });
    }
    if value.is_instance_of::<PyString>() || value.is_instance_of::<PyNone>() {
        return None;
    }
    // A bytearray, or any other view of octets.
    let view = PyMemoryView::from(value).ok()?;
    let copy = view.call_method0("tobytes").ok()?;
    copy.cast::<PyBytes>()
        .ok()
        .map(|bytes| Bytes::copy_from_slice(bytes.as_bytes()))
}
