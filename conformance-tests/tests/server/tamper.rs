//! Ways to break a rule that the reference server keeps: between it and the application, and
//! between it and the client.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};

use callgate::{
    App, AppError, BoxApp, Channel, ReceiveEvent, Receiver, Scope, SendError, SendEvent, Sender,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Stands between the server and the application, and changes what it likes. Each method is given
/// what would happen otherwise.
pub(crate) trait Between: Send + Sync + 'static {
    /// What the application is told.
    fn scope(&self, _scope: &mut Scope) {}

    /// What the application receives.
    fn receive(&self, server: &dyn Channel, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
        server.poll_receive(cx)
    }

    /// What comes of a send.
    fn send(
        &self,
        server: &dyn Channel,
        cx: &mut Context<'_>,
        event: &mut Option<SendEvent>,
    ) -> Poll<Result<(), SendError>> {
        server.poll_send(cx, event)
    }

    /// How the call ends for the server.
    fn result(&self, result: Result<(), AppError>) -> Result<(), AppError> {
        result
    }
}

/// The application `inside`, with a [`Between`] of its own for each call.
pub(crate) fn between<B: Between>(inside: impl App, make: fn() -> B) -> BoxApp {
    let inside = BoxApp::new(inside);
    BoxApp::new(
        move |mut scope: Scope, receiver: Receiver, sender: Sender| {
            let inside = inside.clone();
            async move {
                let between = Arc::new(make());
                between.scope(&mut scope);
                let channel = Arc::new(Tampered {
                    between: between.clone(),
                    receiving: receiver.into_channel(),
                    sending: sender.into_channel(),
                });
                let (receiver, sender) = (Receiver::new(channel.clone()), Sender::new(channel));
                between.result(inside.call(scope, receiver, sender).await)
            }
        },
    )
}

struct Tampered<B> {
    between: Arc<B>,
    receiving: Arc<dyn Channel>,
    sending: Arc<dyn Channel>,
}

impl<B: Between> Channel for Tampered<B> {
    fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
        self.between.receive(&*self.receiving, cx)
    }

    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        event: &mut Option<SendEvent>,
    ) -> Poll<Result<(), SendError>> {
        self.between.send(&*self.sending, cx, event)
    }
}

/// Stands between the server and one client, and changes what it likes.
pub(crate) trait Wire: Send {
    /// What reaches the server.
    fn to_server(&mut self, octets: Vec<u8>) -> Vec<u8> {
        octets
    }

    /// What reaches the client.
    fn to_client(&mut self, octets: Vec<u8>) -> Vec<u8> {
        octets
    }
}

/// Listens in the place of a server, and passes on what is tampered with.
pub(crate) struct Proxy {
    address: SocketAddr,
    listening: JoinHandle<()>,
}

impl Proxy {
    pub(crate) fn start(server: SocketAddr, make: fn() -> Box<dyn Wire>) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let address = listener.local_addr()?;
        let listening = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, server, make()));
            }
        });
        Ok(Self { address, listening })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// Passes on both ways until both sides are through; passes on how each of them ended, too.
async fn pass(mut client: TcpStream, server: SocketAddr, mut wire: Box<dyn Wire>) {
    let Ok(mut server) = TcpStream::connect(server).await else {
        return;
    };
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    let (mut from_client, mut from_server) = ([0; 16 * 1024], [0; 16 * 1024]);
    let (mut client_done, mut server_done) = (false, false);
    while !(client_done && server_done) {
        let is_reset = tokio::select! {
            read = client.read(&mut from_client), if !client_done => match read {
                Ok(0) => {
                    client_done = true;
                    server.shutdown().await.is_err()
                }
                Ok(read) => {
                    let octets = wire.to_server(from_client[..read].to_vec());
                    server.write_all(&octets).await.is_err()
                }
                Err(_) => true,
            },
            read = server.read(&mut from_server), if !server_done => match read {
                Ok(0) => {
                    server_done = true;
                    client.shutdown().await.is_err()
                }
                Ok(read) => {
                    let octets = wire.to_client(from_server[..read].to_vec());
                    client.write_all(&octets).await.is_err()
                }
                Err(_) => true,
            },
        };
        if is_reset {
            let _ = client.set_zero_linger();
            let _ = server.set_zero_linger();
            return;
        }
    }
}
