//! A server to test, and clients that do exactly what they are told.

mod client;
pub(crate) mod frames;
pub(crate) mod http2;
pub(crate) mod http2_frames;
#[cfg(feature = "cli")]
pub(crate) mod log;
#[cfg(all(unix, feature = "cli"))]
pub(crate) mod process;
#[cfg(feature = "tls")]
pub(crate) mod tls;
pub(crate) mod websocket;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use callgate::{
    App, AppError, HttpRequestBody, HttpResponseBody, HttpResponseStart, HttpScope, ReceiveEvent,
    Receiver, Scope, Sender, WebSocketScope,
};
use callgate_server::{Config, ListenAddr, ServeError, ServerHandle};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

pub(crate) use client::{Client, Response, find};

/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// What `future` resolves to; a test that waits for too long fails.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("this takes too long")
}

/// A default configuration on a free port.
pub(crate) fn config() -> Config {
    let mut config = Config::default();
    config.listen.port = 0;
    config
}

/// A server that runs in this process.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// All TCP addresses of the server, of which `address` is the first.
    #[cfg(feature = "tls")]
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) admin: Option<SocketAddr>,
    handle: ServerHandle,
    serving: JoinHandle<Result<(), ServeError>>,
}

impl Server {
    pub(crate) fn start(app: impl App) -> Self {
        Self::with(config(), app)
    }

    pub(crate) fn with(config: Config, app: impl App) -> Self {
        let server = callgate_server::Server::new(app).config(config);
        Self::run(server.bind().unwrap())
    }

    /// A server for whose connections the system buffers little output.
    pub(crate) fn with_small_buffer(config: Config, app: impl App) -> Self {
        let listener = TcpSocket::new_v4().unwrap();
        listener.set_send_buffer_size(16 * 1024).unwrap();
        listener.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let server = callgate_server::Server::new(app).config(config);
        let listener = listener.listen(1024).unwrap();
        Self::run(server.listener(listener).unwrap())
    }

    pub(crate) fn run(server: callgate_server::Server) -> Self {
        let address = server.local_addr().unwrap();
        #[cfg(feature = "tls")]
        let addresses = (server.local_addrs().iter())
            .filter_map(|address| match address {
                ListenAddr::Tcp(address) => Some(*address),
                _ => None,
            })
            .collect();
        let admin = match server.admin_addrs().unwrap().first() {
            Some(ListenAddr::Tcp(address)) => Some(*address),
            _ => None,
        };
        let handle = server.handle();
        // A server that is dropped goes on until the test ends.
        let serving = tokio::spawn(server.serve_until(std::future::pending()));
        Self {
            address,
            #[cfg(feature = "tls")]
            addresses,
            admin,
            handle,
            serving,
        }
    }

    /// Completes when the server has started.
    pub(crate) async fn started(&self) {
        within(self.handle.started()).await;
    }

    /// Sends a GET request to the admin listener.
    pub(crate) async fn ask_admin(&self, path: &str) -> Response {
        let admin = self.admin.expect("an admin listener");
        let mut client = Client::over(within(TcpStream::connect(admin)).await.unwrap());
        client.send(get(path)).await;
        client.response().await
    }

    /// Tells the server to stop.
    pub(crate) fn stop(&self) {
        self.handle.shutdown();
    }

    /// Has the server load its certificates again.
    #[cfg(feature = "tls")]
    pub(crate) fn reload_certificates(&self) -> Result<(), callgate_server::TlsError> {
        self.handle.reload_certificates()
    }

    /// Whether `serve` has not returned.
    pub(crate) fn is_serving(&self) -> bool {
        !self.serving.is_finished()
    }

    /// What `serve` returned.
    pub(crate) async fn ended(&mut self) -> Result<(), ServeError> {
        within(&mut self.serving).await.unwrap()
    }

    /// Stops the server, which must end in peace.
    pub(crate) async fn finish(mut self) {
        self.stop();
        self.ended().await.unwrap();
    }

    pub(crate) async fn connect(&self) -> Client {
        Client::over(within(TcpStream::connect(self.address)).await.unwrap())
    }

    /// Opens a connection whose client's system holds about this many bytes that are not read.
    pub(crate) async fn connect_with_buffer(&self, size: u32) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(size).unwrap();
        within(socket.connect(self.address)).await.unwrap()
    }

    /// Sends these bytes on a new connection, and reads one response.
    pub(crate) async fn ask(&self, request: impl AsRef<[u8]>) -> Response {
        let mut client = self.connect().await;
        client.send(request).await;
        client.response().await
    }

    /// Sends these bytes on a new connection, and reads until the server closes it.
    pub(crate) async fn ask_all(&self, request: impl AsRef<[u8]>) -> String {
        let mut client = self.connect().await;
        client.send(request).await;
        client.rest().await
    }
}

/// Returns when all octets that have been sent over loopback have arrived. A busy system takes its
/// time.
pub(crate) fn system_has_delivered() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    io::Write::write_all(&mut client, b"x").unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    io::Read::read_exact(&mut stream, &mut [0]).unwrap();
}

