//! The reference server, which passes every check.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::thread;
use std::time::Duration;

use callgate::{
    AppError, HttpResponseBody, HttpResponseStart, ReceiveEvent, Receiver, Scope, Sender,
    WebSocketAccept,
};
use callgate_conformance::{HttpOptions, HttpReport, HttpTarget, Verdict, check_http};
use callgate_server::Server;
use http::StatusCode;
use tokio::sync::oneshot;

const TAG: &str = "\"one\"";

/// The reference server on a thread of its own, until it is dropped.
pub(crate) struct Good {
    pub(crate) address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl Good {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let serve = Server::new(app).listener(listener).unwrap();
            let stopped = async {
                let _ = stopped.await;
            };
            runtime.block_on(async {
                tokio::select! {
                    result = serve.serve() => result.unwrap(),
                    () = stopped => {}
                }
            });
        });
        Self {
            address,
            _stop: stop,
        }
    }
}

async fn app(scope: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    let scope = match scope {
        Scope::Http(scope) => scope,
        Scope::WebSocket(_) => return echo_messages(receiver, sender).await,
        _ => return Err(AppError::Unsupported),
    };
    match scope.uri.path() {
        "/" if scope
            .headers
            .get("if-none-match")
            .is_some_and(|tag| tag == TAG) =>
        {
            let start = HttpResponseStart::new(StatusCode::NOT_MODIFIED).header("etag", TAG);
            sender.send(start).await?;
            sender.send(HttpResponseBody::end()).await?;
        }
        "/" => {
            sender
                .send(HttpResponseStart::ok().header("etag", TAG))
                .await?;
            sender.send(HttpResponseBody::last("hello")).await?;
        }
        "/longer" => {
            sender.send(HttpResponseStart::ok()).await?;
            sender.send(HttpResponseBody::last("hello, world")).await?;
        }
        "/echo" => {
            let mut content = Vec::new();
            loop {
                match receiver.receive().await {
                    ReceiveEvent::HttpRequestBody(part) => {
                        content.extend_from_slice(&part.body);
                        if !part.more_body {
                            break;
                        }
                    }
                    _ => return Ok(()),
                }
            }
            sender.send(HttpResponseStart::ok()).await?;
            sender.send(HttpResponseBody::last(content)).await?;
        }
        "/no-content" => {
            sender
                .send(HttpResponseStart::new(StatusCode::NO_CONTENT))
                .await?;
            sender.send(HttpResponseBody::end()).await?;
        }
        "/stream" => {
            sender.send(HttpResponseStart::ok()).await?;
            sender.send(HttpResponseBody::part("one")).await?;
            sender.send(HttpResponseBody::last("two")).await?;
        }
        _ => {
            sender
                .send(HttpResponseStart::new(StatusCode::NOT_FOUND))
                .await?;
            sender.send(HttpResponseBody::end()).await?;
        }
    }
    Ok(())
}

async fn echo_messages(mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    loop {
        match receiver.receive().await {
            ReceiveEvent::WebSocketConnect => sender.send(WebSocketAccept::new()).await?,
            ReceiveEvent::WebSocketReceive(message) => sender.send(message).await?,
            _ => return Ok(()),
        }
    }
}

/// Returns the options for the application above.
pub(crate) fn options() -> HttpOptions {
    let mut options = HttpOptions::default();
    options.content_path = Some("/echo".into());
    options.no_content_path = Some("/no-content".into());
    options.streamed_path = Some("/stream".into());
    options.websocket_path = Some("/websocket".into());
    options
}

pub(crate) async fn report(address: SocketAddr, options: &HttpOptions) -> HttpReport {
    let target = HttpTarget {
        address,
        authority: address.to_string(),
        tls: None,
    };
    check_http(&target, options, |_| {}).await.unwrap()
}

#[tokio::test]
async fn a_good_server_passes_every_check() {
    let good = Good::start();
    let mut options = options();
    options.timeout = Duration::from_secs(20);
    let report = report(good.address, &options).await;
    for finding in &report.findings {
        let is_passed = matches!(finding.verdict, Verdict::Passed);
        assert!(is_passed, "{}: {report}", finding.check.name);
    }
    assert_eq!(report.gap, None);
}

#[tokio::test]
async fn what_needs_a_path_that_is_not_given_is_not_checked() {
    let good = Good::start();
    let mut options = HttpOptions::default();
    options.cases = [
        "no_length_with_204",
        "no_chunks_to_http10",
        "a_length_that_does_not_match",
        "a_handshake",
    ]
    .map(Into::into)
    .into();
    let report = report(good.address, &options).await;
    assert_eq!(report.findings.len(), options.cases.len());
    for finding in &report.findings {
        let is_unchecked = matches!(finding.verdict, Verdict::NotApplicable(_));
        assert!(is_unchecked, "{}: {report}", finding.check.name);
    }
}

#[tokio::test]
async fn a_path_that_is_not_found_is_told() {
    let good = Good::start();
    let mut options = HttpOptions::default();
    options.path = "/nothing".into();
    options.cases = vec!["a_date".into()];
    let report = report(good.address, &options).await;
    assert_eq!(
        report.gap.as_deref(),
        Some("GET of /nothing is answered with 404")
    );
}

#[tokio::test]
async fn a_port_without_a_server_is_an_error() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let target = HttpTarget {
        address,
        authority: address.to_string(),
        tls: None,
    };
    let result = check_http(&target, &HttpOptions::default(), |_| {}).await;
    let reason = result.unwrap_err();
    assert!(reason.contains("refuses the connection"), "{reason}");
}
