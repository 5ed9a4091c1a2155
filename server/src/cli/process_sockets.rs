//! The sockets of a server whose processes are replaced by code outside of this crate, as those of the wheel for Python are.

use std::io;
use std::os::fd::AsRawFd as _;
use std::sync::Arc;

use super::systemd;
use crate::listener::{FileOwnership, PassedSocket};
use crate::retirement::Retirement;
use crate::succession::Succession;
use crate::{ServeError, Server};

/// A listening socket that a process passes on to its successor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketDescription {
    /// The number of its descriptor.
    pub descriptor: i32,
    /// The address of the settings that the socket was bound to; empty for a socket that came with the process.
    pub origin: String,
    /// Whether the server has created a file for the socket, and removes it.
    pub has_file: bool,
}

/// The sockets that a server listens on, for the process that replaces this one ([`Server::bind_as_process`]).
///
/// They stay open until this is dropped.
#[derive(Debug)]
pub struct ProcessSockets {
    sockets: Vec<PassedSocket>,
    predecessor: Option<Arc<Succession>>,
}

impl ProcessSockets {
    /// Returns a description of each socket. The descriptors are not inherited by programs that this process starts,
    /// unless that is asked for.
    #[must_use]
    pub fn descriptions(&self) -> Vec<SocketDescription> {
        let describe = |socket: &PassedSocket| SocketDescription {
            descriptor: socket.socket.as_raw_fd(),
            origin: socket.origin.clone(),
            has_file: socket.file.is_some(),
        };
        self.sockets.iter().map(describe).collect()
    }

    /// Sets whether this process removes the files of the sockets when it ends. By default, a process removes the files of
    /// sockets that it has bound, and keeps those of sockets that it has inherited. A process that becomes the owner also
    /// closes the inherited sockets that its settings do not name.
    pub fn own_files(&self, is_owner: bool) {
        let files = (self.sockets.iter()).filter_map(|socket| socket.file.as_ref());
        files.for_each(|file| file.set(is_owner));
        if let Some(succession) = self.predecessor.as_ref().filter(|_| is_owner) {
            drop(succession.take_rest());
        }
    }
}

impl Server {
    /// Binds as the [command line](crate::cli) does, for a process that code outside of this crate replaces by another.
    ///
    /// The first process has the sockets that systemd has opened for it, and with them no address but those of `bind`,
    /// `uds`, `fd` and `insecure_bind`. A later process has inherited the sockets of the process that it replaces, under the
    /// same descriptors. They are duplicated, so the caller may close them afterwards. The server takes each socket whose address its
    /// settings still name, and binds the addresses that are new.
    ///
    /// # Errors
    ///
    /// As [`Server::bind`]; and [`ServeError::Listener`] and [`ServeError::Predecessor`] when a descriptor is no socket
    /// that listens.
    pub fn bind_as_process(
        mut self,
        inherited: Option<&[SocketDescription]>,
    ) -> Result<(Self, ProcessSockets), ServeError> {
        let predecessor = inherited
            .map(|sockets| self.inherit(sockets))
            .transpose()
            .map_err(ServeError::Predecessor)?;
        self.succession.clone_from(&predecessor);
        let mut server = systemd::add_sockets(self, predecessor.as_deref())?.bound()?;
        // The limits of the process are those of code outside, too.
        server.succession = None;
        let sockets = ProcessSockets {
            sockets: server.sockets_to_pass()?,
            predecessor,
        };
        Ok((server, sockets))
    }

    fn inherit(&self, sockets: &[SocketDescription]) -> io::Result<Arc<Succession>> {
        let files = FileOwnership::new(false);
        let listeners = sockets.iter().map(|description| {
            let socket = PassedSocket::of_descriptor(
                description.descriptor,
                description.origin.clone(),
                description.has_file.then(|| files.clone()),
            )?;
            Ok((description.origin.clone(), socket.into_listener()?))
        });
        let listeners = listeners.collect::<io::Result<_>>()?;
        let retirement = Retirement::new(&self.config.process);
        Ok(Arc::new(Succession::new(retirement, listeners)))
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::config::{BindAddress, Config};
    use crate::test_app::never;

    #[test]
    fn a_process_takes_the_sockets_that_its_settings_name_and_their_files_with_them() {
        let directory = tempfile::tempdir().unwrap();
        let paths = ["kept", "closed"].map(|name| directory.path().join(name));
        let bind = |paths: &[PathBuf]| {
            let tcp = Config::new().bind(BindAddress::Tcp("127.0.0.1".into(), 0));
            let addresses = paths.iter().cloned().map(BindAddress::Unix);
            Server::new(never).config(addresses.fold(tcp, Config::bind))
        };
        let (first, sockets) = bind(&paths).bind_as_process(None).unwrap();
        let descriptions = sockets.descriptions();
        let (second, inherited) = bind(&paths[..1])
            .bind_as_process(Some(&descriptions))
            .unwrap();
        assert_eq!(second.local_addr(), first.local_addr());
        sockets.own_files(false);
        inherited.own_files(true);
        drop(first);
        assert!(paths[0].exists());
        assert!(!paths[1].exists(), "the settings do not name it any more");
        drop(second);
        assert!(!paths[0].exists());
    }
}
