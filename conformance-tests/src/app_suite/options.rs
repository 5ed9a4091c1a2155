//! The options of the application suite.

use std::time::Duration;

use bytes::Bytes;
use callgate::{ByteString, Message};
use http::{HeaderMap, HeaderName, Method};

use super::requests::AppRequests;

/// The options of the application suite: the requests and WebSockets that the suite opens, and the
/// limits of time and memory.
///
/// By default the suite requests `/`. An application with routes is checked better at a path that
/// exercises more of it, or with a list of [requests](Self::requests).
///
/// ```
/// use callgate_conformance::AppOptions;
/// use http::Method;
///
/// let options = AppOptions::new()
///     .name("orders")
///     .path("/orders")
///     .method(Method::PUT)
///     .header("authorization", "Bearer test")
///     .body(r#"{"article": 7}"#);
/// ```
#[derive(Clone, Debug)]
pub struct AppOptions {
    pub(crate) name: String,
    pub(crate) method: Option<Method>,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) other_bodies: Vec<Bytes>,
    pub(crate) websocket_path: Option<String>,
    pub(crate) subprotocols: Vec<ByteString>,
    pub(crate) messages: Vec<Message>,
    pub(crate) mount: Option<String>,
    pub(crate) timeout: Duration,
    pub(crate) memory: usize,
    pub(crate) allows_errors: bool,
    pub(crate) asgi: bool,
    pub(crate) requests: Option<AppRequests>,
}

impl Default for AppOptions {
    fn default() -> Self {
        Self {
            name: "application".to_owned(),
            method: None,
            path: "/".to_owned(),
            headers: HeaderMap::new(),
            body: Bytes::from_static(b"How vexingly quick daft zebras jump over the lazy dog."),
            other_bodies: Vec::new(),
            websocket_path: None,
            subprotocols: vec!["callgate.one".into(), "callgate.two".into()],
            messages: vec![
                Message::text("How vexingly quick daft zebras jump."),
                Message::binary(&b"\x00\xff\xfe"[..]),
                Message::text(""),
                Message::binary(vec![b'z'; 100_000]),
            ],
            mount: None,
            timeout: Duration::from_secs(5),
            memory: 16 * 1024 * 1024,
            allows_errors: false,
            asgi: false,
            requests: None,
        }
    }
}

impl AppOptions {
    /// Creates the default options.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the name of the application in the report. Default `application`.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets the path and query of requests. Default `/`.
    ///
    /// # Panics
    ///
    /// The argument is not a path and query.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = checked(path.into());
        self
    }

    /// Sets the requests and WebSockets that the suite makes, in place of those to one path. Each path is checked against every rule, with
    /// the [method](Self::method), the header fields, the [content](Self::body) and the [messages](Self::messages) of its requests. A
    /// field that [`header`](Self::header) sets replaces that of the list. Default: none.
    ///
    /// ```no_run
    /// use callgate_conformance::{AppOptions, AppRequests};
    ///
    /// let options = AppOptions::new().requests(AppRequests::read("tests/orders.http")?);
    /// # Ok::<(), callgate_conformance::AppRequestsError>(())
    /// ```
    #[must_use]
    pub fn requests(mut self, requests: AppRequests) -> Self {
        self.requests = Some(requests);
        self
    }

    /// Sets whether the application may answer every request and handshake of the suite with an error. Default: false,
    /// and the suite says so: most rules are kept easily by an application that answers 404.
    #[must_use]
    pub fn allow_errors(mut self, allows: bool) -> Self {
        self.allows_errors = allows;
        self
    }

    /// Sets whether to leave out what only Callgate demands, for an application of ASGI behind something that translates.
    /// The report says of each such rule why ASGI does not have it. Default: false.
    #[must_use]
    pub fn asgi(mut self, is_asgi: bool) -> Self {
        self.asgi = is_asgi;
        self
    }

    /// Sets the method of every request. By default requests without content are GET and those with
    /// content POST. The suite also sends a HEAD request.
    #[must_use]
    pub fn method(mut self, method: Method) -> Self {
        self.method = Some(method);
        self
    }

    /// Adds a header field to every request and handshake.
    ///
    /// # Panics
    ///
    /// The name or the value is not valid in a header field.
    #[must_use]
    #[track_caller]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::try_from(name).expect("a valid header name");
        let value = callgate::header_value(&name, value);
        self.headers.append(name, value);
        self
    }

    /// Sets the content of requests with content. Default: a sentence. The content should be valid for
    /// the application; set its `content-type` with [`header`](Self::header).
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets more valid content, to which the application should respond differently: `CORE-20` makes
    /// requests with these bodies and with [`body`](Self::body) at the same time. Default: the body
    /// followed by a digit, which is invalid in most formats.
    #[must_use]
    pub fn other_bodies<T: Into<Bytes>>(mut self, bodies: impl IntoIterator<Item = T>) -> Self {
        self.other_bodies = bodies.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the path and query of WebSockets. Default: the path and query of requests.
    ///
    /// # Panics
    ///
    /// The argument is not a path and query.
    #[must_use]
    pub fn websocket_path(mut self, path: impl Into<String>) -> Self {
        self.websocket_path = Some(checked(path.into()));
        self
    }

    /// Sets the subprotocols that WebSocket clients offer. Default `callgate.one` and `callgate.two`.
    #[must_use]
    pub fn subprotocols<T: Into<ByteString>>(
        mut self,
        subprotocols: impl IntoIterator<Item = T>,
    ) -> Self {
        self.subprotocols = subprotocols.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the messages that WebSocket clients send. Default: texts and octets of several lengths.
    #[must_use]
    pub fn messages(mut self, messages: impl IntoIterator<Item = Message>) -> Self {
        self.messages = messages.into_iter().collect();
        self
    }

    /// Sets the prefix, such as `/probe`, at which the application mounts
    /// [`scope_probe`](crate::scope_probe) or another application that responds with its scope.
    /// `SCOPE-16` is not checked without it: the suite sees the scope of a mounted application only
    /// in such a response.
    #[must_use]
    pub fn mounts_probe_at(mut self, prefix: impl Into<String>) -> Self {
        self.mount = Some(checked(prefix.into()));
        self
    }

    /// Sets how long to wait for an application that does nothing. Default 5 seconds. The whole time
    /// is waited once for the response, once for the end of a call and once for the end of work after
    /// the response; after that, a twentieth of it.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how much of its client's content one exchange may hold, in bytes (`CORE-22`). Default
    /// 16 MiB; an application with a larger limit of its own needs a larger value. The client sends
    /// four times as much. The suite abandons an application when the memory of the process grows in
    /// one call by a gigabyte, or by eight times this value if that is more.
    #[must_use]
    pub fn memory(mut self, bytes: usize) -> Self {
        self.memory = bytes;
        self
    }

    /// Names what is requested.
    pub(super) fn target(&self) -> String {
        match (&self.websocket_path, &self.method) {
            (Some(websocket), _) if *websocket == self.path => format!("`WEBSOCKET {websocket}`"),
            (_, Some(method)) => format!("`{method} {}`", self.path),
            (_, None) => format!("`{}`", self.path),
        }
    }
}

fn checked(path: String) -> String {
    assert!(
        path.starts_with('/') && path.parse::<http::uri::PathAndQuery>().is_ok(),
        "`{path}` is not a path (give one that begins with `/`)"
    );
    path
}
