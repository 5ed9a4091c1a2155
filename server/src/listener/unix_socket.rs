//! Unix sockets that the server creates.

use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use socket2::{Domain, SockAddr, Socket, Type};

use super::socket_owner;
use crate::config::Listen;

/// Whether this process removes the files of its Unix sockets. All clones have the same value.
///
/// While a server hands its sockets over to a successor, exactly one of the two processes does so.
#[derive(Clone, Debug)]
pub(crate) struct FileOwnership(Arc<AtomicBool>);

impl FileOwnership {
    pub(crate) fn new(is_owner: bool) -> Self {
        Self(Arc::new(AtomicBool::new(is_owner)))
    }

    #[cfg(feature = "cli")]
    pub(crate) fn set(&self, is_owner: bool) {
        self.0.store(is_owner, Ordering::Release);
    }

    fn is_owner(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// The file of a Unix socket. The owner removes it when this is dropped, unless another socket has taken
/// its place. A process that was forked from the owner has a copy of this, and leaves the file alone.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// The device and the number of the file.
    identity: (u64, u64),
    process: u32,
    ownership: FileOwnership,
}

impl SocketFile {
    fn new(path: &Path, ownership: FileOwnership) -> io::Result<Self> {
        Ok(Self {
            path: path.into(),
            identity: identity(&fs::symlink_metadata(path)?),
            process: process::id(),
            ownership,
        })
    }

    /// Returns the file of a socket that another process has created. `None` if the file is gone.
    #[cfg(feature = "cli")]
    pub(super) fn of(listener: &UnixListener, ownership: &FileOwnership) -> Option<Self> {
        let address = listener.local_addr().ok()?;
        Self::new(address.as_pathname()?, ownership.clone()).ok()
    }

    #[cfg(feature = "cli")]
    pub(super) fn ownership(&self) -> FileOwnership {
        self.ownership.clone()
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_same = fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| identity(&metadata) == self.identity);
        if is_same
            && self.process == process::id()
            && self.ownership.is_owner()
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!("cannot remove {}: {error}", self.path.display());
        }
    }
}

/// Listens on a Unix socket at `path`. The socket of a dead server is replaced.
pub(super) fn bind(path: &Path, settings: &Listen) -> io::Result<(UnixListener, SocketFile)> {
    remove_stale(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    let file = SocketFile::new(path, FileOwnership::new(true))?;
    // Nobody can connect before the socket listens.
    if let Some(owner) = &settings.uds_owner {
        let (user, group) = socket_owner::ids(owner)?;
        chown(path, Some(user), Some(group))?;
    }
    if let Some(mode) = settings.uds_mode {
        fs::set_permissions(path, Permissions::from_mode(mode))?;
    }
    socket.listen(i32::try_from(settings.backlog).unwrap_or(i32::MAX))?;
    Ok((UnixListener::from(socket), file))
}

/// Removes the socket at `path` if no server listens on it.
fn remove_stale(path: &Path) -> io::Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !metadata.file_type().is_socket() {
        let reason = "there is a file which is not a socket";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, reason));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // A server whose queue is full does not answer at once.
        _ => {
            let reason = "another server listens there";
            Err(io::Error::new(io::ErrorKind::AddrInUse, reason))
        }
    }
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}
