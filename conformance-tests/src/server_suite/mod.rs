//! Checks a server over real sockets, while it serves the [`Probe`](crate::Probe).
//!
//! One request through the suite: a case has a client of [`http1`] write it to the server; the
//! server calls the probe, which tells [`remote`] of the call; the case then says step by step what
//! the application does, and looks at what the client gets.

mod bench;
mod case;
mod cases;
mod command_line;
mod exchange;
mod http1;
mod http2;
mod launch;
mod remote;
mod request;
mod server;
mod websocket;
mod witness;

use std::time::Duration;

use callgate::rule::{self, Rule};

pub use case::Asgi;
pub use command_line::CommandLine;
pub use launch::{Attach, Exit, Launch, Lifespan, NotLaunched, Running, Settings};

use crate::{Check, Finding, Report, Verdict};
use bench::Bench;

/// What to check, and how long to wait.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerOptions {
    /// How long a case waits for one thing before it takes it for missing. Default 5 seconds.
    pub patience: Duration,
    /// The IDs of the rules to check; all if there are none. Default none.
    pub only: Vec<String>,
    /// Leave out what ASGI settles differently: for servers of ASGI. Default unset.
    pub asgi: bool,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            patience: Duration::from_secs(5),
            only: Vec::new(),
            asgi: false,
        }
    }
}

/// Every check of the server suite, in the order of the rules.
pub fn server_checks() -> impl Iterator<Item = &'static Check> {
    cases::all().map(|case| &case.check)
}

/// Whether a server of ASGI is expected to keep this rule as well, and if not, why: by the first of
/// the rule's checks that says so.
#[must_use]
pub fn asgi(rule: &Rule) -> Option<Asgi> {
    let mut cases = cases::all().filter(|case| case.check.rule == rule);
    let first = cases.next()?.asgi;
    Some(cases.fold(first, |asgi, case| match asgi {
        Asgi::Shared => case.asgi,
        differs => differs,
    }))
}

/// Whether a check holds for servers of ASGI too; none for one that is not of this suite.
#[cfg(feature = "cli")]
pub(crate) fn asgi_of(check: &Check) -> Option<Asgi> {
    let case = cases::all().find(|case| case.check == *check)?;
    Some(case.asgi)
}

impl ServerOptions {
    /// The checks that are wanted, in the order of the rules.
    pub fn checks(&self) -> impl Iterator<Item = &'static Check> {
        self.cases().map(|case| &case.check)
    }

    fn cases(&self) -> impl Iterator<Item = &'static case::Case> {
        cases::all().filter(|case| self.wants(case.check.rule))
    }

    fn wants(&self, rule: &Rule) -> bool {
        let id = rule.id;
        self.only.is_empty() || self.only.iter().any(|only| only.eq_ignore_ascii_case(id))
    }
}

/// Checks the server that `launch` starts. `progress` is told of each finding as it is made.
pub async fn check_server(
    launch: &dyn Launch,
    options: &ServerOptions,
    progress: impl FnMut(&Finding),
) -> Report {
    let bench = Bench::new(launch, options.patience);
    check(bench, launch, options, progress).await
}

/// As [`check_server`], if there is something to check: a server that starts, listens and calls the
/// probe, which may take it as long as `patience`.
///
/// # Errors
///
/// Why there is not, in one line.
pub async fn try_check_server(
    launch: &dyn Launch,
    options: &ServerOptions,
    patience: Duration,
    progress: impl FnMut(&Finding),
) -> Result<Report, String> {
    let mut bench = Bench::new(launch, options.patience);
    bench.try_server(patience).await?;
    Ok(check(bench, launch, options, progress).await)
}

async fn check(
    mut bench: Bench<'_>,
    launch: &dyn Launch,
    options: &ServerOptions,
    mut progress: impl FnMut(&Finding),
) -> Report {
    let mut findings = Vec::new();
    for case in options.cases() {
        let (verdict, broken) = match case.asgi {
            Asgi::Differs(why) if options.asgi => (Verdict::NotApplicable(why.into()), Vec::new()),
            Asgi::Shared if options.asgi && !bench.has_lifespan && case.is_of_lifespan() => {
                let why = "the server runs no lifespan, which ASGI lets it do";
                (Verdict::NotApplicable(why.into()), Vec::new())
            }
            _ => bench.run(case).await,
        };
        let finding = Finding {
            check: case.check,
            verdict,
        };
        progress(&finding);
        findings.push(finding);
        // The model is that of Callgate, and does not know what of it ASGI shares.
        for (rule, failure) in broken {
            let is_told = |it: &Finding| it.check.rule == rule && it.verdict.is_failed();
            if options.asgi || !options.wants(rule) || findings.iter().any(is_told) {
                continue;
            }
            let must = "What the application sees fits the model of the protocol.";
            findings.push(Finding {
                check: Check {
                    rule,
                    must,
                    ..case.check
                },
                verdict: failure.into(),
            });
        }
    }
    bench.finish().await;
    findings.sort_by_key(|finding| rule::all().position(|rule| rule == finding.check.rule));
    Report {
        subject: launch.name(),
        findings,
    }
}
