//! `wsgi.file_wrapper`: a file as content.

use std::fs;

use pyo3::intern;
use pyo3::prelude::*;

/// The octets that are read of a file at a time.
const BLOCK: usize = 64 << 10;

/// A file as the content of a response.
///
/// When the application returns this itself, and the file is one of the system, the server sends the file without that Python
/// reads it.
#[derive(Debug)]
#[pyclass(frozen, module = "callgate._callgate")]
pub(super) struct FileWrapper {
    file: Py<PyAny>,
    block_size: usize,
}

impl FileWrapper {
    /// Returns the path and the length of the file, if it is a plain file that is read from its beginning.
    pub(super) fn plain_file(&self, py: Python<'_>) -> Option<(String, u64)> {
        let file = self.file.bind(py);
        if !is_of_system(file).ok()? {
            return None;
        }
        let number: i32 = file
            .call_method0(intern!(py, "fileno"))
            .ok()?
            .extract()
            .ok()?;
        let position: u64 = file
            .call_method0(intern!(py, "tell"))
            .ok()?
            .extract()
            .ok()?;
        // By the descriptor, as another file may have the name meanwhile.
        let path = format!("/proc/self/fd/{number}");
        let metadata = fs::metadata(&path).ok()?;
        (position == 0 && metadata.is_file()).then_some((path, metadata.len()))
    }
}

/// Returns whether the content of a file is what the system has: that of a `GzipFile`, which has a descriptor too, is not.
fn is_of_system(file: &Bound<'_, PyAny>) -> PyResult<bool> {
    let io = file.py().import("io")?;
    let is = |kind| file.is_instance(&io.getattr(kind)?);
    Ok(!is("BufferedIOBase")? || is("BufferedReader")? || is("BufferedRandom")?)
}

#[pymethods]
impl FileWrapper {
    #[new]
    #[pyo3(signature = (filelike, blksize = BLOCK, /))]
    fn new(filelike: Py<PyAny>, blksize: usize) -> Self {
        Self {
            file: filelike,
            block_size: blksize,
        }
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let read = intern!(py, "read");
        let block = self.file.call_method1(py, read, (self.block_size,))?;
        Ok(Some(block).filter(|block| block.is_truthy(py).unwrap_or(true)))
    }

    /// Closes the file, if it can be closed.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let close = self.file.bind(py).getattr_opt(intern!(py, "close"))?;
        close.map_or(Ok(()), |close| close.call0().map(drop))
    }
}
