//! Watching files for changes.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

/// The number of symbolic links that are followed on the way to a file, as in Linux (`path_resolution(7)`).
const MAX_LINKS: usize = 40;

/// Watches files until it is dropped.
#[derive(Debug)]
pub(crate) struct FileWatch {
    watcher: RecommendedWatcher,
    /// The files that are watched; empty if whole folders are.
    files: Vec<PathBuf>,
    /// The folders that are watched for the files.
    folders: HashSet<PathBuf>,
    /// The paths whose changes count, if files are watched.
    paths: Arc<Mutex<HashSet<PathBuf>>>,
    has_changed: Arc<Notify>,
    /// Whether there was a change that `changed` has not completed for.
    is_pending: bool,
}

impl FileWatch {
    /// Watches these files and every symbolic link on the way to them. Other files in the same folders do not
    /// count as changes.
    pub(crate) fn of_files(files: &[PathBuf]) -> notify::Result<Self> {
        let paths = Arc::<Mutex<HashSet<PathBuf>>>::default();
        let mut watch = Self::new(paths.clone(), move |event| {
            let paths = paths.lock().unwrap_or_else(PoisonError::into_inner);
            event.need_rescan() || event.paths.iter().any(|path| paths.contains(path))
        })?;
        watch.files = files.to_vec();
        watch.follow_links();
        Ok(watch)
    }

    /// Watches all files in these folders, and in the folders below them.
    #[cfg(all(unix, feature = "cli"))]
    pub(crate) fn of_folders(folders: &[PathBuf]) -> notify::Result<Self> {
        let mut watch = Self::new(Arc::default(), |_| true)?;
        for folder in folders {
            watch.watcher.watch(folder, RecursiveMode::Recursive)?;
        }
        Ok(watch)
    }

    fn new(
        paths: Arc<Mutex<HashSet<PathBuf>>>,
        counts: impl Fn(&Event) -> bool + Send + 'static,
    ) -> notify::Result<Self> {
        let has_changed = Arc::new(Notify::new());
        let changed = has_changed.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // Reading the files is an event too.
            let counts = event.map_or(true, |event| !event.kind.is_access() && counts(&event));
            if counts {
                changed.notify_one();
            }
        })?;
        Ok(Self {
            watcher,
            files: Vec::new(),
            folders: HashSet::new(),
            paths,
            has_changed,
            is_pending: false,
        })
    }

    /// Completes when there was a change since it completed last, and none for the time `quiet`. The files
    /// are read after that: a later change completes it again. A future that is dropped loses no change.
    pub(crate) async fn changed(&mut self, quiet: Duration) {
        if !self.is_pending {
            self.has_changed.notified().await;
            self.is_pending = true;
        }
        while tokio::time::timeout(quiet, self.has_changed.notified())
            .await
            .is_ok()
        {}
        self.follow_links();
        self.is_pending = false;
    }

    /// Watches the folders on the way to the files, which a change of a link leads through other folders. A
    /// folder is watched anew each time, because another folder may have its path now.
    fn follow_links(&mut self) {
        let mut paths: HashSet<_> = self.files.iter().flat_map(|file| way(file)).collect();
        for folder in self.folders.drain() {
            // The watch of a folder that is gone has ended.
            let _ = self.watcher.unwatch(&folder);
        }
        self.folders = paths
            .iter()
            .filter_map(|path| path.parent())
            .map(Path::to_owned)
            .collect();
        // A folder can be moved or removed with the file in it.
        paths.extend(self.folders.iter().cloned());
        *self.paths.lock().unwrap_or_else(PoisonError::into_inner) = paths;
        for folder in &self.folders {
            if let Err(error) = self.watcher.watch(folder, RecursiveMode::NonRecursive) {
                tracing::warn!("cannot watch {} for changes: {error}", folder.display());
            }
        }
    }
}

