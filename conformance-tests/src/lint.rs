//! An application around an application, which checks both sides.

use std::any::Any;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use callgate::rule::Role;
use callgate::{
    App, AppError, Channel, ReceiveEvent, Receiver, Scope, SendError, SendEvent, Sender, Violation,
};
use http::{Method, Uri};

use crate::{Model, scope_violations};

/// Checks every message that passes between a server and the application inside, in both
/// directions, against the [`Model`] of the protocol.
///
/// What breaks a rule is logged with its sentence and counted; nothing else changes: no event is
/// held back, altered or added. A [strict](Self::strict) lint fails the exchange as well.
///
/// ```
/// use callgate::{AppError, Receiver, Scope, Sender};
/// use callgate_conformance::Lint;
///
/// async fn app(_: Scope, _: Receiver, _: Sender) -> Result<(), AppError> {
///     Ok(()) // breaks HTTP-30
/// }
/// let lint = Lint::new(app);
/// let count = lint.count();
/// // serve(lint), and in the end:
/// assert_eq!(count.total(), 0);
/// ```
pub struct Lint<A> {
    app: A,
    is_strict: bool,
    count: ViolationCount,
    sink: Arc<Sink>,
}

type Sink = dyn Fn(&Complaint<'_>) + Send + Sync;

/// How many violations a [`Lint`] has seen. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct ViolationCount(Arc<[AtomicU64; 2]>);

impl ViolationCount {
    /// Those of this side.
    #[must_use]
    pub fn of(&self, role: Role) -> u64 {
        self.side(role).load(Ordering::Relaxed)
    }

    /// Those of both sides.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.of(Role::Application) + self.of(Role::Server)
    }

    fn side(&self, role: Role) -> &AtomicU64 {
        &self.0[usize::from(role == Role::Server)]
    }
}

/// What a [`Lint`] tells of a violation.
#[derive(Debug)]
#[non_exhaustive]
pub struct Complaint<'a> {
    /// The rule, and how it was broken.
    pub violation: &'a Violation,
    /// The exchange: `GET /path`, `WebSocket /path` or `lifespan`.
    pub exchange: &'a str,
}

impl<A> Lint<A> {
    /// Checks `app`, and whoever serves it.
    pub fn new(app: A) -> Self {
        Self {
            app,
            is_strict: false,
            count: ViolationCount::default(),
            sink: Arc::new(log),
        }
    }

    /// Fails each exchange at its first violation: the call ends with an error that names the rule.
    #[must_use]
    pub fn strict(mut self) -> Self {
        self.is_strict = true;
        self
    }

    /// Tells `sink` of each violation, in place of the log.
    #[must_use]
    pub fn report_to(mut self, sink: impl Fn(&Complaint<'_>) + Send + Sync + 'static) -> Self {
        self.sink = Arc::new(sink);
        self
    }

    /// The number of violations, for when this has been given away.
    #[must_use]
    pub fn count(&self) -> ViolationCount {
        self.count.clone()
    }
}

fn log(complaint: &Complaint<'_>) {
    let Complaint {
        violation,
        exchange,
    } = complaint;
    tracing::warn!(
        rule = violation.rule.id,
        by = %violation.rule.role,
        "{exchange}: {} ({})",
        violation.detail,
        violation.rule.sentence,
    );
}

impl<A: App> App for Lint<A> {
    async fn call(&self, scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        let watch = Arc::new(Watch {
            receiving: receiver.into_channel(),
            sending: sender.into_channel(),
            is_strict: self.is_strict,
            count: self.count.clone(),
            sink: self.sink.clone(),
            state: Mutex::new(State {
                model: Model::new(&scope),
                exchange: Exchange::of(&scope),
                failure: None,
                call: None,
            }),
        });
        watch.complain(&mut watch.lock(), scope_violations(&scope));
        let call = self.app.call(
            scope,
            Receiver::new(watch.clone()),
            Sender::new(watch.clone()),
        );
        let mut call = pin!(call);
        let mut guard = Guard(Some(&watch));
        poll_fn(|cx| {
            if self.is_strict {
                let mut state = watch.lock();
                if let Some(violation) = state.failure.take() {
                    return Poll::Ready(Err(SendError::from(violation).into()));
                }
                state.call = Some(cx.waker().clone());
            }
            let polled = catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(cx)));
            let mut state = watch.lock();
            let result = match polled {
                Ok(Poll::Pending) => {
                    return match state.failure.take() {
                        Some(violation) => Poll::Ready(Err(SendError::from(violation).into())),
                        None => Poll::Pending,
                    };
                }
                Ok(Poll::Ready(result)) => result,
                Err(panic) => {
                    let broken = state.model.panicked(&panic_message(&*panic));
                    watch.complain(&mut state, broken);
                    guard.0 = None;
                    drop(state);
                    resume_unwind(panic);
                }
            };
            let broken = state.model.returned(&result);
            watch.complain(&mut state, broken);
            guard.0 = None;
            Poll::Ready(match state.failure.take() {
                // What the application says itself is at least as good.
                Some(violation) if result.is_ok() => Err(SendError::from(violation).into()),
                _ => result,
            })
        })
        .await
    }
}

