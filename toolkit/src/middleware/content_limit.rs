//! The content that a request may have.

use std::pin::pin;
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use callgate::{
    App, AppError, Channel, HttpScope, ReceiveEvent, Receiver, Scope, SendError, SendEvent,
    SendProgress, Sender,
};
use futures_util::future::{Either, select};
use http::header::CONTENT_LENGTH;
use tokio::sync::Notify;

use super::gate::{Gate, Progress, end_call};
use crate::read::ReadError;
use crate::respond;
use crate::response::Response;

/// How long an application may go on after its request has exceeded the limit.
const GRACE_PERIOD: Duration = Duration::from_secs(5);

/// Limits the content of requests, in bytes. WebSockets pass: the server limits their messages.
///
/// - A request whose `content-length` is beyond the limit is a 413, and the application is not called.
/// - Content without a length is counted as the application receives it. At the event that exceeds the
///   limit, the client gets a 413. The application does not get this event: it receives a disconnect, its
///   sends fail, and after 5 seconds its future is dropped.
/// - Where the application has started its response by then, the response is cut (rule `HTTP-33`). Where
///   the response is complete, it is left as it is.
///
/// A route has a limit of its own when the middleware is around the application of that route. Of two
/// limits around one application, the smaller counts.
///
/// ```
/// use callgate::App;
/// use callgate_toolkit::middleware::ContentLimit;
/// use callgate_toolkit::mount::Mounts;
///
/// fn app(forms: impl App, photos: impl App) -> impl App {
///     Mounts::new()
///         .mount("", ContentLimit::new(forms, 64 * 1024))
///         .mount("/photos", ContentLimit::new(photos, 20 * 1024 * 1024))
/// }
/// ```
#[derive(Clone, Debug)]
pub struct ContentLimit<A> {
    app: A,
    limit: usize,
}

impl<A> ContentLimit<A> {
    /// Creates an application of `app` whose requests have at most `limit` bytes of content.
    pub fn new(app: A, limit: usize) -> Self {
        Self { app, limit }
    }

    fn error(&self) -> ReadError {
        ReadError::TooLarge { limit: self.limit }
    }

    fn response(&self) -> Response {
        let error = self.error();
        respond::text(format!("{error}\n")).status(error.status())
    }
}

impl<A: App> App for ContentLimit<A> {
    async fn call(&self, scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        let Scope::Http(request) = &scope else {
            return self.app.call(scope, receiver, sender).await;
        };
        match announced(request) {
            Some(0) => return self.app.call(scope, receiver, sender).await,
            Some(length) if length > self.limit as u64 => {
                return self.response().send(&sender).await;
            }
            _ => {}
        }
        let channel = Arc::new(LimitedChannel {
            gate: Gate::new(&scope, receiver, sender.clone()),
            remaining: Mutex::new(self.limit),
            exceeded_at: OnceLock::new(),
            exceeded: Notify::new(),
        });
        let mut call = pin!(self.app.call(
            scope,
            Receiver::new(channel.clone()),
            Sender::new(channel.clone())
        ));
        let exceeded = pin!(channel.exceeded.notified());
        let ended = match select(&mut call, exceeded).await {
            Either::Left((result, _)) => Some(result),
            Either::Right(_) => None,
        };
        let outcome = match channel.exceeded_at.get() {
            Some(Progress::Waiting) => self.response().send(&sender).await,
            Some(Progress::Started) => Err(self.error().into()),
            None | Some(Progress::Complete) => {
                return match ended {
                    Some(result) => result,
                    None => call.await,
                };
            }
        };
        if ended.is_none() {
            end_call(call, GRACE_PERIOD).await;
        }
        outcome
    }
}

/// Returns the length of the content that the head of a request announces.
fn announced(request: &HttpScope) -> Option<u64> {
    let length = request.headers.get(CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}

/// The channel of an application, which closes the gate when there is more content than the limit.
struct LimitedChannel {
    gate: Arc<Gate>,
    /// The number of bytes that may still be received.
    remaining: Mutex<usize>,
    /// The progress of the response when the limit was exceeded.
    exceeded_at: OnceLock<Progress>,
    exceeded: Notify,
}

impl Channel for LimitedChannel {
    fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
        if self.exceeded_at.get().is_some() {
            return Poll::Ready(ReceiveEvent::HttpDisconnect);
        }
        let event = ready!(self.gate.poll_receive(cx));
        if let ReceiveEvent::HttpRequestBody(part) = &event {
            let mut remaining = self.remaining.lock().unwrap();
            let Some(rest) = remaining.checked_sub(part.body.len()) else {
                drop(remaining);
                let _ = self.exceeded_at.set(self.gate.close());
                self.exceeded.notify_one();
                return Poll::Ready(ReceiveEvent::HttpDisconnect);
            };
            *remaining = rest;
        }
        Poll::Ready(event)
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.gate.poll_ready(cx)
    }

    fn start_send(&self, event: SendEvent) -> Result<SendProgress, SendError> {
        self.gate.start_send(event)
    }
}
