//! The support of the tests: clients, servers, and waits with a time-out.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use callgate::App;
use callgate_conformance::Lint;
use callgate_server::{Config, ServeError, ServerHandle};
use callgate_toolkit::test_client::TestClient;
use callgate_tower::ServiceApp;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The time after which a wait of a test fails.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Returns the output of `future`. A test that waits for too long fails.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(TIMEOUT, future)
        .await
        .expect("this takes too long")
}

/// Lets every other task of this thread run until it waits. In process, nothing happens after that
/// until the test acts.
pub(crate) async fn settled() {
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
}

/// Returns `app` with calls that fail when they break a rule.
pub(crate) fn checked(app: impl App) -> impl App {
    Lint::new(app).strict()
}

/// Returns a client of this router as an application.
pub(crate) fn client(router: Router) -> TestClient {
    TestClient::new(checked(ServiceApp::new(router)))
}

/// A reference server that runs in this process, until the test ends or it is finished.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    handle: ServerHandle,
    serving: JoinHandle<Result<(), ServeError>>,
}

impl Server {
    pub(crate) fn start(app: impl App) -> Self {
        let mut config = Config::default();
        config.listen.port = 0;
        let server = callgate_server::Server::new(checked(app)).config(config);
        let server = server.bind().unwrap();
        let address = server.local_addr().unwrap();
        let handle = server.handle();
        let serving = tokio::spawn(server.serve_until(std::future::pending()));
        Self {
            address,
            handle,
            serving,
        }
    }

    /// Stops the server, which must end without an error.
    pub(crate) async fn finish(self) {
        self.handle.shutdown();
        within(self.serving).await.unwrap().unwrap();
    }
}

/// Notifies a receiver when it is dropped.
pub(crate) struct Dropped(Option<oneshot::Sender<()>>);

impl Dropped {
    pub(crate) fn new() -> (Self, oneshot::Receiver<()>) {
        let (report, reported) = oneshot::channel();
        (Self(Some(report)), reported)
    }
}

impl Drop for Dropped {
    fn drop(&mut self) {
        // The test may have failed.
        let _ = self.0.take().map(|report| report.send(()));
    }
}

/// A server of axum, which runs until the test ends.
pub(crate) struct Axum {
    pub(crate) address: SocketAddr,
}

impl Axum {
    pub(crate) async fn start(router: Router) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async { axum::serve(listener, service).await });
        Self { address }
    }

    /// Connects a client of HTTP/1.1.
    pub(crate) async fn connect(&self) -> SendRequest<Body> {
        connect(self.address).await
    }
}

/// Connects a client of HTTP/1.1.
pub(crate) async fn connect(address: SocketAddr) -> SendRequest<Body> {
    let stream = within(TcpStream::connect(address)).await.unwrap();
    let (client, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    client
}
