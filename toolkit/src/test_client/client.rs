//! The client of an application.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use callgate::transcript::Transcript;
use callgate::{App, BoxApp, ByteString, Features, IntoHeaderName, IntoHeaderValue, Scheme};
use callgate_drive::lifespan::{self, RunningLifespan, Startup};
use http::{Method, Request, Uri, Version};

use super::body::Body;
use super::channel::RecordedApp;
use super::cookies::Cookies;
use super::error::Error;
use super::failure::TimedOut;
use super::handshake::WebSocketBuilder;
use super::record::Record;
use super::request::RequestBuilder;
use super::server::Server;

/// A client of an application, together with the server between them.
///
/// The [module](super) has an example. A client needs a Tokio runtime with its timer enabled, as
/// `#[tokio::test]` starts it; each call of the application runs on a task of its own.
pub struct TestClient {
    server: Server,
    lifespan: Option<Lifespan>,
}

/// The lifespan of the application, between start-up and shutdown.
struct Lifespan {
    running: RunningLifespan,
    record: Arc<Record>,
}

impl TestClient {
    /// Creates a client of `app`, whose lifespan does not run.
    #[must_use]
    pub fn new(app: impl App) -> Self {
        Self {
            server: Server::new(app),
            lifespan: None,
        }
    }

    /// Creates a client of `app` and runs the start-up: `TestClient::new(app).with_lifespan()`.
    ///
    /// # Errors
    ///
    /// As [`with_lifespan`](Self::with_lifespan).
    ///
    /// # Panics
    ///
    /// As [`with_lifespan`](Self::with_lifespan).
    pub async fn start(app: impl App) -> Result<Self, Error> {
        Self::new(app).with_lifespan().await
    }

    /// Runs the application's start-up. Every later scope has the state that the start-up hands over.
    /// An application that declines runs without lifespan.
    ///
    /// # Errors
    ///
    /// [`Error::Lifespan`] with the reason why the start-up failed; [`Error::TimedOut`].
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime with its timer enabled.
    pub async fn with_lifespan(mut self) -> Result<Self, Error> {
        let record = Arc::new(Record::default());
        let app = BoxApp::new(RecordedApp::new(self.server.app.clone(), record.clone()));
        let timeout = self.server.settings.timeout;
        let Ok(startup) = tokio::time::timeout(timeout, lifespan::start(&app)).await else {
            return Err(TimedOut::new("start-up", timeout, record.transcript()).into());
        };
        match startup {
            Startup::Complete(running) => {
                self.server.settings.state.extend(running.state());
                self.lifespan = Some(Lifespan { running, record });
                Ok(self)
            }
            Startup::Failed(reason) => Err(Error::Lifespan(reason)),
            Startup::Declined => Ok(self),
        }
    }

