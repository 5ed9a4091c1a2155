//! An application on the reference server, over real sockets.

use callgate::App;
use callgate_server::{Config, ServeError, Server, ServerHandle};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

pub(crate) struct Served {
    address: String,
    handle: ServerHandle,
    serving: JoinHandle<Result<(), ServeError>>,
}

impl Served {
    pub(crate) fn start(app: impl App) -> Self {
        let mut config = Config::default();
        config.listen.port = 0;
        let server = Server::new(app).config(config).bind().unwrap();
        let address = server.local_addr().unwrap().to_string();
        let handle = server.handle();
        let serving = tokio::spawn(server.serve_until(std::future::pending()));
        Self {
            address,
            handle,
            serving,
        }
    }

    /// Sends a request, without its content.
    pub(crate) async fn request(&self, head: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        let head = format!("{head} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    }

    pub(crate) async fn stop(self) {
        self.handle.shutdown();
        self.serving.await.unwrap().unwrap();
    }
}

/// Reads to the end of a connection.
pub(crate) async fn rest(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}
