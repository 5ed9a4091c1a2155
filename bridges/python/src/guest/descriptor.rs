//! The descriptor of a runtime's driver, which Tokio does not tell.

use std::fs;
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::Path;

use tokio::net::UnixDatagram;
use tokio::runtime::Runtime;

/// The folder with the descriptors of this process, each as a link to what it is.
const DESCRIPTORS: &str = "/proc/self/fd";

/// The folder with what the system knows of each descriptor.
const INFORMATION: &str = "/proc/self/fdinfo";

/// What the link of a descriptor of epoll says.
const EPOLL: &str = "anon_inode:[eventpoll]";

/// Returns the descriptor of the driver of `runtime`.
///
/// The runtime watches a socket meanwhile, and the system tells which descriptor of epoll has this socket. Other threads may build
/// runtimes at the same time.
///
/// # Errors
///
/// When the system has no more descriptors, or does not tell those of the process.
pub(super) fn of_driver(runtime: &Runtime) -> io::Result<i32> {
    let _context = runtime.enter();
    let watched = UnixDatagram::unbound()?;
    for entry in fs::read_dir(DESCRIPTORS)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default();
        // A descriptor may be closed meanwhile.
        if fs::read_link(&path).is_ok_and(|target| target == Path::new(EPOLL))
            && let Ok(information) = fs::read_to_string(Path::new(INFORMATION).join(name))
            && watches(&information, watched.as_raw_fd())
            && let Some(number) = name.to_str().and_then(|name| name.parse().ok())
        {
            return Ok(number);
        }
    }
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "the descriptor of the runtime's driver is not in /proc/self/fdinfo: mount /proc",
    ))
}

/// Returns whether a descriptor of epoll with this information watches the descriptor `number`.
fn watches(information: &str, number: i32) -> bool {
    information.lines().any(|line| {
        let watched = line.strip_prefix("tfd:").map(str::trim_start);
        let watched = watched.and_then(|line| line.split_whitespace().next());
        watched.and_then(|watched| watched.parse().ok()) == Some(number)
    })
}
