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
/// Each request is served by a clone of the service, polled in place: there is no task and no
/// channel in between.
///
/// - **Content** is received from the server when the service polls the body of the request, and
///   each frame of the response waits until the server has taken the one before.
/// - **A client that goes away**: the service's future, or the body of its response, is dropped, as
///   hyper does it. It is seen at once when the request has no content or all of it was read, and
///   otherwise when the body is polled or something is sent.
/// - **Trailer fields** of a response are sent where the server offers
///   [`ResponseTrailers`](callgate::Feature::ResponseTrailers), over HTTP/1.1 only those that the
///   response names in its `trailer` field. Elsewhere they are left out.
/// - **Fields of the connection** that the service sets (`connection`, `keep-alive`,
///   `proxy-connection`, `transfer-encoding`, `upgrade`) are left out: the connection is the
///   server's. So is content with the status 204, 205 or 304, or in response to HEAD.
/// - **Errors**: that of the service fails the call, and the client gets 500; that of a body that
///   has begun cuts the response.
/// - **WebSockets**: the service sees the handshake of HTTP/1.1, over HTTP/2 as well, with the
///   `OnUpgrade` of hyper that axum's `WebSocketUpgrade` looks for. Its status 101 accepts; any other
///   response denies where the server offers
///   [`DenialResponse`](callgate::Feature::DenialResponse), and refuses with a plain 403 elsewhere,
///   as does one of success over HTTP/2, where that would open the WebSocket. Close codes go both
///   ways; a service that drops an open WebSocket closes it with 1000. The bridge offers no
///   extensions of WebSocket to the service, and answers its pings: both are between the client and
///   the server.
/// - **The path** that the service sees is the one below the
///   [root path](callgate::RequestScope::root_path).
/// - **The request's extensions** are those of the scope, with the exchange's
///   [`State`](callgate::State), the [`ScopeInfo`](crate::ScopeInfo), a [`Background`] for work after
///   the response, a [`Shutdown`](crate::Shutdown) where the server offers that, and, with the feature
///   `axum`, the `ConnectInfo<SocketAddr>` and the `OriginalUri` of axum.
/// - **Lifespan** is declined. `callgate_toolkit::lifespan::with_resource` puts one around it.
///
/// The service has to be [`Sync`] as well as [`Clone`]; `tower::util::BoxCloneSyncService` is, where
/// its type has to be forgotten.
#[derive(Clone)]
pub struct ServiceApp<S> {
    service: S,
}

impl<S> ServiceApp<S> {
    /// Serves with clones of `service`.
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
