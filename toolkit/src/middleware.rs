//! Middleware: seeing and changing what passes between a server and an application.
//!
//! A middleware is an [`App`] that holds an `App`. One that looks at the scope only, or answers in
//! place of the application, needs nothing more. One that looks at events is made with [`wrap`]:
//!
//! ```
//! use std::time::Instant;
//! use callgate::{App, AppError, Scope, SendEvent};
//! use callgate_toolkit::middleware::{Events, wrap};
//!
//! /// Logs how long each request takes, to the end of its call.
//! struct Timing {
//!     request: String,
//!     begun: Instant,
//! }
//!
//! impl Events for Timing {
//!     fn returned(&mut self, result: &Result<(), AppError>) {
//!         println!("{} {:?} {}", self.request, self.begun.elapsed(), result.is_ok());
//!     }
//! }
//!
//! fn timed(app: impl App) -> impl App {
//!     wrap(app, |scope: &mut Scope| {
//!         let Scope::Http(scope) = scope else { return None };
//!         let request = format!("{} {}", scope.method, scope.path());
//!         Some(Timing { request, begun: Instant::now() })
//!     })
//! }
//!
//! /// Passes the ID of each request on, and back to the client. A closure will do for that.
//! fn with_request_id(app: impl App) -> impl App {
//!     wrap(app, |scope: &mut Scope| {
//!         let id = scope.headers()?.get("x-request-id")?.clone();
//!         scope.state_mut()?.insert(id.clone());
//!         Some(move |event: &mut SendEvent| {
//!             if let SendEvent::HttpResponseStart(start) = event {
//!                 start.headers.insert("x-request-id", id.clone());
//!             }
//!         })
//!     })
//! }
//! # fn check(app: impl App) -> impl App { with_request_id(timed(app)) }
//! ```

use std::fmt;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use callgate::{
    App, AppError, Channel, ReceiveEvent, Receiver, Scope, SendError, SendEvent, Sender,
};

/// What a middleware does with the events of one exchange. Each method does nothing by default.
///
/// Implemented for closures `FnMut(&mut SendEvent)`, which are [`sending`](Self::sending).
pub trait Events: Send + 'static {
    /// The application receives this event, after whatever is changed here.
    fn received(&mut self, event: &mut ReceiveEvent) {
        let _ = event;
    }

    /// The application sends this event, after whatever is changed here.
    ///
    /// Called again with the changed event each time the send is polled while there is no room, so
    /// a change must be harmless when made twice. What is to be done once is done in
    /// [`sent`](Self::sent).
    fn sending(&mut self, event: &mut SendEvent) {
        let _ = event;
    }

    /// A send has come to this. Called once for each.
    fn sent(&mut self, event: &SendEvent, result: &Result<(), SendError>) {
        let _ = (event, result);
    }

    /// The call has ended with this. Not called when its future was dropped or has panicked.
    fn returned(&mut self, result: &Result<(), AppError>) {
        let _ = result;
    }
}

impl<F: FnMut(&mut SendEvent) + Send + 'static> Events for F {
    fn sending(&mut self, event: &mut SendEvent) {
        self(event);
    }
}

/// Puts a middleware around `app`. `begin` is called with each scope, which it may change, and says
/// what to do with the events of that exchange; with none, they pass as they are.
pub fn wrap<A, F, E>(app: A, begin: F) -> Wrapped<A, F>
where
    A: App,
    F: Fn(&mut Scope) -> Option<E> + Send + Sync + 'static,
    E: Events,
{
    Wrapped { app, begin }
}

/// An application with a middleware around it: made by [`wrap`].
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
        let tap = Arc::new(Tap {
            receiving: receiver.into_channel(),
            sending: sender.into_channel(),
            events: Mutex::new(events),
        });
        let receiver = Receiver::new(tap.clone());
        let sender = Sender::new(tap.clone());
        let result = self.app.call(scope, receiver, sender).await;
        tap.events.lock().unwrap().returned(&result);
        result
    }
}

/// Has `events` look at what passes through a receiver and a sender: [`wrap`] for one exchange, and
/// without its end.
pub fn tap(receiver: Receiver, sender: Sender, events: impl Events) -> (Receiver, Sender) {
    let tap = Arc::new(Tap {
        receiving: receiver.into_channel(),
        sending: sender.into_channel(),
        events: Mutex::new(events),
    });
    (Receiver::new(tap.clone()), Sender::new(tap))
}

struct Tap<E> {
    receiving: Arc<dyn Channel>,
    sending: Arc<dyn Channel>,
    events: Mutex<E>,
}

impl<E: Events> Channel for Tap<E> {
    fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
        let mut event = ready!(self.receiving.poll_receive(cx));
        self.events.lock().unwrap().received(&mut event);
        Poll::Ready(event)
    }

    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        event: &mut Option<SendEvent>,
    ) -> Poll<Result<(), SendError>> {
        let sending = event.as_mut().expect("an event to send");
        self.events.lock().unwrap().sending(sending);
        let sent = sending.clone();
        let result = ready!(self.sending.poll_send(cx, event));
        self.events.lock().unwrap().sent(&sent, &result);
        Poll::Ready(result)
    }
}
