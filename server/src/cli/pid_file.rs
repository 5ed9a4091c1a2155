//! The file with the number of the process that serves.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process;

/// The file with the number of the process that serves.
#[derive(Clone, Debug)]
pub(super) struct PidFile(PathBuf);

impl PidFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Writes the number of this process. A reader finds the number before it, or this one.
    pub(super) fn write(&self) -> Result<(), String> {
        let write = || -> io::Result<()> {
            let mut temporary = self.0.clone().into_os_string();
            temporary.push(format!(".{}", process::id()));
            fs::write(&temporary, format!("{}\n", process::id()))?;
            fs::rename(&temporary, &self.0).inspect_err(|_| {
                let _ = fs::remove_file(&temporary);
            })
        };
        write().map_err(|error| {
            let path = self.0.display();
            format!("cannot write the number of the process to {path}: {error}")
        })
    }

    /// Removes the file, unless it has the number of another process.
    pub(super) fn remove(&self) {
        let is_own = fs::read_to_string(&self.0)
            .is_ok_and(|text| text.trim_end() == process::id().to_string());
        if is_own && let Err(error) = fs::remove_file(&self.0) {
            tracing::warn!("cannot remove {}: {error}", self.0.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_the_number_of_another_process_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("app.pid");
        let file = PidFile::new(path.clone());
        file.write().unwrap();
        let number = fs::read_to_string(&path).unwrap();
        assert_eq!(number, format!("{}\n", process::id()));
        fs::write(&path, "1\n").unwrap();
        file.remove();
        assert!(path.exists());
        fs::write(&path, number).unwrap();
        file.remove();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
