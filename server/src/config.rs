use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use http::{HeaderName, HeaderValue};

/// How the server listens, serves and stops.
///
/// ```
/// let mut config = callgate_server::Config::default();
/// config.port = 0; // any free port
/// config.headers.push((http::header::VARY, "accept".parse().unwrap()));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The address to listen on. Default `127.0.0.1`: this machine only.
    pub host: IpAddr,
    /// The port to listen on; 0 picks a free one. Default 8000.
    pub port: u16,
    /// How many connections the system may hold ready to be accepted. Default 2048.
    pub backlog: u32,
    /// Which versions of HTTP are served. Default both.
    pub http: HttpVersions,
    /// Where a proxy in front has mounted the application: put in front of every path and passed
    /// as `root_path`. Default empty. Starts with `/` and does not end with one.
    pub root_path: String,
    /// Whether the application's lifespan is run. Default [`Lifespan::Auto`].
    pub lifespan: Lifespan,
    /// Whether `server: callgate` is added to responses without a `server` field. Default yes.
    pub server_header: bool,
    /// Whether `date` is added to responses without one. Default yes.
    pub date_header: bool,
    /// Fields added to each response that has none of the name. Default none.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether each exchange is logged when its response begins. Default no: a line costs more than
    /// a small response.
    pub access_log: bool,
    /// How long a connection may be idle between requests. It is closed at most an eighth of this
    /// later, or 0.1 s. Default 5 s.
    pub timeout_keep_alive: Duration,
    /// How long a client may take to send the head of a request. It is given up by as much later at
    /// most. Default 30 s.
    pub timeout_request_head: Duration,
    /// How long an application may go on after its client is gone, or has all that it will get
    /// (HEAD; all that `content-length` says). Default 30 s.
    pub timeout_disconnect: Duration,
    /// How long a shutdown waits for exchanges and background work, and then for lifespan: each has
    /// this time. Default: as long as they take.
    pub timeout_graceful_shutdown: Option<Duration>,
    /// The largest head of a request, in bytes; 8192 at least. Default 64 KiB.
    pub max_request_head: usize,
    /// The largest WebSocket message taken from a client, in bytes. Default 16 MiB.
    pub ws_max_size: usize,
    /// How long a WebSocket may be silent before the server sends a ping; none for no pings.
    /// Default 20 s.
    pub ws_ping_interval: Option<Duration>,
    /// How long a client that was pinged may neither answer, nor send or take anything else (`WS-16`);
    /// none for ever. Default 20 s.
    pub ws_ping_timeout: Option<Duration>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 8000,
            backlog: 2048,
            http: HttpVersions::Auto,
            root_path: String::new(),
            lifespan: Lifespan::Auto,
            server_header: true,
            date_header: true,
            headers: Vec::new(),
            access_log: false,
            timeout_keep_alive: Duration::from_secs(5),
            timeout_request_head: Duration::from_secs(30),
            timeout_disconnect: Duration::from_secs(30),
            timeout_graceful_shutdown: None,
            max_request_head: 64 * 1024,
            ws_max_size: 16 * 1024 * 1024,
            ws_ping_interval: Some(Duration::from_secs(20)),
            ws_ping_timeout: Some(Duration::from_secs(20)),
        }
    }
}

/// Which versions of HTTP a server speaks on its port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpVersions {
    /// HTTP/1 and HTTP/2, told apart by the first bytes of each connection.
    #[default]
    Auto,
    /// HTTP/1.0 and HTTP/1.1 only.
    Http1,
    /// HTTP/2 by prior knowledge only.
    Http2,
}

/// Whether the application's lifespan is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lifespan {
    /// It is; an application that declines it is served without (rule `LIFE-07`).
    #[default]
    Auto,
    /// It is; an application that declines it is not served.
    On,
    /// It is not.
    Off,
}
