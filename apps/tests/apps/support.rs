//! The other end of one exchange.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;
use callgate::conversation::{HttpConversation, LifespanConversation, WebSocketConversation};
use callgate::{
    AppError, BoxApp, Channel, HttpRequest, HttpResponseStart, HttpScope, LifespanScope, Message,
    ReceiveEvent, Receiver, Scope, SendError, SendEvent, Sender, Violation, WebSocketDisconnect,
    WebSocketScope,
};
use http::Method;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

/// An application from the registry.
pub(crate) fn app(name: &str) -> BoxApp {
    (callgate_apps::find(name).unwrap().app)()
}

pub(crate) fn http_scope(method: Method, target: &str) -> HttpScope {
    HttpScope::new(method, target.parse().unwrap())
}

pub(crate) fn websocket_scope(target: &str) -> WebSocketScope {
    WebSocketScope::new(target.parse().unwrap())
}

/// Makes a request without content, and returns the head and the content of the response.
pub(crate) async fn request(app: &BoxApp, scope: HttpScope) -> (HttpResponseStart, String) {
    let mut exchange = Exchange::start(app, scope);
    exchange.deliver(ReceiveEvent::HttpRequest(HttpRequest::default()));
    let start = exchange.response_start().await;
    let content = exchange.content().await;
    exchange.ended().await.unwrap();
    (start, content)
}

pub(crate) async fn get(app: &BoxApp, target: &str) -> (HttpResponseStart, String) {
    request(app, http_scope(Method::GET, target)).await
}

/// Checks that `app` declines this kind of scope before it does anything.
pub(crate) async fn assert_declines(app: &BoxApp, scope: impl Into<Scope>) {
    let exchange = Exchange::start(app, scope);
    assert!(matches!(exchange.ended().await, Err(AppError::Unsupported)));
}

/// One call of an application, and what a server holds of it.
pub(crate) struct Exchange {
    link: Arc<Link>,
    sent: UnboundedReceiver<SendEvent>,
    call: JoinHandle<Result<(), AppError>>,
}

impl Exchange {
    pub(crate) fn start(app: &BoxApp, scope: impl Into<Scope>) -> Self {
        let scope = scope.into();
        let (sending, sent) = unbounded_channel();
        let link = Arc::new(Link(Mutex::new(Inner {
            conversation: Conversation::of(&scope),
            inbox: VecDeque::new(),
            gone: None,
            is_stalled: false,
            sent: Some(sending),
            wakers: Vec::new(),
        })));
        let call = app.call_boxed(
            scope,
            Receiver::new(link.clone()),
            Sender::new(link.clone()),
        );
        let ending = link.clone();
        let call = tokio::spawn(async move {
            let result = call.await;
            let broken = ending.change(|inner| {
                inner.sent = None;
                inner.conversation.returned()
            });
            if result.is_ok() {
                assert_eq!(broken, Ok(()));
            }
            result
        });
        Self { link, sent, call }
    }

    /// A WebSocket that has been accepted.
    pub(crate) async fn open(app: &BoxApp, target: &str) -> Self {
        let mut exchange = Self::start(app, websocket_scope(target));
        exchange.deliver(ReceiveEvent::WebSocketConnect);
        assert!(matches!(
            exchange.next().await,
            Some(SendEvent::WebSocketAccept(_))
        ));
        exchange
    }

    /// A lifespan that has been started up, if it is not declined.
    pub(crate) fn live(app: &BoxApp) -> Self {
        let exchange = Self::start(app, LifespanScope::new());
        exchange.deliver(ReceiveEvent::LifespanStartup);
        exchange
    }

    pub(crate) fn deliver(&self, event: ReceiveEvent) {
        self.link.change(|inner| inner.inbox.push_back(event));
    }

    /// From now on the client takes nothing.
    pub(crate) fn stall(&self) {
        self.link.change(|inner| inner.is_stalled = true);
    }

    /// The client goes away.
    pub(crate) fn disconnect(&self) {
        self.link.change(Inner::disconnect);
    }

    /// The next event that the application sends; none when the call has ended.
    pub(crate) async fn next(&mut self) -> Option<SendEvent> {
        self.sent.recv().await
    }

