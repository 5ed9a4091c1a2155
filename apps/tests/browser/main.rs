//! The pages of the applications in a browser, as people use them.

mod browser;
mod chat;
mod counter;
mod gallery;
#[path = "../sockets/served.rs"]
mod served;
mod stream;

use browser::Browser;
use served::Served;
