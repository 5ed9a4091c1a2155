//! Calls of the system that only Linux has. Other systems send the octets at once, and are not asked to send files.

use std::io::{self, IoSlice};

use callgate_drive::FileBody;
#[cfg(target_os = "linux")]
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
use socket2::SockRef;

#[cfg(target_os = "linux")]
pub(super) fn send_more(socket: &SockRef<'_>, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
    let flags = SendFlags::MORE | SendFlags::NOSIGNAL;
    let mut no_control = SendAncillaryBuffer::default();
    Ok(sendmsg(&**socket, pieces, &mut no_control, flags)?)
}

#[cfg(target_os = "linux")]
pub(super) fn send_file(socket: &SockRef<'_>, file: &mut FileBody) -> io::Result<usize> {
    file.send(&**socket)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn send_more(socket: &SockRef<'_>, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
    socket.send_vectored(pieces)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn send_file(_: &SockRef<'_>, _: &mut FileBody) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}