/// An application for HTTP only. `shared` is cloned for each call.
pub(crate) fn http<S, F, Fut>(shared: S, call: F) -> impl App
where
    S: Clone + Send + Sync + 'static,
    F: Fn(S, HttpScope, Receiver, Sender) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), AppError>> + Send + 'static,
{
    let call = Arc::new(call);
    move |scope, receiver, sender| {
        let (shared, call) = (shared.clone(), call.clone());
        async move {
            match scope {
                Scope::Http(scope) => call(shared, *scope, receiver, sender).await,
                _ => Err(AppError::Unsupported),
            }
        }
    }
}

/// An application for WebSockets only. `shared` is cloned for each call.
pub(crate) fn websocket<S, F, Fut>(shared: S, call: F) -> impl App
where
    S: Clone + Send + Sync + 'static,
    F: Fn(S, WebSocketScope, Receiver, Sender) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), AppError>> + Send + 'static,
{
    let call = Arc::new(call);
    move |scope, receiver, sender| {
        let (shared, call) = (shared.clone(), call.clone());
        async move {
            match scope {
                Scope::WebSocket(scope) => call(shared, *scope, receiver, sender).await,
                _ => Err(AppError::Unsupported),
            }
        }
    }
}

/// An application that answers every request with this text.
pub(crate) fn says(text: &'static str) -> impl App {
    http(text, async |text, _, _, sender| whole(&sender, text).await)
}

/// Sends a whole response with status 200.
pub(crate) async fn whole(sender: &Sender, body: impl Into<bytes::Bytes>) -> Result<(), AppError> {
    sender.send(HttpResponseStart::ok()).await?;
    sender.send(HttpResponseBody::last(body)).await?;
    Ok(())
}

/// Receives the whole content of a request, and its last event; none after a disconnect.
pub(crate) async fn content(receiver: &mut Receiver) -> Option<(Vec<u8>, HttpRequestBody)> {
    let mut content = Vec::new();
    loop {
        match receiver.receive().await {
            ReceiveEvent::HttpRequestBody(event) => {
                content.extend_from_slice(&event.body);
                if !event.more_body {
                    return Some((content, event));
                }
            }
            _ => return None,
        }
    }
}

/// What an application tells its test.
pub(crate) struct Told<T>(UnboundedReceiver<T>);

impl<T> Told<T> {
    /// The next thing told.
    pub(crate) async fn next(&mut self) -> T {
        within(self.0.recv()).await.expect("something to be told")
    }

    /// Whether nothing has been told that was not taken.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The application's end of [`Told`].
pub(crate) struct Teller<T>(UnboundedSender<T>);

impl<T> Teller<T> {
    pub(crate) fn tell(&self, what: T) {
        // A test that has ended does not listen any more.
        self.0.send(what).ok();
    }
}

impl<T> Clone for Teller<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

pub(crate) fn tell<T>() -> (Teller<T>, Told<T>) {
    let (sender, receiver) = unbounded_channel();
    (Teller(sender), Told(receiver))
}

/// Holds applications back until the test opens it: once for each that waits.
#[derive(Clone)]
pub(crate) struct Gate(Arc<tokio::sync::Semaphore>);

impl Gate {
    pub(crate) fn new() -> Self {
        Self(Arc::new(tokio::sync::Semaphore::new(0)))
    }

    pub(crate) fn open(&self) {
        self.0.add_permits(1);
    }

    pub(crate) async fn passed(&self) {
        self.0.acquire().await.unwrap().forget();
    }
}

/// Tells when it is dropped: kept by an application to see the end of its future.
pub(crate) struct OnDrop<T>(Mutex<Option<T>>, Teller<T>);

impl<T> OnDrop<T> {
    pub(crate) fn tell(teller: &Teller<T>, what: T) -> Self {
        Self(Mutex::new(Some(what)), teller.clone())
    }
}

impl<T> Drop for OnDrop<T> {
    fn drop(&mut self) {
        if let Some(what) = self.0.get_mut().unwrap().take() {
            self.1.tell(what);
        }
    }
}

/// A GET request without further fields.
pub(crate) fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nhost: test\r\n\r\n")
}

/// A POST request with this content, sized.
pub(crate) fn post(target: &str, content: &str) -> String {
    format!(
        "POST {target} HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n\r\n{content}",
        content.len()
    )
}

pub(crate) fn head(target: &str) -> String {
    get(target).replace("GET", "HEAD")
}

/// The status of an answer that closes nothing and reveals nothing.
pub(crate) async fn assert_replaced(client: &mut Client, status: u16) {
    let response = client.response().await;
    assert_eq!(response.status, status, "{response:?}");
    assert!(!response.body.contains("secret"));
    assert_eq!(response.field("x-secret"), None);
}

pub(crate) fn start(status: u16) -> HttpResponseStart {
    HttpResponseStart::new(http::StatusCode::from_u16(status).unwrap())
}
