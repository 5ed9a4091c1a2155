//! Layers of tower around an application.

use callgate::{App, AppError, BoxApp, Receiver, Scope, Sender};
use http::{Request, Response};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use crate::{AppService, BoxError, RequestBody, ServiceApp};

/// Creates an application of `app` with a tower layer around it. `layer` is a layer of tower-http,
/// for example, or a `tower::ServiceBuilder` of several.
///
/// Requests and WebSockets pass through the layer, by [`ServiceApp`] and [`AppService`]. Lifespan
/// is not a request, and is passed to `app` itself.
///
/// A layer sees requests and responses of the [`http`] crate, and no events. So a part of the protocol does
/// not reach the application below it:
///
/// | | below a layer |
/// | --- | --- |
/// | content, in both directions | streamed, with back-pressure |
/// | trailer fields, `http.shutdown`, `tls`, extensions, state | as without a layer |
/// | disconnect | the application receives it, with the grace period of [`AppService`] |
/// | path send | not offered: files are streamed through the process |
/// | early hints, `http.response.debug` | not offered |
/// | work after the response | goes on as a task of its own: a server that shuts down does not wait for it |
/// | WebSockets | the layer sees the handshake; messages pass through a connection in memory, which costs time and memory for each WebSocket |
/// | denial responses | always offered; a response in place of a WebSocket is the layer's too |
///
/// The middlewares of `callgate_toolkit::middleware` have none of these costs. A layer is the way to what
/// the toolkit does not have, such as compression and tracing.
///
/// ```
/// use std::time::Duration;
/// use callgate::{AppError, Receiver, Scope, Sender};
/// use callgate_toolkit::respond;
/// use http::StatusCode;
/// use tower::ServiceBuilder;
/// use tower_http::cors::CorsLayer;
/// use tower_http::timeout::TimeoutLayer;
///
/// async fn hello(_: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
///     respond::text("Hello, world!\n").send(&sender).await?;
///     Ok(())
/// }
///
/// let timeout = TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, Duration::from_secs(5));
/// let layers = ServiceBuilder::new().layer(CorsLayer::permissive()).layer(timeout);
/// let app = callgate_tower::layer(layers, hello);
/// # fn check(_: impl callgate::App) {}
/// # check(app);
/// ```
pub fn layer<L, B>(layer: L, app: impl App) -> impl App
where
    L: Layer<AppService>,
    L::Service:
        Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + Sync + 'static,
    <L::Service as Service<Request<RequestBody>>>::Error: Into<BoxError>,
    <L::Service as Service<Request<RequestBody>>>::Future: Send,
    B: Body + Send,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let app = BoxApp::new(app);
    Layered {
        service: ServiceApp::new(layer.layer(AppService::new(app.clone()))),
        app,
    }
}

struct Layered<S> {
    service: ServiceApp<S>,
    app: BoxApp,
}

impl<S> App for Layered<S>
where
    ServiceApp<S>: App,
{
    async fn call(&self, scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        match scope {
            Scope::Http(_) | Scope::WebSocket(_) => {
                self.service.call(scope, receiver, sender).await
            }
            // A layer sees requests only. Lifespan and unknown scopes pass it by.
            scope => self.app.call(scope, receiver, sender).await,
        }
    }
}
