//! A proxy before the good server that changes what passes.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A change of octets that were read at once.
pub(crate) type Change = fn(Vec<u8>) -> Vec<u8>;

/// What a proxy changes in each direction.
#[derive(Clone, Copy)]
pub(crate) struct Changes {
    pub(crate) to_server: Change,
    pub(crate) to_client: Change,
}

/// Starts a proxy before the server at `server`. Returns its address.
pub(crate) async fn start(server: SocketAddr, changes: Changes) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            // The error of a connection that a side has reset needs no report: the other side sees the end.
            tokio::spawn(pass(client, server, changes));
        }
    });
    address
}

async fn pass(client: TcpStream, server: SocketAddr, changes: Changes) -> io::Result<()> {
    let server = TcpStream::connect(server).await?;
    let (client_read, client_write) = client.into_split();
    let (server_read, server_write) = server.into_split();
    let to_server = tokio::spawn(copy(client_read, server_write, changes.to_server));
    copy(server_read, client_write, changes.to_client).await?;
    to_server.abort();
    Ok(())
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    change: Change,
) -> io::Result<()> {
    let mut octets = vec![0; 512 * 1024];
    loop {
        match from.read(&mut octets).await {
            Ok(read @ 1..) => to.write_all(&change(octets[..read].to_vec())).await?,
            // An end, or a reset.
            _ => return to.shutdown().await,
        }
    }
}
