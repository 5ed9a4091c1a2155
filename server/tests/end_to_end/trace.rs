//! The spans of exchanges, as a subscriber sees them.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::sync::{Arc, Mutex};

use callgate::{AppError, HttpResponseBody, HttpResponseStart, Receiver, Scope, Sender};
use callgate_server::trace::{self, on_remote_parent};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

use crate::support::frames::{FIN, TEXT, close, frame, open};
use crate::support::http2::{Client, text};
use crate::support::log::subscribe;
use crate::support::websocket::exclaim;
use crate::support::{Server, config, get, whole, within};

/// The fields of a span.
type Fields = BTreeMap<&'static str, String>;

/// Keeps the fields of the spans of exchanges that have ended, and of those in which events were logged.
#[derive(Clone, Default)]
struct Spans {
    ended: Arc<Mutex<Vec<Fields>>>,
    of_events: Arc<Mutex<Vec<String>>>,
}

struct Reader<'a>(&'a mut Fields);

impl Visit for Reader<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::new();
        attributes.record(&mut Reader(&mut fields));
        context.span(id).unwrap().extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let span = context.span(id).unwrap();
        values.record(&mut Reader(span.extensions_mut().get_mut().unwrap()));
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if event.metadata().target() == "app" {
            let span = context.event_span(event).expect("a span of an exchange");
            let path = span.extensions().get::<Fields>().unwrap()["url.path"].clone();
            self.of_events.lock().unwrap().push(path);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let span = context.span(&id).unwrap();
        if span.metadata().target() == trace::TARGET {
            let fields = span.extensions_mut().remove().unwrap();
            self.ended.lock().unwrap().push(fields);
        }
    }
}

impl Spans {
    /// Keeps the spans of this thread until the guard is dropped.
    fn capture() -> (Self, DefaultGuard) {
        let spans = Self::default();
        let subscriber = tracing_subscriber::registry().with(spans.clone());
        (spans, subscribe(subscriber))
    }

    /// Returns the fields of the next span that has ended.
    async fn next(&self) -> Fields {
        within(async {
            loop {
                if let Some(fields) = self.ended.lock().unwrap().pop() {
                    return fields;
                }
                tokio::task::yield_now().await;
            }
        })
        .await
    }
}

impl Debug for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spans").finish_non_exhaustive()
    }
}

/// Logs an event, on a task that has waited.
async fn app(scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    if let Scope::Lifespan(_) = scope {
        return Err(AppError::Unsupported);
    }
    tokio::task::yield_now().await;
    tracing::info!(target: "app", "called");
    match scope {
        Scope::WebSocket(_) => exclaim(receiver, sender).await,
        Scope::Http(scope) if scope.raw_path() == "/cut" => {
            sender.send(HttpResponseStart::ok()).await?;
            sender.send(HttpResponseBody::part("begun")).await?;
            Err(AppError::failed("on purpose"))
        }
        Scope::Http(scope) if scope.raw_path() == "/fails" => Err(AppError::failed("on purpose")),
        Scope::Http(_) => whole(&sender, "served").await,
        _ => Err(AppError::Unsupported),
    }
}

/// Asserts the values of fields; `""` for none.
fn assert_fields(fields: &Fields, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        let found = fields.get(name).map_or("", String::as_str);
        assert_eq!(found, *value, "{name} of {fields:?}");
    }
}

#[tokio::test]
async fn each_exchange_has_a_span_in_which_the_application_is_polled() {
    let (spans, _guard) = Spans::capture();
    let server = Server::start(|scope, receiver, sender| {
        // This is logged by the call itself, before its future is polled.
        if !matches!(scope, Scope::Lifespan(_)) {
            tracing::info!(target: "app", "called");
        }
        app(scope, receiver, sender)
    });
    server.ask(get("/a?b=c")).await;
    let fields = spans.next().await;
    let expected = [
        ("otel.name", "GET"),
        ("otel.kind", "server"),
        ("otel.status_code", ""),
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
        ("url.path", "/a"),
        ("url.query", "b=c"),
        ("url.scheme", "http"),
        ("network.protocol.version", "1.1"),
        ("client.address", "127.0.0.1"),
        ("outcome", "complete"),
        ("error.type", ""),
    ];
    assert_fields(&fields, &expected);
    server.ask("BREW /fails HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let expected = [
        ("otel.name", "HTTP"),
        ("otel.status_code", "ERROR"),
        ("http.request.method", "_OTHER"),
        ("http.response.status_code", "500"),
        ("error.type", "500"),
    ];
    assert_fields(&spans.next().await, &expected);
    server.ask_all(get("/cut")).await;
    let expected = [
        ("otel.status_code", "ERROR"),
        ("error.type", "cut_by_application"),
    ];
    assert_fields(&spans.next().await, &expected);

    let mut client = Client::connect(&server).await;
    let response = client.get("/http2").await.unwrap();
    text(response.into_body()).await.unwrap();
    let expected = [("network.protocol.version", "2"), ("outcome", "complete")];
    assert_fields(&spans.next().await, &expected);
    drop(client);

    let mut websocket = open(&server, "/chat").await;
    websocket.send(frame(FIN | TEXT, "hello")).await;
    assert_eq!(websocket.message().await, "hello!");
    assert!(spans.ended.lock().unwrap().is_empty());
    websocket.send(close(1000, "")).await;
    websocket.close_frame().await;
    let expected = [
        ("http.response.status_code", "101"),
        ("outcome", "complete"),
    ];
    assert_fields(&spans.next().await, &expected);
    server.finish().await;
    let of_events = spans.of_events.lock().unwrap();
    let expected = ["/a", "/fails", "/cut", "/http2", "/chat"];
    assert_eq!(*of_events, expected.map(|path| [path; 2]).concat());
}

#[tokio::test]
async fn the_trace_of_a_request_is_passed_on_from_trusted_proxies_only() {
    let (_spans, _guard) = Spans::capture();
    static TRACES: Mutex<Vec<(u128, String)>> = Mutex::new(Vec::new());
    on_remote_parent(|span, context| {
        assert!(!span.is_disabled());
        let trace = (context.trace_id(), context.state().to_owned());
        TRACES.lock().unwrap().push(trace);
    });
    let request = "GET / HTTP/1.1\r\nhost: a\r\ntracestate: x=y\r\n\
                   traceparent: 00-0000000000000000000000000000abcd-00000000000000ef-01\r\n\r\n";
    for (trusted, expected) in [("192.0.2.1", 0), ("127.0.0.1", 1)] {
        let config = config().forwarded_allow_ips(trusted.parse().unwrap());
        let server = Server::with(config, app);
        server.ask(request).await;
        server.ask(get("/")).await;
        assert_eq!(TRACES.lock().unwrap().len(), expected, "{trusted}");
        server.finish().await;
    }
    assert_eq!(*TRACES.lock().unwrap(), [(0xabcd, "x=y".to_owned())]);
}
