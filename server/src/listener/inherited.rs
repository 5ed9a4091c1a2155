//! Sockets that another process has opened: a socket of this process's descriptors, and those that a
//! server hands over to its successor.

#[cfg(not(target_os = "linux"))]
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixListener;

use rustix::io::{FdFlags, fcntl_setfd};
use socket2::{Domain, SockRef};

use super::{IntoListener as _, Listener, TcpListener};

/// Returns a listener on the socket that this process has as descriptor `number`, and listens on the
/// socket if nobody did so yet.
pub(super) fn listen_on(number: i32, backlog: u32) -> io::Result<Listener> {
    let socket = duplicate(number)?;
    SockRef::from(&socket).listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    listener(socket)
}

/// Returns a duplicate of a descriptor, which programs that this process starts do not inherit.
#[cfg(target_os = "linux")]
pub(super) fn duplicate(number: i32) -> io::Result<OwnedFd> {
    use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

    if number == 0 {
        return io::stdin().as_fd().try_clone_to_owned();
    }
    let this_process = pidfd_open(getpid(), PidfdFlags::empty())?;
    Ok(pidfd_getfd(this_process, number, PidfdGetfdFlags::empty())?)
}

/// Returns a duplicate of a descriptor, which programs that this process starts do not inherit.
#[cfg(not(target_os = "linux"))]
pub(super) fn duplicate(number: i32) -> io::Result<OwnedFd> {
    if number == 0 {
        return io::stdin().as_fd().try_clone_to_owned();
    }
    // These systems duplicate a descriptor when its file here is opened.
    File::open(format!("/dev/fd/{number}")).map(OwnedFd::from)
}

/// Returns the listener of a socket that listens: a TCP socket or a Unix socket.
pub(super) fn listener(socket: OwnedFd) -> io::Result<Listener> {
    fcntl_setfd(&socket, FdFlags::CLOEXEC)?;
    match SockRef::from(&socket).local_addr()?.domain() {
        Domain::UNIX => UnixListener::from(socket).into_listener(),
        Domain::IPV4 | Domain::IPV6 => TcpListener::from(socket).into_listener(),
        _ => {
            let reason = "this is neither a TCP socket nor a Unix socket";
            Err(io::Error::new(io::ErrorKind::InvalidInput, reason))
        }
    }
}