impl<A> fmt::Debug for Lint<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lint")
            .field("is_strict", &self.is_strict)
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

/// The message of a panic.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "of an unknown kind".to_owned())
}

/// Tells the model of a call that is dropped.
struct Guard<'a>(Option<&'a Watch>);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if let Some(watch) = self.0 {
            let mut state = watch.lock();
            let broken = state.model.dropped();
            watch.complain(&mut state, broken);
        }
    }
}

/// The channel that the application inside is given.
struct Watch {
    receiving: Arc<dyn Channel>,
    sending: Arc<dyn Channel>,
    is_strict: bool,
    count: ViolationCount,
    sink: Arc<Sink>,
    /// Held while the channel outside is polled, so that the model sees what happens in the order
    /// in which it happens.
    state: Mutex<State>,
}

struct State {
    model: Model,
    exchange: Exchange,
    /// What a strict lint fails the exchange with.
    failure: Option<Violation>,
    call: Option<Waker>,
}

/// What names an exchange, put into words only when there is something to say.
enum Exchange {
    Http(Method, Uri),
    WebSocket(Uri),
    Other(String),
}

impl Exchange {
    fn of(scope: &Scope) -> Self {
        match scope {
            Scope::Http(scope) => Self::Http(scope.method.clone(), scope.uri.clone()),
            Scope::WebSocket(scope) => Self::WebSocket(scope.uri.clone()),
            other => Self::Other(other.type_name().to_owned()),
        }
    }
}

impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(method, uri) => write!(f, "{method} {uri}"),
            Self::WebSocket(uri) => write!(f, "WebSocket {uri}"),
            Self::Other(name) => f.write_str(name),
        }
    }
}

impl Watch {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic of a sink leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn complain(&self, state: &mut State, broken: Vec<Violation>) {
        if broken.is_empty() {
            return;
        }
        let exchange = state.exchange.to_string();
        for violation in broken {
            self.count
                .side(violation.rule.role)
                .fetch_add(1, Ordering::Relaxed);
            (self.sink)(&Complaint {
                violation: &violation,
                exchange: &exchange,
            });
            if self.is_strict && state.failure.is_none() {
                state.failure = Some(violation);
                if let Some(call) = state.call.take() {
                    call.wake();
                }
            }
        }
    }
}

impl Channel for Watch {
    fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
        let mut state = self.lock();
        let event = ready!(self.receiving.poll_receive(cx));
        let broken = state.model.received(&event);
        self.complain(&mut state, broken);
        Poll::Ready(event)
    }

    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        event: &mut Option<SendEvent>,
    ) -> Poll<Result<(), SendError>> {
        let mut state = self.lock();
        let attempt = state
            .model
            .attempt(event.as_ref().expect("an event to send"));
        let result = ready!(self.sending.poll_send(cx, event));
        let broken = state.model.settle(attempt, &result);
        self.complain(&mut state, broken);
        Poll::Ready(result)
    }
}
