//! Opening files: without waiting for a pipe or a device, and below a directory only.

use std::fs::File;
use std::io;
use std::path::Path;

#[cfg(target_os = "linux")]
use rustix::io::Errno;

/// Opens a file for reading. A pipe or a device does not hold up the call.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
        options.custom_flags(flags.bits().cast_signed());
    }
    #[cfg(not(unix))]
    if path.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    options.open(path)
}

/// Opens the file or the directory at a relative path below a directory. The path has plain names only.
///
/// # Errors
///
/// Also when a symbolic link leads out of the directory, as if there was no such file.
pub(super) fn open_beneath(directory: &Path, path: &Path) -> io::Result<File> {
    #[cfg(target_os = "linux")]
    match linux::open_beneath(directory, path) {
        // The kernel is older than 5.6, a sandbox does not know the call, or names change all the time.
        Err(Errno::NOSYS | Errno::PERM | Errno::AGAIN) => {}
        opened => return Ok(opened?),
    }
    canonical::open_beneath(directory, path)
}

/// Resolution by the kernel, which also sees links that are replaced meanwhile.
#[cfg(target_os = "linux")]
mod linux {
    use std::fs::File;
    use std::path::Path;

    use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
    use rustix::io::{Errno, Result};

    /// How often a path is resolved again when something is renamed at the same time.
    const ATTEMPTS: usize = 16;

    pub(super) fn open_beneath(directory: &Path, path: &Path) -> Result<File> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = openat(CWD, directory, flags, Mode::empty())?;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let mut attempts = 0..ATTEMPTS;
        loop {
            match openat2(&directory, path, flags, Mode::empty(), beneath) {
                Err(Errno::AGAIN) if attempts.next().is_some() => {}
                opened => return opened.map(File::from),
            }
        }
    }
}

/// Resolution in two steps: all links first, and then the path without links.
mod canonical {
    use std::fs::File;
    use std::io;
    use std::path::Path;

    pub(super) fn open_beneath(directory: &Path, path: &Path) -> io::Result<File> {
        let directory = directory.canonicalize()?;
        let target = directory.join(path).canonicalize()?;
        let Ok(path) = target.strip_prefix(&directory) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        open_without_links(&directory, path)
    }

    /// Opens the path name by name: a directory that has become a link meanwhile is not followed.
    #[cfg(unix)]
    fn open_without_links(directory: &Path, path: &Path) -> io::Result<File> {
        use rustix::fs::{CWD, Mode, OFlags, openat};

        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let mut file = openat(CWD, directory, flags | OFlags::DIRECTORY, Mode::empty())?;
        for name in path {
            file = openat(&file, name, flags | OFlags::NOFOLLOW, Mode::empty())?;
        }
        Ok(file.into())
    }

    #[cfg(not(unix))]
    fn open_without_links(directory: &Path, path: &Path) -> io::Result<File> {
        super::open(&directory.join(path))
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs::File;
    use std::io::{self, Read as _};
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::{canonical, open_beneath};

    fn content(opened: io::Result<File>) -> Option<String> {
        let mut content = String::new();
        opened.ok()?.read_to_string(&mut content).ok()?;
        Some(content)
    }

    #[test]
    fn both_ways_to_open_a_file_follow_links_that_stay_below_the_directory_and_no_others() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "secret").unwrap();
        let directory = outside.path().join("public");
        std::fs::create_dir_all(directory.join("deep/er")).unwrap();
        std::fs::write(directory.join("page"), "page").unwrap();
        for (link, target) in [
            ("here", "page"),
            ("deep/er/up", "../../page"),
            ("folder", "deep/er"),
            ("secret", "../secret"),
            ("absolute", outside.path().join("secret").to_str().unwrap()),
            ("parent", ".."),
            ("there-and-back", "../public/page"),
            ("loop", "loop"),
            ("nowhere", "nosuch"),
            ("root", "/"),
            ("process", "/proc/self/root"),
        ] {
            symlink(target, directory.join(link)).unwrap();
        }
        type Open = fn(&Path, &Path) -> io::Result<File>;
        for (way, open) in [
            ("kernel", open_beneath as Open),
            ("canonical", canonical::open_beneath),
        ] {
            for (path, expected) in [
                ("page", Some("page")),
                ("./page", Some("page")),
                ("here", Some("page")),
                ("deep/er/up", Some("page")),
                ("folder/up", Some("page")),
                ("secret", None),
                ("absolute", None),
                ("parent/secret", None),
                ("loop", None),
                ("nowhere", None),
                ("root/etc/passwd", None),
                ("process/etc/passwd", None),
                ("page/below", None),
            ] {
                let found = content(open(&directory, Path::new(path)));
                assert_eq!(found.as_deref(), expected, "{way}: {path}");
            }
        }
    }

    #[test]
    fn a_directory_that_is_replaced_by_a_link_meanwhile_does_not_lead_out() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::create_dir(outside.path().join("hidden")).unwrap();
        std::fs::write(outside.path().join("hidden/page"), "secret").unwrap();
        let directory = outside.path().join("public");
        std::fs::create_dir_all(directory.join("real")).unwrap();
        std::fs::write(directory.join("real/page"), "page").unwrap();
        symlink("../hidden", directory.join("link")).unwrap();
        let swapped = directory.clone();
        let swaps = std::thread::spawn(move || {
            let flags = rustix::fs::RenameFlags::EXCHANGE;
            let (real, link) = (swapped.join("real"), swapped.join("link"));
            for _ in 0..2000 {
                rustix::fs::renameat_with(rustix::fs::CWD, &real, rustix::fs::CWD, &link, flags)
                    .unwrap();
            }
        });
        while !swaps.is_finished() {
            for open in [open_beneath, canonical::open_beneath] {
                let found = content(open(&directory, Path::new("real/page")));
                assert_ne!(found.as_deref(), Some("secret"));
            }
        }
        swaps.join().unwrap();
    }
}
