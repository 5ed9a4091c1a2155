//! The server under test and the options of the suite for HTTP.

use std::net::SocketAddr;
use std::time::Duration;

use crate::server_suite::ClientTls;

/// A server that runs.
#[derive(Clone, Debug)]
pub struct HttpTarget {
    /// The address that clients connect to.
    pub address: SocketAddr,
    /// The host of requests, with the port if the scheme has another.
    pub authority: String,
    /// The TLS of the clients. `None`: they speak cleartext.
    pub tls: Option<ClientTls>,
}

/// The options of the suite for HTTP: what is requested, the checks, and the time-out.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HttpOptions {
    /// The path and query that is requested with GET. Default `/`.
    pub path: String,
    /// The path that POST sends content to, and that answers after it has read the content. Default:
    /// [`HttpOptions::path`], and what needs such an answer is not checked.
    pub content_path: Option<String>,
    /// A path that answers GET with 204. Default none: what needs one is not checked.
    pub no_content_path: Option<String>,
    /// A path that answers GET with content whose length the server does not know before. Default none: what
    /// needs one is not checked.
    pub streamed_path: Option<String>,
    /// A path that accepts WebSockets. Default none: WebSockets are not checked.
    pub websocket_path: Option<String>,
    /// The time for which a check waits for one thing before it fails. Default 5 seconds.
    pub timeout: Duration,
    /// The names of the checks to run; all if there are none. Default none.
    pub cases: Vec<String>,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            path: "/".into(),
            content_path: None,
            no_content_path: None,
            streamed_path: None,
            websocket_path: None,
            timeout: Duration::from_secs(5),
            cases: Vec::new(),
        }
    }
}
