//! The executable of this process, to be started anew.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use tokio::process::Command;

/// Set for a successor: the number of the process that it succeeds, which is its parent.
pub(super) const PREDECESSOR: &str = "CALLGATE_PREDECESSOR";

/// Set for a successor: the number of upgrades of the server that will have completed when it takes over.
pub(super) const COMPLETED_UPGRADES: &str = "CALLGATE_COMPLETED_UPGRADES";

/// The variables of systemd that are for one process.
const OF_ONE_PROCESS: [&str; 5] = [
    "LISTEN_FDS",
    "LISTEN_FDS_FIRST_FD",
    "LISTEN_FDNAMES",
    "LISTEN_PID",
    "WATCHDOG_PID",
];

/// The executable and the command line of this process.
#[derive(Debug)]
pub(super) struct Executable {
    path: PathBuf,
    name: OsString,
    args: Vec<OsString>,
}

impl Executable {
    /// Returns the executable by the name that it was started with, so that a new file of this name, or a
    /// symbolic link that is switched to another file, is the one that is started next.
    pub(super) fn of_this_process() -> Self {
        let mut args = env::args_os();
        let name = args.next().unwrap_or_default();
        let path = find(&name, env::var_os("PATH").as_deref())
            .or_else(|| env::current_exe().ok())
            .unwrap_or_else(|| PathBuf::from(&name));
        Self {
            path,
            name,
            args: args.collect(),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the command that starts a successor of this process.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command
            .arg0(&self.name)
            .args(&self.args)
            .env(PREDECESSOR, std::process::id().to_string());
        for variable in OF_ONE_PROCESS {
            command.env_remove(variable);
        }
        command
    }
}

/// Returns the file that a shell starts by this name.
fn find(name: &OsStr, path: Option<&OsStr>) -> Option<PathBuf> {
    let is_path = Path::new(name).components().count() > 1;
    let candidates = match (is_path, path) {
        (true, _) => vec![PathBuf::from(name)],
        (false, Some(path)) => env::split_paths(path)
            .map(|folder| folder.join(name))
            .collect(),
        (false, None) => Vec::new(),
    };
    let absolute = candidates.into_iter().map(std::path::absolute);
    absolute.flatten().find(|candidate| candidate.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_executable_is_found_by_the_name_that_it_was_started_with() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("app");
        std::fs::write(&file, "").unwrap();
        let path = env::join_paths([Path::new("/nowhere"), directory.path()]).unwrap();
        assert_eq!(find("app".as_ref(), Some(&path)), Some(file.clone()));
        assert_eq!(find(file.as_ref(), None), Some(file));
        assert_eq!(find("app".as_ref(), None), None);
        assert_eq!(find("./no-such-app".as_ref(), Some(&path)), None);
        // A path that is relative has the folder in which the process was started.
        let absolute = std::path::absolute("Cargo.toml").unwrap();
        assert_eq!(find("./Cargo.toml".as_ref(), None), Some(absolute));
    }
}
