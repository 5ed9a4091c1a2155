//! Middleware: code between a server and an application, which sees and changes what passes.
//!
//! A middleware is an [`App`] that holds another `App`. These are ready to use:
//!
//! | Middleware | What it does |
//! | --- | --- |
//! | [`AllowedHosts`] | Refuses requests for other hosts |
//! | [`WebSocketOrigins`] | Refuses WebSockets that pages of other sites open |
//! | [`ContentLimit`] | Limits the content of requests |
//! | [`Timeout`] | Limits the time until a response is complete |
//! | [`SetRequestId`] | Gives each request an identifier |
//! | [`SecurityHeaders`] | Adds fields by which browsers protect users |
//! | [`Cors`] | Lets pages of other origins make requests |
//!
//! ```
//! use std::time::Duration;
//! use callgate::App;
//! use callgate_toolkit::middleware::{AllowedHosts, ContentLimit, SetRequestId, Timeout};
//!
//! fn hardened(app: impl App) -> impl App {
//!     let app = Timeout::new(app, Duration::from_secs(30));
//!     let app = ContentLimit::new(app, 1024 * 1024);
//!     let app = AllowedHosts::new(app, ["example.com", "www.example.com"]);
//!     // The outermost middleware is called first, and sees each response last.
//!     SetRequestId::new(app)
//! }
//! ```
//!
//! For compression, tracing and other layers of tower, the crate `callgate-tower` has `layer`.
//!
//! There are two ways to make a middleware without writing its type: [`from_fn`] for code around the
//! call, and [`wrap`] for code that looks at each event.
//!
//! ```
//! use std::time::Instant;
//! use callgate::{App, AppError, Receiver, Scope, Sender};
//! use callgate_toolkit::middleware::{Next, from_fn};
//! use callgate_toolkit::respond;
//! use http::StatusCode;
//!
//! /// Logs how long each call takes.
//! async fn timing(scope: Scope, receiver: Receiver, sender: Sender, next: Next) -> Result<(), AppError> {
//!     let target = scope.uri().map(ToString::to_string);
//!     let begun = Instant::now();
//!     let result = next.call(scope, receiver, sender).await;
//!     println!("{target:?} {:?} {}", begun.elapsed(), result.is_ok());
//!     result
//! }
//!
//! /// Refuses HTTP requests without credentials.
//! async fn auth(scope: Scope, receiver: Receiver, sender: Sender, next: Next) -> Result<(), AppError> {
//!     if let Scope::Http(scope) = &scope
//!         && !scope.headers.contains_key("authorization")
//!     {
//!         let response = respond::text("Who are you?\n").status(StatusCode::UNAUTHORIZED);
//!         return response.header("www-authenticate", "Basic").send(&sender).await;
//!     }
//!     next.call(scope, receiver, sender).await
//! }
//!
//! fn app(app: impl App) -> impl App {
//!     from_fn(from_fn(app, auth), timing)
//! }
//! ```

mod allowed_hosts;
mod content_limit;
mod cors;
mod gate;
mod host;
mod origin;
mod refusal;
mod request_id;
mod security_headers;
mod timeout;
mod websocket_origins;

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use callgate::{
    App, AppError, BoxApp, Channel, ReceiveEvent, Receiver, Scope, SendError, SendEvent,
    SendProgress, Sender,
};

pub use self::allowed_hosts::AllowedHosts;
pub use self::content_limit::ContentLimit;
pub use self::cors::Cors;
pub(crate) use self::refusal::Refusal;
pub use self::request_id::{RequestId, SetRequestId};
pub use self::security_headers::SecurityHeaders;
pub use self::timeout::{TimedOut, Timeout};
pub use self::websocket_origins::WebSocketOrigins;

/// Puts the function `middleware` around `app`. The function is called in place of the application, and
/// calls the application through [`Next`], or responds itself.
///
/// An example is at the top of this [module](self).
pub fn from_fn<F, Fut>(app: impl App, middleware: F) -> FromFn<F>
where
    F: Fn(Scope, Receiver, Sender, Next) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), AppError>> + Send,
{
    FromFn {
        app: BoxApp::new(app),
        middleware,
    }
}

/// An application with a function around it: created by [`from_fn`].
#[derive(Clone)]
pub struct FromFn<F> {
    app: BoxApp,
    middleware: F,
}

impl<F> fmt::Debug for FromFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FromFn").field(&self.app).finish()
    }
}

impl<F, Fut> App for FromFn<F>
where
    F: Fn(Scope, Receiver, Sender, Next) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), AppError>> + Send,
{
    fn call(
        &self,
        scope: Scope,
        receiver: Receiver,
        sender: Sender,
    ) -> impl Future<Output = Result<(), AppError>> + Send {
        let next = Next(self.app.clone());
        (self.middleware)(scope, receiver, sender, next)
    }
}

/// The application inside a middleware of [`from_fn`]. It can be called once.
#[derive(Debug)]
#[must_use = "the application is called by `call`"]
pub struct Next(BoxApp);

impl Next {
    /// Calls the application.
    ///
    /// # Errors
    ///
    /// Those of the application.
    pub async fn call(
        self,
        scope: Scope,
        receiver: Receiver,
        sender: Sender,
    ) -> Result<(), AppError> {
        self.0.call(scope, receiver, sender).await
    }
}

