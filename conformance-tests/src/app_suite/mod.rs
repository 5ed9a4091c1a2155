//! Checks an application: runs exchanges in process, and checks what happened in them.

mod asgi;
mod case;
mod chapters;
mod exercise;
mod options;
mod output_comparison;
mod requests;
mod scenario;
mod scenario_runner;
mod script_builder;
mod targets;

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use callgate::rule::{self, Role, Rule};
use callgate::{App, BoxApp};

#[cfg(feature = "cli")]
pub(crate) use asgi::basis as asgi_basis;
pub use chapters::scope_probe;
pub use options::AppOptions;
pub use requests::{AppRequests, AppRequestsError};

use crate::check::Check;
use crate::report::{Finding, Report};
use case::{Case, CaseResult, NotPassed, verdict};
use targets::Targets;

/// Returns the checks of an application: at least one for each rule of the [role](Role) application.
pub fn app_checks() -> impl Iterator<Item = &'static Check> {
    chapters::all_cases().map(|case| &case.check)
}

/// Checks an application against every rule of applications.
///
/// `make` returns the application. It is called more than once, because an application starts up
/// once. The function blocks while it runs: inside a runtime it needs a thread of its own
/// (`tokio::task::spawn_blocking`). The suite calls the application in its own runtime, on one
/// thread; an application that blocks this thread is abandoned there.
///
/// # Panics
///
/// The start-up of the application fails and breaks no rule by that: most of the rules cannot be
/// checked. [`AppSuite::report`] returns a report nevertheless.
///
/// ```
/// use callgate::{AppError, HttpResponseBody, HttpResponseStart, Receiver, Scope, Sender};
/// use callgate_conformance::{AppOptions, check_app};
///
/// async fn hello(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
///     scope.into_http()?;
///     sender.send(HttpResponseStart::ok()).await?;
///     sender.send(HttpResponseBody::last("Hello, world!\n")).await?;
///     Ok(())
/// }
///
/// let report = check_app(|| hello, AppOptions::new().name("hello"));
/// assert!(report.broken_rules().is_empty(), "{report}");
/// ```
pub fn check_app<A: App>(
    make: impl Fn() -> A + Send + Sync + 'static,
    options: AppOptions,
) -> Report {
    let suite = AppSuite::new(make, options);
    let report = suite.report();
    match suite.startup_failure() {
        Some(reason) if report.broken_rules().is_empty() => {
            panic!("cannot check `{}`: {reason}", report.subject)
        }
        _ => report,
    }
}

/// The checks of one application. Each exchange is run when a check first needs it, and once.
///
/// [`app_tests!`](crate::app_tests) and [`check_app`] are built on this.
pub struct AppSuite {
    name: String,
    is_asgi: bool,
    targets: Mutex<Targets>,
}

impl AppSuite {
    /// Creates the checks of the application that `make` returns, as for [`check_app`].
    pub fn new<A: App>(make: impl Fn() -> A + Send + Sync + 'static, options: AppOptions) -> Self {
        let (name, is_asgi) = (options.name.clone(), options.asgi);
        let targets = Targets::new(move || BoxApp::new(make()), options);
        Self {
            name,
            is_asgi,
            targets: Mutex::new(targets),
        }
    }

    /// Makes every check. Most checks do not apply when the start-up fails: see
    /// [`startup_failure`](Self::startup_failure).
    #[must_use]
    pub fn report(&self) -> Report {
        self.report_on(|_| true)
    }

    /// Makes the checks of the rules for which `is_wanted` returns true.
    pub fn report_on(&self, is_wanted: impl Fn(&Rule) -> bool) -> Report {
        self.report_with(is_wanted, |_| {})
    }

    /// Makes the checks of the rules for which `is_wanted` returns true, and calls `progress` with
    /// each finding.
    pub fn report_with(
        &self,
        is_wanted: impl Fn(&Rule) -> bool,
        progress: impl FnMut(&Finding),
    ) -> Report {
        let findings = self
            .results(is_wanted)
            .map(|(case, result)| self.finding(case, &result))
            .inspect(progress)
            .collect();
        let needed_a_startup = self.targets().has_tried_startup();
        Report {
            subject: self.name.clone(),
            findings,
            gap: needed_a_startup.then(|| self.gap()).flatten(),
        }
    }

