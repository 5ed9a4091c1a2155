//! A file to which the lines of a log are appended.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use crate::error::ServeError;
use crate::line_writer::LineWriter;

/// A file to which the lines of a log are appended, on a thread of its own.
#[derive(Debug)]
pub(crate) struct LogFile {
    path: PathBuf,
    writer: LineWriter,
}

impl LogFile {
    /// Opens the file of the log of this name, which is created if it does not exist.
    ///
    /// # Errors
    ///
    /// Returns an error of the setting if the file cannot be opened.
    pub(crate) fn open(
        name: &'static str,
        setting: &'static str,
        path: &Path,
    ) -> Result<Self, ServeError> {
        let writer = append_to(path).and_then(|file| LineWriter::start(name, file));
        let writer = writer.map_err(|reason| ServeError::LogFile {
            name: setting,
            path: path.to_owned(),
            reason,
        })?;
        Ok(Self {
            path: path.to_owned(),
            writer,
        })
    }

    pub(crate) fn writer(&self) -> &LineWriter {
        &self.writer
    }

    /// Opens the file again, because it may have been moved. If that fails, the log goes on with the file
    /// that is open.
    #[cfg(unix)]
    pub(crate) fn reopen(&self) {
        match append_to(&self.path) {
            Ok(file) => self.writer.reopen(file),
            Err(error) => tracing::error!(
                "cannot open the log file {} again: {error} (the log goes on with the file that is open)",
                self.path.display()
            ),
        }
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}