/// Returns the paths whose changes can change a file: the path of each symbolic link on the way, and the path
/// of the file. Their folders have no link in them. If the way ends before the file, the last path is the one
/// that is missing.
fn way(file: &Path) -> Vec<PathBuf> {
    let mut way = Vec::new();
    let mut folder = PathBuf::new();
    let Ok(mut rest) = std::path::absolute(file) else {
        return way;
    };
    while way.len() <= MAX_LINKS {
        let mut components = rest.components();
        let name: &OsStr = match components.next() {
            None => break,
            Some(Component::CurDir) => OsStr::new(""),
            Some(Component::ParentDir) => {
                folder.pop();
                OsStr::new("")
            }
            Some(other) => other.as_os_str(),
        };
        let path = folder.join(name);
        let behind = components.as_path();
        if let Ok(target) = fs::read_link(&path) {
            // A target that is not absolute begins in the folder of the link.
            rest = target.join(behind);
            way.push(path);
            continue;
        }
        if behind.as_os_str().is_empty() || !path.is_dir() {
            way.push(path);
            break;
        }
        rest = behind.to_owned();
        folder = path;
    }
    way
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;
    use std::time::Instant;

    use futures_util::FutureExt as _;
    use tempfile::TempDir;
    use tokio::time::timeout;

    use super::*;

    const QUIET: Duration = Duration::from_millis(20);

    /// A folder without a link in its path.
    fn root() -> (TempDir, PathBuf) {
        let folder = TempDir::new().unwrap();
        let path = folder.path().canonicalize().unwrap();
        (folder, path)
    }

    /// Has the link lead to another target, by a rename.
    fn switch(link: &Path, target: &str) {
        let next = link.with_file_name("next");
        symlink(target, &next).unwrap();
        fs::rename(next, link).unwrap();
    }

    async fn assert_changes(watch: &mut FileWatch, change: impl FnOnce()) {
        change();
        within(watch.changed(QUIET)).await;
    }

    async fn within(future: impl Future<Output = ()>) {
        let in_time = timeout(Duration::from_secs(20), future).await;
        assert!(in_time.is_ok(), "the change was not seen");
    }

    #[tokio::test]
    async fn a_change_of_each_link_on_the_way_is_seen_and_the_way_behind_it_is_watched() {
        let (_folder, root) = root();
        for folder in ["a/1", "a/2", "mounts/1", "mounts/2"] {
            fs::create_dir_all(root.join(folder)).unwrap();
            fs::write(root.join(folder).join("tls.pem"), "").unwrap();
        }
        // As Kubernetes mounts a secret, below a folder that is a link too.
        for folder in ["a/1", "a/2"] {
            symlink("../../mounts/1", root.join(folder).join("..data")).unwrap();
            fs::remove_file(root.join(folder).join("tls.pem")).unwrap();
            symlink("..data/tls.pem", root.join(folder).join("tls.pem")).unwrap();
        }
        let live = root.join("live");
        symlink("a/1", &live).unwrap();
        let mut watch = FileWatch::of_files(&[live.join("tls.pem")]).unwrap();
        let write = |path: &str| fs::write(root.join(path), "changed").unwrap();

        assert_changes(&mut watch, || write("mounts/1/tls.pem")).await;
        assert_changes(&mut watch, || switch(&live, "a/2")).await;
        assert_changes(&mut watch, || write("mounts/1/tls.pem")).await;
        let data = root.join("a/2/..data");
        assert_changes(&mut watch, || switch(&data, "../../mounts/2")).await;
        assert_changes(&mut watch, || write("mounts/2/tls.pem")).await;
        let file = root.join("a/2/tls.pem");
        assert_changes(&mut watch, || switch(&file, "../../mounts/1/tls.pem")).await;
        assert_changes(&mut watch, || write("mounts/1/tls.pem")).await;
    }

    #[tokio::test]
    async fn a_folder_that_is_replaced_is_watched_again() {
        let (_folder, root) = root();
        let (folder, file) = (root.join("a"), root.join("a/tls.pem"));
        fs::create_dir(&folder).unwrap();
        fs::write(&file, "").unwrap();
        let mut watch = FileWatch::of_files(std::slice::from_ref(&file)).unwrap();
        assert_changes(&mut watch, || {
            fs::rename(&folder, root.join("old")).unwrap();
        })
        .await;
        assert_changes(&mut watch, || fs::create_dir(&folder).unwrap()).await;
        assert_changes(&mut watch, || fs::write(&file, "").unwrap()).await;
    }

    #[tokio::test]
    async fn reading_the_file_and_changes_of_other_files_do_not_count() {
        let (_folder, root) = root();
        let [file, other] = ["tls.pem", "log"].map(|name| root.join(name));
        fs::write(&file, "").unwrap();
        let watch = FileWatch::of_files(std::slice::from_ref(&file)).unwrap();
        let mut of_other = FileWatch::of_files(std::slice::from_ref(&other)).unwrap();
        assert_changes(&mut of_other, || {
            fs::read(&file).unwrap();
            fs::write(&other, "").unwrap();
        })
        .await;
        assert_eq!(watch.has_changed.notified().now_or_never(), None);
    }

    #[tokio::test]
    async fn a_change_completes_after_a_quiet_time_and_is_not_lost_with_the_future() {
        const LONG: Duration = Duration::from_millis(100);
        let (_folder, root) = root();
        let file = root.join("tls.pem");
        let mut watch = FileWatch::of_files(std::slice::from_ref(&file)).unwrap();
        fs::write(&file, "").unwrap();
        let since = Instant::now();
        let never = Duration::from_secs(3600);
        within(async {
            while !watch.is_pending {
                let _ = timeout(Duration::from_millis(1), watch.changed(never)).await;
            }
        })
        .await;
        within(watch.changed(LONG)).await;
        assert!(since.elapsed() >= LONG, "{since:?}");
    }

    #[test]
    fn the_way_to_a_file_ends_at_what_is_missing_and_in_a_circle() {
        let (_folder, root) = root();
        symlink("b", root.join("a")).unwrap();
        symlink("a", root.join("b")).unwrap();
        assert_eq!(way(&root.join("a/tls.pem")).len(), MAX_LINKS + 1);
        symlink("./nowhere/../c", root.join("d")).unwrap();
        let expected = [root.join("d"), root.join("nowhere")];
        assert_eq!(way(&root.join("d/tls.pem")), expected);
    }
}
