//! `start_response` and `write`, and the response that they make.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use callgate::message::forbids_content;
use callgate::{
    Feature, HttpResponseBody, HttpResponsePathSend, HttpResponseStart, HttpScope, SendError,
    SendEvent,
};
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use pyo3::exceptions::{PyAssertionError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString, PyTuple};

use super::exchange::Exchange;
use super::file::FileWrapper;
use crate::asgi::{ClientDisconnected, octets};
use crate::tolerance::Broken;

/// The response of an application.
#[derive(Debug)]
pub(super) struct Response {
    exchange: Arc<Exchange>,
    is_head_request: bool,
    offers_files: bool,
    progress: Mutex<Progress>,
}

#[derive(Debug)]
enum Progress {
    /// `start_response` was not called.
    Waiting,
    /// The head is sent with the first content, and may be replaced until then.
    Started(HttpResponseStart, Option<u64>),
    /// The head is sent. The number of octets that its length leaves.
    Sending(Option<u64>),
    /// The response is complete.
    Complete,
    /// The response is complete, as the client takes no content, and what the application sends is dropped.
    Discarding,
}

/// Whether a response takes more content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum More {
    Wanted,
    /// The content is complete. What follows is too much.
    Complete,
    /// The client takes no content.
    Discarded,
}

/// Returns what an application gets whose client is gone.
pub(super) fn client_is_gone() -> PyErr {
    ClientDisconnected::new_err("the client is gone")
}

