//! A call of the application, in a thread.

use std::error::Error;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use callgate::{AppError, HttpScope};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use super::exchange::Exchange;
use super::file::FileWrapper;
use super::input::Input;
use super::pool::Pool;
use super::response::{More, Response, StartResponse, part};
use crate::asgi::{ClientDisconnected, Exception};

impl Pool {
    /// Serves an exchange, if the server still has use for it.
    pub(super) fn run(self: &Arc<Self>, py: Python<'_>, exchange: &Arc<Exchange>) {
        let Some(scope) = exchange.begin() else {
            return;
        };
        let call = Call {
            pool: self.clone(),
            exchange: exchange.clone(),
            scope: Mutex::new(Some(scope)),
        };
        // What the application leaves in context variables ends with the call.
        let context = self.context.bind(py).call_method0(intern!(py, "copy"));
        let result = context.and_then(|context| context.call_method1(intern!(py, "run"), (call,)));
        let Err(error) = result else { return };
        if exchange.is_over() && error.is_instance_of::<ClientDisconnected>(py) {
            return;
        }
        let exception = Exception::new(py, error);
        if !self.shows_exceptions {
            self.log(py, exception.to_error(py));
            exchange.end(AppError::failed(exception.to_string()));
        } else if let Some(AppError::Failed(error)) = exchange.end(AppError::failed(exception)) {
            self.log_end(py, error);
        }
    }

    /// Logs the end of a call that no line of the server shows.
    pub(super) fn log_end(&self, py: Python<'_>, error: Box<dyn Error + Send + Sync>) {
        if let Ok(exception) = error.downcast::<Exception>() {
            self.log(py, exception.to_error(py));
        }
    }

    fn log(&self, py: Python<'_>, error: PyErr) {
        // This has the traceback, which the value alone has from Python 3.12 on.
        let exception = error.into_value(py);
        let logged = self.log_exception.call1(py, ("error", exception));
        if let Err(failure) = logged {
            failure.write_unraisable(py, None);
        }
    }
}

/// A call, as a function that runs in a context.
#[derive(Debug)]
#[pyclass(frozen, freelist = 16, module = "callgate._callgate")]
struct Call {
    pool: Arc<Pool>,
    exchange: Arc<Exchange>,
    /// `None` once it is called.
    scope: Mutex<Option<Box<HttpScope>>>,
}

#[pymethods]
impl Call {
    fn __call__(&self, py: Python<'_>) -> PyResult<()> {
        let scope = self.scope.lock().expect("no panic under this lock").take();
        let Some(scope) = scope else { return Ok(()) };
        let environ = self.pool.environs.environ(py, &scope)?;
        let input = Bound::new(py, Input::new(self.exchange.clone()))?;
        environ.set_item(intern!(py, "wsgi.input"), input)?;
        let response = Arc::new(Response::new(self.exchange.clone(), &scope));
        drop(scope);
        let start_response = Bound::new(py, StartResponse(response.clone()))?;
        let content = self.pool.app.bind(py).call1((environ, start_response))?;
        let sent = send(&response, &content);
        let closed = close(&content);
        match (sent, closed) {
            (Err(sent), Err(closed)) => {
                self.pool.log(py, closed);
                Err(sent)
            }
            (sent, closed) => sent.and(closed),
        }
    }
}

/// Sends the content that the application has returned.
fn send(response: &Response, content: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = content.py();
    if let Ok(parts) = content.cast_exact::<PyList>() {
        let parts: PyResult<Vec<Bytes>> = parts.iter().map(|value| part(&value)).collect();
        return response.send_whole(py, parts?);
    }
    if let Ok(parts) = content.cast_exact::<PyTuple>() {
        let parts: PyResult<Vec<Bytes>> = parts.iter().map(|value| part(&value)).collect();
        return response.send_whole(py, parts?);
    }
    if let Ok(file) = content.cast_exact::<FileWrapper>()
        && response.send_file(py, file.get())?
    {
        return Ok(());
    }
    for value in content.try_iter()? {
        let part = part(&value?)?;
        if !part.is_empty() && response.write(py, part)? == More::Discarded {
            break;
        }
    }
    response.finish()
}

/// Calls `close`, if the content has it.
fn close(content: &Bound<'_, PyAny>) -> PyResult<()> {
    let close = content.getattr_opt(intern!(content.py(), "close"))?;
    close.map_or(Ok(()), |close| close.call0().map(drop))
}
