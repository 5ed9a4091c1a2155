use std::pin::pin;
use std::sync::{Arc, Mutex};

use callgate::{
    AppError, HttpResponseBody, HttpResponseStart, ReceiveEvent, Receiver, Scope, SendError,
    SendEvent, Sender,
};
use callgate_toolkit::middleware::{Events, wrap};
use callgate_toolkit::respond;
use callgate_toolkit::test_client::{Body, Exchange, Failure, ResponseExt, TestClient};
use futures_util::poll;

use crate::http;

/// Keeps a log of what passes, and changes it.
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn note(&self, entry: String) {
        self.0.lock().unwrap().push(entry);
    }
}

impl Events for Log {
    fn received(&mut self, event: &mut ReceiveEvent) {
        if let ReceiveEvent::HttpRequestBody(request) = event {
            request.body = request.body.to_ascii_uppercase().into();
        }
        self.note(format!("received {}", event.type_name()));
    }

    fn sending(&mut self, event: &mut SendEvent) {
        if let SendEvent::HttpResponseStart(start) = event {
            start.headers.insert("x-seen", "1".parse().unwrap());
        }
        self.note(format!("sending {}", event.type_name()));
    }

    fn sent(&mut self, result: &Result<(), SendError>) {
        self.note(format!("sent {}", result.is_ok()));
    }

    fn returned(&mut self, result: &Result<(), AppError>) {
        self.note(format!("returned {}", result.is_ok()));
    }
}

/// Sends back what it gets, in two parts, and one too many.
async fn echo(scope: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    http(scope)?;
    let ReceiveEvent::HttpRequestBody(request) = receiver.receive().await else {
        return Err(AppError::failed("no content"));
    };
    sender.send(HttpResponseStart::ok()).await?;
    sender.send(HttpResponseBody::part(request.body)).await?;
    sender.send(HttpResponseBody::last("!")).await?;
    sender.send(HttpResponseBody::last("!")).await?;
    Ok(())
}

#[tokio::test]
async fn a_middleware_sees_each_event_once_and_can_change_it() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let noted = log.clone();
    let app = wrap(echo, move |scope: &mut Scope| {
        scope.set_root_path("/changed");
        Some(Log(noted.clone()))
    });
    let client = TestClient::new(app);
    let mut response = client.post("/").body("hi").stream().await.unwrap();
    let exchange = Exchange::of(&response).clone();
    // The last part is polled, and stays pending until the first is read.
    assert!(poll!(pin!(exchange.ended())).is_pending());
    assert_eq!(response.headers()["x-seen"], "1");
    assert_eq!(response.body_mut().rest().await.unwrap(), "HI!");
    exchange.ended().await.unwrap_err();
    assert_eq!(
        *log.lock().unwrap(),
        [
            "received http.request",
            "sending http.response.start",
            "sent true",
            "sending http.response.body",
            "sent true",
            "sending http.response.body",
            "sent true",
            "sending http.response.body",
            "sent false",
            "returned false",
        ]
    );
}

#[tokio::test]
async fn a_closure_changes_what_is_sent_and_none_leaves_it_alone() {
    async fn app(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
        let scope = http(scope)?;
        let id = scope
            .extensions
            .get::<String>()
            .cloned()
            .unwrap_or_default();
        respond::text(id).send(&sender).await?;
        Ok(())
    }
    let app = wrap(app, |scope: &mut Scope| {
        let id = scope.headers()?.get("x-request-id")?.clone();
        let text = id.to_str().ok()?.to_owned();
        scope.request_mut()?.extensions.insert(text);
        Some(move |event: &mut SendEvent| {
            if let SendEvent::HttpResponseStart(start) = event {
                start.headers.insert("x-request-id", id.clone());
            }
        })
    });
    let client = TestClient::new(app);
    let with = client
        .get("/")
        .header("x-request-id", "7")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (with.text(), &with.headers()["x-request-id"]),
        ("7", &"7".parse().unwrap())
    );
    let without = client.get("/").send().await.unwrap();
    assert_eq!(without.text(), "");
    assert!(!without.headers().contains_key("x-request-id"));
}

#[tokio::test]
async fn disconnects_and_refusals_pass_through_a_middleware() {
    let app = wrap(echo, |_: &mut Scope| Some(|_: &mut SendEvent| {}));
    let client = TestClient::new(app);
    let (_content, body) = Body::channel();
    let pending = client.post("/").body(body).start();
    tokio::task::yield_now().await;
    pending.exchange().disconnect();
    let failure = pending.exchange().ended().await.unwrap_err();
    assert_eq!(failure.to_string(), "the application failed: no content");
    let refused = client.websocket("/").connect().await.unwrap_err();
    let exchange = Exchange::of(&refused.response().unwrap()).clone();
    assert!(matches!(exchange.ended().await, Err(Failure::Declined)));
}
