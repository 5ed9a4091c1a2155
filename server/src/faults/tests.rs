//! Small exchanges with each fault at each octet: the client receives the right response, a part of it from
//! its beginning, or an error; the call of the application and all tasks of the connection end.

use std::future::Future;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use callgate::{
    App, AppError, BoxApp, HttpResponseBody, HttpResponseStart, ReceiveEvent, Receiver, Scope,
    Sender, WebSocketAccept,
};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::{Direction, Fault, Faults};
use crate::config::Config;
use crate::connection::{self, ConnectionInfo};
use crate::context::ServerContext;
use crate::listener::Security;
use crate::socket::Socket;
use crate::tls::Acceptor;

/// The time after which a run has failed to end.
const TOO_LONG: Duration = Duration::from_secs(30);

/// The distance of the octets with a fault over TLS, whose handshake has many octets.
const TLS_STRIDE: usize = 41;

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n";
const POST: &[u8] =
    b"POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello";
const CHUNKED: &[u8] = b"POST /parts HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\
    connection: close\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n";
const PIPELINED: &[u8] =
    b"GET / HTTP/1.1\r\nhost: test\r\n\r\nGET /parts HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n";
/// A handshake, the message `hello` and a close frame, with masks of zeros.
const WEBSOCKET: &[u8] =
    b"GET / HTTP/1.1\r\nhost: test\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
    sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\
    \x81\x85\0\0\0\0hello\x88\x82\0\0\0\0\x03\xe8";

/// An application that sends the content of a request back, `none` in place of no content, and the
/// messages of a WebSocket. Below `/parts`, the response has a body event for each of the request.
#[derive(Clone, Debug, Default)]
struct Echo {
    /// The number of calls that have begun, and of those that run.
    begun: Arc<AtomicUsize>,
    running: Arc<AtomicUsize>,
}

/// Counts a call until it is dropped.
struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl App for Echo {
    async fn call(&self, scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        self.running.fetch_add(1, Ordering::SeqCst);
        let _running = Running(self.running.clone());
        match scope {
            Scope::Http(scope) if scope.raw_path() == "/parts" => parts(receiver, sender).await,
            Scope::Http(_) => whole(receiver, sender).await,
            Scope::WebSocket(_) => messages(receiver, sender).await,
            _ => Err(AppError::Unsupported),
        }
    }
}

async fn whole(mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    let mut content = Vec::new();
    while let ReceiveEvent::HttpRequestBody(event) = receiver.receive().await {
        content.extend_from_slice(&event.body);
        if !event.more_body {
            if content.is_empty() {
                content.extend_from_slice(b"none");
            }
            sender.send(HttpResponseStart::ok()).await?;
            sender.send(HttpResponseBody::last(content)).await?;
            break;
        }
    }
    Ok(())
}

async fn parts(mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    let mut content = Vec::new();
    while let ReceiveEvent::HttpRequestBody(event) = receiver.receive().await {
        content.extend_from_slice(&event.body);
        if !event.more_body {
            sender.send(HttpResponseStart::ok()).await?;
            sender.send(HttpResponseBody::part("parts: ")).await?;
            tokio::task::yield_now().await;
            sender.send(HttpResponseBody::part(content)).await?;
            sender.send(HttpResponseBody::end()).await?;
            break;
        }
    }
    Ok(())
}

async fn messages(mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    loop {
        match receiver.receive().await {
            ReceiveEvent::WebSocketConnect => sender.send(WebSocketAccept::new()).await?,
            ReceiveEvent::WebSocketReceive(message) => sender.send(message).await?,
            _ => return Ok(()),
        }
    }
}

/// TLS for both sides.
#[derive(Clone)]
struct Tls {
    acceptor: Arc<Acceptor>,
    client: Arc<ClientConfig>,
}

