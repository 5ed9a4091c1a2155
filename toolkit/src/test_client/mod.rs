//! Driving any application in process, without a socket.
//!
//! A [`TestClient`] is a server and its client in one. To the application it behaves as the
//! documents demand of a server: each send is checked by the protocol's conversations, a slow reader
//! makes sends wait, a client that goes away is told of, and an application that fails is answered
//! for. Requests and responses are those of the [`http`] crate.
//!
//! ```
//! use callgate::{AppError, HttpResponseBody, HttpResponseStart, Receiver, Scope, Sender};
//! use callgate_toolkit::test_client::{Exchange, ResponseExt, TestClient};
//!
//! async fn greet(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
//!     let Scope::Http(scope) = scope else {
//!         return Err(AppError::Unsupported);
//!     };
//!     sender.send(HttpResponseStart::ok()).await?;
//!     sender.send(HttpResponseBody::last(format!("Hello from {}", scope.path()))).await?;
//!     Ok(())
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let client = TestClient::new(greet);
//! let response = client.get("/there").send().await?;
//! assert_eq!(response.status(), 200);
//! assert_eq!(response.text(), "Hello from /there");
//!
//! // What was said, and how the call ended.
//! let exchange = Exchange::of(&response);
//! exchange.ended().await?;
//! assert_eq!(
//!     exchange.transcript().to_string(),
//!     r#"called    http GET /there HTTP/1.1 {host: localhost}
//! sent      http.response.start 200
//! sent      http.response.body "Hello from /there" last
//! returned"#
//! );
//! # Ok(())
//! # }
//! ```
//!
//! As a browser does, it keeps [cookies](TestClient::cookies). It sends the
//! [fields](TestClient::header) that it is told to with each request, and
//! [follows redirects](TestClient::follow_redirects) if it is told to.
//!
//! What it does not do: add `date` and `server` (`HTTP-38`), or show the transfer coding.

mod body;
mod cookies;
mod error;
mod exchange;
mod http_state;
mod link;
mod redirect;
mod request;
mod response;
mod scope;
mod websocket;
mod websocket_state;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use callgate::{
    App, AppError, BoxApp, ByteString, Feature, Features, ReceiveEvent, Receiver, Scheme, Scope,
    SendError, SendEvent, Sender, State,
};
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Uri, Version};

pub use self::body::{Body, BodySender};
pub use self::cookies::Cookies;
pub use self::error::{Error, Failure, TimedOut};
pub use self::exchange::Exchange;
pub use self::request::{Pending, RequestBuilder, ResponseExt};
pub use self::response::Streaming;
pub use self::websocket::{Connecting, WebSocket, WebSocketBuilder};

use self::cookies::Jar;
use self::link::Link;
use crate::lifespan::{self, RunningLifespan};
use crate::middleware::{Events, tap};
use callgate::transcript::{Entry, Transcript};

/// A client of an application, and the server between them.
///
/// See the [module](self) for what it does. It needs a Tokio runtime with its timer enabled, which
/// `#[tokio::test]` has; each call of the application runs on a task of its own.
pub struct TestClient {
    app: BoxApp,
    settings: Settings,
    started: Option<RunningLifespan>,
    lifespan: Arc<Mutex<Transcript>>,
    /// Those whose call may still run.
    running: Mutex<Vec<Exchange>>,
}

/// A change to a scope.
type Edit<'a, S> = Box<dyn FnOnce(&mut S) + Send + 'a>;

/// What each scope of a client says, and what the client does by itself.
#[derive(Debug)]
struct Settings {
    /// Sent where a request does not set them itself.
    headers: HeaderMap,
    jar: Jar,
    keeps_cookies: bool,
    follows_redirects: bool,
    root_path: ByteString,
    client: Option<SocketAddr>,
    server: Option<SocketAddr>,
    scheme: Scheme,
    version: Version,
    features: Features,
    state: State,
    patience: Duration,
    grace: Duration,
    bound: usize,
}

impl TestClient {
    /// A client of `app`, which runs without its lifespan.
    #[must_use]
    pub fn new(app: impl App) -> Self {
        Self {
            app: BoxApp::new(app),
            settings: Settings {
                headers: HeaderMap::new(),
                jar: Jar::default(),
                keeps_cookies: true,
                follows_redirects: false,
                root_path: ByteString::new(),
                client: Some((Ipv4Addr::LOCALHOST, 50_000).into()),
                server: Some((Ipv4Addr::LOCALHOST, 80).into()),
                scheme: Scheme::Http,
                version: Version::HTTP_11,
                features: Feature::ALL
                    .into_iter()
                    .collect::<Features>()
                    .without(Feature::Tls),
                state: State::new(),
                patience: Duration::from_secs(10),
                grace: Duration::from_secs(30),
                bound: 64,
            },
            started: None,
            lifespan: Arc::default(),
            running: Mutex::default(),
        }
    }

