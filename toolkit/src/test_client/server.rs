//! The server between a test client and its application, on `callgate-drive`.

use std::future::{pending, poll_fn};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use callgate::{
    App, BoxApp, HttpResponseStart, HttpScope, WebSocketClose, WebSocketDisconnect, WebSocketScope,
};
use callgate_drive::http::{Exchange, Response as DriveResponse};
use callgate_drive::websocket::{Handshake, HandshakeResponse, Mailbox};
use callgate_drive::{Call, ResponseBody, ServerEnd, ShutdownSignal};
use http::header::CONTENT_LENGTH;
use http::{Method, Response, StatusCode, Version};
use http_body::Body as _;
use tokio::sync::oneshot;
use tokio::task::coop::unconstrained;
use tokio::time::sleep;

use super::body::{Body, RecordedContent};
use super::channel::RecordedApp;
use super::exchange::TestExchange;
use super::failure::{Failure, TimedOut};
use super::record::Record;
use super::scope;
use super::settings::Settings;

/// The server between a client and its application.
///
/// Each call is polled by a task of its own, which ends with the call.
pub(super) struct Server {
    pub(super) app: BoxApp,
    pub(super) settings: Settings,
    shutdown: ShutdownSignal,
    /// Exchanges whose call may still run.
    running: Mutex<Vec<TestExchange>>,
}

/// The response to a handshake, and the messages of the WebSocket if it is accepted.
pub(super) type HandshakeReply = (HandshakeResponse, Arc<Mailbox>);

impl Server {
    pub(super) fn new(app: impl App) -> Self {
        Self {
            app: BoxApp::new(app),
            settings: Settings::default(),
            shutdown: ShutdownSignal::new(),
            running: Mutex::default(),
        }
    }

    /// Calls the application with a request. The receiver gets an error in place of a response when
    /// the client disconnects.
    pub(super) fn http(
        &self,
        scope: HttpScope,
        body: Body,
        is_disconnected: bool,
    ) -> (TestExchange, oneshot::Receiver<Response<ResponseBody>>) {
        let (exchange, app) = self.exchange(is_disconnected);
        let record = exchange.record.clone();
        let responder = Responder {
            version: scope.version,
            is_head_request: scope.method == Method::HEAD,
        };
        let is_withheld = scope::expects_continue(&scope);
        let content = RecordedContent::new(body, record.clone(), is_withheld);
        let mut call = Exchange::new(&app, scope.into(), content, |_| None, &self.shutdown);
        call.on_end({
            let record = record.clone();
            move |result, end| record.ended(result, end)
        });
        let (sender, receiver) = oneshot::channel();
        tokio::spawn(run_http(call, record, sender, responder, self.limits()));
        (exchange, receiver)
    }

    /// Calls the application with a handshake, as [`http`](Self::http).
    pub(super) fn websocket(
        &self,
        scope: WebSocketScope,
        is_disconnected: bool,
    ) -> (TestExchange, oneshot::Receiver<HandshakeReply>) {
        let (exchange, app) = self.exchange(is_disconnected);
        let record = exchange.record.clone();
        let mut handshake = Handshake::new(&app, scope.into());
        handshake.set_queue_capacity(self.settings.queue_capacity);
        handshake.on_end({
            let record = record.clone();
            move |result, end| record.ended(result, end)
        });
        let (sender, receiver) = oneshot::channel();
        let shutdown = self.shutdown.clone();
        tokio::spawn(run_websocket(
            handshake,
            record,
            sender,
            shutdown,
            self.limits(),
        ));
        (exchange, receiver)
    }

    /// Rejects a request that does not reach the application.
    pub(super) fn rejected(&self, status: StatusCode) -> TestExchange {
        let record = Arc::new(Record::default());
        record.rejected(format!("the server rejects the request with {status}"));
        TestExchange::new(record, &self.settings)
    }

    /// Begins the shutdown: exchanges in flight learn of it, and WebSockets are closed.
    pub(super) fn begin_shutdown(&self) {
        self.shutdown.set();
    }

    /// Waits until all calls have ended.
    pub(super) async fn drained(&self) -> Result<(), TimedOut> {
        let running = std::mem::take(&mut *self.running.lock().unwrap());
        for exchange in running {
            if let Err(Failure::TimedOut(timed_out)) = exchange.ended().await {
                return Err(*timed_out);
            }
        }
        Ok(())
    }

    /// Creates the record of an exchange, and the application that writes it.
    fn exchange(&self, is_disconnected: bool) -> (TestExchange, BoxApp) {
        let record = Arc::new(Record::default());
        if is_disconnected {
            record.disconnect();
        }
        let exchange = TestExchange::new(record.clone(), &self.settings);
        let mut running = self.running.lock().unwrap();
        running.retain(|exchange| !exchange.is_ended());
        running.push(exchange.clone());
        (
            exchange,
            BoxApp::new(RecordedApp::new(self.app.clone(), record)),
        )
    }

    fn limits(&self) -> CallLimits {
        CallLimits {
            grace_period: self.settings.grace_period,
            // A test that waits for the end of the call sees the end before it times out.
            discard_time: self.settings.grace_period.min(self.settings.timeout / 2),
        }
    }
}

