//! What to know of an application before it is checked.

use std::time::Duration;

use bytes::Bytes;
use callgate::{ByteString, Message};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

/// How an application is checked: what it is asked for, and how much patience there is with it.
///
/// An application of which nothing is known is asked for `/`. That finds out what it breaks there;
/// one with routes is checked better at a path where there is something to see.
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
    pub(crate) patience: Duration,
    pub(crate) memory: usize,
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
            patience: Duration::from_secs(5),
            memory: 16 * 1024 * 1024,
        }
    }
}

impl AppOptions {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What the report calls the application. Default `application`.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The path and query to ask for. Default `/`.
    ///
    /// # Panics
    ///
    /// When this is not a path and query.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = target(path.into());
        self
    }

    /// The method of every request. By default requests without content are GET and those with
    /// content POST. HEAD is tried in any case.
    #[must_use]
    pub fn method(mut self, method: Method) -> Self {
        self.method = Some(method);
        self
    }

    /// Adds a header field to every request and handshake.
    ///
    /// # Panics
    ///
    /// When the name or the value cannot be a header field.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.append(
            HeaderName::try_from(name).expect("a valid header name"),
            HeaderValue::try_from(value).expect("a valid header value"),
        );
        self
    }

    /// The content of requests that have some. Default: a sentence. Give what the application takes
    /// for valid, with the `content-type` as a [`header`](Self::header).
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// More content that the application takes for valid, and best answers in other ways: requests
    /// with this and with [`body`](Self::body) are made at the same time (`CORE-20`). Default: the
    /// body with a digit after it, which most formats do not allow.
    #[must_use]
    pub fn other_bodies<T: Into<Bytes>>(mut self, bodies: impl IntoIterator<Item = T>) -> Self {
        self.other_bodies = bodies.into_iter().map(Into::into).collect();
        self
    }

    /// The path and query of WebSockets. Default: that of requests.
    ///
    /// # Panics
    ///
    /// When this is not a path and query.
    #[must_use]
    pub fn websocket_path(mut self, path: impl Into<String>) -> Self {
        self.websocket_path = Some(target(path.into()));
        self
    }

    /// The subprotocols that WebSocket clients offer. Default `callgate.one` and `callgate.two`.
    #[must_use]
    pub fn subprotocols<T: Into<ByteString>>(
        mut self,
        subprotocols: impl IntoIterator<Item = T>,
    ) -> Self {
        self.subprotocols = subprotocols.into_iter().map(Into::into).collect();
        self
    }

    /// What WebSocket clients send. Default: texts and octets of several lengths.
    #[must_use]
    pub fn messages(mut self, messages: impl IntoIterator<Item = Message>) -> Self {
        self.messages = messages.into_iter().collect();
        self
    }

    /// Where the application mounts [`scope_probe`](crate::scope_probe), or another application
    /// that answers with its scope: a prefix, such as `/probe`. Without it `SCOPE-16` cannot be
    /// checked, because what an application hands on to another cannot be seen from outside.
    #[must_use]
    pub fn mounts_probe_at(mut self, prefix: impl Into<String>) -> Self {
        self.mount = Some(target(prefix.into()));
        self
    }

    /// How long to wait for an application that does nothing. Default 5 seconds; spent in whole only
    /// once for the answer, once for the end of the call and once for work after the answer, by an
    /// application that hangs, and a twentieth of it each time after that.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// What one exchange may hold of what its client has sent, in bytes (`CORE-22`). Default 16 MiB;
    /// give more when the application has a larger limit of its own. The client sends four times
    /// as much. An application is left when it takes a gigabyte in one call, or eight times this
    /// where that is more.
    #[must_use]
    pub fn memory(mut self, bytes: usize) -> Self {
        self.memory = bytes;
        self
    }
}

fn target(path: String) -> String {
    assert!(
        path.starts_with('/') && path.parse::<http::uri::PathAndQuery>().is_ok(),
        "`{path}` is not a path (give one that begins with `/`)"
    );
    path
}
