//! Watches the files of certificates, and loads them again when they change.

use std::collections::hash_map::DefaultHasher;
use std::convert::Infallible;
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::acceptor::Acceptor;
use crate::file_watch::FileWatch;

/// The files are read when none of them has changed for this time. A certificate and its private key are
/// seldom replaced at the same moment.
const QUIET: Duration = Duration::from_secs(1);

/// Loads the files again when they change, until the future is dropped.
pub(crate) async fn watch(acceptor: Arc<Acceptor>) -> Infallible {
    let mut files = match FileWatch::of_files(&acceptor.files()) {
        Ok(files) => files,
        Err(error) => {
            tracing::warn!("cannot watch the files of certificates: {error}");
            return std::future::pending().await;
        }
    };
    let mut digest = content_digest(&acceptor.files());
    loop {
        files.changed(QUIET).await;
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

/// Returns a number that changes with the content of the files.
fn content_digest(paths: &[PathBuf]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for path in paths {
        fs::read(path).ok().hash(&mut hasher);
    }
    hasher.finish()
}
