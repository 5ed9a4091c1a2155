//! The results, as ratios and beside the goals.

pub(crate) mod chart;
pub(crate) mod report;

use std::fmt;

use crate::client::Outcome;
use crate::count::Count;
use crate::idle::Kind;
use crate::server::Server;
use crate::work::{Goal, Metric, Work};

/// All results of a run.
#[derive(Debug, Default)]
pub(crate) struct Results {
    pub(crate) works: Vec<WorkResult>,
    pub(crate) idle: Vec<(Kind, Server, Spread)>,
    /// The number of idle connections.
    pub(crate) connections: usize,
    pub(crate) counts: Vec<Count>,
}

/// The median of all rounds, and the extremes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// # Panics
    ///
    /// Panics when there are no values.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<_> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        };
        Self {
            median,
            min: sorted[0],
            max: sorted[sorted.len() - 1],
        }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(2);
        let Self { median, min, max } = self;
        write!(f, "{median:.digits$} ({min:.digits$}..{max:.digits$})")
    }
}

/// The outcomes of one work.
#[derive(Debug)]
pub(crate) struct WorkResult {
    pub(crate) work: &'static Work,
    /// The outcomes of each server, by round. Callgate is the first.
    pub(crate) servers: Vec<(Server, Vec<Outcome>)>,
}

impl Outcome {
    fn value(&self, metric: Metric) -> f64 {
        match metric {
            Metric::Rate => self.rate,
            Metric::Cpu => self.cpu,
        }
    }
}

impl WorkResult {
    /// Returns the values of a server; `None` if the server did not take part.
    pub(crate) fn absolute(&self, server: Server, metric: Metric) -> Option<Spread> {
        let outcomes = self.outcomes(server)?;
        Some(Spread::of(outcomes.iter().map(|each| each.value(metric))))
    }

    /// Returns the ratios of a server's values to another's, each within one round.
    pub(crate) fn ratio(&self, server: Server, other: Server, metric: Metric) -> Option<Spread> {
        let rounds = self.outcomes(server)?.iter().zip(self.outcomes(other)?);
        Some(Spread::of(rounds.map(|(server, other)| {
            server.value(metric) / other.value(metric)
        })))
    }

    fn outcomes(&self, server: Server) -> Option<&[Outcome]> {
        let (_, outcomes) = self.servers.iter().find(|(each, _)| *each == server)?;
        Some(outcomes)
    }

    /// Returns whether a goal is reached; `None` if the peer did not take part.
    pub(crate) fn reaches(&self, goal: &Goal) -> Option<bool> {
        let ratio = self.ratio(Server::Callgate, goal.peer, goal.metric)?;
        Some(match goal.metric {
            Metric::Rate => ratio.median >= goal.bound,
            Metric::Cpu => ratio.median <= goal.bound,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work::WORKS;

    #[test]
    fn a_ratio_compares_values_of_the_same_round() {
        let outcome = |rate, cpu| Outcome { rate, cpu };
        let result = WorkResult {
            work: &WORKS[0],
            servers: vec![
                (
                    Server::Callgate,
                    vec![outcome(100.0, 9.0), outcome(300.0, 3.0)],
                ),
                (
                    Server::Hyper,
                    vec![outcome(50.0, 10.0), outcome(300.0, 3.0)],
                ),
            ],
        };
        let rate = result.ratio(Server::Callgate, Server::Hyper, Metric::Rate);
        assert_eq!(rate.unwrap().to_string(), "1.50 (1.00..2.00)");
        // The goals of `hello`: rate and CPU beside hyper, rate beside axum and actix-web.
        let goals = result.work.goals.iter();
        let reached: Vec<_> = goals.map(|goal| result.reaches(goal)).collect();
        assert_eq!(reached, [Some(true), Some(true), None, None]);
    }
}
