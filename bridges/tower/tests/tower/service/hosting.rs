//! The hosts of an application: routers, servers, and their state.

use axum::Router;
use axum::body::Body;
use axum::extract::DefaultBodyLimit;
use axum::routing::get;
use callgate::{App, AppError, Receiver, Scope, Sender, State};
use callgate_toolkit::lifespan::{self, with_resource};
use callgate_toolkit::{read, respond};
use callgate_tower::AppService;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;

use super::{ask, http, post, text, to};
use crate::support::{checked, within};

#[tokio::test]
async fn the_prefix_that_a_router_removes_is_the_root_path() {
    let app = http(async |scope, _, sender| {
        let seen = format!("{} {} {}", scope.root_path, scope.uri, scope.route_path());
        respond::text(seen).send(&sender).await?;
        Ok(())
    });
    let inner: Router = Router::new().nest_service("/in%20ner", app.clone());
    let router: Router = Router::new()
        .nest("/outer", inner)
        .fallback_service(app)
        .layer(DefaultBodyLimit::disable());
    for (target, seen) in [
        (
            "/outer/in%20ner/x?q",
            "/outer/in ner /outer/in%20ner/x?q /x",
        ),
        ("/outer/in%20ner?q", "/outer/in ner /outer/in%20ner?q /"),
        ("/other/x", " /other/x /other/x"),
    ] {
        assert_eq!(text(ask(router.clone(), to(target)).await).await, seen);
    }
}

#[tokio::test]
async fn the_state_of_the_lifespan_is_handed_to_the_calls() {
    fn app() -> impl App {
        async fn open() -> Result<&'static str, AppError> {
            Ok("the pool")
        }
        async fn close(_: &'static str) -> Result<(), AppError> {
            Ok(())
        }
        let app = async |scope: Scope, _: Receiver, sender: Sender| {
            let scope = scope.into_http()?;
            let pool = scope.state.get::<&str>().unwrap();
            let number = scope.state.get::<u8>().unwrap();
            respond::text(format!("{pool} {number}"))
                .send(&sender)
                .await?;
            Ok(())
        };
        with_resource(checked(app), open, close)
    }
    let app = callgate::BoxApp::new(app());
    let started = lifespan::start(app.clone()).await.unwrap().unwrap();
    let service = AppService::new(app).with_state(started.state().clone());
    let mut request = to("/");
    let mut own = State::new();
    own.insert(7_u8);
    request.extensions_mut().insert(own);
    assert_eq!(text(ask(service, request).await).await, "the pool 7");
    started.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_router_and_an_application_share_a_server() {
    let app = http(async |scope, _, sender| {
        respond::text(format!("app {}", scope.client.unwrap().ip()))
            .send(&sender)
            .await?;
        Ok(())
    });
    let router = Router::new()
        .route("/", get(async || "router"))
        .fallback_service(app);
    let server = crate::support::Axum::start(router).await;
    let mut client = server.connect().await;
    let mut ask =
        async |target: &str| text(within(client.send_request(to(target))).await.unwrap()).await;
    assert_eq!(ask("/").await, "router");
    assert_eq!(ask("/other").await, "app 127.0.0.1");
}

#[tokio::test]
async fn hyper_serves_an_application() {
    let service = http(async |_, mut receiver, sender| {
        let content = read::bytes(&mut receiver, 100).await?;
        respond::bytes(content).send(&sender).await?;
        Ok(())
    });
    let (client_end, server_end) = tokio::io::duplex(1024);
    let service = TowerToHyperService::new(service);
    let serving = http1::Builder::new().serve_connection(TokioIo::new(server_end), service);
    tokio::spawn(serving);
    let client_end = TokioIo::new(client_end);
    let (mut client, connection) = hyper::client::conn::http1::handshake(client_end)
        .await
        .unwrap();
    tokio::spawn(connection);
    let asking = client.send_request(post(Body::from("content")));
    assert_eq!(text(within(asking).await.unwrap()).await, "content");
}
