//! The descriptor of a runtime's driver, which Tokio does not tell.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

/// The folder with the descriptors of this process, each as a link to what it is.
const DESCRIPTORS: &str = "/proc/self/fd";

/// What the link of a descriptor of epoll says.
const EPOLL: &str = "anon_inode:[eventpoll]";

/// Calls `build`, and returns with its result the number of the first descriptor of epoll that it has opened.
///
/// # Errors
///
/// The error of `build`; or when the system does not tell the descriptors of the process.
pub(super) fn find_new<T>(build: impl FnOnce() -> io::Result<T>) -> io::Result<(T, i32)> {
    let before = epoll_descriptors()?;
    let value = build()?;
    let after = epoll_descriptors()?;
    match after.difference(&before).next() {
        Some(number) => Ok((value, *number)),
        None => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "the runtime has no descriptor of epoll",
        )),
    }
}

fn epoll_descriptors() -> io::Result<BTreeSet<i32>> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(DESCRIPTORS)? {
        let path = entry?.path();
        // A descriptor may be closed meanwhile.
        if fs::read_link(&path).is_ok_and(|target| target == Path::new(EPOLL))
            && let Some(number) = path
                .file_name()
                .and_then(|name| name.to_str()?.parse().ok())
        {
            found.insert(number);
        }
    }
    Ok(found)
}
