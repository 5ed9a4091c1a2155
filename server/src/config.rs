//! The settings of a server.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use callgate_drive::websocket::PerMessageDeflate;
use http::header::{self, HeaderName, HeaderValue};

use crate::error::ServeError;

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
    /// How many connections may wait in the system's queue to be accepted. Default 2048.
    pub backlog: u32,
    /// Which versions of HTTP are served. Default both.
    pub http: HttpVersions,
    /// The path at which a proxy has mounted the application. The server puts it in front of every
    /// path and passes it as `root_path`. The value begins with `/`, does not end with `/`, and has
    /// no `?`, `#` or control character. Default empty.
    pub root_path: String,
    /// Whether the application's lifespan is run. Default [`LifespanMode::Auto`].
    pub lifespan: LifespanMode,
    /// Whether `server: callgate` is added to responses without a `server` field. Default yes.
    pub server_header: bool,
    /// Whether `date` is added to responses without one. Default yes.
    pub date_header: bool,
    /// Fields that are added to each response without a field of that name. Default none.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether each exchange is logged when its response begins. Default no: a line costs more than
    /// a small response.
    pub access_log: bool,
    /// How long a connection may be idle between requests. The connection is closed after this time,
    /// at most an eighth of it (or 0.1 s) later. Default 5 s.
    pub timeout_keep_alive: Duration,
    /// How long a client may take to send the head of a request. The connection is closed after this
    /// time, at most an eighth of it (or 0.1 s) later. Default 30 s.
    pub timeout_request_head: Duration,
    /// How long a client may make no progress with content that the application waits for, while it
    /// takes nothing of its response either. The request is then answered with 408, or its response is
    /// cut. An exchange that may be silent in both directions needs a longer time. Default 60 s.
    pub timeout_request_content: Duration,
    /// How long a client may take nothing of the output that waits for it. The connection is then
    /// reset; over HTTP/2, the stream. Default 60 s.
    pub timeout_write: Duration,
    /// How long the response to an HTTP/1 client that has closed its sending side may make no progress.
    /// The client is then regarded as gone (`HTTP-12`). Zero: such a client is gone at once. Default
    /// 2 s.
    pub timeout_half_close: Duration,
    /// How long an application may go on after its client is gone or has the whole response (HEAD;
    /// all that `content-length` announced). Default 30 s.
    pub timeout_disconnect: Duration,
    /// How long a shutdown waits for exchanges and background work. The lifespan has the same time
    /// after that. `None` for no limit. Default 30 s.
    pub timeout_graceful_shutdown: Option<Duration>,
    /// The largest head of a request, in bytes; 8192 at least. Default 64 KiB.
    pub max_request_head: usize,
    /// The largest number of field lines in the head of an HTTP/1 request; 24,576 at most. Default
    /// 100.
    pub max_request_fields: usize,
    /// The largest number of streams that a client may have open on an HTTP/2 connection at a time;
    /// 1 at least. Default 100.
    pub http2_max_concurrent_streams: u32,
    /// The largest WebSocket message taken from a client, in bytes. Default 16 MiB.
    pub ws_max_size: usize,
    /// Whether WebSocket messages are compressed with the clients that offer permessage-deflate
    /// (RFC 7692). Default on, without a context that is kept: an idle WebSocket holds no
    /// memory for compression.
    pub ws_per_message_deflate: PerMessageDeflate,
    /// The time of silence after which the server sends a ping on a WebSocket. `None` for no pings.
    /// Default 20 s.
    pub ws_ping_interval: Option<Duration>,
    /// How long a client may neither send nor take data after a ping. Then the server closes the
    /// WebSocket (`WS-16`). `None` for no limit. Default 20 s.
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
            lifespan: LifespanMode::Auto,
            server_header: true,
            date_header: true,
            headers: Vec::new(),
            access_log: false,
            timeout_keep_alive: Duration::from_secs(5),
            timeout_request_head: Duration::from_secs(30),
            timeout_request_content: Duration::from_secs(60),
            timeout_write: Duration::from_secs(60),
            timeout_half_close: Duration::from_secs(2),
            timeout_disconnect: Duration::from_secs(30),
            timeout_graceful_shutdown: Some(Duration::from_secs(30)),
            max_request_head: 64 * 1024,
            max_request_fields: 100,
            http2_max_concurrent_streams: 100,
            ws_max_size: 16 * 1024 * 1024,
            ws_per_message_deflate: PerMessageDeflate::On,
            ws_ping_interval: Some(Duration::from_secs(20)),
            ws_ping_timeout: Some(Duration::from_secs(20)),
        }
    }
}

