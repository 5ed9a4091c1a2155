//! A middleware that checks every message against the rules of the protocol.

use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use callgate::rule::Role;
use callgate::{
    App, AppError, Channel, ReceiveEvent, Receiver, Scope, SendError, SendEvent, SendProgress,
    Sender, Violation,
};
use http::{Method, Uri};

use crate::call_end::panic_message;
use crate::model::{Model, SendAttempt, scope_violations};

/// A middleware that checks every message between a server and an application, in both directions,
/// against the [`Model`] of the protocol.
///
/// The lint logs and counts what breaks a rule. It does not hold back, alter or add events. A
/// [strict](Self::strict) lint also fails the exchange.
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
/// // Serve `lint`; after that:
/// assert_eq!(count.total(), 0);
/// ```
pub struct Lint<A> {
    app: A,
    is_strict: bool,
    count: ViolationCount,
    reporter: Arc<Reporter>,
}

type Reporter = dyn Fn(&ViolationReport<'_>) + Send + Sync;

/// The number of violations that a [`Lint`] has seen. Clones share the count.
#[derive(Clone, Debug, Default)]
pub struct ViolationCount(Arc<[AtomicU64; 2]>);

impl ViolationCount {
    /// Returns the number of violations by this side.
    #[must_use]
    pub fn of(&self, role: Role) -> u64 {
        self.counter(role).load(Ordering::Relaxed)
    }

    /// Returns the number of violations by both sides.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.of(Role::Application) + self.of(Role::Server)
    }

    fn counter(&self, role: Role) -> &AtomicU64 {
        &self.0[usize::from(role == Role::Server)]
    }
}

/// A violation that a [`Lint`] has seen.
#[derive(Debug)]
#[non_exhaustive]
pub struct ViolationReport<'a> {
    /// The rule, and how it was broken.
    pub violation: &'a Violation,
    /// The exchange: `GET /path`, `WebSocket /path` or `lifespan`.
    pub exchange: &'a str,
}

impl<A> Lint<A> {
    /// Creates a lint that checks `app` and the server that calls it.
    pub fn new(app: A) -> Self {
        Self {
            app,
            is_strict: false,
            count: ViolationCount::default(),
            reporter: Arc::new(log),
        }
    }

    /// Fails each exchange at its first violation: the call ends with an error that names the rule.
    #[must_use]
    pub fn strict(mut self) -> Self {
        self.is_strict = true;
        self
    }