impl Response {
    pub(super) fn new(exchange: Arc<Exchange>, scope: &HttpScope) -> Self {
        Self {
            exchange,
            is_head_request: scope.method == Method::HEAD,
            offers_files: scope.features.contains(Feature::PathSend),
            progress: Mutex::new(Progress::Waiting),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().expect("no panic under this lock")
    }

    fn has_content(&self, status: StatusCode) -> bool {
        !self.is_head_request && !forbids_content(status)
    }

    /// Warns of content that is left out, if the status permits none.
    fn warn_of_content(&self, status: StatusCode) {
        if forbids_content(status) {
            let mut broken = Broken::default();
            broken.note_forbidden_content();
            self.exchange.tolerance().warn(broken);
        }
    }

    /// Hands events over. Returns whether the thread is to wait for room.
    fn hand_over(&self, events: impl IntoIterator<Item = SendEvent>) -> PyResult<bool> {
        self.exchange.send(events).map_err(|_| client_is_gone())
    }

    /// Sends a part of the content, which is not empty, and waits for room.
    pub(super) fn write(&self, py: Python<'_>, part: Bytes) -> PyResult<More> {
        let must_wait = {
            let mut progress = self.lock();
            match mem::replace(&mut *progress, Progress::Complete) {
                Progress::Waiting => {
                    *progress = Progress::Waiting;
                    return Err(not_started());
                }
                Progress::Complete => {
                    return Err(too_long());
                }
                Progress::Discarding => {
                    *progress = Progress::Discarding;
                    return Ok(More::Discarded);
                }
                Progress::Started(start, _) if !self.has_content(start.status) => {
                    *progress = Progress::Discarding;
                    drop(progress);
                    self.warn_of_content(start.status);
                    self.hand_over([start.into(), HttpResponseBody::end().into()])?;
                    return Ok(More::Discarded);
                }
                Progress::Started(start, length) => {
                    let left = left_after(length, part.len())?;
                    let is_last = left == Some(0);
                    if !is_last {
                        *progress = Progress::Sending(left);
                    }
                    let part = HttpResponseBody::new(part, !is_last);
                    let must_wait = self.hand_over([start.into(), part.into()])?;
                    if is_last {
                        return Ok(More::Complete);
                    }
                    must_wait
                }
                Progress::Sending(left) => {
                    let left = left_after(left, part.len())?;
                    let is_last = left == Some(0);
                    if !is_last {
                        *progress = Progress::Sending(left);
                    }
                    let must_wait =
                        self.hand_over([HttpResponseBody::new(part, !is_last).into()])?;
                    if is_last {
                        return Ok(More::Complete);
                    }
                    must_wait
                }
            }
        };
        if must_wait {
            py.detach(|| self.exchange.wait_for_room());
            if self.exchange.is_over() {
                return Err(client_is_gone());
            }
        }
        Ok(More::Wanted)
    }

    /// Sends the whole content, unless some was written before. Its parts are in memory, so nothing is waited for.
    pub(super) fn send_whole(&self, py: Python<'_>, parts: Vec<Bytes>) -> PyResult<()> {
        let mut progress = self.lock();
        let Progress::Started(start, length) = &mut *progress else {
            drop(progress);
            for part in parts.into_iter().filter(|part| !part.is_empty()) {
                if self.write(py, part)? == More::Discarded {
                    break;
                }
            }
            return self.finish();
        };
        let total: u64 = parts.iter().map(|part| part.len() as u64).sum();
        let has_content = self.has_content(start.status);
        if has_content {
            left_after(*length, parts.iter().map(Bytes::len).sum())?;
        }
        // The server adds the length of a single part that it sends.
        let is_length_missing = length.is_none() && (parts.len() > 1 || self.is_head_request);
        if is_length_missing && total > 0 && !forbids_content(start.status) {
            start.headers.insert(CONTENT_LENGTH, total.into());
        }
        if total == 0 || !has_content {
            let status = start.status;
            drop(progress);
            if total > 0 {
                self.warn_of_content(status);
            }
            return self.finish();
        }
        if length.is_some_and(|length| length > total) {
            return Err(too_short(*length, total));
        }
        let start = mem::take(start);
        *progress = Progress::Complete;
        let last = parts.iter().rposition(|part| !part.is_empty());
        let parts = parts.into_iter().enumerate();
        let parts = parts.filter(|(_, part)| !part.is_empty());
        let parts =
            parts.map(|(place, part)| HttpResponseBody::new(part, Some(place) != last).into());
        let start: SendEvent = start.into();
        self.hand_over([start].into_iter().chain(parts)).map(drop)
    }

    /// Sends a file as the whole content, if the server can. Returns whether it could.
    pub(super) fn send_file(&self, py: Python<'_>, file: &FileWrapper) -> PyResult<bool> {
        if !self.offers_files {
            return Ok(false);
        }
        let Some((path, size)) = file.plain_file(py) else {
            return Ok(false);
        };
        {
            let mut progress = self.lock();
            let Progress::Started(start, length) = &mut *progress else {
                return Ok(false);
            };
            let is_whole = size > 0 && length.is_none_or(|length| length == size);
            if !is_whole || !self.has_content(start.status) {
                return Ok(false);
            }
            let (start, length) = (mem::take(start), *length);
            *progress = Progress::Sending(length);
            self.hand_over([start.into(), HttpResponsePathSend::new(path).into()])?;
        }
        match py.detach(|| self.exchange.wait_for_file()) {
            Ok(()) => {
                *self.lock() = Progress::Complete;
                Ok(true)
            }
            Err(SendError::Disconnected) => Err(client_is_gone()),
            Err(_) => Ok(false),
        }
    }

    /// Ends the content.
    pub(super) fn finish(&self) -> PyResult<()> {
        let mut progress = self.lock();
        match mem::replace(&mut *progress, Progress::Complete) {
            Progress::Waiting => {
                *progress = Progress::Waiting;
                Err(PyAssertionError::new_err(
                    "the application has not called start_response",
                ))
            }
            Progress::Started(start, length) => {
                if length.is_some_and(|length| length > 0) && self.has_content(start.status) {
                    return Err(too_short(length, 0));
                }
                self.hand_over([start.into(), HttpResponseBody::end().into()])
                    .map(drop)
            }
            Progress::Sending(Some(left)) => Err(too_short(Some(left), 0)),
            Progress::Sending(None) => self.hand_over([HttpResponseBody::end().into()]).map(drop),
            Progress::Complete | Progress::Discarding => Ok(()),
        }
    }

    fn start(
        &self,
        status: &Bound<'_, PyString>,
        headers: &Bound<'_, PyAny>,
        exception: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let py = status.py();
        {
            let progress = self.lock();
            match (&*progress, exception) {
                (Progress::Waiting, _) | (Progress::Started(..), Some(_)) => {}
                (_, None) => {
                    return Err(PyAssertionError::new_err(
                        "start_response was called before, and has no exc_info now",
                    ));
                }
                (_, Some(exception)) => {
                    drop(progress);
                    let (value, traceback) = (exception.get_item(1)?, exception.get_item(2)?);
                    value.setattr(intern!(py, "__traceback__"), traceback)?;
                    return Err(PyErr::from_value(value));
                }
            }
        }
        let mut start = HttpResponseStart::new(parse_status(status)?);
        let (mut length, mut broken) = (None, Broken::default());
        start.headers = parse_fields(headers, &mut length, &mut broken)?;
        broken.fit_length(&mut start);
        self.exchange.tolerance().warn(broken);
        *self.lock() = Progress::Started(start, length);
        Ok(())
    }
}

/// Returns what is left of a length after this many octets.
fn left_after(length: Option<u64>, size: usize) -> PyResult<Option<u64>> {
    let Some(length) = length else {
        return Ok(None);
    };
    match length.checked_sub(size as u64) {
        Some(left) => Ok(Some(left)),
        None => Err(too_long()),
    }
}

fn too_long() -> PyErr {
    PyRuntimeError::new_err("the content is longer than its content-length")
}

fn too_short(length: Option<u64>, size: u64) -> PyErr {
    let left = length.unwrap_or(size).saturating_sub(size);
    PyRuntimeError::new_err(format!(
        "the content is {left} octets shorter than its content-length"
    ))
}

fn not_started() -> PyErr {
    PyAssertionError::new_err("the application sends content before it has called start_response")
}

fn parse_status(status: &Bound<'_, PyString>) -> PyResult<StatusCode> {
    let text = status.to_string_lossy();
    let (code, rest) = text.split_at_checked(3).unwrap_or((&text, ""));
    let code = code.parse().ok().filter(|code| (200..=599).contains(code));
    let code = code.filter(|_| rest.is_empty() || rest.starts_with(' '));
    code.and_then(|code| StatusCode::from_u16(code).ok())
        .ok_or_else(|| PyValueError::new_err(format!("the status is {text:?}, not like '200 OK'")))
}

/// Returns the fields without those of the connection, which are the server's, and sets the length that they announce.
fn parse_fields(
    fields: &Bound<'_, PyAny>,
    length: &mut Option<u64>,
    broken: &mut Broken,
) -> PyResult<HeaderMap> {
    let Ok(fields) = fields.cast::<PyList>() else {
        return Err(PyTypeError::new_err("the fields of a response are no list"));
    };
    let mut parsed = HeaderMap::with_capacity(fields.len());
    for field in fields {
        let no_pair = || PyTypeError::new_err("a field of a response is no pair of str");
        let pair = field.cast::<PyTuple>().map_err(|_| no_pair())?;
        if pair.len() != 2 {
            return Err(no_pair());
        }
        let (name, value) = (pair.get_item(0)?, pair.get_item(1)?);
        let name = name.cast::<PyString>().map_err(|_| no_pair())?.to_str()?;
        let value = value.cast::<PyString>().map_err(|_| no_pair())?.to_str()?;
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| PyValueError::new_err(format!("a field has the name {name:?}")))?;
        let value = parse_value(value.trim_matches([' ', '\t'])).ok_or_else(|| {
            PyValueError::new_err(format!("the value of `{name}` is not permitted by HTTP"))
        })?;
        if name == CONTENT_LENGTH {
            let number = value.to_str().ok().and_then(|number| number.parse().ok());
            if number.is_none() || length.is_some_and(|length| Some(length) != number) {
                return Err(PyValueError::new_err(format!(
                    "content-length is {value:?}, or is set twice"
                )));
            }
            *length = number;
        }
        if broken.keeps_field(&name) {
            parsed.append(name, value);
        }
    }
    Ok(parsed)
}