/// The hooks of a middleware for the events of one exchange. Each method does nothing by default.
///
/// Each event is seen exactly once. Closures `FnMut(&mut SendEvent)` implement the trait with
/// [`sending`](Self::sending).
pub trait Events: Send + 'static {
    /// Sees an event that the application is about to receive, and may change it.
    fn received(&mut self, event: &mut ReceiveEvent) {
        let _ = event;
    }

    /// Sees an event that the application sends, once there is room for it, and may change it.
    ///
    /// Events reach the server in the order in which they are seen here, also when several tasks send.
    fn sending(&mut self, event: &mut SendEvent) {
        let _ = event;
    }

    /// Called with the result of the event that [`sending`](Self::sending) was called with last.
    ///
    /// The result of a path send comes later, when its file has been opened: other events may be seen
    /// in between. It does not come at all when the application drops the send before.
    fn sent(&mut self, result: &Result<(), SendError>) {
        let _ = result;
    }

    /// Sees the result of the call. Not called when the future of the call is dropped or panics, nor
    /// with [`tap`].
    ///
    /// A call usually ends with an error when its client leaves: [`AppError::is_disconnected`] tells this from a
    /// failure of the application.
    fn returned(&mut self, result: &Result<(), AppError>) {
        let _ = result;
    }
}

impl<F: FnMut(&mut SendEvent) + Send + 'static> Events for F {
    fn sending(&mut self, event: &mut SendEvent) {
        self(event);
    }
}

/// Puts a middleware around `app` that sees each event.
///
/// The function `begin` is called with each scope, which it may change, and returns what sees the events
/// of that exchange. Where it returns `None`, the events pass unseen.
///
/// ```
/// use callgate::{App, ReceiveEvent, Scope};
/// use callgate_toolkit::middleware::{Events, wrap};
///
/// /// Logs how much content each request has.
/// struct Upload {
///     target: String,
///     bytes: usize,
/// }
///
/// impl Events for Upload {
///     fn received(&mut self, event: &mut ReceiveEvent) {
///         if let ReceiveEvent::HttpRequestBody(part) = event {
///             self.bytes += part.body.len();
///             if !part.more_body {
///                 println!("{}: {} bytes", self.target, self.bytes);
///             }
///         }
///     }
/// }
///
/// fn logged(app: impl App) -> impl App {
///     wrap(app, |scope: &mut Scope| {
///         let target = scope.uri()?.to_string();
///         Some(Upload { target, bytes: 0 })
///     })
/// }
/// ```
pub fn wrap<A, F, E>(app: A, begin: F) -> Wrapped<A, F>
where
    A: App,
    F: Fn(&mut Scope) -> Option<E> + Send + Sync + 'static,
    E: Events,
{
    Wrapped { app, begin }
}

/// An application with a middleware around it: created by [`wrap`].
#[derive(Clone)]
pub struct Wrapped<A, F> {
    app: A,
    begin: F,
}

impl<A: fmt::Debug, F> fmt::Debug for Wrapped<A, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Wrapped").field(&self.app).finish()
    }
}

impl<A, F, E> App for Wrapped<A, F>
where
    A: App,
    F: Fn(&mut Scope) -> Option<E> + Send + Sync + 'static,
    E: Events,
{
    async fn call(
        &self,
        mut scope: Scope,
        receiver: Receiver,
        sender: Sender,
    ) -> Result<(), AppError> {
        let Some(events) = (self.begin)(&mut scope) else {
            return self.app.call(scope, receiver, sender).await;
        };
        let tap = Arc::new(Tap::new(receiver, sender, events));
        let receiver = Receiver::new(tap.clone());
        let sender = Sender::new(tap.clone());
        let result = self.app.call(scope, receiver, sender).await;
        tap.events.lock().unwrap().returned(&result);
        result
    }
}

/// Returns a receiver and a sender whose events are seen by `events` on their way from and to the given
/// pair.
pub fn tap(receiver: Receiver, sender: Sender, events: impl Events) -> (Receiver, Sender) {
    let tap = Arc::new(Tap::new(receiver, sender, events));
    (Receiver::new(tap.clone()), Sender::new(tap))
}

/// A channel whose events are seen on their way to and from another channel.
struct Tap<E> {
    receiving: Arc<dyn Channel>,
    sending: Arc<dyn Channel>,
    /// Shared with the rest of each send that is pending.
    events: Arc<Mutex<E>>,
    /// Held from the moment at which an event is seen until the inner channel has taken it, so that
    /// events of several senders are delivered in the order in which they are seen. Nothing that the
    /// inner channel wakes may send on this channel before the wake returns.
    order: Mutex<()>,
}

impl<E> Tap<E> {
    fn new(receiver: Receiver, sender: Sender, events: E) -> Self {
        Self {
            receiving: receiver.into_channel(),
            sending: sender.into_channel(),
            events: Arc::new(Mutex::new(events)),
            order: Mutex::new(()),
        }
    }
}

impl<E: Events> Channel for Tap<E> {
    fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
        let mut event = ready!(self.receiving.poll_receive(cx));
        self.events.lock().unwrap().received(&mut event);
        Poll::Ready(event)
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.sending.poll_ready(cx)
    }

    fn start_send(&self, mut event: SendEvent) -> Result<SendProgress, SendError> {
        let _order = self.order.lock().unwrap();
        self.events.lock().unwrap().sending(&mut event);
        // The inner channel may wake a task, which may receive at once: `events` is not locked here.
        let result = match self.sending.start_send(event) {
            Ok(SendProgress::Pending(rest)) => {
                let events = Arc::clone(&self.events);
                return Ok(SendProgress::Pending(Box::pin(async move {
                    let result = rest.await;
                    events.lock().unwrap().sent(&result);
                    result
                })));
            }
            Ok(SendProgress::Sent) => Ok(()),
            Err(error) => Err(error),
        };
        self.events.lock().unwrap().sent(&result);
        result.map(|()| SendProgress::Sent)
    }
}