    /// Calls `reporter` for each violation. By default the lint logs violations.
    #[must_use]
    pub fn report_to(
        mut self,
        reporter: impl Fn(&ViolationReport<'_>) + Send + Sync + 'static,
    ) -> Self {
        self.reporter = Arc::new(reporter);
        self
    }

    /// Returns the number of violations, which goes on counting after the lint has been moved.
    #[must_use]
    pub fn count(&self) -> ViolationCount {
        self.count.clone()
    }
}

fn log(report: &ViolationReport<'_>) {
    let ViolationReport {
        violation,
        exchange,
    } = report;
    tracing::warn!(
        rule = violation.rule.id,
        document = violation.rule.document_url(),
        by = %violation.rule.role,
        "{}: {} ({})",
        // Text of the client and the application must not forge a line of the log.
        exchange.to_string().escape_debug(),
        violation.detail.escape_debug(),
        violation.rule.sentence,
    );
}

impl<A: App> App for Lint<A> {
    async fn call(&self, scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        let exchange = Arc::new(LintedExchange {
            name: ExchangeName::of(&scope),
            is_strict: self.is_strict,
            count: self.count.clone(),
            reporter: self.reporter.clone(),
            state: Mutex::new(LintState {
                model: Model::new(&scope),
                failure: None,
                call_waker: None,
            }),
        });
        exchange.report(&mut exchange.lock(), scope_violations(&scope));
        let channel = Arc::new(LintChannel {
            receive_channel: receiver.into_channel(),
            send_channel: sender.into_channel(),
            exchange: exchange.clone(),
        });
        let call = self
            .app
            .call(scope, Receiver::new(channel.clone()), Sender::new(channel));
        let mut call = pin!(call);
        let mut drop_guard = DropGuard(Some(&exchange));
        poll_fn(|cx| {
            if self.is_strict {
                let mut state = exchange.lock();
                if let Some(violation) = state.failure.take() {
                    return Poll::Ready(Err(SendError::from(violation).into()));
                }
                state.call_waker = Some(cx.waker().clone());
            }
            let polled = catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(cx)));
            let mut state = exchange.lock();
            let result = match polled {
                Ok(Poll::Pending) => {
                    return match state.failure.take() {
                        Some(violation) => Poll::Ready(Err(SendError::from(violation).into())),
                        None => Poll::Pending,
                    };
                }
                Ok(Poll::Ready(result)) => result,
                Err(panic) => {
                    let violations = state.model.panicked(&panic_message(&*panic));
                    exchange.report(&mut state, violations);
                    drop_guard.0 = None;
                    drop(state);
                    resume_unwind(panic);
                }
            };
            let violations = state.model.returned(&result);
            exchange.report(&mut state, violations);
            drop_guard.0 = None;
            Poll::Ready(match state.failure.take() {
                // An error of the application takes precedence over the violation.
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

/// Tells the model that the call was dropped before it ended.
struct DropGuard<'a>(Option<&'a LintedExchange>);

impl Drop for DropGuard<'_> {
    fn drop(&mut self) {
        if let Some(exchange) = self.0 {
            let mut state = exchange.lock();
            let violations = state.model.dropped();
            exchange.report(&mut state, violations);
        }
    }
}

/// An exchange that is checked.
struct LintedExchange {
    name: ExchangeName,
    is_strict: bool,
    count: ViolationCount,
    reporter: Arc<Reporter>,
    /// Locked while an event passes, so that the model sees events in the order in which they pass.
    state: Mutex<LintState>,
}

struct LintState {
    model: Model,
    /// The violation that a strict lint fails the exchange with.
    failure: Option<Violation>,
    call_waker: Option<Waker>,
}

/// The name of an exchange, which is formatted only for a report.
enum ExchangeName {
    Http(Method, Uri),
    WebSocket(Uri),
    Other(String),
}

impl ExchangeName {
    fn of(scope: &Scope) -> Self {
        match scope {
            Scope::Http(scope) => Self::Http(scope.method.clone(), scope.uri.clone()),
            Scope::WebSocket(scope) => Self::WebSocket(scope.uri.clone()),
            other => Self::Other(other.type_name().to_owned()),
        }
    }
}

impl fmt::Display for ExchangeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(method, uri) => write!(f, "{method} {uri}"),
            Self::WebSocket(uri) => write!(f, "WebSocket {uri}"),
            Self::Other(name) => f.write_str(name),
        }
    }
}

impl LintedExchange {
    fn lock(&self) -> MutexGuard<'_, LintState> {
        // A reporter that panics leaves the state valid.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn report(&self, state: &mut LintState, violations: Vec<Violation>) {
        if violations.is_empty() {
            return;
        }
        let name = self.name.to_string();
        for violation in violations {
            self.count
                .counter(violation.rule.role)
                .fetch_add(1, Ordering::Relaxed);
            (self.reporter)(&ViolationReport {
                violation: &violation,
                exchange: &name,
            });
            if self.is_strict && state.failure.is_none() {
                state.failure = Some(violation);
                if let Some(waker) = state.call_waker.take() {
                    waker.wake();
                }
            }
        }
    }

    fn settle(&self, state: &mut LintState, attempt: SendAttempt, result: &Result<(), SendError>) {
        let violations = state.model.settle(attempt, result);
        self.report(state, violations);
    }
}

/// The channel of the application inside a lint.
struct LintChannel {
    receive_channel: Arc<dyn Channel>,
    send_channel: Arc<dyn Channel>,
    exchange: Arc<LintedExchange>,
}

impl Channel for LintChannel {
    fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
        let mut state = self.exchange.lock();
        let event = ready!(self.receive_channel.poll_receive(cx));
        let violations = state.model.received(&event);
        self.exchange.report(&mut state, violations);
        Poll::Ready(event)
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.send_channel.poll_ready(cx)
    }

    fn start_send(&self, event: SendEvent) -> Result<SendProgress, SendError> {
        let mut state = self.exchange.lock();
        let attempt = state.model.attempt(&event);
        match self.send_channel.start_send(event) {
            Ok(SendProgress::Sent) => {
                self.exchange.settle(&mut state, attempt, &Ok(()));
                Ok(SendProgress::Sent)
            }
            Ok(SendProgress::Pending(rest)) => {
                let exchange = self.exchange.clone();
                Ok(SendProgress::Pending(Box::pin(async move {
                    let result = rest.await;
                    exchange.settle(&mut exchange.lock(), attempt, &result);
                    result
                })))
            }
            Err(error) => {
                let result = Err(error);
                self.exchange.settle(&mut state, attempt, &result);
                result.map(|()| SendProgress::Sent)
            }
        }
    }
}