impl Config {
    /// Checks the values that would otherwise fail every request.
    pub(crate) fn check(&self) -> Result<(), ServeError> {
        let ends_with_slash = self.root_path.ends_with('/');
        let root_path = match check_root_path(&self.root_path) {
            Ok(()) if ends_with_slash => Err("give a path that does not end with `/`"),
            result => result,
        };
        let refusal = |name| move |remedy| ServeError::Setting { name, remedy };
        root_path.map_err(refusal("root_path"))?;
        if self.http2_max_concurrent_streams == 0 {
            let refuse = refusal("http2_max_concurrent_streams");
            return Err(refuse("give a number from 1 on"));
        }
        (self.headers.iter())
            .try_for_each(|(name, _)| check_default_header(name))
            .map_err(refusal("headers"))
    }
}

/// Checks the name of a field that is added to responses. The error says what to give instead.
pub(crate) fn check_default_header(name: &HeaderName) -> Result<(), &'static str> {
    match *name {
        header::CONNECTION
        | header::CONTENT_LENGTH
        | header::TRANSFER_ENCODING
        | header::UPGRADE => Err("give another header; the server sets this one itself"),
        _ => Ok(()),
    }
}

/// Checks a root path, which may end with `/`. The error says what to give instead.
pub(crate) fn check_root_path(path: &str) -> Result<(), &'static str> {
    if !path.is_empty() && !path.starts_with('/') {
        Err("give a path that begins with `/`, such as /api")
    } else if path.contains(['?', '#']) {
        Err("give a path without `?` and `#`, such as /api")
    } else if path.contains(char::is_control) {
        Err("give a path without control characters, such as /api")
    } else {
        Ok(())
    }
}

/// The versions of HTTP that a server speaks on its listeners.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpVersions {
    /// HTTP/1 and HTTP/2, detected by the first bytes of each connection.
    #[default]
    Auto,
    /// HTTP/1.0 and HTTP/1.1 only.
    Http1,
    /// HTTP/2 by prior knowledge only.
    Http2,
}

/// Whether the application's lifespan is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LifespanMode {
    /// The lifespan is run; an application that declines it is served without (rule `LIFE-07`).
    #[default]
    Auto,
    /// The lifespan is run; an application that declines it is not served.
    On,
    /// The lifespan is not run.
    Off,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_the_server_sets_itself_is_refused() {
        for name in [
            "content-length",
            "transfer-encoding",
            "connection",
            "upgrade",
        ] {
            let field = (name.parse().unwrap(), HeaderValue::from_static("5"));
            let config = Config {
                headers: vec![field],
                ..Config::default()
            };
            let error = config.check().unwrap_err().to_string();
            assert!(error.contains("`headers`"), "{error}");
        }
    }

    #[test]
    fn no_streams_at_all_are_refused() {
        let config = Config {
            http2_max_concurrent_streams: 0,
            ..Config::default()
        };
        let error = config.check().unwrap_err().to_string();
        assert!(error.contains("`http2_max_concurrent_streams`"), "{error}");
    }

    #[test]
    fn a_wrong_root_path_is_refused_for_what_is_wrong_with_it() {
        for (path, reason) in [
            ("api", "begins with `/`"),
            ("/api/", "does not end with `/`"),
            ("/", "does not end with `/`"),
            ("/a?b", "without `?` and `#`"),
            ("/a#b", "without `?` and `#`"),
            ("/a\nb", "without control characters"),
        ] {
            let config = Config {
                root_path: path.into(),
                ..Config::default()
            };
            let error = config.check().unwrap_err().to_string();
            assert!(error.contains("`root_path`"), "{error}");
            assert!(error.contains(reason), "{path:?}: {error}");
        }
        for path in ["", "/api", "/api/v 1"] {
            let config = Config {
                root_path: path.into(),
                ..Config::default()
            };
            assert!(config.check().is_ok(), "{path:?}");
        }
    }
}