impl Tls {
    fn new() -> Self {
        let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let [certfile, keyfile] = ["pem", "key"].map(|name| folder.path().join(name));
        std::fs::write(&certfile, pair.cert.pem()).unwrap();
        std::fs::write(&keyfile, pair.signing_key.serialize_pem()).unwrap();
        let mut config = Config::default();
        config.tls.certfile = vec![certfile];
        config.tls.keyfile = vec![keyfile];
        let mut roots = RootCertStore::empty();
        roots.add(pair.cert.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self {
            acceptor: Arc::new(Acceptor::load(&config).unwrap().unwrap()),
            client: Arc::new(client),
        }
    }
}

/// A client, which returns all octets that it has received, or those of the content over HTTP/2.
#[derive(Clone, Copy, Debug)]
enum Client {
    /// Sends these octets, and reads up to the end.
    Octets(&'static [u8]),
    /// Makes a POST request over HTTP/2.
    Http2,
}

impl Client {
    async fn run(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Vec<u8> {
        match self {
            Self::Octets(request) => exchange_octets(stream, request).await,
            Self::Http2 => exchange_http2(stream).await.unwrap_or_default(),
        }
    }

    /// Returns whether a client may have received these octets in place of the right ones.
    fn accepts(self, received: &[u8], right: &[u8]) -> bool {
        if right.starts_with(received) {
            return true;
        }
        // In place of a response, the client may receive an error.
        let starts = (0..right.len()).filter(|&at| right[at..].starts_with(b"HTTP/1.1 "));
        matches!(self, Self::Octets(_))
            && starts.into_iter().any(|start| {
                received.starts_with(&right[..start])
                    && received[start..].starts_with(b"HTTP/1.1 400 ")
            })
    }
}

async fn exchange_octets(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    request: &[u8],
) -> Vec<u8> {
    let mut received = Vec::new();
    // The server may have ended the connection.
    let sent = stream.write_all(request).await;
    if sent.and(stream.flush().await).is_ok() {
        while let Ok(1..) = stream.read_buf(&mut received).await {}
    }
    received
}

async fn exchange_http2(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<Vec<u8>, h2::Error> {
    let (requests, connection) = h2::client::handshake(stream).await?;
    let connection = tokio::spawn(connection);
    let exchange = async {
        let mut requests = requests.ready().await?;
        let request = http::Request::post("http://test/parts").body(()).unwrap();
        let (response, mut content) = requests.send_request(request, false)?;
        content.send_data(Bytes::from_static(b"hello"), true)?;
        let mut body = response.await?.into_body();
        let mut received = Vec::new();
        while let Some(data) = body.data().await {
            received.extend_from_slice(&data?);
        }
        Ok(received)
    };
    let received = exchange.await;
    // The connection ends without streams.
    drop(connection.await);
    received
}

/// Runs one exchange with these faults. Returns what the client has received, and the numbers of octets.
async fn run(client: Client, tls: Option<&Tls>, faults: Faults) -> (Vec<u8>, [usize; 2]) {
    let app = Echo::default();
    let mut config = Config::default();
    config.http.date_header = false;
    let context = ServerContext::new(BoxApp::new(app.clone()), config);
    let context = Arc::new(context.tls(tls.map(|tls| tls.acceptor.clone())));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    stream.set_nodelay(true).unwrap();
    let (socket, peer) = listener.accept().await.unwrap();
    let faults = Arc::new(faults);
    let socket = Socket::from(socket).with_faults(faults.clone());
    let info = ConnectionInfo::new(context.clone(), Some(peer), None);
    context
        .tasks
        .spawn(connection::serve(info, socket.into(), Security::Tls));

    let exchange = async {
        let Some(tls) = tls else {
            return client.run(stream).await;
        };
        let name = ServerName::try_from("localhost").unwrap();
        match TlsConnector::from(tls.client.clone())
            .connect(name, stream)
            .await
        {
            Ok(stream) => client.run(stream).await,
            Err(_) => Vec::new(),
        }
    };
    let releases = async {
        faults.stalled().await;
        faults.release();
        std::future::pending().await
    };
    let received = within(async {
        tokio::select! {
            received = exchange => received,
            never = releases => match never {},
        }
    })
    .await;
    faults.release();
    context.tasks.close();
    within(context.tasks.wait()).await;
    assert_eq!(app.running.load(Ordering::SeqCst), 0, "a call goes on");
    (received, faults.passed())
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(TOO_LONG, future)
        .await
        .expect("this takes too long")
}

/// Runs the exchange with each fault at every octet, or at some over TLS.
async fn check(client: Client, is_secured: bool) {
    let tls = is_secured.then(Tls::new);
    let tls = tls.as_ref();
    let stride = if is_secured { TLS_STRIDE } else { 1 };
    let (right, octets) = run(client, tls, Faults::short(4096)).await;
    assert!(!right.is_empty());
    let (received, _) = run(client, tls, Faults::short(1)).await;
    assert_eq!(
        String::from_utf8_lossy(&received),
        String::from_utf8_lossy(&right)
    );
    let [input, output] = octets;
    for (direction, octets, fault) in [
        (Direction::Input, input, Fault::Stall),
        (Direction::Output, output, Fault::Stall),
        (Direction::Input, input, Fault::Reset),
        (Direction::Output, output, Fault::Reset),
        (Direction::Input, input, Fault::End),
    ] {
        for at in (0..octets).step_by(stride) {
            let (received, _) = run(client, tls, Faults::after(direction, at, fault)).await;
            let is_right = match fault {
                Fault::Stall => received == right,
                _ => client.accepts(&received, &right),
            };
            assert!(
                is_right,
                "{fault:?} of the {direction:?} after {at} octets: {:?} in place of {:?}",
                String::from_utf8_lossy(&received),
                String::from_utf8_lossy(&right)
            );
        }
    }
}

macro_rules! faults_at_each_octet {
    ($($name:ident: $client:expr, $is_secured:expr;)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                check($client, $is_secured).await;
            }
        )*
    };
}

faults_at_each_octet! {
    a_request_without_content_survives_a_fault_at_each_octet: Client::Octets(GET), false;
    a_request_with_content_survives_a_fault_at_each_octet: Client::Octets(POST), false;
    a_chunked_request_survives_a_fault_at_each_octet: Client::Octets(CHUNKED), false;
    pipelined_requests_survive_a_fault_at_each_octet: Client::Octets(PIPELINED), false;
    a_websocket_survives_a_fault_at_each_octet: Client::Octets(WEBSOCKET), false;
    an_exchange_over_http_2_survives_a_fault_at_each_octet: Client::Http2, false;
    a_request_over_tls_survives_faults: Client::Octets(CHUNKED), true;
    a_websocket_over_tls_survives_faults: Client::Octets(WEBSOCKET), true;
    an_exchange_over_http_2_and_tls_survives_faults: Client::Http2, true;
}
