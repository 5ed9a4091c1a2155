//! The pages of the applications in a browser.

mod browser;
mod channels;
mod chart;
mod chat;
mod counter;
mod gallery;
mod inspector;
#[path = "../redis/mod.rs"]
mod redis;
mod stream;
#[path = "../sockets/test_server.rs"]
mod test_server;

use browser::Browser;
use test_server::TestServer;
