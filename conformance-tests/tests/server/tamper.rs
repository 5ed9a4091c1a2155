//! Ways to break a rule that the reference server keeps: between it and the application, and
//! between it and the client.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
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
pub(crate) fn between<B: Between>(
    inside: impl App,
    make: impl Fn() -> B + Clone + Send + Sync + 'static,
) -> BoxApp {
    let inside = BoxApp::new(inside);
    BoxApp::new(
        move |mut scope: Scope, receiver: Receiver, sender: Sender| {
            let (inside, make) = (inside.clone(), make.clone());
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

    /// What the client is sent then, without waiting for the server.
    fn at_once(&mut self) -> Vec<u8> {
        Vec::new()
    }

    /// How much of it is held back at least before the server must wait, in bytes.
    fn bound(&self) -> usize {
        0
    }

    /// What reaches the client.
    fn to_client(&mut self, octets: Vec<u8>) -> Vec<u8> {
        octets
    }

    /// Whether the server is told that the client has ended its sending side.
    fn passes_end(&mut self) -> bool {
        true
    }

    /// Whether the client is told that the server has reset the connection; otherwise that ends in
    /// order.
    fn passes_reset(&self) -> bool {
        true
    }

    /// What reaches the client after the server has ended the connection in order.
    fn after_end(&mut self) -> Vec<u8> {
        Vec::new()
    }
}

/// Has the client read one thing in place of another.
pub(crate) struct InPlaceOf(pub(crate) &'static str, pub(crate) &'static str);

impl Wire for InPlaceOf {
    fn to_client(&mut self, octets: Vec<u8>) -> Vec<u8> {
        replace(&octets, self.0, self.1)
    }
}

/// `octets` with `new` in each place of `old`.
pub(crate) fn replace(octets: &[u8], old: impl AsRef<[u8]>, new: impl AsRef<[u8]>) -> Vec<u8> {
    let (old, new) = (old.as_ref(), new.as_ref());
    let mut replaced = Vec::with_capacity(octets.len());
    let mut rest = octets;
    while let Some(at) = find(rest, old) {
        replaced.extend_from_slice(&rest[..at]);
        replaced.extend_from_slice(new);
        rest = &rest[at + old.len()..];
    }
    replaced.extend_from_slice(rest);
    replaced
}

/// Where `wanted` begins in `octets`.
pub(crate) fn find(octets: &[u8], wanted: impl AsRef<[u8]>) -> Option<usize> {
    let wanted = wanted.as_ref();
    octets
        .windows(wanted.len())
        .position(|window| window == wanted)
}

/// Whether this is the handshake of a WebSocket over HTTP/1.1.
pub(crate) fn is_handshake(octets: &[u8]) -> bool {
    find(octets, "upgrade: websocket\r\n").is_some()
}

/// Listens at a free port.
pub(crate) fn listen() -> io::Result<TcpListener> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// Listens in the place of a server, and passes on what is tampered with.
pub(crate) struct Proxy {
    address: SocketAddr,
    clients: Clients,
    listening: JoinHandle<()>,
}

/// The client's address for each that the server takes for one.
type Clients = Arc<Mutex<HashMap<SocketAddr, SocketAddr>>>;

impl Proxy {
    pub(crate) fn start(server: SocketAddr, make: fn() -> Box<dyn Wire>) -> io::Result<Self> {
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

    /// Answers requests that have no `host` with this, as long as the server's start-up is not
    /// complete; the others wait for it.
    pub(crate) fn start_early(
        server: SocketAddr,
        answer: &'static str,
        started: Arc<AtomicBool>,
    ) -> io::Result<Self> {
        struct Untampered;
        impl Wire for Untampered {}

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
                    pass(client, from, server, clients, Box::new(Untampered)).await;
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

    /// `inside`, which learns the addresses that it would without a proxy: that there is one must
    /// break no rule.
    pub(crate) fn hide_from(&self, inside: BoxApp) -> BoxApp {
        let (address, clients) = (self.address, self.clients.clone());
        BoxApp::new(
            move |mut scope: Scope, receiver: Receiver, sender: Sender| {
                let (client, server) = match &mut scope {
                    Scope::Http(scope) => (&mut scope.client, &mut scope.server),
                    Scope::WebSocket(scope) => (&mut scope.client, &mut scope.server),
                    _ => (&mut None, &mut None),
                };
                if let Some(from) =
                    client.and_then(|proxy| clients.lock().unwrap().get(&proxy).copied())
                {
                    (*client, *server) = (Some(from), Some(address));
                }
                let inside = inside.clone();
                async move { inside.call(scope, receiver, sender).await }
            },
        )
    }
}

/// The application `inside`; sets `started` as soon as its lifespan call has completed start-up, and
/// `ended` when that has ended.
pub(crate) fn noting_startup(
    inside: BoxApp,
    started: Arc<AtomicBool>,
    ended: Arc<AtomicBool>,
) -> BoxApp {
    BoxApp::new(move |scope: Scope, receiver: Receiver, sender: Sender| {
        let (inside, started, ended) = (inside.clone(), started.clone(), ended.clone());
        async move {
            if !matches!(scope, Scope::Lifespan(_)) {
                return inside.call(scope, receiver, sender).await;
            }
            let sender = Sender::new(Arc::new(NotingStartup {
                sending: sender.into_channel(),
                started,
            }));
            let result = inside.call(scope, receiver, sender).await;
            ended.store(true, Ordering::SeqCst);
            result
        }
    })
}

struct NotingStartup {
    sending: Arc<dyn Channel>,
    started: Arc<AtomicBool>,
}

impl Channel for NotingStartup {
    fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
        self.sending.poll_receive(cx)
    }

    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        event: &mut Option<SendEvent>,
    ) -> Poll<Result<(), SendError>> {
        if let Some(SendEvent::LifespanStartupComplete(_)) = event {
            self.started.store(true, Ordering::SeqCst);
        }
        self.sending.poll_send(cx, event)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// Passes on both ways until both sides are through; passes on how each of them ended, too.
async fn pass(
    mut client: TcpStream,
    from: SocketAddr,
    server: SocketAddr,
    clients: Clients,
    mut wire: Box<dyn Wire>,
) {
    let Ok(mut server) = TcpStream::connect(server).await else {
        return;
    };
    if let Ok(own) = server.local_addr() {
        clients.lock().unwrap().insert(own, from);
    }
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    if exchange(&mut client, &mut server, &mut *wire)
        .await
        .is_err()
    {
        let _ = client.set_zero_linger();
        let _ = server.set_zero_linger();
    }
}

async fn exchange(
    client: &mut TcpStream,
    server: &mut TcpStream,
    wire: &mut dyn Wire,
) -> io::Result<()> {
    let (mut client_read, mut client_write) = client.split();
    let (mut from_client, mut from_server) = ([0; 16 * 1024], [0; 16 * 1024]);
    let (mut client_done, mut server_done) = (false, false);
    // What the client has not taken yet.
    let mut held = Vec::new();
    while !(client_done && server_done && held.is_empty()) {
        tokio::select! {
            read = client_read.read(&mut from_client), if !client_done => match read? {
                0 => {
                    client_done = true;
                    if wire.passes_end() {
                        server.shutdown().await?;
                    }
                }
                read => {
                    let octets = wire.to_server(from_client[..read].to_vec());
                    held.extend(wire.at_once());
                    // A server that takes nothing more may have answered: how it ended is read.
                    client_done = server.write_all(&octets).await.is_err();
                }
            },
            written = client_write.write(&held), if !held.is_empty() => {
                held.drain(..written?);
                if held.is_empty() && server_done {
                    client_write.shutdown().await?;
                }
            }
            read = server.read(&mut from_server), if !server_done && held.len() <= wire.bound() => {
                match read {
                    Ok(read) if read > 0 => {
                        held.extend(wire.to_client(from_server[..read].to_vec()));
                    }
                    Err(error) if wire.passes_reset() => {
                        client_write.write_all(&held).await?;
                        return Err(error);
                    }
                    _ => {
                        server_done = true;
                        held.extend(wire.after_end());
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
