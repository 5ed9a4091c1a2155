//! The file of a recording.

#[cfg(unix)]
use std::fs::Metadata;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::SystemTime;

/// A file that only its owner can read, for a [`Recorder`](crate::Recorder) to write to.
///
/// A file that has content is refused, so that no recording is lost. Writes are buffered.
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
}

impl RecordFile {
    /// Opens the file at `path`, which is created if there is none. In a directory, a new file is created, whose name
    /// has the time in seconds since 1970 and the number of the process: `recording-1764300000-4711.jsonl`.
    ///
    /// On Unix a new file has the mode 600. A pipe or a terminal can be opened too, with any mode.
    ///
    /// # Errors
    ///
    /// The file cannot be opened; or it is a regular file that is not empty, or, on Unix, that its group or other users
    /// can access.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        let mut options = OpenOptions::new();
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = match path.is_dir() {
            true => options
                .write(true)
                .create_new(true)
                .open(path.join(file_name()))?,
            false => options
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)?,
        };
        let metadata = file.metadata()?;
        if metadata.is_file() {
            #[cfg(unix)]
            refuse_shared(&metadata)?;
            if metadata.len() > 0 {
                let reason = "the file is not empty, and would be overwritten (remove the file, or give a directory: each \
                              process creates a file of its own there)";
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, reason));
            }
        }
        let file = BufWriter::new(file);
        Ok(Self { file })
    }
}

/// Returns the name of a new file in a directory of recordings.
fn file_name() -> String {
    let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let seconds = time.map_or(0, |time| time.as_secs());
    format!("recording-{seconds}-{}.jsonl", std::process::id())
}

/// Fails if users other than the owner can access the file.
#[cfg(unix)]
fn refuse_shared(metadata: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;

    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let reason = format!(
            "other users can access the file: its mode is {mode:o}, not 600 (choose another file)"
        );
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
    }
    Ok(())
}

impl Write for RecordFile {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.file.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
