//! Listeners on their way from a server to its successor.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use super::unix_socket::{FileOwnership, SocketFile};
use super::{Listener, inherited};

/// A socket that a server passes on to its successor.
#[derive(Debug)]
pub(crate) struct PassedSocket {
    pub(crate) socket: OwnedFd,
    /// The address of the settings that the socket was bound to; empty for a socket that came with the
    /// process.
    pub(crate) origin: String,
    /// The ownership of the socket's file, if the server has created one.
    pub(crate) file: Option<FileOwnership>,
}

impl PassedSocket {
    pub(crate) fn new(listener: &Listener, origin: &str) -> io::Result<Self> {
        let (socket, file) = match listener {
            Listener::Tcp(listener) => (listener.as_fd(), None),
            Listener::Unix(listener, file) => {
                let file = file.as_ref().map(SocketFile::ownership);
                (listener.as_fd(), file)
            }
        };
        Ok(Self {
            socket: socket.try_clone_to_owned()?,
            origin: origin.into(),
            file,
        })
    }

    /// Returns a duplicate of the socket that this process has as this descriptor.
    pub(crate) fn of_descriptor(
        descriptor: i32,
        origin: String,
        file: Option<FileOwnership>,
    ) -> io::Result<Self> {
        Ok(Self {
            socket: inherited::duplicate(descriptor)?,
            origin,
            file,
        })
    }

    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            socket: self.socket.try_clone()?,
            origin: self.origin.clone(),
            file: self.file.clone(),
        })
    }

    /// Returns the listener, in the successor.
    pub(crate) fn into_listener(self) -> io::Result<Listener> {
        Ok(match (inherited::listener(self.socket)?, self.file) {
            (Listener::Unix(listener, _), Some(ownership)) => {
                let file = SocketFile::of(&listener, &ownership);
                Listener::Unix(listener, file)
            }
            (listener, _) => listener,
        })
    }
}
