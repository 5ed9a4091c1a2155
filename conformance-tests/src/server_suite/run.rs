//! Runs one case.

use callgate::rule::Rule;

use super::case::Case;
use super::client_exchange::Transport;
use super::fixture::Fixture;
use crate::{Failure, Verdict};

/// The time-out of a whole case, as a multiple of the time-out for one thing. The limit ends a case
/// whose server always sends one thing more.
const CASE_TIMEOUTS: u32 = 10;

/// The outcome of one case.
pub(super) struct CaseOutcome {
    pub(super) verdict: Verdict,
    /// Other rules that the server broke in the meantime, by the model of the protocol.
    pub(super) violations: Vec<(&'static Rule, Failure)>,
    /// Whether the server passed a scope that no scope can be.
    pub(super) has_malformed_scope: bool,
}

impl CaseOutcome {
    /// Returns the outcome of a case that was not run.
    pub(super) fn without_run(verdict: Verdict) -> Self {
        Self {
            verdict,
            violations: Vec::new(),
            has_malformed_scope: false,
        }
    }
}

/// Runs the steps of a case over one transport.
pub(super) async fn run(
    case: &Case,
    transport: Transport,
    fixture: &mut Fixture<'_>,
) -> CaseOutcome {
    fixture.begin_case();
    let limit = fixture.timeout() * CASE_TIMEOUTS;
    let result = tokio::time::timeout(limit, (case.steps)(fixture, transport)).await;
    let result = result.unwrap_or_else(|_| {
        Err(Verdict::failed(format!(
            "the case was not through after {limit:?}"
        )))
    });
    let observations = fixture.end_case();
    let (own, violations): (Vec<_>, _) = observations
        .violations
        .into_iter()
        .partition(|(rule, _)| *rule == case.rule);
    let verdict = match (result, own.into_iter().next()) {
        (Err(Verdict::Failed(failure)), _) => {
            fixture.drop_servers();
            failure.after(observations.transcript).into()
        }
        (_, Some((_, failure))) => failure.into(),
        (Ok(()), None) => Verdict::Passed,
        (Err(other), None) => other,
    };
    CaseOutcome {
        verdict,
        violations,
        has_malformed_scope: observations.has_malformed_scope,
    }
}
