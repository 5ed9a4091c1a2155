//! The file of a recording.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// A file that only its owner can read, for a [`Recorder`](crate::Recorder) to write to.
///
/// The previous content of the file is kept until the first write, so that a server that cannot
/// start does not delete an earlier recording. Writes are buffered.
///
/// ```
/// use callgate::{AppError, Receiver, Scope, Sender};
/// use callgate_conformance::{RecordFile, Recorder};
///
/// async fn app(_: Scope, _: Receiver, _: Sender) -> Result<(), AppError> {
///     Err(AppError::Unsupported)
/// }
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("exchanges.jsonl");
/// let app = Recorder::new(app, RecordFile::open(path)?);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct RecordFile {
    file: BufWriter<File>,
    is_truncated: bool,
}

impl RecordFile {
    /// Opens the file at `path`, which is created if there is none.
    ///
    /// On Unix a new file has the mode 600. A pipe or a terminal can be opened too, with any mode.
    ///
    /// # Errors
    ///
    /// The file cannot be opened; or, on Unix, it is a regular file that its group or other users
    /// can access.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path)?;
        #[cfg(unix)]
        refuse_shared(&file)?;
        Ok(Self {
            file: BufWriter::new(file),
            is_truncated: false,
        })
    }
}

/// Fails if users other than the owner can access the regular file.
#[cfg(unix)]
fn refuse_shared(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;

    let metadata = file.metadata()?;
    let mode = metadata.permissions().mode() & 0o777;
    if metadata.is_file() && mode & 0o077 != 0 {
        let reason = format!("other users can access the file: its mode is {mode:o}, not 600");
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
    }
    Ok(())
}

impl Write for RecordFile {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        if !self.is_truncated {
            let file = self.file.get_ref();
            // A pipe or a terminal has no length.
            if file.metadata()?.is_file() {
                file.set_len(0)?;
            }
            self.is_truncated = true;
        }
        self.file.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
