//! Checks an application: exchanges of every sort, in process, and what must hold in them.

mod case;
mod chapters;
mod compare;
mod options;
mod play;
mod stage;

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use callgate::rule::{self, Role, Rule};
use callgate::{App, BoxApp};

pub use chapters::scope_probe;
pub use options::AppOptions;

use crate::{Check, Finding, Report, Verdict};
use stage::Stage;

/// The checks of an application, each for one rule: at least one for each rule of the
/// [role](Role) application.
pub fn app_checks() -> impl Iterator<Item = &'static Check> {
    chapters::all().map(|case| &case.check)
}

/// Checks an application against every rule that applications have to keep.
///
/// `make` makes the application; it is called more than once, because one application starts up
/// once. Blocks while it runs: call it from a thread of its own where there is a runtime
/// (`tokio::task::spawn_blocking`). The application is called in a runtime of the suite's own, on
/// one thread; one that blocks that thread is abandoned there.
///
/// # Panics
///
/// When the start-up of the application fails, and that is all that is wrong: most of the rules
/// could not be checked. [`AppSuite::report`] tells what could.
///
/// ```
/// use callgate::{AppError, HttpResponseBody, HttpResponseStart, Receiver, Scope, Sender};
/// use callgate_conformance::{AppOptions, check_app};
///
/// async fn hello(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
///     let Scope::Http(_) = scope else {
///         return Err(AppError::Unsupported);
///     };
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
    match suite.not_started() {
        Some(why) if report.broken_rules().is_empty() => {
            panic!("cannot check `{}`: {why}", report.subject)
        }
        _ => report,
    }
}

/// An application that is being checked. Each exchange is played when a check first needs it, and
/// once.
///
/// [`app_tests!`](crate::app_tests) and [`check_app`] are made of this.
pub struct AppSuite {
    name: String,
    stage: Mutex<Stage>,
}

impl AppSuite {
    /// The checks of the application that `make` makes, as for [`check_app`].
    pub fn new<A: App>(make: impl Fn() -> A + Send + Sync + 'static, options: AppOptions) -> Self {
        Self {
            name: options.name.clone(),
            stage: Mutex::new(Stage::new(Box::new(move || BoxApp::new(make())), options)),
        }
    }

    /// Makes every check. Where the start-up fails, most do not apply: see
    /// [`not_started`](Self::not_started).
    #[must_use]
    pub fn report(&self) -> Report {
        self.report_on(|_| true)
    }

    /// Makes the checks of the rules for which `is_wanted`.
    pub fn report_on(&self, is_wanted: impl Fn(&Rule) -> bool) -> Report {
        self.report_with(is_wanted, |_| {})
    }

    /// The same; `progress` is told of each finding as it is made.
    pub fn report_with(
        &self,
        is_wanted: impl Fn(&Rule) -> bool,
        progress: impl FnMut(&Finding),
    ) -> Report {
        let mut stage = self.stage();
        let findings = chapters::all()
            .filter(|case| is_wanted(case.check.rule))
            .map(|case| Finding {
                check: case.check,
                verdict: case.verdict(&mut stage),
            })
            .inspect(progress)
            .collect();
        Report {
            subject: self.name.clone(),
            findings,
        }
    }

    /// Why the application could be asked for nothing but its lifespan, in words: its start-up
    /// failed. None as long as no check has needed more.
    #[must_use]
    pub fn not_started(&self) -> Option<String> {
        self.stage().not_started().map(|why| why.to_string())
    }

    /// Makes the checks of one rule.
    ///
    /// # Panics
    ///
    /// When the rule is broken, with all that is known of it; when the start-up of the application
    /// fails, so that the rule cannot be checked; or when there is no rule with this ID.
    #[track_caller]
    pub fn assert(&self, id: &str) {
        let rule = rule::by_id(id).unwrap_or_else(|| panic!("there is no rule {id}"));
        let mut report = self.report_on(|other| other == rule);
        let not_started = self.not_started();
        // Other tests may have needed the start-up, and this one not.
        let unchecked = report.findings.iter().find_map(|it| match &it.verdict {
            Verdict::NotApplicable(why) if not_started.as_deref() == Some(why) => Some(why.clone()),
            _ => None,
        });
        report
            .findings
            .retain(|finding| finding.verdict.is_failed());
        assert!(report.findings.is_empty(), "\n{report}");
        if let Some(why) = unchecked {
            panic!("cannot check {id} of `{}`: {why}", self.name);
        }
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        // What was played before a panic still holds.
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for AppSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppSuite")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The rules that applications have to keep, in the order of the documents.
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
