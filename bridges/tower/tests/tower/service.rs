//! An application as a tower service.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::DefaultBodyLimit;
use axum::routing::get;
use bytes::Bytes;
use callgate::{
    App, AppError, HttpResponseBody, HttpResponseStart, HttpResponseTrailers, HttpScope,
    ReceiveEvent, Receiver, Scope, SendError, Sender, State,
};
use callgate_toolkit::lifespan::{self, with_resource};
use callgate_toolkit::{read, respond};
use callgate_tower::AppService;
use futures_util::{FutureExt as _, StreamExt as _};
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt as _, Channel, Full, Limited};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::sync::oneshot;
use tower::{Service, ServiceExt as _};

use crate::support::{checked, settled, within};

/// Returns a service of an application for HTTP only.
fn http<F, Fut>(call: F) -> AppService
where
    F: Fn(HttpScope, Receiver, Sender) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), AppError>> + Send + 'static,
{
    let call = Arc::new(call);
    let app = move |scope: Scope, receiver, sender| {
        let call = call.clone();
        async move {
            let scope = scope.into_http()?;
            call(*scope, receiver, sender).await
        }
    };
    AppService::new(checked(app))
}

fn to(target: &str) -> Request<Body> {
    let request = Request::get(target).header("host", "localhost");
    request.body(Body::empty()).unwrap()
}

fn post(body: Body) -> Request<Body> {
    let mut request = to("/").map(|_| body);
    *request.method_mut() = Method::POST;
    request
}

async fn ask<S, B>(service: S, request: Request<Body>) -> Response<B>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Error: std::fmt::Debug,
{
    within(service.oneshot(request)).await.unwrap()
}

