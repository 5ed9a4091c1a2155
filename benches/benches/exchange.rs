//! One exchange without a socket: the cost of the protocol itself.

use std::hint::black_box;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use callgate::conversation::{HttpConversation, HttpPhase};
use callgate::{
    BoxApp, Channel, HttpRequestBody, HttpResponseBody, HttpResponseStart, HttpScope, ReceiveEvent,
    Receiver, SendError, SendEvent, SendProgress, Sender,
};
use callgate_benches::app;
use criterion::{Criterion, criterion_group, criterion_main};
use http::{Method, Uri};

/// A server in memory, which checks each event, takes it at once, and counts the bytes of content.
struct MemoryChannel(Mutex<MemoryExchange>);

struct MemoryExchange {
    conversation: HttpConversation,
    request: Option<HttpRequestBody>,
    content: usize,
}

impl MemoryChannel {
    fn new(scope: &HttpScope, request: HttpRequestBody) -> Self {
        Self(Mutex::new(MemoryExchange {
            conversation: HttpConversation::new(scope),
            request: Some(request),
            content: 0,
        }))
    }

    /// Returns the bytes of content of a complete response.
    fn content(&self) -> usize {
        let exchange = self.0.lock().unwrap();
        assert_eq!(*exchange.conversation.phase(), HttpPhase::Ended);
        exchange.content
    }
}

impl Channel for MemoryChannel {
    fn poll_receive(&self, _cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
        let request = self.0.lock().unwrap().request.take();
        Poll::Ready(request.map_or(ReceiveEvent::HttpDisconnect, ReceiveEvent::HttpRequestBody))
    }

    fn poll_ready(&self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn start_send(&self, event: SendEvent) -> Result<SendProgress, SendError> {
        let exchange = &mut *self.0.lock().unwrap();
        exchange.conversation.send(&event)?;
        if let SendEvent::HttpResponseBody(body) = event {
            exchange.content += body.body.len();
        }
        Ok(SendProgress::Sent)
    }
}

/// Calls `app` for one exchange, which it completes without waiting.
fn exchange(app: &BoxApp, scope: HttpScope, request: HttpRequestBody) -> usize {
    let memory = Arc::new(MemoryChannel::new(&scope, request));
    let call = app.call_boxed(
        scope.into(),
        Receiver::new(memory.clone()),
        Sender::new(memory.clone()),
    );
    let result = pin!(call).poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(result, Poll::Ready(Ok(()))));
    memory.content()
}

fn exchanges(criterion: &mut Criterion) {
    let uri = Uri::from_static("/");

    criterion.bench_function("scope", |bencher| {
        bencher.iter(|| HttpScope::new(Method::GET, black_box(&uri).clone()));
    });

    let scope = HttpScope::new(Method::GET, uri.clone());
    let start = SendEvent::from(
        HttpResponseStart::ok().header("content-type", "text/plain; charset=utf-8"),
    );
    let body = SendEvent::from(HttpResponseBody::last("Hello, world!\n"));
    criterion.bench_function("conversation", |bencher| {
        bencher.iter(|| {
            let mut conversation = HttpConversation::new(&scope);
            conversation.send(black_box(&start)).unwrap();
            conversation.send(black_box(&body)).unwrap();
            conversation
        });
    });

    let hello = BoxApp::new(app::hello);
    criterion.bench_function("hello", |bencher| {
        bencher.iter(|| {
            let scope = HttpScope::new(Method::GET, black_box(&uri).clone());
            exchange(&hello, scope, HttpRequestBody::last(""))
        });
    });

    let echo = BoxApp::new(app::echo);
    let content = bytes::Bytes::from(vec![b'x'; 1024]);
    criterion.bench_function("echo 1 KiB", |bencher| {
        bencher.iter(|| {
            let scope = HttpScope::new(Method::POST, black_box(&uri).clone());
            exchange(&echo, scope, HttpRequestBody::last(content.clone()))
        });
    });
}

criterion_group!(benches, exchanges);
criterion_main!(benches);
