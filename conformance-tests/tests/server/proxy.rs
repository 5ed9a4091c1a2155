//! The proxy that runs a [`ConnectionFilter`] between the server and each client.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use callgate::{App, BoxApp, Receiver, Scope, Sender};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;

use crate::connection_filter::ConnectionFilter;

/// Listens on a free port of 127.0.0.1.
pub(crate) fn listen() -> io::Result<TcpListener> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// Listens in place of a server, and passes each connection through a [`ConnectionFilter`].
pub(crate) struct Proxy {
    address: SocketAddr,
    clients: Clients,
    listening: JoinHandle<()>,
}

/// The address of each client, by the address of the proxy's connection to the server.
type Clients = Arc<Mutex<HashMap<SocketAddr, SocketAddr>>>;

impl Proxy {
    pub(crate) fn start(
        server: SocketAddr,
        make: fn() -> Box<dyn ConnectionFilter>,
    ) -> io::Result<Self> {
        let listener = listen()?;
        let address = listener.local_addr()?;
        let clients = Clients::default();
        let listening = tokio::spawn({
            let clients = clients.clone();
            async move {
                while let Ok((client, from)) = listener.accept().await {
                    tokio::spawn(pass(client, from, server, clients.clone(), make()));
                }
            }
        });
        Ok(Self {
            address,
            clients,
            listening,
        })
    }

    /// Starts a proxy that answers requests without `host` with `answer` while the server's start-up is
    /// not complete. Other requests wait for the server.
    pub(crate) fn start_early(
        server: SocketAddr,
        answer: &'static str,
        started: Arc<AtomicBool>,
    ) -> io::Result<Self> {
        struct Unchanged;
        impl ConnectionFilter for Unchanged {}

        let listener = listen()?;
        let address = listener.local_addr()?;
        let clients = Clients::default();
        let known = clients.clone();
        let listening = tokio::spawn(async move {
            while let Ok((mut client, from)) = listener.accept().await {
                let (started, clients) = (started.clone(), known.clone());
                tokio::spawn(async move {
                    if !started.load(Ordering::SeqCst) {
                        let mut head = [0; 1024];
                        let read = client.peek(&mut head).await.unwrap_or_default();
                        let head = String::from_utf8_lossy(&head[..read]);
                        if head.starts_with("GET ") && !head.contains("host: ") {
                            let _ = client.write_all(answer.as_bytes()).await;
                            return;
                        }
                    }
                    pass(client, from, server, clients, Box::new(Unchanged)).await;
                });
            }
        });
        Ok(Self {
            address,
            clients,
            listening,
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the application `inside`, whose scopes have the addresses that they would have without
    /// a proxy.
    pub(crate) fn hide_from(&self, inside: BoxApp) -> BoxApp {
        let (address, clients) = (self.address, self.clients.clone());
        BoxApp::new(
            move |mut scope: Scope, receiver: Receiver, sender: Sender| {
                if let Some(request) = scope.request_mut()
                    && let Some(proxy) = request.client
                    && let Some(from) = clients.lock().unwrap().get(&proxy).copied()
                {
                    request.client = Some(from);
                    request.server = Some(address);
                }
                let inside = inside.clone();
                async move { inside.call(scope, receiver, sender).await }
            },
        )
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// The receive buffer of a connection to the server, in bytes. The system lets it grow otherwise, until the server can send
/// everything to a client that does not read.
const RECEIVE_BUFFER: u32 = 64 << 10;

async fn connect(server: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    socket.connect(server).await
}

/// Passes octets both ways until both sides have ended, and passes on how each side ended.
async fn pass(
    mut client: TcpStream,
    from: SocketAddr,
    server: SocketAddr,
    clients: Clients,
    mut filter: Box<dyn ConnectionFilter>,
) {
    let Ok(mut server) = connect(server).await else {
        return;
    };
    if let Ok(own) = server.local_addr() {
        clients.lock().unwrap().insert(own, from);
    }
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    if pass_octets(&mut client, &mut server, &mut *filter)
        .await
        .is_err()
    {
        let _ = client.set_zero_linger();
        let _ = server.set_zero_linger();
    }
}

async fn pass_octets(
    client: &mut TcpStream,
    server: &mut TcpStream,
    filter: &mut dyn ConnectionFilter,
) -> io::Result<()> {
    let (mut client_read, mut client_write) = client.split();
    let (mut from_client, mut from_server) = ([0; 16 * 1024], [0; 16 * 1024]);
    let (mut client_done, mut server_done) = (false, false);
    // Octets that the client has not taken yet.
    let mut held = Vec::new();
    while !(client_done && server_done && held.is_empty()) {
        tokio::select! {
            read = client_read.read(&mut from_client), if !client_done => match read? {
                0 => {
                    client_done = true;
                    if filter.passes_end() {
                        server.shutdown().await?;
                    }
                }
                read => {
                    let octets = filter.to_server(from_client[..read].to_vec());
                    held.extend(filter.at_once());
                    // A server that takes nothing more may have answered: reading goes on.
                    client_done = server.write_all(&octets).await.is_err();
                }
            },
            written = client_write.write(&held), if !held.is_empty() => {
                held.drain(..written?);
                if held.is_empty() && server_done {
                    client_write.shutdown().await?;
                }
            }
            read = server.read(&mut from_server), if !server_done && held.len() <= filter.buffer_capacity() => {
                match read {
                    Ok(read) if read > 0 => {
                        held.extend(filter.to_client(from_server[..read].to_vec()));
                    }
                    Err(error) if filter.passes_reset() => {
                        client_write.write_all(&held).await?;
                        return Err(error);
                    }
                    _ => {
                        server_done = true;
                        held.extend(filter.after_end());
                        if held.is_empty() {
                            client_write.shutdown().await?;
                        }
                    }
                }
            }
        }
    }
    Ok(())
}
