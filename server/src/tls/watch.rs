//! Watches the files of certificates, and loads them again when they change.

use std::collections::HashSet;
use std::collections::hash_map::DefaultHasher;
use std::convert::Infallible;
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

use super::acceptor::Acceptor;

/// The files are read when none of them has changed for this time. A certificate and its private key are
/// seldom replaced at the same moment.
const QUIET: Duration = Duration::from_secs(1);

/// Loads the files again when they change, until the future is dropped.
pub(crate) async fn watch(acceptor: Arc<Acceptor>) -> Infallible {
    let changed = Arc::new(Notify::new());
    // The watcher ends when it is dropped.
    let _watcher = match watcher(&acceptor.files(), changed.clone()) {
        Ok(watcher) => watcher,
        Err(error) => {
            tracing::warn!("cannot watch the files of certificates: {error}");
            return std::future::pending().await;
        }
    };
    let mut digest = content_digest(&acceptor.files());
    loop {
        changed.notified().await;
        while tokio::time::timeout(QUIET, changed.notified())
            .await
            .is_ok()
        {}
        let acceptor = acceptor.clone();
        let reloading = tokio::task::spawn_blocking(move || {
            let now = content_digest(&acceptor.files());
            if now != digest {
                acceptor.reload_and_log();
            }
            now
        });
        digest = reloading.await.unwrap_or(digest);
    }
}

/// Watches the folders of files: a file is often replaced by a rename, and so is the symbolic link
/// that leads to it.
fn watcher(files: &[PathBuf], changed: Arc<Notify>) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        // Reading the files is an event too.
        if !event.is_ok_and(|event| event.kind.is_access()) {
            changed.notify_one();
        }
    })?;
    let folder = |path: &Path| match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    let mut folders: HashSet<_> = files.iter().map(|path| folder(path)).collect();
    let targets = files.iter().filter_map(|path| path.canonicalize().ok());
    folders.extend(targets.map(|path| folder(&path)));
    for folder in folders {
        watcher.watch(&folder, RecursiveMode::NonRecursive)?;
    }
    Ok(watcher)
}

/// Returns a number that changes with the content of the files.
fn content_digest(paths: &[PathBuf]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for path in paths {
        fs::read(path).ok().hash(&mut hasher);
    }
    hasher.finish()
}