    pub(crate) async fn response_start(&mut self) -> HttpResponseStart {
        match self.next().await {
            Some(SendEvent::HttpResponseStart(start)) => start,
            other => panic!("not a response: {other:?}"),
        }
    }

    /// The rest of the content.
    pub(crate) async fn content(&mut self) -> String {
        let mut content = BytesMut::new();
        loop {
            match self.next().await {
                Some(SendEvent::HttpResponseBody(body)) => {
                    content.extend_from_slice(&body.body);
                    if !body.more_body {
                        return String::from_utf8(content.into()).unwrap();
                    }
                }
                other => panic!("not content: {other:?}"),
            }
        }
    }

    pub(crate) async fn text(&mut self) -> String {
        match self.next().await {
            Some(SendEvent::WebSocketSend(Message::Text(text))) => text.to_string(),
            other => panic!("not a text message: {other:?}"),
        }
    }

    pub(crate) async fn ended(self) -> Result<(), AppError> {
        self.call.await.unwrap()
    }
}

struct Link(Mutex<Inner>);

struct Inner {
    conversation: Conversation,
    inbox: VecDeque<ReceiveEvent>,
    gone: Option<ReceiveEvent>,
    is_stalled: bool,
    sent: Option<UnboundedSender<SendEvent>>,
    wakers: Vec<Waker>,
}

impl Link {
    fn change<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let mut inner = self.0.lock().unwrap();
        let result = change(&mut inner);
        for waker in inner.wakers.drain(..) {
            waker.wake();
        }
        result
    }
}

impl Inner {
    fn disconnect(&mut self) {
        self.gone = Some(match &mut self.conversation {
            Conversation::Http(conversation) => {
                conversation.disconnect();
                ReceiveEvent::HttpDisconnect
            }
            Conversation::WebSocket(conversation) => {
                conversation.disconnect();
                ReceiveEvent::WebSocketDisconnect(WebSocketDisconnect::new(1006))
            }
            Conversation::Lifespan(_) => panic!("nobody can disconnect from a lifespan"),
        });
        self.is_stalled = false;
    }
}

impl Channel for Link {
    fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
        let mut inner = self.0.lock().unwrap();
        if let Some(event) = inner.inbox.pop_front() {
            if let (ReceiveEvent::LifespanShutdown, Conversation::Lifespan(conversation)) =
                (&event, &mut inner.conversation)
            {
                conversation.shutdown_received();
            }
            return Poll::Ready(event);
        }
        match &inner.gone {
            Some(event) => Poll::Ready(event.clone()),
            None => {
                inner.wakers.push(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        event: &mut Option<SendEvent>,
    ) -> Poll<Result<(), SendError>> {
        let mut inner = self.0.lock().unwrap();
        if inner.is_stalled {
            inner.wakers.push(cx.waker().clone());
            return Poll::Pending;
        }
        let event = event.take().unwrap();
        inner.conversation.send(&event)?;
        if let Some(sent) = &inner.sent {
            let _ = sent.send(event);
        }
        Poll::Ready(Ok(()))
    }
}

/// The rules of the scope's kind.
enum Conversation {
    Http(HttpConversation),
    WebSocket(WebSocketConversation),
    Lifespan(LifespanConversation),
}

impl Conversation {
    fn of(scope: &Scope) -> Self {
        match scope {
            Scope::Http(scope) => Self::Http(HttpConversation::new(scope)),
            Scope::WebSocket(scope) => Self::WebSocket(WebSocketConversation::new(scope)),
            _ => Self::Lifespan(LifespanConversation::new()),
        }
    }

    fn send(&mut self, event: &SendEvent) -> Result<(), SendError> {
        match self {
            Self::Http(conversation) => conversation.send(event),
            Self::WebSocket(conversation) => conversation.send(event),
            Self::Lifespan(conversation) => conversation.send(event),
        }
    }

    fn returned(&mut self) -> Result<(), Violation> {
        match self {
            Self::Http(conversation) => conversation.returned(),
            Self::WebSocket(conversation) => conversation.returned(),
            Self::Lifespan(conversation) => conversation.returned(),
        }
    }
}
