//! The cases of the application suite.

use std::borrow::Cow;
use std::sync::Arc;

use callgate::rule::{self, Rule};

use super::asgi;
use super::scenario::Scenario;
use super::scenario_runner::{Refusal, ScenarioRunner};
use crate::check::{Check, Failure, Verdict};
use crate::driver::Observation;

/// A case: a check and its steps.
pub(crate) struct Case {
    pub(crate) check: Check,
    method: Method,
}

enum Method {
    /// The rule must not be broken in any of the selected scenarios, according to the model.
    Model {
        selects: fn(Scenario) -> bool,
        feature: Option<FeatureUse>,
    },
    Steps(fn(&mut ScenarioRunner) -> CaseResult),
}

/// Something that an application may do or not do.
pub(crate) struct FeatureUse {
    /// Returns whether the application did it in this exchange.
    pub(crate) is_used: fn(&Observation) -> bool,
    /// The reason for which the check does not apply to an application that never did it.
    pub(crate) otherwise: &'static str,
}

/// The result of a case: `Ok` if it passed.
pub(crate) type CaseResult<T = ()> = Result<T, NotPassed>;

/// The reason for which a case did not pass.
#[derive(Clone, Debug)]
pub(crate) enum NotPassed {
    /// The rule was broken.
    Failed(Box<Failure>),
    /// The case says nothing about this application, for this reason.
    NotApplicable(Cow<'static, str>),
    /// The standard of the application does not demand what is checked, for this reason.
    NotDemanded(&'static str),
    /// The case could not run: the start-up of the application failed, for this reason.
    StartupFailed(Arc<str>),
}

impl NotPassed {
    pub(crate) fn not_applicable(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::NotApplicable(reason.into())
    }
}

impl From<Failure> for NotPassed {
    fn from(failure: Failure) -> Self {
        Self::Failed(Box::new(failure))
    }
}

impl From<Refusal> for NotPassed {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::StartupFailed(reason) => Self::StartupFailed(reason),
            Refusal::Abandoned(reason) => Self::NotApplicable(reason.into()),
        }
    }
}

/// Returns the verdict of a case with this result.
pub(crate) fn verdict(result: &CaseResult) -> Verdict {
    match result {
        Ok(()) => Verdict::Passed,
        Err(NotPassed::Failed(failure)) => Verdict::Failed(failure.clone()),
        Err(NotPassed::NotApplicable(reason)) => Verdict::NotApplicable(reason.clone()),
        Err(NotPassed::NotDemanded(reason)) => Verdict::NotDemanded(reason),
        Err(NotPassed::StartupFailed(reason)) => Verdict::NotApplicable(reason.to_string().into()),
    }
}

impl Case {
    /// Creates a case in which the model must not see a violation of `rule` in the scenarios that
    /// `selects` selects.
    pub(crate) const fn model(
        rule: &'static Rule,
        name: &'static str,
        does: &'static str,
        must: &'static str,
        selects: fn(Scenario) -> bool,
    ) -> Self {
        Self {
            check: Check::new(rule, name, does, must),
            method: Method::Model {
                selects,
                feature: None,
            },
        }
    }

    /// Creates a case with steps of its own.
    pub(crate) const fn steps(
        rule: &'static Rule,
        name: &'static str,
        does: &'static str,
        must: &'static str,
        steps: fn(&mut ScenarioRunner) -> CaseResult,
    ) -> Self {
        Self {
            check: Check::new(rule, name, does, must),
            method: Method::Steps(steps),
        }
    }

    /// Applies the case only to applications that do this in one of the scenarios.
    pub(crate) const fn if_used(mut self, used: FeatureUse) -> Self {
        if let Method::Model { feature, .. } = &mut self.method {
            *feature = Some(used);
        }
        self
    }

    pub(crate) fn run(&self, runner: &mut ScenarioRunner) -> CaseResult {
        match &self.method {
            Method::Model { selects, feature } => {
                self.run_model(*selects, feature.as_ref(), runner)
            }
            Method::Steps(steps) => steps(runner),
        }
    }

    fn run_model(
        &self,
        selects: fn(Scenario) -> bool,
        feature: Option<&FeatureUse>,
        runner: &mut ScenarioRunner,
    ) -> CaseResult {
        let mut is_served = false;
        let mut is_used = feature.is_none();
        let mut refusal = None;
        let is_asgi = runner.options.asgi;
        let is_run = |scenario| selects(scenario) && (!is_asgi || asgi::is_run(scenario));
        for &scenario in Scenario::ALL.iter().filter(|scenario| is_run(**scenario)) {
            let observations = match runner.observations(scenario) {
                Ok(observations) => observations,
                Err(reason) => {
                    refusal.get_or_insert(reason);
                    continue;
                }
            };
            for observation in observations.iter() {
                if let Some(failure) = observation.failure(self.check.rule) {
                    return Err(failure.into());
                }
                is_served |= !observation.is_declined();
                is_used |= feature.is_some_and(|feature| (feature.is_used)(observation));
            }
        }
        if let Some(refusal) = refusal {
            return Err(refusal.into());
        }
        // An application that declines a scope can keep or break these rules.
        let is_about_declining =
            [rule::DECLINE_UNSUPPORTED, rule::NO_PANIC].contains(&self.check.rule);
        if !is_served && !is_about_declining {
            return Err(NotPassed::not_applicable(
                "the application declines this kind of scope",
            ));
        }
        match feature {
            Some(feature) if !is_used => Err(NotPassed::not_applicable(feature.otherwise)),
            _ => Ok(()),
        }
    }
}