/// The times for which a call may go on.
#[derive(Clone, Copy)]
struct CallLimits {
    /// After a disconnect.
    grace_period: Duration,
    /// With content that is discarded.
    discard_time: Duration,
}

/// Creates the response to one request in place of the application's.
#[derive(Clone, Copy)]
struct Responder {
    version: Version,
    is_head_request: bool,
}

impl Responder {
    fn replace(self, status: StatusCode) -> Response<ResponseBody> {
        let mut response = replacement(status, self.version);
        if self.is_head_request {
            *response.body_mut() = ResponseBody::empty();
        }
        response
    }
}

/// Creates a response over this version of HTTP.
pub(super) fn http_response(
    head: HttpResponseStart,
    content: ResponseBody,
    version: Version,
) -> Response<ResponseBody> {
    // Servers add the length of content when they know it.
    let length = content.size_hint().exact().filter(|length| *length > 0);
    let mut response = head.into_response(content);
    *response.version_mut() = version;
    if let Some(length) = length {
        let headers = response.headers_mut();
        headers.entry(CONTENT_LENGTH).or_insert(length.into());
    }
    response
}

/// Creates a response in place of the application's.
pub(super) fn replacement(status: StatusCode, version: Version) -> Response<ResponseBody> {
    let (head, content) = callgate_drive::replacement(status);
    http_response(head, content, version)
}

/// Polls an exchange until it has a response, and runs the rest of its call.
async fn run_http(
    mut exchange: Exchange<RecordedContent>,
    record: Arc<Record>,
    mut reply: oneshot::Sender<Response<ResponseBody>>,
    responder: Responder,
    limits: CallLimits,
) {
    let response = loop {
        let response = tokio::select! {
            biased;
            () = record.disconnected() => break None,
            () = reply.closed() => break None,
            response = poll_fn(|cx| exchange.poll(cx)) => response,
        };
        match response {
            // The record has the early hints.
            DriveResponse::EarlyHints(_) => {}
            DriveResponse::Started(head, content) => {
                break Some(http_response(head, content, responder.version));
            }
            DriveResponse::Replacement(status) => break Some(responder.replace(status)),
            DriveResponse::Disconnected => break None,
        }
    };
    match response {
        // A client that does not take the response drops the content with it.
        Some(response) => drop(reply.send(response)),
        None => drop(reply),
    }
    if let Some((call, end)) = exchange.detach() {
        run(call, end, &record, limits).await;
    }
}

/// Polls a handshake until it has a response, and runs the rest of its call.
async fn run_websocket(
    mut handshake: Handshake,
    record: Arc<Record>,
    mut reply: oneshot::Sender<HandshakeReply>,
    mut shutdown: ShutdownSignal,
    limits: CallLimits,
) {
    let response = tokio::select! {
        biased;
        () = record.disconnected() => None,
        () = reply.closed() => None,
        response = poll_fn(|cx| {
            if shutdown.poll_set(cx).is_ready() {
                handshake.refuse_at_shutdown();
            }
            handshake.poll(cx)
        }) => Some(response),
    };
    let is_open = matches!(response, Some(HandshakeResponse::Accept(_)));
    let (call, mailbox) = match response {
        Some(response) => {
            let (call, mailbox) = handshake.open();
            if reply.send((response, mailbox.clone())).is_err() {
                mailbox.disconnect_with(WebSocketDisconnect::new(1006));
            }
            (call, mailbox)
        }
        None => match handshake.detach() {
            Some((call, mailbox)) => (Some(call), mailbox),
            None => return,
        },
    };
    let Some(call) = call else { return };
    let close_at_shutdown = async {
        if is_open {
            poll_fn(|cx| shutdown.poll_set(cx)).await;
            record.close(WebSocketClose::new(1012));
            mailbox.disconnect_with(WebSocketDisconnect::new(1012));
        }
        pending::<()>().await;
    };
    tokio::select! {
        biased;
        () = close_at_shutdown => {}
        () = run(call, mailbox.clone(), &record, limits) => {}
    }
}

/// Runs a call that goes on after its response, or after its client has disconnected.
async fn run(call: Call, end: Arc<impl ServerEnd>, record: &Record, limits: CallLimits) {
    let disconnect = async {
        record.disconnected().await;
        end.disconnect();
    };
    let disconnect_discarded = async {
        poll_fn(|cx| end.poll_discarding(cx)).await;
        tokio::select! {
            () = unconstrained(sleep(limits.discard_time)) => {}
            () = record.discarded_enough() => {}
        }
        let is_discarding = poll_fn(|cx| Poll::Ready(end.poll_discarding(cx).is_ready()));
        if is_discarding.await {
            record.note("the client has all of the response, and disconnects");
            end.disconnect();
        }
    };
    let client = async {
        tokio::join!(disconnect, disconnect_discarded);
        pending::<()>().await;
    };
    tokio::select! {
        biased;
        () = client => {}
        () = call.run(end.clone(), limits.grace_period) => {}
    }
    record.dropped();
}