    /// A client of `app` once its start-up is complete: `TestClient::new(app).started()`.
    ///
    /// # Errors
    ///
    /// As [`started`](Self::started).
    ///
    /// # Panics
    ///
    /// As [`started`](Self::started).
    pub async fn start(app: impl App) -> Result<Self, Error> {
        Self::new(app).started().await
    }

    /// Runs the application's start-up; every later scope has the state that it hands over. An
    /// application that declines runs without.
    ///
    /// # Errors
    ///
    /// [`Error::Lifespan`] with the reason why start-up failed; [`Error::TimedOut`].
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime with its timer enabled.
    pub async fn started(mut self) -> Result<Self, Error> {
        let recorded = recorded(self.app.clone(), self.lifespan.clone());
        let starting = lifespan::start(recorded);
        let started = tokio::time::timeout(self.settings.patience, starting).await;
        let started = started.map_err(|_| self.timed_out("start-up", Transcript::default()))?;
        self.started = started.map_err(Error::Lifespan)?;
        if let Some(started) = &self.started {
            self.settings.state.extend(started.state());
        }
        Ok(self)
    }

    /// Shuts down as a server does: closes WebSockets with 1012, waits for every call, work after
    /// the response included, and then runs the application's shutdown.
    ///
    /// # Errors
    ///
    /// [`Error::Lifespan`] with the reason why the shutdown failed; [`Error::TimedOut`] when a call
    /// or the shutdown goes on for longer than the client's patience.
    pub async fn shutdown(mut self) -> Result<(), Error> {
        let running = std::mem::take(&mut *self.running.lock().unwrap());
        for exchange in &running {
            exchange.link.change(|state| {
                if let Some(websocket) = state.websocket() {
                    websocket.shut_down();
                }
            });
        }
        for exchange in running {
            if let Err(Failure::TimedOut(timed_out)) = exchange.ended().await {
                return Err(Error::TimedOut(timed_out));
            }
        }
        let Some(started) = self.started.take() else {
            return Ok(());
        };
        let so_far = self.lifespan.lock().unwrap().clone();
        match tokio::time::timeout(self.settings.patience, started.shutdown()).await {
            Ok(result) => result.map_err(Error::Lifespan),
            Err(_) => Err(self.timed_out("the shutdown", so_far)),
        }
    }

    /// Adds a header field that each request and each WebSocket's handshake is sent with, unless
    /// it has fields of that name itself. Default: none.
    ///
    /// With `host`, it is the host that targets without one go to.
    ///
    /// # Panics
    ///
    /// When the name or the value cannot be a header field.
    #[must_use]
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName>,
        N::Error: fmt::Debug,
        V: TryInto<HeaderValue>,
        V::Error: fmt::Debug,
    {
        let name = name.try_into().expect("a valid header name");
        let value = value.try_into().expect("a valid header value");
        self.settings.headers.append(name, value);
        self
    }

    /// Where the application is mounted: `""`, or `/prefix`, decoded. It is put in front of each
    /// path (rule `SCOPE-15`). Default `""`.
    #[must_use]
    pub fn root_path(mut self, root_path: impl Into<ByteString>) -> Self {
        self.settings.root_path = root_path.into();
        self
    }

    /// The address of the client. Default `127.0.0.1:50000`.
    #[must_use]
    pub fn client_address(mut self, address: Option<SocketAddr>) -> Self {
        self.settings.client = address;
        self
    }

    /// The address that the client has connected to. Default `127.0.0.1:80`.
    #[must_use]
    pub fn server_address(mut self, address: Option<SocketAddr>) -> Self {
        self.settings.server = address;
        self
    }

    /// Whether the connection is secured, where the target does not say. Default: it is not.
    #[must_use]
    pub fn scheme(mut self, scheme: Scheme) -> Self {
        self.settings.scheme = scheme;
        self
    }

    /// The version of HTTP. Default HTTP/1.1.
    #[must_use]
    pub fn version(mut self, version: Version) -> Self {
        self.settings.version = version;
        self
    }

    /// The features offered. Default: all but TLS, trailers only where the request allows them
    /// (rule `EXT-15`).
    #[must_use]
    pub fn features(mut self, features: Features) -> Self {
        self.settings.features = features;
        self
    }

