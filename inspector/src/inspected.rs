//! The middleware that shows exchanges to an inspector.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use callgate::{
    App, AppError, ReceiveEvent, Receiver, Scope, SendError, SendEvent, Sender, Violation,
};
use callgate_conformance::{
    ExchangeObserver, Model, ObservedEnd, RecordLine, SendAttempt, call_observed, scope_violations,
};

use crate::exchange::{Entry, EntryKind, ExchangeKind, Summary, request_target};
use crate::shared::Shared;
use crate::shorten::shorten;
use crate::subject::Subject;

/// An application inside an [`Inspector`](crate::Inspector).
pub struct Inspected<A> {
    app: Arc<A>,
    subject: Arc<Subject>,
    shared: Arc<Shared>,
}

impl<A: App> Inspected<A> {
    pub(crate) fn new(app: A, shared: Arc<Shared>) -> Self {
        let app = Arc::new(app);
        let subject = Arc::new(Subject::new(app.clone()));
        Self {
            app,
            subject,
            shared,
        }
    }
}

impl<A: App> App for Inspected<A> {
    async fn call(&self, scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        let is_lifespan = matches!(scope, Scope::Lifespan(_));
        if !is_lifespan && !self.shared.is_watched() {
            return self.app.call(scope, receiver, sender).await;
        }
        let _stopped = is_lifespan.then(|| StopGuard(&self.subject));
        self.subject.note_running(&scope);
        let observer = Observer::begin(&self.shared, &self.subject, &scope, None);
        call_observed(&*self.app, scope, receiver, sender, observer).await
    }
}

impl<A> fmt::Debug for Inspected<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inspected").finish_non_exhaustive()
    }
}

/// Lets the state go at the end of the lifespan, whose resources the state may hold open.
struct StopGuard<'a>(&'a Subject);

impl Drop for StopGuard<'_> {
    fn drop(&mut self) {
        self.0.note_stopped();
    }
}

/// Shows one exchange to an inspector.
pub(crate) struct Observer {
    shared: Arc<Shared>,
    number: u64,
    began: Instant,
    model: Model,
    /// The time since which the next send has waited.
    blocked_since: Option<Instant>,
}

/// A send whose result is not known.
pub(crate) struct Sending {
    checked: SendAttempt,
    event: SendEvent,
    at: Duration,
    waited: Duration,
}

impl Observer {
    pub(crate) fn begin(
        shared: &Arc<Shared>,
        subject: &Arc<Subject>,
        scope: &Scope,
        replay_of: Option<u64>,
    ) -> Self {
        let summary = Summary {
            number: 0,
            kind: ExchangeKind::of(scope),
            method: match scope {
                Scope::Http(scope) => Some(scope.method.clone()),
                _ => None,
            },
            target: scope.request().map(request_target).unwrap_or_default(),
            began: SystemTime::now(),
            duration: None,
            status: None,
            end: None,
            events: 0,
            violations: 0,
            replay_of,
        };
        let number = shared.change(|store| store.begin(summary, Arc::downgrade(subject)));
        let mut observer = Self {
            shared: shared.clone(),
            number,
            began: Instant::now(),
            model: Model::new(scope),
            blocked_since: None,
        };
        let called = RecordLine::called(number, scope);
        observer.add_line_at(called, Duration::ZERO, Duration::ZERO, |_| {});
        observer.add_violations(scope_violations(scope));
        observer
    }

    /// Returns the number of the exchange.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    fn add_line(&self, line: RecordLine, update: impl FnOnce(&mut Summary)) {
        self.add_line_at(line, self.began.elapsed(), Duration::ZERO, update);
    }

    fn add_line_at(
        &self,
        mut line: RecordLine,
        at: Duration,
        waited: Duration,
        update: impl FnOnce(&mut Summary),
    ) {
        line.mask_credentials();
        let full_length = shorten(&mut line, self.shared.bounds.content);
        let kind = EntryKind::Line {
            line: Box::new(line),
            waited,
            full_length,
        };
        self.shared.add(self.number, Entry { at, kind }, update);
    }

    fn add_violations(&mut self, violations: Vec<Violation>) {
        for violation in violations {
            let entry = Entry {
                at: self.began.elapsed(),
                kind: EntryKind::Broken(violation),
            };
            self.shared
                .add(self.number, entry, |summary| summary.violations += 1);
        }
    }
}

impl ExchangeObserver for Observer {
    type Attempt = Sending;

    fn received(&mut self, event: &ReceiveEvent) {
        self.add_line(RecordLine::received(self.number, event), |summary| {
            summary.events += 1;
        });
        let violations = self.model.received(event);
        self.add_violations(violations);
    }

    fn blocked(&mut self) {
        self.blocked_since.get_or_insert_with(Instant::now);
    }

    fn sending(&mut self, event: &SendEvent) -> Sending {
        let blocked_since = self.blocked_since.take();
        Sending {
            checked: self.model.attempt(event),
            event: event.clone(),
            at: self.began.elapsed(),
            waited: blocked_since.map_or(Duration::ZERO, |since| since.elapsed()),
        }
    }

    fn sent(&mut self, sending: Sending, result: &Result<(), SendError>) {
        let status = result.is_ok().then(|| status_of(&sending.event)).flatten();
        let line = RecordLine::sent(self.number, sending.event, result);
        self.add_line_at(line, sending.at, sending.waited, |summary| {
            summary.events += 1;
            summary.status = summary.status.or(status);
        });
        let violations = self.model.settle(sending.checked, result);
        self.add_violations(violations);
    }

    fn ended(&mut self, end: ObservedEnd<'_>) {
        // The rules that the end breaks come before it: it is the last entry.
        let violations = self.model.ended(end);
        self.add_violations(violations);
        let line = RecordLine::ended(self.number, end);
        let (end, duration) = (line.ended, self.began.elapsed());
        self.add_line(line, |summary| {
            summary.end = end;
            summary.duration = Some(duration);
        });
    }
}

/// Returns the status that the client gets for this event.
fn status_of(event: &SendEvent) -> Option<u16> {
    match event {
        SendEvent::HttpResponseStart(start) | SendEvent::DenialResponseStart(start) => {
            Some(start.status.as_u16())
        }
        SendEvent::WebSocketAccept(_) => Some(101),
        // After an acceptance, the summary has a status already.
        SendEvent::WebSocketClose(_) => Some(403),
        _ => None,
    }
}
