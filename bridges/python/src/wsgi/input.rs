//! `wsgi.input`: the content of a request.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Mutex};

use bytes::{Buf as _, Bytes};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use super::exchange::Exchange;
use super::response::client_is_gone;

/// The content of a request, as a file that is read once.
///
/// A read waits until the client has sent what is asked for, or all.
#[derive(Debug)]
#[pyclass(frozen, freelist = 64, module = "callgate._callgate")]
pub(super) struct Input {
    exchange: Arc<Exchange>,
    buffer: Mutex<Buffer>,
}

/// What has come, and was not read.
#[derive(Debug, Default)]
struct Buffer {
    parts: VecDeque<Bytes>,
    size: usize,
    has_ended: bool,
}

impl Buffer {
    /// Waits for more content, unless it has ended.
    fn fill(&mut self, py: Python<'_>, exchange: &Exchange) -> PyResult<()> {
        loop {
            match exchange.take_input().map_err(|_| client_is_gone())? {
                Some(parts) => {
                    self.has_ended = parts.is_empty();
                    self.size += parts.iter().map(Bytes::len).sum::<usize>();
                    self.parts.extend(parts);
                    return Ok(());
                }
                None => py.detach(|| exchange.wait_for_input()),
            }
        }
    }

    /// Takes octets out, at most as many as there are.
    fn take<'py>(&mut self, py: Python<'py>, size: usize) -> PyResult<Bound<'py, PyBytes>> {
        let size = size.min(self.size);
        self.size -= size;
        PyBytes::new_with(py, size, |mut octets| {
            while !octets.is_empty() {
                let Some(part) = self.parts.front_mut() else {
                    break;
                };
                let taken = part.len().min(octets.len());
                let (begin, rest) = octets.split_at_mut(taken);
                part.copy_to_slice(begin);
                octets = rest;
                if part.is_empty() {
                    self.parts.pop_front();
                }
            }
            Ok(())
        })
    }

    /// Returns the length of the first line, with its end, if the end is there. The first `searched` octets have none.
    fn end_of_line(&self, searched: usize) -> Option<usize> {
        let mut before = 0;
        for part in &self.parts {
            let from = searched.saturating_sub(before).min(part.len());
            if let Some(place) = part[from..].iter().position(|&octet| octet == b'\n') {
                return Some(before + from + place + 1);
            }
            before += part.len();
        }
        None
    }
}

impl Input {
    pub(super) fn new(exchange: Arc<Exchange>) -> Self {
        Self {
            exchange,
            buffer: Mutex::default(),
        }
    }

    /// Calls `f` with the buffer. It is not locked meanwhile, as `f` may wait.
    fn with<T>(&self, f: impl FnOnce(&mut Buffer) -> PyResult<T>) -> PyResult<T> {
        let lock = || self.buffer.lock().expect("no panic under this lock");
        let mut buffer = mem::take(&mut *lock());
        let result = f(&mut buffer);
        *lock() = buffer;
        result
    }

    fn read_line<'py>(
        &self,
        py: Python<'py>,
        most: Option<usize>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        self.with(|buffer| {
            let most = most.unwrap_or(usize::MAX);
            let mut searched = 0;
            let end = loop {
                if let Some(end) = buffer.end_of_line(searched) {
                    break end;
                }
                searched = buffer.size;
                if buffer.has_ended || buffer.size >= most {
                    break buffer.size;
                }
                buffer.fill(py, &self.exchange)?;
            };
            buffer.take(py, end.min(most))
        })
    }
}

/// Returns the limit that a size stands for: none if it is negative or `None`.
fn limit(size: Option<isize>) -> Option<usize> {
    size.and_then(|size| usize::try_from(size).ok())
}

#[pymethods]
impl Input {
    #[pyo3(signature = (size = None, /))]
    fn read<'py>(&self, py: Python<'py>, size: Option<isize>) -> PyResult<Bound<'py, PyBytes>> {
        let most = limit(size).unwrap_or(usize::MAX);
        self.with(|buffer| {
            while buffer.size < most && !buffer.has_ended {
                buffer.fill(py, &self.exchange)?;
            }
            buffer.take(py, most)
        })
    }

    #[pyo3(signature = (size = None, /))]
    fn readline<'py>(&self, py: Python<'py>, size: Option<isize>) -> PyResult<Bound<'py, PyBytes>> {
        self.read_line(py, limit(size))
    }

    #[pyo3(signature = (hint = None, /))]
    fn readlines<'py>(&self, py: Python<'py>, hint: Option<isize>) -> PyResult<Bound<'py, PyList>> {
        let hint = limit(hint).filter(|&hint| hint > 0).unwrap_or(usize::MAX);
        let lines = PyList::empty(py);
        let mut size = 0;
        while size < hint {
            let line = self.read_line(py, None)?;
            if line.as_bytes().is_empty() {
                break;
            }
            size += line.as_bytes().len();
            lines.append(line)?;
        }
        Ok(lines)
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let line = self.read_line(py, None)?;
        Ok(Some(line).filter(|line| !line.as_bytes().is_empty()))
    }
}
