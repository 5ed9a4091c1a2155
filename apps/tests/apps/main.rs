//! Each application in process, without a socket.

use callgate::BoxApp;
use callgate_apps::Settings;
use callgate_toolkit::test_client::TestClient;

mod brands;
mod chart;
mod chat;
#[path = "../connect/mod.rs"]
mod connect;
mod counter;
mod customers;
mod dashboard;
mod echo;
mod events;
mod events_log;
mod events_websocket;
mod gallery;
mod gallery_messages;
mod hello;
mod items;
mod log;
#[path = "../postgres/mod.rs"]
mod postgres;
mod scope;
mod stream;
mod tcp_proxy;
mod time;
#[path = "../upstream/mod.rs"]
mod upstream;
mod work;

/// Returns the application of this name.
fn app(name: &str) -> BoxApp {
    (callgate_apps::find(name).unwrap().app)(&Settings::default())
}

/// Returns a client of the application of this name.
fn client(name: &str) -> TestClient {
    TestClient::new(app(name))
}

/// Returns a client of the application of this name, whose start-up is complete.
async fn started(name: &str) -> TestClient {
    TestClient::start(app(name)).await.unwrap()
}