    /// Puts a value into the state of every later scope, as lifespan would.
    #[must_use]
    pub fn state<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        self.settings.state.insert(value);
        self
    }

    /// How long to wait for anything before a test fails. Default 10 seconds.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.settings.patience = patience;
        self
    }

    /// How long a call may go on after a disconnect (rule `CORE-14`). Default 30 seconds.
    ///
    /// One that goes on with content when the client has all that it will get (HEAD, 204 and 304) has
    /// this time as well, but no more than half of the client's [patience](Self::patience), and then
    /// learns that nobody is there.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.settings.grace = grace;
        self
    }

    /// How many messages of a WebSocket are held each way, at least 1. Default 64. Of a response,
    /// one part is held.
    #[must_use]
    pub fn bound(mut self, messages: usize) -> Self {
        self.settings.bound = messages.max(1);
        self
    }

    /// A request with this method.
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
        *request.version_mut() = self.settings.version;
        RequestBuilder::new(self, request)
    }

    /// This request, its version included.
    pub fn request<B: Into<Body>>(&self, request: Request<B>) -> RequestBuilder<'_> {
        RequestBuilder::new(self, request.map(Into::into))
    }

    /// A WebSocket to this target.
    ///
    /// # Panics
    ///
    /// When the target is not a URI.
    pub fn websocket<U>(&self, target: U) -> WebSocketBuilder<'_>
    where
        U: TryInto<Uri>,
        U::Error: fmt::Debug,
    {
        WebSocketBuilder::new(self, target.try_into().expect("a valid target"))
    }

    /// The events of the lifespan so far; none when the application runs without.
    #[must_use]
    pub fn lifespan(&self) -> Option<Transcript> {
        self.started.as_ref()?;
        Some(self.lifespan.lock().unwrap().clone())
    }

    fn exchange(&self, link: Link) -> Exchange {
        Exchange {
            link: Arc::new(link),
            patience: self.settings.patience,
        }
    }

    fn call(&self, exchange: &Exchange, scope: Scope) {
        let mut running = self.running.lock().unwrap();
        running.retain(|exchange| !exchange.is_ended());
        running.push(exchange.clone());
        let grace = self.settings.grace;
        // So a test that waits for the end of the call sees it.
        let unheard = grace.min(self.settings.patience / 2);
        exchange.link.call(&self.app, scope, grace, unheard);
    }

    fn timed_out(&self, waited_for: &'static str, transcript: Transcript) -> Error {
        Error::TimedOut(Box::new(TimedOut {
            waited_for,
            patience: self.settings.patience,
            transcript,
        }))
    }
}

/// `app`, with the events of its lifespan recorded.
fn recorded(app: BoxApp, transcript: Arc<Mutex<Transcript>>) -> impl App {
    move |scope: Scope, receiver: Receiver, sender: Sender| {
        let (app, transcript) = (app.clone(), transcript.clone());
        async move {
            transcript
                .lock()
                .unwrap()
                .push(Entry::Called(scope.clone()));
            let recorder = Recorder {
                transcript: transcript.clone(),
                event: None,
            };
            let (receiver, sender) = tap(receiver, sender, recorder);
            let result: Result<(), AppError> = app.call(scope, receiver, sender).await;
            let entry = Entry::Returned(result.as_ref().copied().map_err(ToString::to_string));
            transcript.lock().unwrap().push(entry);
            result
        }
    }
}

/// Records the events of a lifespan.
struct Recorder {
    transcript: Arc<Mutex<Transcript>>,
    event: Option<SendEvent>,
}

impl Events for Recorder {
    fn received(&mut self, event: &mut ReceiveEvent) {
        self.transcript
            .lock()
            .unwrap()
            .push(Entry::Received(event.clone()));
    }

    fn sending(&mut self, event: &mut SendEvent) {
        self.event = Some(event.clone());
    }

    fn sent(&mut self, result: &Result<(), SendError>) {
        if let Some(event) = self.event.take() {
            self.transcript
                .lock()
                .unwrap()
                .push(Entry::Sent(event, result.clone()));
        }
    }
}

impl Settings {
    /// Adds the fields that a request does not set itself.
    fn add_headers(&self, headers: &mut HeaderMap) {
        for name in self.headers.keys() {
            if !headers.contains_key(name) {
                for value in self.headers.get_all(name) {
                    headers.append(name, value.clone());
                }
            }
        }
    }
}

macro_rules! methods {
    ($($name:ident $method:ident),+ $(,)?) => {
        impl TestClient {
            $(
                #[doc = concat!("A ", stringify!($method), " request.")]
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
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
