//! An application as a tower service.

mod exchange;
mod scope;
mod websocket;

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Buf;
use callgate::{App, AppError, BoxApp, Scope, State};
use callgate_drive::websocket::SessionConfig;
use callgate_drive::{Call, ResponseBody, ServerEnd};
use http::header::{HeaderValue, SEC_WEBSOCKET_VERSION};
use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::BodyExt as _;
use tokio::runtime::Handle;
use tower_service::Service;

use self::exchange::{Exchange, replacement};
use self::websocket::Handshake;
use crate::BoxError;

/// An application as a tower service: inside a router of axum, below layers of tower-http, or served
/// by hyper itself.
///
/// The application is polled in place while its response is made. If it streams, works on after its
/// last event, or is told of a disconnect, it goes on as a task of the Tokio runtime.
///
/// - **Content** is read when the application receives, and each part of the response waits until the
///   one before has been taken.
/// - **Whoever asked goes away**, and drops the future or the body of the response: the application is
///   told, and has the [grace period](Self::grace_period).
/// - **An error of the request's body** is a disconnect to the application. The answer is 413 where a
///   layer's limit was reached, and 400 otherwise, unless the response has begun.
/// - **An application that fails**, panics or breaks a rule is logged with [`tracing`], and answered
///   for with 500, or the body of the response ends with [`Incomplete`](crate::Incomplete).
/// - **Trailer fields** are offered where they reach the client; path send and early hints are not.
/// - **WebSockets**: a handshake that comes with the `OnUpgrade` of hyper is one to the application;
///   the bridge answers it and speaks RFC 6455. hyper has to serve the connection with upgrades, as
///   `axum::serve` does. A client that is [silent](Self::ping_interval) is pinged.
/// - **The scope**: where the request comes from a [`ServiceApp`](crate::ServiceApp), all that its own
///   scope said. Elsewhere, with the feature `axum`, the client's address is that of axum's
///   `ConnectInfo`, and what routers have taken off the path is the root path.
/// - **Lifespan** is not the service's to run: `callgate_toolkit::lifespan::Started` starts the
///   application and stops it, and [`with_state`](Self::with_state) hands its state to the calls.
///
/// ```
/// use axum::Router;
/// use axum::routing::get;
/// use callgate::{AppError, Receiver, Scope, Sender};
/// use callgate_toolkit::respond;
/// use callgate_tower::AppService;
///
/// async fn hello(_: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
///     respond::text("Hello from the application\n").send(&sender).await?;
///     Ok(())
/// }
///
/// let router: Router = Router::new()
///     .route("/", get(async || "Hello from the router\n"))
///     .nest_service("/app", AppService::new(hello));
/// ```
#[derive(Clone)]
pub struct AppService {
    app: BoxApp,
    state: State,
    grace: Duration,
    websocket: SessionConfig,
}

impl AppService {
    /// Serves `app`, without its lifespan.
    pub fn new(app: impl App) -> Self {
        Self {
            app: BoxApp::new(app),
            state: State::new(),
            grace: Duration::from_secs(30),
            websocket: SessionConfig::default(),
        }
    }

    /// Hands this to every call, as its scope's state. Values that a request brings in its extensions
    /// take the place of those of the same type.
    #[must_use]
    pub fn with_state(mut self, state: State) -> Self {
        self.state = state;
        self
    }

    /// How long an application may go on after it was told of a disconnect, or after its client has
    /// all that it will get (HEAD; all that `content-length` says). Default: 30 seconds.
    #[must_use]
    pub fn grace_period(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Sets the largest message taken from the client of a WebSocket, in bytes. A larger message closes
    /// the WebSocket with 1009. Default: 16 MiB.
    #[must_use]
    pub fn max_message_size(mut self, bytes: usize) -> Self {
        self.websocket.max_message_size = bytes;
        self
    }

    /// Sets how long the client of a WebSocket may be silent before it is pinged; `None` for no pings.
    /// Default: 20 seconds.
    #[must_use]
    pub fn ping_interval(mut self, interval: impl Into<Option<Duration>>) -> Self {
        self.websocket.ping_interval = interval.into();
        self
    }

    /// Sets how long the client of a WebSocket may take to answer a ping, before the WebSocket is
    /// closed with 1011; `None` for no limit. Default: 20 seconds.
    ///
    /// The limit also holds while the application does not receive, so that the answer is not read.
    #[must_use]
    pub fn ping_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.websocket.ping_timeout = timeout.into();
        self
    }
}

impl fmt::Debug for AppService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppService")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl<B> Service<Request<B>> for AppService
where
    B: Body + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture {
        let (parts, body) = request.into_parts();
        ResponseFuture(match scope::of(parts, &self.state) {
            Ok((Scope::Http(scope), _)) => {
                let body = body
                    .map_frame(|frame| {
                        frame.map_data(|mut data| data.copy_to_bytes(data.remaining()))
                    })
                    .map_err(Into::into)
                    .boxed_unsync();
                Kind::Http(Exchange::new(&self.app, scope, body, self.grace))
            }
            Ok((Scope::WebSocket(scope), Some(on_upgrade))) => {
                let handshake =
                    Handshake::new(&self.app, scope, on_upgrade, self.grace, self.websocket);
                Kind::WebSocket(Box::new(handshake))
            }
            Ok(_) => Kind::rejected(StatusCode::NOT_IMPLEMENTED),
            Err(status) => Kind::rejected(status),
        })
    }
}

/// Moves a call that has not ended to a task of its own. Without a runtime it fails.
fn detach(call: Call, end: Arc<impl ServerEnd>, grace: Duration) {
    match Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn(call.run(end, grace))),
        Err(_) => {
            let error = AppError::failed("it cannot go on without a Tokio runtime");
            call.fail(&*end, error);
        }
    }
}

/// The response of an [`AppService`] in the making. It polls the application.
#[derive(Debug)]
pub struct ResponseFuture(Kind);

#[derive(Debug)]
enum Kind {
    Http(Exchange),
    WebSocket(Box<Handshake>),
    /// None once it has been given.
    Rejected(Option<Box<Response<ResponseBody>>>),
}

impl Kind {
    fn rejected(status: StatusCode) -> Self {
        let mut response = replacement(status);
        if status == StatusCode::UPGRADE_REQUIRED {
            let version = HeaderValue::from_static("13");
            response
                .headers_mut()
                .insert(SEC_WEBSOCKET_VERSION, version);
        }
        Self::Rejected(Some(Box::new(response)))
    }
}

impl Future for ResponseFuture {
    type Output = Result<Response<ResponseBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.get_mut().0 {
            Kind::Http(exchange) => exchange.poll(cx).map(Ok),
            Kind::WebSocket(handshake) => handshake.poll(cx).map(Ok),
            Kind::Rejected(response) => {
                Poll::Ready(Ok(*response.take().expect("not polled after it was ready")))
            }
        }
    }
}