    /// Begins the shutdown of the server. Exchanges in flight receive
    /// [`http.shutdown`](callgate::ReceiveEvent::HttpShutdown), WebSockets are closed with 1012, and
    /// handshakes in flight are refused with 503.
    ///
    /// ```
    /// # use callgate::{AppError, HttpResponseBody, HttpResponseStart, ReceiveEvent, Receiver, Scope, Sender};
    /// # use callgate_toolkit::test_client::TestClient;
    /// async fn ticker(scope: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    ///     scope.into_http()?;
    ///     sender.send(HttpResponseStart::ok()).await?;
    ///     sender.send(HttpResponseBody::part("tick")).await?;
    ///     while receiver.receive().await != ReceiveEvent::HttpShutdown {}
    ///     sender.send(HttpResponseBody::last("bye")).await?;
    ///     Ok(())
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let client = TestClient::new(ticker);
    /// let mut response = client.get("/").stream().await?;
    /// assert_eq!(response.body_mut().chunk().await?.unwrap(), "tick");
    /// client.begin_shutdown();
    /// assert_eq!(response.body_mut().chunk().await?.unwrap(), "bye");
    /// client.shutdown().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn begin_shutdown(&self) {
        self.server.begin_shutdown();
    }

    /// Shuts down as a server does: [begins the shutdown](Self::begin_shutdown), waits for the end of
    /// every call, with its work after the response, and then runs the application's shutdown.
    ///
    /// # Errors
    ///
    /// [`Error::Lifespan`] with the reason why the shutdown failed; [`Error::TimedOut`] when a call
    /// or the shutdown goes on for longer than the client's [time-out](Self::timeout).
    pub async fn shutdown(self) -> Result<(), Error> {
        self.begin_shutdown();
        self.server.drained().await?;
        let Some(Lifespan { running, record }) = self.lifespan else {
            return Ok(());
        };
        let timeout = self.server.settings.timeout;
        match tokio::time::timeout(timeout, running.shutdown()).await {
            Ok(result) => result.map_err(Error::Lifespan),
            Err(_) => Err(TimedOut::new("the shutdown", timeout, record.transcript()).into()),
        }
    }

    /// Returns the cookies of the client, to look at and to set.
    ///
    /// Cookies are kept and sent as RFC 6265 says: with the requests and the handshakes that match their
    /// host, path and scheme, until they expire by the system's clock. Cookies are kept when a test
    /// takes the head of a response, or the response to a handshake. `Secure` cookies are sent with
    /// `https` only, also to `localhost`. A request that sets the field `cookie` itself, or by the
    /// client's [fields](Self::header), is sent without kept cookies.
    ///
    /// ```
    /// # use callgate::{AppError, Receiver, Scope, Sender};
    /// # use callgate_toolkit::respond;
    /// # use callgate_toolkit::test_client::TestClient;
    /// async fn login(_: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
    ///     let response = respond::text("Welcome").header("set-cookie", "session=42; HttpOnly");
    ///     response.send(&sender).await
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let client = TestClient::new(login);
    /// client.get("/").send().await?;
    /// assert_eq!(client.cookies().get("session").as_deref(), Some("42"));
    ///
    /// client.cookies().set("/", "theme=dark; Path=/settings");
    /// let field = client.cookies().header("/settings/colours").unwrap();
    /// assert_eq!(field, "theme=dark; session=42");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn cookies(&self) -> Cookies<'_> {
        Cookies(&self.server.settings)
    }

    /// Stops the client from keeping the cookies of the application. Cookies that the test
    /// [sets](Cookies::set) are sent.
    #[must_use]
    pub fn ignore_cookies(mut self) -> Self {
        self.server.settings.keeps_cookies = false;
        self
    }

    /// Sets whether [`send`](RequestBuilder::send) and [`stream`](RequestBuilder::stream) follow
    /// redirects: 301, 302, 303, 307 and 308 with a `location` (RFC 9110, 15.4). Default: they do
    /// not. Handshakes never follow redirects.
    ///
    /// - Redirects are followed within the application: to the host of the request, at the same port
    ///   (the default ports of `http` and `https` count as the same), below the
    ///   [root path](Self::root_path). Other redirects are returned.
    /// - As in the fetch standard, POST becomes GET after 301 and 302, and any method but HEAD becomes
    ///   GET after 303, without the content and the fields about it. The rest of the request is
    ///   repeated, except for `authorization` from `https` to `http`.
    /// - At most 20 redirects are followed in a row; the next one is [`Error::Redirect`].
    ///
    /// Each request is an exchange of its own. The responses before the last are its
    /// [`history`](super::ResponseExt::history).
    ///
    /// ```
    /// # use callgate::{AppError, Receiver, Scope, Sender};
    /// # use callgate_toolkit::respond;
    /// # use callgate_toolkit::test_client::{ResponseExt, TestClient};
    /// async fn app(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
    ///     let scope = scope.into_http()?;
    ///     match scope.raw_path() {
    ///         "/old" => respond::redirect("/new").send(&sender).await,
    ///         path => respond::text(path).send(&sender).await,
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let client = TestClient::new(app).follow_redirects(true);
    /// let response = client.get("/old").send().await?;
    /// assert_eq!(response.text(), "/new");
    /// assert_eq!(response.history().len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn follow_redirects(mut self, follows: bool) -> Self {
        self.server.settings.follows_redirects = follows;
        self
    }

    /// Sets whether the client goes on when the application breaks a rule of the protocol, as a real client
    /// does, which gets 500, a response that is cut, or a WebSocket that is closed with 1011. Default: false, and
    /// the call of the client fails with [`Error::Violation`](super::Error::Violation).
    ///
    /// A rule that is broken after the response does not fail the call of the client:
    /// [`TestExchange::ended`](super::TestExchange::ended) tells it.
    #[must_use]
    pub fn allow_violations(mut self, allows: bool) -> Self {
        self.server.settings.allows_violations = allows;
        self
    }

    /// Adds a header field to each request and to each handshake that does not set fields of that name
    /// itself. Default: none.
    ///
    /// The field `host` is the host of targets that do not have one.
    ///
    /// # Panics
    ///
    /// When the name or the value cannot be a header field.
    #[must_use]
    #[track_caller]
    pub fn header(mut self, name: impl IntoHeaderName, value: impl IntoHeaderValue) -> Self {
        let headers = &mut self.server.settings.headers;
        let name = name.into_header_name();
        let value = callgate::header_value(&name, value);
        headers.append(name, value);
        self
    }

    /// Sets the path below which the application is mounted: `""`, or `/prefix`, decoded. The root path
    /// stands in front of each path (rule `SCOPE-15`). Default: `""`.
    #[must_use]
    pub fn root_path(mut self, root_path: impl Into<ByteString>) -> Self {
        self.server.settings.root_path = root_path.into();
        self
    }

    /// Sets the address of the client. Default: `127.0.0.1:50000`.
    #[must_use]
    pub fn client_address(mut self, address: Option<SocketAddr>) -> Self {
        self.server.settings.client = address;
        self
    }

    /// Sets the address that the client connects to. Default: `127.0.0.1:80`.
    #[must_use]
    pub fn server_address(mut self, address: Option<SocketAddr>) -> Self {
        self.server.settings.server = address;
        self
    }

    /// Sets the scheme of targets that do not have one. Default: `http`.
    #[must_use]
    pub fn scheme(mut self, scheme: Scheme) -> Self {
        self.server.settings.scheme = scheme;
        self
    }

    /// Sets the version of HTTP. Default: HTTP/1.1.
    #[must_use]
    pub fn version(mut self, version: Version) -> Self {
        self.server.settings.version = version;
        self
    }

    /// Sets the features that are offered. Default: all but TLS; trailers where the request allows them
    /// (rule `EXT-15`). The compression of WebSockets is never offered, as there is no wire.
    #[must_use]
    pub fn features(mut self, features: Features) -> Self {
        self.server.settings.features = features;
        self
    }

    /// Puts a value into the state of every later scope, as lifespan would.
    #[must_use]
    pub fn state<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        self.server.settings.state.insert(value);
        self
    }

    /// Sets how long each wait of a test may take: for the head of a response, for each part of its
    /// content, for the end of a call. Default: 10 seconds.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.server.settings.timeout = timeout;
        self
    }

    /// Sets how long a call may go on after a disconnect (rule `CORE-14`). Default: 30 seconds.
    ///
    /// An application may also go on to send content when the client has all of the response (HEAD, 204
    /// and 304). After this time, after half of the [time-out](Self::timeout), or after 1000 events or
    /// 16 MiB of content, the client disconnects.
    #[must_use]
    pub fn grace_period(mut self, grace_period: Duration) -> Self {
        self.server.settings.grace_period = grace_period;
        self
    }

    /// Sets how many messages of a WebSocket are queued in each direction, at least 1, before sends
    /// wait. Default: 64. Of a response, one part is queued.
    #[must_use]
    pub fn queue_capacity(mut self, messages: usize) -> Self {
        self.server.settings.queue_capacity = messages.max(1);
        self
    }

    /// Creates a request with this method.
    ///
    /// # Panics
    ///
    /// When the target is not a URI.
    pub fn method<U>(&self, method: Method, target: U) -> RequestBuilder<'_>
    where
        U: TryInto<Uri>,
        U::Error: fmt::Debug,
    {
        let mut request = Request::new(Body::empty());
        *request.method_mut() = method;
        *request.uri_mut() = target.try_into().expect("a valid target");
        *request.version_mut() = self.server.settings.version;
        RequestBuilder::new(&self.server, request)
    }

    /// Creates a request from one of the [`http`] crate, with its version and its extensions.
    pub fn request<B: Into<Body>>(&self, request: Request<B>) -> RequestBuilder<'_> {
        RequestBuilder::new(&self.server, request.map(Into::into))
    }

    /// Creates the handshake of a WebSocket.
    ///
    /// # Panics
    ///
    /// When the target is not a URI.
    pub fn websocket<U>(&self, target: U) -> WebSocketBuilder<'_>
    where
        U: TryInto<Uri>,
        U::Error: fmt::Debug,
    {
        WebSocketBuilder::new(&self.server, target.try_into().expect("a valid target"))
    }

    /// Returns the events of the lifespan so far, if the lifespan runs.
    #[must_use]
    pub fn lifespan(&self) -> Option<Transcript> {
        let lifespan = self.lifespan.as_ref()?;
        Some(lifespan.record.transcript())
    }
}

macro_rules! methods {
    ($($name:ident $method:ident),+ $(,)?) => {
        impl TestClient {
            $(
                #[doc = concat!("Creates a ", stringify!($method), " request.")]
                ///
                /// # Panics
                ///
                /// When the target is not a URI.
                pub fn $name<U>(&self, target: U) -> RequestBuilder<'_>
                where
                    U: TryInto<Uri>,
                    U::Error: fmt::Debug,
                {
                    self.method(Method::$method, target)
                }
            )+
        }
    };
}

methods!(get GET, head HEAD, post POST, put PUT, patch PATCH, delete DELETE, options OPTIONS);

impl fmt::Debug for TestClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestClient")
            .field("settings", &self.server.settings)
            .finish_non_exhaustive()
    }
}
