//! Layers of tower around an application.

use std::future::{Ready, ready};

use callgate::{AppError, Receiver, Scope, SendEvent, Sender, WebSocketAccept};
use callgate_toolkit::lifespan::with_resource;
use callgate_toolkit::respond;
use callgate_toolkit::test_client::{Error, ResponseExt as _, TestClient};
use callgate_tower::RequestBody;
use futures_util::future::Either;
use http::{Request, Response, StatusCode};
use tower::{Layer, Service, layer::layer_fn};

use crate::support::checked;

/// Answers with 401 unless the request has a field `authorization`.
#[derive(Clone)]
struct Guarded<S>(S);

impl<S, B> Service<Request<RequestBody>> for Guarded<S>
where
    S: Service<Request<RequestBody>, Response = Response<B>>,
    B: Default,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<Response<B>, S::Error>>>;

    fn poll_ready(
        &mut self,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        if request.headers().contains_key("authorization") {
            return Either::Left(self.0.call(request));
        }
        let mut response = Response::new(B::default());
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        Either::Right(ready(Ok(response)))
    }
}

fn guard<S>() -> impl Layer<S, Service = Guarded<S>> {
    layer_fn(Guarded)
}

/// Says what start-up opened.
async fn app(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
    match scope {
        Scope::Http(scope) => {
            let pool = scope.state.get::<&str>().unwrap();
            respond::text(*pool).send(&sender).await?;
        }
        Scope::WebSocket(scope) => {
            let pool = scope.state.get::<&str>().unwrap();
            sender.send(WebSocketAccept::new()).await?;
            let message = callgate::Message::text(*pool);
            sender.send(SendEvent::WebSocketSend(message)).await?;
        }
        _ => return Err(AppError::Unsupported),
    }
    Ok(())
}

async fn client() -> TestClient {
    async fn open() -> Result<&'static str, AppError> {
        Ok("the pool")
    }
    async fn close(_: &'static str) -> Result<(), AppError> {
        Ok(())
    }
    let app = with_resource(checked(app), open, close);
    let app = callgate_tower::layer(guard(), app);
    TestClient::start(checked(app)).await.unwrap()
}

#[tokio::test]
async fn requests_go_through_the_layer_and_the_lifespan_past_it() {
    let client = client().await;
    let response = client.get("/").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let known = client.get("/").header("authorization", "me");
    assert_eq!(known.send().await.unwrap().text(), "the pool");
    client.shutdown().await.unwrap();
}

#[tokio::test]
async fn websockets_go_through_the_layer() {
    let client = client().await;
    let Err(Error::Refused(response)) = client.websocket("/").connect().await else {
        panic!("it is denied");
    };
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let known = client.websocket("/").header("authorization", "me");
    let mut socket = known.connect().await.unwrap();
    assert_eq!(socket.text().await.unwrap(), "the pool");
    assert_eq!(socket.closed().await.unwrap().code, 1000);
    client.shutdown().await.unwrap();
}
