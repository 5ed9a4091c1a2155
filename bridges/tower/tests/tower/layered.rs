//! Layers of tower around an application.

use std::future::{Ready, ready};

use callgate::{AppError, Feature, Receiver, Scope, SendEvent, Sender, WebSocketAccept};
use callgate_toolkit::lifespan::with_resource;
use callgate_toolkit::respond;
use callgate_toolkit::test_client::{Error, ResponseExt as _, TestClient, TestExchange};
use callgate_tower::RequestBody;
use futures_util::future::Either;
use http::{Request, Response, StatusCode};
use tower::layer::{layer_fn, util::Identity};
use tower::{Layer, Service};

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

/// Says which features are offered.
async fn features(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
    let request = scope.request().ok_or(AppError::Unsupported)?;
    let names: Vec<_> = request.features.iter().map(Feature::name).collect();
    let text = names.join(" ");
    match scope {
        Scope::Http(_) => respond::text(text).send(&sender).await,
        _ => {
            sender.send(WebSocketAccept::new()).await?;
            let message = callgate::Message::text(text);
            Ok(sender.send(SendEvent::WebSocketSend(message)).await?)
        }
    }
}

#[tokio::test]
async fn an_application_below_a_layer_is_offered_what_passes_through_a_layer() {
    let app = callgate_tower::layer(Identity::new(), checked(features));
    let client = TestClient::new(checked(app));
    let request = client.get("/").header("te", "trailers");
    let offered = request.send().await.unwrap();
    assert_eq!(offered.text(), "http.response.trailers http.shutdown");
    let mut socket = client.websocket("/").connect().await.unwrap();
    assert_eq!(socket.text().await.unwrap(), "websocket.http.response");
}

#[tokio::test]
async fn a_call_with_a_layer_ends_before_the_work_after_its_response() {
    let (work, mut worked) = tokio::sync::mpsc::channel::<()>(1);
    let app = move |scope: Scope, _: Receiver, sender: Sender| {
        let work = work.clone();
        async move {
            scope.into_http()?;
            respond::text("done").send(&sender).await?;
            // The test receives after the call has ended.
            work.send(()).await?;
            work.send(()).await?;
            Ok::<_, AppError>(())
        }
    };
    let client = TestClient::new(callgate_tower::layer(Identity::new(), app));
    let response = client.get("/").send().await.unwrap();
    TestExchange::of(&response).ended().await.unwrap();
    for _ in 0..2 {
        assert_eq!(worked.recv().await, Some(()));
    }
}