    /// Runs the cases of the rules for which `is_wanted` returns true.
    fn results(
        &self,
        is_wanted: impl Fn(&Rule) -> bool,
    ) -> impl Iterator<Item = (&'static Case, CaseResult)> {
        let mut targets = self.targets();
        chapters::all_cases()
            .filter(move |case| is_wanted(case.check.rule))
            .map(move |case| (case, targets.run(case)))
    }

    /// Returns why the checks say little about the application: its start-up failed, or it answered each request
    /// and each handshake to a path of the suite with an error, and the [options](AppOptions::allow_errors) do not allow that.
    /// `None` if the suite has exercised the application, or if it declines requests and WebSockets.
    #[must_use]
    pub fn gap(&self) -> Option<String> {
        self.targets().gap()
    }

    /// Checks that the suite has exercised the application.
    ///
    /// # Panics
    ///
    /// There is a [gap](Self::gap), which the message tells.
    #[track_caller]
    pub fn assert_exercised(&self) {
        if let Some(gap) = self.gap() {
            panic!("the checks say little about `{}`: {gap}", self.name);
        }
    }

    /// Returns why the start-up of the application failed, if it did: nothing but the lifespan of
    /// the application is checked then. `None` as long as no check has needed a start-up.
    #[must_use]
    pub fn startup_failure(&self) -> Option<String> {
        let reason = self.targets().startup_failure();
        reason.map(|reason| reason.to_string())
    }

    /// Makes the checks of one rule.
    ///
    /// # Panics
    ///
    /// The rule is broken, with a report in the message; or there is no rule with this ID. A rule that cannot be
    /// checked, because the start-up of the application fails, is a line on standard error:
    /// [`assert_exercised`](Self::assert_exercised) fails then.
    #[track_caller]
    pub fn assert(&self, id: &str) {
        let rule = rule::by_id(id).unwrap_or_else(|| panic!("there is no rule {id}"));
        let mut findings = Vec::new();
        let mut startup_failure = None;
        for (case, result) in self.results(|other| other == rule) {
            match &result {
                Err(NotPassed::Failed(_)) => findings.push(self.finding(case, &result)),
                Err(NotPassed::StartupFailed(reason)) => startup_failure = Some(reason.clone()),
                Err(NotPassed::NotApplicable(_) | NotPassed::NotDemanded(_)) | Ok(()) => {}
            }
        }
        let report = Report {
            subject: self.name.clone(),
            findings,
            gap: None,
        };
        assert!(report.findings.is_empty(), "\n{report}");
        if let Some(reason) = startup_failure {
            eprintln!("{id} of `{}` is not checked, because {reason}", self.name);
        }
    }

    fn finding(&self, case: &Case, result: &CaseResult) -> Finding {
        Finding {
            check: case.check,
            verdict: verdict(result),
            standards: match self.is_asgi {
                true => asgi::basis(&case.check).standards(),
                false => &[],
            },
        }
    }

    fn targets(&self) -> MutexGuard<'_, Targets> {
        // The observations before a panic are still valid.
        self.targets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for AppSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppSuite")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Returns the rules of applications, in the order of the documents.
pub fn app_rules() -> impl Iterator<Item = &'static Rule> {
    rule::all().filter(|rule| rule.role == Role::Application)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_rule_of_applications_has_a_check_and_each_check_such_a_rule() {
        let checked: HashSet<_> = app_checks().map(|check| check.rule.id).collect();
        let rules: HashSet<_> = app_rules().map(|rule| rule.id).collect();
        assert_eq!(checked, rules);
    }

    #[test]
    fn checks_stand_in_the_order_of_the_rules_and_differ_in_name() {
        let order: Vec<_> = rule::all().map(|rule| rule.id).collect();
        let place = |check: &Check| order.iter().position(|id| *id == check.rule.id);
        let places: Vec<_> = app_checks().map(place).collect();
        assert!(places.is_sorted());
        let names: HashSet<_> = app_checks()
            .map(|check| (check.rule.id, check.name))
            .collect();
        assert_eq!(names.len(), app_checks().count());
    }
}