async fn text<B: http_body::Body<Data = Bytes, Error: std::fmt::Debug>>(
    response: Response<B>,
) -> String {
    let content = within(response.into_body().collect()).await.unwrap();
    String::from_utf8(content.to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn an_application_is_called_in_place_and_its_response_is_whole() {
    let service = http(async |_, mut receiver, sender: Sender| {
        let content = read::bytes(&mut receiver, 100).await?;
        assert!(tokio::task::try_id().is_none(), "it runs on a task");
        respond::text(format!("{} bytes", content.len()))
            .send(&sender)
            .await?;
        Ok(())
    });
    let request = post(Body::from("content"));
    let response = ask(service, request).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(http_body::Body::size_hint(response.body()).exact(), Some(7));
    assert_eq!(text(response).await, "7 bytes");
}

#[tokio::test]
async fn content_is_read_when_the_application_receives() {
    let service = http(async |_, mut receiver: Receiver, sender| {
        let ReceiveEvent::HttpRequestBody(first) = receiver.receive().await else {
            panic!("it is content");
        };
        respond::bytes(first.body).send(&sender).await?;
        Ok(())
    });
    let read = Arc::new(AtomicUsize::new(0));
    let count = read.clone();
    let parts = futures_util::stream::iter(["one", "two"]).map(move |part| {
        count.fetch_add(1, Ordering::Relaxed);
        Ok::<_, std::io::Error>(part)
    });
    let request = post(Body::from_stream(parts));
    assert_eq!(text(ask(service, request).await).await, "one");
    assert_eq!(read.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_reader_that_does_not_read_makes_the_application_wait() {
    const PARTS: usize = 16;
    let sent = Arc::new(AtomicUsize::new(0));
    let count = sent.clone();
    let service = http(move |_, _, sender: Sender| {
        let count = count.clone();
        async move {
            sender.send(HttpResponseStart::ok()).await?;
            for _ in 0..PARTS {
                sender.send(HttpResponseBody::part("part")).await?;
                count.fetch_add(1, Ordering::Relaxed);
            }
            sender.send(HttpResponseBody::end()).await?;
            Ok(())
        }
    });
    let mut body = ask(service, to("/")).await.into_body();
    for received in 0..PARTS {
        settled().await;
        let ahead = sent.load(Ordering::Relaxed) - received;
        assert!(ahead <= 1, "{ahead} parts are held");
        let frame = body.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "part");
    }
    assert_eq!(body.collect().await.unwrap().to_bytes(), "");
}

#[tokio::test]
async fn trailer_fields_go_both_ways() {
    let service = http(async |_, mut receiver: Receiver, sender: Sender| {
        let fields = loop {
            if let ReceiveEvent::HttpRequestBody(event) = receiver.receive().await
                && !event.more_body
            {
                break *event.trailers.unwrap();
            }
        };
        sender.send(HttpResponseStart::ok().with_trailers()).await?;
        sender.send(HttpResponseBody::last("content")).await?;
        sender.send(HttpResponseTrailers::last(fields)).await?;
        Ok(())
    });
    let mut fields = HeaderMap::new();
    fields.insert("checksum", "abc".parse().unwrap());
    let body = Full::new(Bytes::from("content"))
        .with_trailers(std::future::ready(Some(Ok(fields.clone()))));
    let mut request = post(Body::new(body));
    *request.version_mut() = Version::HTTP_2;
    let collected = ask(service, request)
        .await
        .into_body()
        .collect()
        .await
        .unwrap();
    assert_eq!(collected.trailers(), Some(&fields));
    assert_eq!(collected.to_bytes(), "content");
}

#[tokio::test]
async fn the_application_decides_between_whole_streamed_and_head_alone() {
    let service = http(async |scope, _, sender: Sender| {
        if scope.path() == "/none" {
            sender
                .send(HttpResponseStart::new(StatusCode::NO_CONTENT))
                .await?;
            sender.send(HttpResponseBody::end()).await?;
            return Ok(());
        }
        sender.send(HttpResponseStart::ok()).await?;
        sender.send(HttpResponseBody::last("content")).await?;
        Ok(())
    });
    let response = ask(service.clone(), to("/none")).await;
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert_eq!(text(response).await, "");
    let mut head = to("/");
    *head.method_mut() = Method::HEAD;
    let response = ask(service, head).await;
    assert_eq!(response.headers()["content-length"], "7");
    assert_eq!(text(response).await, "");
}

#[tokio::test]
async fn a_call_without_a_response_gets_500_or_501() {
    async fn app(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
        let scope = scope.into_http()?;
        match &*scope.path() {
            "/fails" => Err(AppError::failed("no such table")),
            "/declines" => Err(AppError::Unsupported),
            "/panics" => panic!("this is a test"),
            "/breaks" => {
                let error = sender.send(HttpResponseBody::end()).await.unwrap_err();
                assert_eq!(error.rule().unwrap().id, "HTTP-14");
                Ok(())
            }
            _ => Ok(()),
        }
    }
    let service = AppService::new(app);
    for (target, status) in [
        ("/fails", 500),
        ("/declines", 501),
        ("/panics", 500),
        ("/breaks", 500),
        ("/returns", 500),
        ("/%zz", 400),
    ] {
        let response = ask(service.clone(), to(target)).await;
        assert_eq!(response.status(), status, "{target}");
        assert!(!text(response).await.contains("table"));
    }
}

#[tokio::test]
async fn a_response_that_is_not_ended_is_not_whole() {
    let service = http(async |_, _, sender: Sender| {
        sender.send(HttpResponseStart::ok()).await?;
        sender.send(HttpResponseBody::part("part")).await?;
        Err(AppError::failed("the disk is gone"))
    });
    let mut body = ask(service, to("/")).await.into_body();
    assert_eq!(
        body.frame().await.unwrap().unwrap().into_data().unwrap(),
        "part"
    );
    within(body.frame()).await.unwrap().unwrap_err();
    assert!(body.frame().await.is_none());
}

/// Returns a service that reports the end of its exchange, and the receiver of the report.
fn watcher() -> (AppService, oneshot::Receiver<(ReceiveEvent, bool)>) {
    let (report, reported) = oneshot::channel();
    let report = Arc::new(Mutex::new(Some(report)));
    let service = http(move |scope, mut receiver: Receiver, sender: Sender| {
        let report = report.lock().unwrap().take().unwrap();
        async move {
            if scope.path() == "/streams" {
                sender.send(HttpResponseStart::ok()).await?;
                sender.send(HttpResponseBody::part("part")).await?;
            }
            while let ReceiveEvent::HttpRequestBody(_) = receiver.receive().await {}
            let event = receiver.receive().await;
            let sent = sender.send(HttpResponseStart::ok()).await;
            let is_gone = matches!(sent, Err(SendError::Disconnected));
            report.send((event, is_gone)).unwrap();
            Ok(())
        }
    });
    (service, reported)
}

#[tokio::test]
async fn a_dropped_future_or_body_is_a_disconnect_to_the_application() {
    let (service, reported) = watcher();
    let mut asking = Box::pin(service.oneshot(to("/waits")));
    assert!(futures_util::poll!(&mut asking).is_pending());
    drop(asking);
    assert_eq!(
        within(reported).await.unwrap(),
        (ReceiveEvent::HttpDisconnect, true)
    );

    let (service, reported) = watcher();
    drop(ask(service, to("/streams")).await);
    assert_eq!(
        within(reported).await.unwrap(),
        (ReceiveEvent::HttpDisconnect, true)
    );
}

#[tokio::test(start_paused = true)]
async fn an_application_that_goes_on_after_a_disconnect_is_dropped_after_its_grace_period() {
    let (dropped, is_dropped) = crate::support::Dropped::new();
    let dropped = Arc::new(Mutex::new(Some(dropped)));
    let grace = std::time::Duration::from_secs(7);
    let service = http(move |_, _, _| {
        let dropped = dropped.lock().unwrap().take();
        async move {
            let _dropped = dropped;
            std::future::pending().await
        }
    })
    .grace_period(grace);
    let mut asking = Box::pin(service.oneshot(to("/")));
    assert!(futures_util::poll!(&mut asking).is_pending());
    let gone = tokio::time::Instant::now();
    drop(asking);
    within(is_dropped).await.unwrap();
    assert_eq!(gone.elapsed().as_secs(), grace.as_secs());
}

#[tokio::test]
async fn endless_content_without_a_reader_ends_after_the_grace_period() {
    let grace = std::time::Duration::from_millis(50);
    for target in ["/busy", "/waiting", "/working"] {
        let (report, reported) = oneshot::channel();
        let report = Arc::new(Mutex::new(Some(report)));
        let service = http(move |scope, mut receiver: Receiver, sender: Sender| {
            let report = report.lock().unwrap().take().unwrap();
            async move {
                sender.send(HttpResponseStart::ok()).await?;
                sender.send(HttpResponseBody::part("part")).await?;
                match scope.raw_path() {
                    "/busy" => while sender.send(HttpResponseBody::part("part")).await.is_ok() {},
                    "/waiting" => while receiver.receive().await != ReceiveEvent::HttpDisconnect {},
                    // Work after the response takes as long as it takes.
                    _ => {
                        sender.send(HttpResponseBody::end()).await?;
                        tokio::time::sleep(grace * 4).await;
                    }
                }
                report.send(()).unwrap();
                Ok(())
            }
        })
        .grace_period(grace);
        let mut request = to(target);
        *request.method_mut() = Method::HEAD;
        assert_eq!(ask(service, request).await.status(), StatusCode::OK);
        within(reported).await.unwrap();
    }
}

#[test]
fn a_stream_outside_a_runtime_is_cut() {
    let service = http(async |_, _, sender: Sender| {
        sender.send(HttpResponseStart::ok()).await?;
        for _ in 0..100 {
            sender.send(HttpResponseBody::part("part")).await?;
        }
        sender.send(HttpResponseBody::end()).await?;
        Ok(())
    });
    // Nothing waits here, so polling once is enough.
    let asking = async {
        let response = service.oneshot(to("/")).await.unwrap();
        response.into_body().collect().await.unwrap_err();
    };
    assert!(asking.now_or_never().is_some());
}

#[tokio::test]
async fn trailer_fields_that_turn_out_to_be_none_are_left_out() {
    let service = http(async |_, _, sender: Sender| {
        sender.send(HttpResponseStart::ok().with_trailers()).await?;
        sender.send(HttpResponseBody::last("content")).await?;
        sender.send(HttpResponseTrailers::default()).await?;
        Ok(())
    });
    let mut request = to("/");
    *request.version_mut() = Version::HTTP_2;
    let body = ask(service, request).await.into_body();
    assert_eq!(body.collect().await.unwrap().trailers(), None);
}

#[tokio::test]
async fn trailer_fields_beyond_the_limit_are_refused_and_the_exchange_goes_on() {
    let service = http(async |_, _, sender: Sender| {
        sender.send(HttpResponseStart::ok().with_trailers()).await?;
        sender.send(HttpResponseBody::last("content")).await?;
        let mut large = HeaderMap::new();
        large.insert("large", "x".repeat(40_000).parse()?);
        let mut part = HttpResponseTrailers::last(large);
        part.more_trailers = true;
        sender.send(part.clone()).await?;
        let refused = sender.send(part).await;
        assert!(matches!(refused, Err(SendError::TrailersTooLarge { .. })));
        sender.send(HttpResponseTrailers::default()).await?;
        Ok(())
    });
    let mut request = to("/");
    *request.version_mut() = Version::HTTP_2;
    let body = ask(service, request).await.into_body();
    let collected = within(body.collect()).await.unwrap();
    assert_eq!(collected.trailers().unwrap()["large"].len(), 40_000);
}

#[tokio::test]
async fn work_after_the_response_goes_on() {
    let (go, gone) = oneshot::channel::<()>();
    let (report, reported) = oneshot::channel();
    let ends = Arc::new(Mutex::new(Some((gone, report))));
    let service = http(move |_, _, sender: Sender| {
        let (gone, report) = ends.lock().unwrap().take().unwrap();
        async move {
            respond::text("accepted").send(&sender).await?;
            gone.await.unwrap();
            report.send(()).unwrap();
            Ok(())
        }
    });
    assert_eq!(text(ask(service, to("/")).await).await, "accepted");
    go.send(()).unwrap();
    within(reported).await.unwrap();
}

#[tokio::test]
async fn content_beyond_a_layer_s_limit_is_answered_with_413_and_other_errors_with_400() {
    let service = http(async |_, mut receiver, sender| {
        let content = read::bytes(&mut receiver, 1000).await?;
        respond::bytes(content).send(&sender).await?;
        Ok(())
    });
    let limited = Body::new(Limited::new(Body::from("too long"), 3));
    let request = post(limited);
    let response = ask(service.clone(), request).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);

    let (mut sender, body) = Channel::<Bytes, std::io::Error>::new(1);
    sender.send_data("part".into()).await.unwrap();
    sender.abort(std::io::Error::other("cut"));
    let request = post(Body::new(body));
    assert_eq!(
        ask(service, request).await.status(),
        StatusCode::BAD_REQUEST
    );
}

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
