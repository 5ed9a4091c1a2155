//! Each application on the reference server, over real sockets.

mod brands;
mod channels;
mod chart;
mod chat;
#[path = "../connect/mod.rs"]
mod connect;
mod counter;
mod customers;
mod dashboard;
mod events;
mod hello;
mod http_client;
mod items;
#[path = "../postgres/mod.rs"]
mod postgres;
#[path = "../redis/mod.rs"]
mod redis;
mod stream;
mod test_server;
mod time;
#[path = "../upstream/mod.rs"]
mod upstream;
mod work;

use test_server::{TestServer, app};
use tokio::net::TcpStream;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// A WebSocket to an application.
type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Opens a WebSocket to a path.
async fn websocket(server: &TestServer, path: &str) -> Socket {
    let url = server.url(path).replacen("http", "ws", 1);
    let (socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    socket
}
