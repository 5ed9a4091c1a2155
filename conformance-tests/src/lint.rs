//! A middleware that checks every message against the rules of the protocol.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use callgate::rule::Role;
use callgate::{
    App, AppError, ReceiveEvent, Receiver, Scope, SendError, SendEvent, Sender, Violation,
};
use http::{Method, Uri};

use crate::model::{Model, SendAttempt, scope_violations};
use crate::observe::{ExchangeObserver, ObservedEnd, call_observed};

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
        let mut exchange = LintedExchange {
            name: ExchangeName::of(&scope),
            is_strict: self.is_strict,
            count: self.count.clone(),
            reporter: self.reporter.clone(),
            model: Model::new(&scope),
            failure: None,
            call_waker: None,
        };
        exchange.report(scope_violations(&scope));
        call_observed(&self.app, scope, receiver, sender, exchange).await
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

/// An exchange that is checked.
struct LintedExchange {
    name: ExchangeName,
    is_strict: bool,
    count: ViolationCount,
    reporter: Arc<Reporter>,
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
    fn report(&mut self, violations: Vec<Violation>) {
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
            if self.is_strict && self.failure.is_none() {
                self.failure = Some(violation);
                if let Some(waker) = self.call_waker.take() {
                    waker.wake();
                }
            }
        }
    }
}

impl ExchangeObserver for LintedExchange {
    type Attempt = SendAttempt;

    fn received(&mut self, event: &ReceiveEvent) {
        let violations = self.model.received(event);
        self.report(violations);
    }

    fn sending(&mut self, event: &SendEvent) -> SendAttempt {
        self.model.attempt(event)
    }

    fn sent(&mut self, attempt: SendAttempt, result: &Result<(), SendError>) {
        let violations = self.model.settle(attempt, result);
        self.report(violations);
    }

    fn ended(&mut self, end: ObservedEnd<'_>) {
        let violations = self.model.ended(end);
        self.report(violations);
    }

    fn poll_failure(&mut self, cx: &mut Context<'_>) -> Poll<AppError> {
        if !self.is_strict {
            return Poll::Pending;
        }
        match self.failure.take() {
            Some(violation) => Poll::Ready(SendError::from(violation).into()),
            None => {
                match &mut self.call_waker {
                    Some(waker) => waker.clone_from(cx.waker()),
                    none => *none = Some(cx.waker().clone()),
                }
                Poll::Pending
            }
        }
    }
}
