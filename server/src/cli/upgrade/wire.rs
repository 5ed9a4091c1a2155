//! How sockets pass from a process to its successor, over the Unix socket between them.

use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::cmsg_space;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use crate::listener::{FileOwnership, PassedSocket};

/// The successor is ready to serve.
pub(super) const READY: u8 = b'R';

/// The successor has failed to start. The reason follows.
pub(super) const FAILED: u8 = b'F';

/// The sockets and their files belong to the successor.
pub(super) const HANDED_OVER: u8 = b'H';

/// Between the descriptions of sockets.
const SEPARATOR: char = '\0';

/// Sends the standard input of the successor, and the sockets.
pub(super) fn send(mut connection: &UnixStream, sockets: &[PassedSocket]) -> io::Result<()> {
    let descriptions: String = (sockets.iter())
        .map(|socket| {
            let has_file = u8::from(socket.file.is_some());
            format!("{has_file}{}{SEPARATOR}", socket.origin)
        })
        .collect();
    let length = u32::try_from(descriptions.len()).map_err(io::Error::other)?;
    connection.write_all(&length.to_le_bytes())?;
    connection.write_all(descriptions.as_bytes())?;
    send_descriptor(connection, io::stdin().as_fd())?;
    for socket in sockets {
        send_descriptor(connection, socket.socket.as_fd())?;
    }
    Ok(())
}

/// Receives what [`send`] has sent. The files of the sockets have the ownership `files`.
pub(super) fn receive(
    mut connection: &UnixStream,
    files: &FileOwnership,
) -> io::Result<(OwnedFd, Vec<PassedSocket>)> {
    let mut length = [0; 4];
    connection.read_exact(&mut length)?;
    let mut descriptions = vec![0; u32::from_le_bytes(length) as usize];
    connection.read_exact(&mut descriptions)?;
    let descriptions = String::from_utf8(descriptions).map_err(io::Error::other)?;
    let stdin = receive_descriptor(connection)?;
    let sockets = descriptions.split_terminator(SEPARATOR).map(|description| {
        let (has_file, origin) = description.split_at(1);
        Ok(PassedSocket {
            socket: receive_descriptor(connection)?,
            origin: origin.into(),
            file: (has_file == "1").then(|| files.clone()),
        })
    });
    Ok((stdin, sockets.collect::<io::Result<_>>()?))
}

/// Sends a descriptor with one octet, so that the receiver reads no other descriptor with it.
fn send_descriptor(connection: &UnixStream, descriptor: BorrowedFd<'_>) -> io::Result<()> {
    let descriptors = [descriptor];
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    sendmsg(
        connection,
        &[IoSlice::new(&[0])],
        &mut control,
        SendFlags::empty(),
    )?;
    Ok(())
}

fn receive_descriptor(connection: &UnixStream) -> io::Result<OwnedFd> {
    let mut octet = [0];
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    #[cfg(target_os = "linux")]
    let flags = RecvFlags::CMSG_CLOEXEC;
    #[cfg(not(target_os = "linux"))]
    let flags = RecvFlags::empty();
    recvmsg(
        connection,
        &mut [IoSliceMut::new(&mut octet)],
        &mut control,
        flags,
    )?;
    let mut messages = control.drain();
    let descriptor = messages.find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    descriptor.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}
