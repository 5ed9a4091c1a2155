//! Values that travel with one exchange: extensions of a request become those of the scope, and
//! extensions of a scope become those of the request.

use axum::extract::ws::{Message as Frame, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::{any, get};
use axum::{Extension, Router};
use callgate::{App, AppError, Message, Receiver, Scope, Sender, WebSocketAccept};
use callgate_toolkit::middleware::{self, Next};
use callgate_toolkit::respond;
use callgate_toolkit::test_client::{ResponseExt as _, TestClient};
use callgate_tower::{AppService, ServiceApp};
use http::{Extensions, Request};
use tower::ServiceExt as _;

use crate::support::{checked, within};

/// The value of a middleware of Callgate.
#[derive(Clone)]
struct FromMiddleware(&'static str);

/// The value of a layer of tower.
#[derive(Clone)]
struct FromLayer(&'static str);

/// Adds a value to the scope of each exchange of `app`.
fn with_middleware(app: impl App) -> impl App {
    middleware::from_fn(
        app,
        async |mut scope: Scope, receiver: Receiver, sender: Sender, next: Next| {
            match &mut scope {
                Scope::Http(scope) => scope.extensions.insert(FromMiddleware("middleware")),
                Scope::WebSocket(scope) => scope.extensions.insert(FromMiddleware("middleware")),
                _ => None,
            };
            next.call(scope, receiver, sender).await
        },
    )
}

/// Returns the names of the values that are there.
fn names(extensions: &Extensions) -> String {
    let middleware = extensions
        .get()
        .map_or("-", |value: &FromMiddleware| value.0);
    let layer = extensions.get().map_or("-", |value: &FromLayer| value.0);
    format!("{middleware} {layer}")
}

/// Responds with the names of the values in its scope.
async fn app(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
    match scope {
        Scope::Http(scope) => respond::text(names(&scope.extensions)).send(&sender).await,
        Scope::WebSocket(scope) => {
            sender.send(WebSocketAccept::new()).await?;
            let message = Message::text(names(&scope.extensions));
            Ok(sender.send(message).await?)
        }
        _ => Err(AppError::Unsupported),
    }
}

#[tokio::test]
async fn an_extension_of_a_layer_reaches_the_scope_of_an_application() {
    let service = AppService::new(checked(app));
    let router: Router = Router::new()
        .fallback_service(service)
        .layer(Extension(FromLayer("layer")));
    let request = Request::get("/").header("host", "localhost");
    let request = request.body(axum::body::Body::empty()).unwrap();
    let response = within(router.oneshot(request)).await.unwrap();
    let content = axum::body::to_bytes(response.into_body(), 100).await;
    assert_eq!(content.unwrap(), "- layer");
}

#[tokio::test]
async fn an_extension_of_a_middleware_reaches_the_request_of_a_service() {
    let handler = async |Extension(value): Extension<FromMiddleware>| value.0;
    let service = ServiceApp::new(Router::new().route("/", get(handler)));
    let client = TestClient::new(checked(with_middleware(service)));
    assert_eq!(client.get("/").send().await.unwrap().text(), "middleware");
}

#[tokio::test]
async fn an_extension_of_a_middleware_reaches_the_handshake_of_a_service() {
    async fn handler(
        Extension(value): Extension<FromMiddleware>,
        upgrade: WebSocketUpgrade,
    ) -> Response {
        upgrade.on_upgrade(async move |mut socket| {
            socket.send(Frame::text(value.0)).await.unwrap();
        })
    }
    let service = ServiceApp::new(Router::new().route("/", any(handler)));
    let client = TestClient::new(checked(with_middleware(service)));
    let mut socket = client.websocket("/").connect().await.unwrap();
    assert_eq!(socket.text().await.unwrap(), "middleware");
}

#[tokio::test]
async fn extensions_cross_a_service_between_two_applications() {
    let router: Router = Router::new()
        .fallback_service(AppService::new(checked(app)))
        .layer(Extension(FromLayer("layer")));
    let client = TestClient::new(checked(with_middleware(ServiceApp::new(router))));
    let response = client.get("/").send().await.unwrap();
    assert_eq!(response.text(), "middleware layer");
    let mut socket = client.websocket("/").connect().await.unwrap();
    assert_eq!(socket.text().await.unwrap(), "middleware layer");
}

#[tokio::test]
async fn an_extension_of_one_exchange_is_not_in_the_next() {
    let client = TestClient::new(checked(ServiceApp::new(AppService::new(checked(app)))));
    let mut request = Request::get("/").body(()).unwrap();
    request.extensions_mut().insert(FromLayer("client"));
    let response = client.request(request).send().await.unwrap();
    assert_eq!(response.text(), "- client");
    assert_eq!(client.get("/").send().await.unwrap().text(), "- -");
}
