//! The file to which the blocking handler writes.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Mutex;

/// The size, in bytes, at which the file is renamed and a new file is begun. One older file is kept.
const MAX_LENGTH: u64 = 1024 * 1024;

/// Appends a line for each access to a file.
#[derive(Debug)]
pub(super) struct AccessLog(Mutex<PathBuf>);

impl AccessLog {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(Mutex::new(path))
    }

    /// Appends a line, and blocks until it is written.
    pub(super) fn write(&self, item_id: i64) -> io::Result<()> {
        let path = self.0.lock().expect("nothing panics while it is held");
        if fs::metadata(&*path).is_ok_and(|file| file.len() >= MAX_LENGTH) {
            let mut kept = OsString::from(&*path);
            kept.push(".old");
            fs::rename(&*path, kept)?;
        }
        let mut file = OpenOptions::new().create(true).append(true).open(&*path)?;
        file.write_all(format!("Access to item {item_id}\n").as_bytes())
    }
}