/// Returns a value, whose characters are octets.
fn parse_value(value: &str) -> Option<HeaderValue> {
    if value.is_ascii() {
        return HeaderValue::from_bytes(value.as_bytes()).ok();
    }
    let octets: Result<Vec<u8>, _> = value.chars().map(u8::try_from).collect();
    HeaderValue::from_maybe_shared(Bytes::from(octets.ok()?)).ok()
}

/// Returns a part of the content.
pub(super) fn part(value: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    octets(value).ok_or_else(|| {
        let kind = value.get_type().name();
        let kind = kind.map_or_else(|_| "something else".into(), |kind| kind.to_string());
        PyTypeError::new_err(format!("a part of the content is not bytes but {kind}"))
    })
}

/// `start_response`
#[derive(Debug)]
#[pyclass(frozen, freelist = 64, module = "callgate._callgate")]
pub(super) struct StartResponse(pub(super) Arc<Response>);

#[pymethods]
impl StartResponse {
    #[pyo3(signature = (status, response_headers, exc_info = None))]
    fn __call__(
        &self,
        status: &Bound<'_, PyString>,
        response_headers: &Bound<'_, PyAny>,
        exc_info: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Write> {
        self.0.start(status, response_headers, exc_info)?;
        Ok(Write(self.0.clone()))
    }
}

/// `write`
#[derive(Debug)]
#[pyclass(frozen, freelist = 64, module = "callgate._callgate")]
pub(super) struct Write(Arc<Response>);

#[pymethods]
impl Write {
    fn __call__(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let part = part(data)?;
        match part.is_empty() {
            true => Ok(()),
            false => self.0.write(py, part).map(drop),
        }
    }
}
