//! Watching files for changes.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

/// Watches files until it is dropped.
#[derive(Debug)]
pub(crate) struct FileWatch {
    _watcher: RecommendedWatcher,
    has_changed: Arc<Notify>,
    /// Whether there was a change that `changed` has not completed for.
    is_pending: bool,
}

impl FileWatch {
    /// Watches the folders that have these files, and those that the files are in by symbolic links.
    pub(crate) fn of_files(files: &[PathBuf]) -> notify::Result<Self> {
        let targets: Vec<_> = (files.iter())
            .filter_map(|path| path.canonicalize().ok())
            .collect();
        let folders: HashSet<_> = files.iter().chain(&targets).map(|it| folder(it)).collect();
        Self::new(&folders, RecursiveMode::NonRecursive)
    }

    /// Watches all files in these folders, and in the folders below them.
    #[cfg(all(unix, feature = "cli"))]
    pub(crate) fn of_folders(folders: &[PathBuf]) -> notify::Result<Self> {
        Self::new(&folders.iter().cloned().collect(), RecursiveMode::Recursive)
    }

    fn new(folders: &HashSet<PathBuf>, mode: RecursiveMode) -> notify::Result<Self> {
        let has_changed = Arc::new(Notify::new());
        let changed = has_changed.clone();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // Reading the files is an event too.
            if !event.is_ok_and(|event| event.kind.is_access()) {
                changed.notify_one();
            }
        })?;
        for folder in folders {
            watcher.watch(folder, mode)?;
        }
        Ok(Self {
            _watcher: watcher,
            has_changed,
            is_pending: false,
        })
    }

    /// Completes when there was a change since it completed last, and none for the time `quiet`. A
    /// future that is dropped loses no change.
    pub(crate) async fn changed(&mut self, quiet: Duration) {
        if !self.is_pending {
            self.has_changed.notified().await;
            self.is_pending = true;
        }
        while tokio::time::timeout(quiet, self.has_changed.notified())
            .await
            .is_ok()
        {}
        self.is_pending = false;
    }
}

/// Returns the folder of a file. A file is often replaced by a rename, and so is the symbolic link that
/// leads to it.
fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}
