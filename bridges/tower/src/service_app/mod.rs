//! A tower service as an application.

mod disconnect;
mod request;
mod response_sender;
mod shared_receiver;
mod websocket;

use std::fmt;
use std::future::poll_fn;

use callgate::{App, AppError, HttpScope, Receiver, Scope, Sender};
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use self::disconnect::DisconnectWatch as _;
use self::response_sender::ResponseSender;
pub use self::shared_receiver::RequestBody;
use self::shared_receiver::SharedReceiver;
use crate::background::with_background;
use crate::{Background, BoxError};

/// A tower service as an application: an `axum::Router`, a service of tonic, layers of tower-http
/// around any of them.
///
/// Each request is served by a clone of the service, which is polled in place, without a task or a
/// channel.
///
/// - **Content** is received from the server when the service polls the body of the request, and
///   each frame of the response waits until the server has taken the one before.
/// - **A client that goes away**: the service's future, or the body of its response, is dropped, as
///   hyper does it. The bridge notices the disconnect at once when the request has no content or all
///   of its content was read, and otherwise when the body is polled or an event is sent.
/// - **Trailer fields** of a response are sent where the server offers
///   [`ResponseTrailers`](callgate::Feature::ResponseTrailers), over HTTP/1.1 only those that the
///   response names in its `trailer` field. Elsewhere they are left out.
/// - **Fields of the connection** that the service sets (`connection`, `keep-alive`,
///   `proxy-connection`, `transfer-encoding`, `upgrade`) are left out, because the server manages the
///   connection. The content of a response is left out with the status 204, 205 or 304, and in
///   response to HEAD.
/// - **Errors**: an error of the service fails the call, and the client gets 500. An error of the
///   body, once the response has started, cuts the response.
/// - **WebSockets**: the service sees a handshake of HTTP/1.1, over HTTP/2 as well, with the
///   `OnUpgrade` of hyper that axum's `WebSocketUpgrade` needs. A response with the status 101
///   accepts. Any other response denies where the server offers
///   [`DenialResponse`](callgate::Feature::DenialResponse), and refuses with a plain 403 elsewhere.
///   Over HTTP/2 a 2xx status also refuses with 403, as it would open the WebSocket. Close codes are
///   passed on in both directions. A service that drops an open WebSocket closes it with 1000. The
///   bridge offers the service no extensions of WebSocket, and answers its pings: both are matters
///   between the client and the server.
/// - **The path** that the service sees is the one below the
///   [root path](callgate::RequestScope::root_path).
/// - **The request's extensions** are those of the scope, with the exchange's
///   [`State`](callgate::State), the [`ScopeInfo`](crate::ScopeInfo), a [`Background`] for work after
///   the response, a [`Shutdown`](crate::Shutdown) where the server offers `http.shutdown`, and, with
///   the feature `axum`, the `ConnectInfo<SocketAddr>` and the `OriginalUri` of axum.
/// - **Lifespan** is declined. `callgate_toolkit::lifespan::with_resource` adds a lifespan.
///
/// The service has to be [`Sync`] as well as [`Clone`]. `tower::util::BoxCloneSyncService` is both,
/// and erases the type.
#[derive(Clone)]
pub struct ServiceApp<S> {
    service: S,
}

impl<S> ServiceApp<S> {
    /// Creates an application that serves each request with a clone of `service`.
    pub fn new(service: S) -> Self {
        Self { service }
    }
}

impl<S> fmt::Debug for ServiceApp<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceApp").finish_non_exhaustive()
    }
}

impl<S, B> App for ServiceApp<S>
where
    S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: Body + Send,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    async fn call(&self, scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        match scope {
            Scope::Http(scope) => {
                with_background(|background| self.serve_http(*scope, receiver, sender, background))
                    .await
            }
            Scope::WebSocket(scope) => {
                // Boxed, as this future is larger than that of an HTTP exchange.
                let service = self.service.clone();
                Box::pin(with_background(|background| {
                    websocket::serve(service, *scope, receiver, sender, background)
                }))
                .await
            }
            _ => Err(AppError::Unsupported),
        }
    }
}

impl<S, B> ServiceApp<S>
where
    S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: Body + Send,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    async fn serve_http(
        &self,
        scope: HttpScope,
        receiver: Receiver,
        sender: Sender,
        background: Background,
    ) -> Result<(), AppError> {
        let mut receiver = SharedReceiver::new(&scope, receiver);
        let response_sender = ResponseSender::for_request(&scope);
        let body = receiver.body(&scope).await;
        let request = request::of_http(scope, body, background, receiver.shutdown());
        let response = receiver
            .unless_disconnected(call(self.service.clone(), request))
            .await??;
        response_sender.send(response, &mut receiver, &sender).await
    }
}

/// Calls `service` once it is ready.
async fn call<S, B>(mut service: S, request: Request<RequestBody>) -> Result<Response<B>, AppError>
where
    S: Service<Request<RequestBody>, Response = Response<B>>,
    S::Error: Into<BoxError>,
{
    poll_fn(|cx| service.poll_ready(cx))
        .await
        .map_err(AppError::failed)?;
    service.call(request).await.map_err(AppError::failed)
}
