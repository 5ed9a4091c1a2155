//! The end of a call: disconnects, failures, and work after the response.

use std::sync::{Arc, Mutex};

use callgate::{
    AppError, HttpResponseBody, HttpResponseStart, ReceiveEvent, Receiver, Scope, SendError, Sender,
};
use callgate_toolkit::respond;
use callgate_tower::AppService;
use futures_util::FutureExt as _;
use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use tokio::sync::oneshot;
use tower::ServiceExt as _;

use super::{ask, http, text, to};
use crate::support::within;

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
