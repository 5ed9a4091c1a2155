use std::pin::pin;
use std::sync::{Arc, Mutex};

use crate::scripted::Scripted;
use callgate::{
    AppError, HttpResponseBody, HttpResponsePathSend, HttpResponseStart, ReceiveEvent, Receiver,
    Scope, SendError, SendEvent, Sender,
};
use callgate_toolkit::middleware::{Events, Next, from_fn, tap, wrap};
use callgate_toolkit::respond;
use callgate_toolkit::test_client::{Body, Failure, ResponseExt, TestClient, TestExchange};
use futures_util::poll;
use http::StatusCode;

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

/// Sends the content back in two parts, and one part too many.
async fn echo(scope: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    scope.into_http()?;
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
    let exchange = TestExchange::of(&response).clone();
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
async fn a_closure_changes_the_events_that_are_sent() {
    async fn app(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
        let scope = scope.into_http()?;
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
    let exchange = TestExchange::of(&refused.response().unwrap()).clone();
    assert!(matches!(exchange.ended().await, Err(Failure::Declined)));
}

/// Numbers each event in its content: a middleware that must not see an event twice.
struct Number {
    next: usize,
    results: Arc<Mutex<Vec<bool>>>,
}

impl Events for Number {
    fn sending(&mut self, event: &mut SendEvent) {
        if let SendEvent::HttpResponseBody(part) = event {
            let numbered = format!("{}{} ", String::from_utf8_lossy(&part.body), self.next);
            part.body = numbered.into();
        }
        self.next += 1;
    }

    fn sent(&mut self, result: &Result<(), SendError>) {
        self.results.lock().unwrap().push(result.is_ok());
    }
}

#[tokio::test]
async fn a_middleware_sees_an_event_once_however_often_its_send_waits() {
    let channel = Scripted::new(5);
    let (receiver, sender) = channel.pair();
    let results = Arc::new(Mutex::new(Vec::new()));
    let number = |results: &Arc<_>| Number {
        next: 0,
        results: Arc::clone(results),
    };
    let (receiver, sender) = tap(receiver, sender, number(&results));
    let (_receiver, sender) = tap(receiver, sender, number(&results));
    sender.send(HttpResponseStart::ok()).await.unwrap();
    sender.send(HttpResponseBody::part("a")).await.unwrap();
    sender.send(HttpResponseBody::last("b")).await.unwrap();
    assert_eq!(channel.content(), ("a1 1 b2 2 ".into(), true));
    assert_eq!(*results.lock().unwrap(), [true; 6]);
}

#[tokio::test]
async fn a_send_that_is_dropped_while_it_waits_is_not_seen() {
    let channel = Scripted::new(1);
    let (receiver, sender) = channel.pair();
    let seen = Arc::new(Mutex::new(0));
    let count = seen.clone();
    let (_receiver, sender) = tap(receiver, sender, move |_: &mut SendEvent| {
        *count.lock().unwrap() += 1;
    });
    {
        let sending = pin!(sender.send(HttpResponseStart::ok()));
        assert!(poll!(sending).is_pending());
    }
    assert_eq!(*seen.lock().unwrap(), 0);
    sender.send(HttpResponseStart::ok()).await.unwrap();
    assert_eq!((*seen.lock().unwrap(), channel.sent().len()), (1, 1));
}

#[tokio::test]
async fn the_result_of_a_path_send_is_seen_when_its_file_has_been_opened() {
    let channel = Scripted::new(0);
    let (receiver, sender) = channel.pair();
    let results = Arc::new(Mutex::new(Vec::new()));
    let number = Number {
        next: 0,
        results: results.clone(),
    };
    let (_receiver, sender) = tap(receiver, sender, number);
    {
        let mut sending = pin!(sender.send(HttpResponsePathSend::new("/file")));
        assert!(poll!(&mut sending).is_pending());
        assert_eq!(*results.lock().unwrap(), [] as [bool; 0]);
        sending.await.unwrap_err();
    }
    assert_eq!(*results.lock().unwrap(), [false]);
    {
        let sending = pin!(sender.send(HttpResponsePathSend::new("/file")));
        assert!(poll!(sending).is_pending());
    }
    // The second send is dropped before its result.
    assert_eq!(*results.lock().unwrap(), [false]);
}

#[test]
fn events_of_two_threads_are_delivered_in_the_order_in_which_they_are_seen() {
    const EACH: usize = 500;
    let channel = Scripted::new(0);
    let (receiver, sender) = channel.pair();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = seen.clone();
    let (_receiver, sender) = tap(receiver, sender, move |event: &mut SendEvent| {
        noted.lock().unwrap().push(event.clone());
    });
    std::thread::scope(|scope| {
        for thread in ["a", "b"] {
            let sender = sender.clone();
            scope.spawn(move || {
                for number in 0..EACH {
                    let part = HttpResponseBody::part(format!("{thread}{number}"));
                    sender.start_send(part).unwrap();
                }
            });
        }
    });
    assert_eq!(seen.lock().unwrap().len(), 2 * EACH);
    assert!(*seen.lock().unwrap() == channel.sent());
}

#[tokio::test]
async fn a_function_around_an_application_can_respond_itself() {
    async fn auth(
        scope: Scope,
        receiver: Receiver,
        sender: Sender,
        next: Next,
    ) -> Result<(), AppError> {
        if scope
            .headers()
            .is_none_or(|headers| !headers.contains_key("authorization"))
        {
            let response = respond::status(StatusCode::UNAUTHORIZED);
            return response.send(&sender).await;
        }
        next.call(scope, receiver, sender).await
    }
    async fn secret(_: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
        respond::text("secret").send(&sender).await
    }
    let client = TestClient::new(from_fn(secret, auth));
    let refused = client.get("/").send().await.unwrap();
    assert_eq!((refused.status().as_u16(), refused.text()), (401, ""));
    let request = client.get("/").header("authorization", "x");
    assert_eq!(request.send().await.unwrap().text(), "secret");
}

#[tokio::test]
async fn a_closure_around_an_application_hands_values_in_and_sees_the_result() {
    async fn app(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
        let number = scope.into_http()?.extensions.get::<u8>().copied();
        respond::text(format!("{number:?}")).send(&sender).await?;
        Err(AppError::failed("late"))
    }
    let log = Arc::new(Mutex::new(Vec::new()));
    let noted = log.clone();
    let app = from_fn(
        app,
        move |mut scope: Scope, receiver, sender, next: Next| {
            let noted = noted.clone();
            async move {
                if let Some(request) = scope.request_mut() {
                    request.extensions.insert(7_u8);
                }
                let result = next.call(scope, receiver, sender).await;
                noted.lock().unwrap().push(result.is_ok());
                result
            }
        },
    );
    let client = TestClient::new(app);
    let response = client.get("/").send().await.unwrap();
    assert_eq!(response.text(), "Some(7)");
    let failure = TestExchange::of(&response).ended().await.unwrap_err();
    assert_eq!(failure.to_string(), "the application failed: late");
    assert_eq!(*log.lock().unwrap(), [false]);
}
