//! The service, and the future of its response.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Buf;
use callgate::{App, BoxApp, State};
use callgate_drive::websocket::{PerMessageDeflate, SessionConfig};
use callgate_drive::{ResponseBody, ShutdownSignal};
use http::header::{HeaderValue, SEC_WEBSOCKET_VERSION};
use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::BodyExt as _;
use tower_service::Service;

use super::http::HttpResponseFuture;
use super::replacement::replacement;
use super::scope::{self, ParsedRequest};
use super::websocket::{HandshakeFuture, WebSocketSettings};
use crate::BoxError;

/// An application as a tower service: inside a router of axum, below layers of tower-http, or
/// served by hyper.
///
/// The application is polled in place until its response starts. A call that streams, that works
/// after its last event, or that receives a disconnect, goes on as a task of the Tokio runtime.
///
/// - **Content** is read when the application receives, and each part of the response waits until the
///   one before has been taken.
/// - **A client that goes away**: when the future or the body of the response is dropped, the
///   application receives a disconnect, and has the [grace period](Self::grace_period).
/// - **An error of the request's body** is a disconnect to the application. The response is 413 when
///   a layer's limit was reached, and 400 otherwise, unless the response has started.
/// - **An application that fails**, panics or breaks a rule is logged with [`tracing`]. The response
///   is 500, or its body ends with [`Incomplete`](crate::Incomplete).
/// - **Trailer fields** are offered where they reach the client; path send and early hints are not.
/// - **WebSockets**: a request to upgrade that has hyper's `OnUpgrade` in its extensions is a handshake
///   to the application. The bridge responds to it and speaks RFC 6455. hyper has to serve the
///   connection with upgrades, as `axum::serve` does. The bridge pings a
///   [silent](Self::ping_interval) client.
/// - **The scope**: where the request comes from a [`ServiceApp`](crate::ServiceApp), the scope is that
///   of the outer application. Elsewhere, with the feature `axum`, the client's address is that of
///   axum's `ConnectInfo`, and the part of the path that routers have removed is the root path. The
///   extensions of the request become those of the scope.
/// - **Shutdown**: the application receives `http.shutdown` when the signal of
///   [`with_shutdown`](Self::with_shutdown) is set, or when the outer application of a
///   [`ServiceApp`](crate::ServiceApp) receives it. The signal also closes WebSockets.
/// - **Lifespan** is run by the caller: `callgate_toolkit::lifespan::start` runs the start-up and
///   returns the state, which [`with_state`](Self::with_state) passes to the calls.
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
    shutdown: Option<ShutdownSignal>,
    grace_period: Duration,
    websocket: SessionConfig,
    per_message_deflate: PerMessageDeflate,
}

impl AppService {
    /// Creates a service of `app`, whose lifespan the caller runs.
    pub fn new(app: impl App) -> Self {
        Self {
            app: BoxApp::new(app),
            state: State::new(),
            shutdown: None,
            grace_period: Duration::from_secs(30),
            websocket: SessionConfig::default(),
            per_message_deflate: PerMessageDeflate::On,
        }
    }

    /// Sets the state of every scope. Values of the [`State`] in a request's extensions replace those
    /// of the same type.
    #[must_use]
    pub fn with_state(mut self, state: State) -> Self {
        self.state = state;
        self
    }

    /// Sets the signal of the server's shutdown. Applications receive `http.shutdown` when the
    /// signal is set. Without this, an application receives `http.shutdown` where the request comes
    /// from a [`ServiceApp`](crate::ServiceApp) that receives it.
    ///
    /// The signal also closes each open WebSocket with 1012 (rule `WS-26`), and answers with 503 each
    /// handshake to which the application has not responded (rule `WS-34`).
    #[must_use]
    pub fn with_shutdown(mut self, shutdown: ShutdownSignal) -> Self {
        self.shutdown = Some(shutdown);
        self
    }

    /// Sets how long a call may go on after a disconnect, or after its client has the whole
    /// response (HEAD, or all that `content-length` announced). Default: 30 seconds.
    #[must_use]
    pub fn grace_period(mut self, grace_period: Duration) -> Self {
        self.grace_period = grace_period;
        self
    }

    /// Sets the largest message taken from the client of a WebSocket, in bytes. A larger message closes
    /// the WebSocket with 1009. Default: 16 MiB.
    #[must_use]
    pub fn max_message_size(mut self, bytes: usize) -> Self {
        self.websocket.max_message_size = bytes;
        self
    }

    /// Sets whether the messages of WebSockets are compressed with the clients that offer
    /// permessage-deflate (RFC 7692). Default: on.
    #[must_use]
    pub fn per_message_deflate(mut self, setting: PerMessageDeflate) -> Self {
        self.per_message_deflate = setting;
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
    /// The limit also closes a WebSocket whose application does not receive: the bridge cannot read
    /// the answers to its pings behind too many messages.
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
        ResponseFuture(
            match scope::parse(parts, self.state.clone(), self.shutdown.clone()) {
                Ok(ParsedRequest::Http(scope, shutdown)) => {
                    let body = body
                        .map_frame(|frame| {
                            frame.map_data(|mut data| data.copy_to_bytes(data.remaining()))
                        })
                        .map_err(Into::into)
                        .boxed_unsync();
                    PendingResponse::Http(HttpResponseFuture::new(
                        &self.app,
                        scope,
                        body,
                        &shutdown,
                        self.grace_period,
                    ))
                }
                Ok(ParsedRequest::WebSocket(scope, on_upgrade, shutdown)) => {
                    let settings = WebSocketSettings {
                        session: self.websocket,
                        per_message_deflate: self.per_message_deflate,
                        grace_period: self.grace_period,
                        shutdown,
                    };
                    let response = HandshakeFuture::new(&self.app, scope, on_upgrade, settings);
                    PendingResponse::WebSocket(Box::new(response))
                }
                Err(status) => PendingResponse::rejected(status),
            },
        )
    }
}

/// The future of the response of an [`AppService`]. It polls the application.
#[derive(Debug)]
pub struct ResponseFuture(PendingResponse);

#[derive(Debug)]
enum PendingResponse {
    Http(HttpResponseFuture),
    WebSocket(Box<HandshakeFuture>),
    /// `None` once the response has been returned.
    Rejected(Option<Box<Response<ResponseBody>>>),
}

impl PendingResponse {
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
            PendingResponse::Http(response) => Pin::new(response).poll(cx).map(Ok),
            PendingResponse::WebSocket(response) => Pin::new(response).poll(cx).map(Ok),
            PendingResponse::Rejected(response) => {
                Poll::Ready(Ok(*response.take().expect("not polled after it was ready")))
            }
        }
    }
}
