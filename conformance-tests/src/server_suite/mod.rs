//! Checks a server over real sockets, while the server serves the [`Probe`](crate::Probe).
//!
//! A case has one of the clients ([`http1`], [`http2`], [`websocket`]) send a request. The server
//! calls the probe, whose messages arrive at the [`probe_listener`]. The case then commands the
//! [`probe_call`] step by step, and examines the events that the client receives.

mod attached;
mod case;
pub(crate) mod case_log;
mod cases;
mod certificates;
mod client_exchange;
pub(crate) mod client_stream;
pub(crate) mod client_tls;
mod command_line;
mod deflate;
mod fixture;
pub(crate) mod http1;
pub(crate) mod http2;
mod launch;
mod model_observer;
mod probe_call;
mod probe_listener;
pub(crate) mod request;
pub(crate) mod result;
mod run;
mod server;
mod settings;
pub(crate) mod websocket;

use std::sync::LazyLock;
use std::time::Duration;

use callgate::rule::{self, Rule};

pub use attached::AttachedServer;
pub use client_tls::ClientTls;
pub use command_line::CommandLine;
pub use launch::{LaunchError, RunningServer, ServerExit, ServerLauncher};
pub use settings::{LifespanMode, ServerSettings};

use crate::basis::Basis;
use crate::{Check, Finding, Report, Verdict};
use case::Case;
use client_exchange::Transport;
use fixture::Fixture;
use run::{CaseOutcome, run};

/// The options of the server suite: the checks and the time-out.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerOptions {
    /// The time for which a case waits for one thing before it fails. Default 5 seconds.
    pub timeout: Duration,
    /// The IDs of the rules to check; all if there are none. Default none.
    pub only: Vec<String>,
    /// The names of the checks to run; all if there are none. Default none.
    pub cases: Vec<String>,
    /// Leave out what only Callgate demands: for servers of ASGI. Default unset.
    pub asgi: bool,
    /// The TLS of the clients. Default none: they speak cleartext.
    pub tls: Option<ClientTls>,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(5),
            only: Vec::new(),
            cases: Vec::new(),
            asgi: false,
            tls: None,
        }
    }
}

/// A case over one of its transports.
struct ServerCheck {
    check: Check,
    case: &'static Case,
    transport: Transport,
}

/// Every case over each of its transports, in the order of the rules.
static CHECKS: LazyLock<Vec<ServerCheck>> = LazyLock::new(|| {
    let over_each = |case: &'static Case| {
        case.transports.iter().map(move |transport| ServerCheck {
            check: Check::new(
                case.rule,
                // Made once, and used to the end of the process.
                case.check_name(*transport).leak(),
                case.does,
                case.must,
            ),
            case,
            transport: *transport,
        })
    };
    rule::all()
        .flat_map(|rule| cases::all().filter(move |case| case.rule == rule))
        .flat_map(over_each)
        .collect()
});

/// Returns every check of the server suite, in the order of the rules.
pub fn server_checks() -> impl Iterator<Item = &'static Check> {
    CHECKS.iter().map(|one| &one.check)
}

/// Returns the basis of a check for servers of ASGI; `None` for a check of another suite.
#[must_use]
pub fn basis_of(check: &Check) -> Option<Basis> {
    let one = CHECKS.iter().find(|one| one.check == *check)?;
    Some(one.case.basis)
}

impl ServerOptions {
    /// Returns the checks to run, in the order of the rules.
    pub fn checks(&self) -> impl Iterator<Item = &'static Check> {
        self.selected().map(|one| &one.check)
    }

    fn selected(&self) -> impl Iterator<Item = &'static ServerCheck> {
        CHECKS.iter().filter(|one| {
            let has_name = |name: &String| *name == one.check.name;
            self.selects(one.check.rule)
                && (self.cases.is_empty() || self.cases.iter().any(has_name))
        })
    }

    fn selects(&self, rule: &Rule) -> bool {
        let id = rule.id;
        self.only.is_empty() || self.only.iter().any(|only| only.eq_ignore_ascii_case(id))
    }
}

/// Checks the server that `launcher` starts. `progress` is called with each finding as it is made.
pub async fn check_server(
    launcher: &dyn ServerLauncher,
    options: &ServerOptions,
    progress: impl FnMut(&Finding),
) -> Report {
    let fixture = Fixture::new(launcher, options);
    run_checks(fixture, launcher.name(), options, progress).await
}

/// Checks a server as [`check_server`] does, once the server has started and called the probe, within
/// `timeout`.
///
/// # Errors
///
/// One line that says why the server does not serve the probe.
pub async fn try_check_server(
    launcher: &dyn ServerLauncher,
    options: &ServerOptions,
    timeout: Duration,
    progress: impl FnMut(&Finding),
) -> Result<Report, String> {
    let mut fixture = Fixture::new(launcher, options);
    fixture.start_shared_server(timeout).await?;
    Ok(run_checks(fixture, launcher.name(), options, progress).await)
}

async fn run_checks(
    mut fixture: Fixture<'_>,
    subject: String,
    options: &ServerOptions,
    mut progress: impl FnMut(&Finding),
) -> Report {
    let mut findings = Vec::new();
    for ServerCheck {
        check,
        case,
        transport,
    } in options.selected()
    {
        let outcome = match verdict_without_run(case, options, &fixture) {
            Some(verdict) => CaseOutcome::without_run(verdict),
            None => run(case, *transport, &mut fixture).await,
        };
        let finding = Finding {
            check: *check,
            verdict: verdict_for(case, options, &outcome),
            standards: match options.asgi {
                true => case.basis.standards(),
                false => &[],
            },
        };
        progress(&finding);
        findings.push(finding);
        // The model is that of Callgate: a server of ASGI may break its rules.
        for (rule, failure) in outcome.violations {
            let is_found = |it: &Finding| it.check.rule == rule && it.verdict.is_failed();
            if options.asgi || !options.selects(rule) || findings.iter().any(is_found) {
                continue;
            }
            let must = "What the application sees fits the model of the protocol.";
            findings.push(Finding {
                check: Check {
                    rule,
                    must,
                    ..*check
                },
                verdict: failure.into(),
                standards: &[],
            });
        }
    }
    fixture.shut_down().await;
    findings.sort_by_key(|finding| rule::all().position(|rule| rule == finding.check.rule));
    Report {
        subject,
        findings,
        gap: None,
    }
}

/// Returns the verdict of a case that is not run against a server of ASGI; `None` if it is run.
fn verdict_without_run(
    case: &Case,
    options: &ServerOptions,
    fixture: &Fixture<'_>,
) -> Option<Verdict> {
    match case.basis {
        _ if !options.asgi => None,
        Basis::CallgateOnly(why) => Some(Verdict::NotDemanded(why)),
        Basis::Standard(_) if case.is_of_lifespan() && !fixture.has_lifespan => {
            let why = "the server runs no lifespan, which ASGI permits";
            Some(Verdict::NotApplicable(why.into()))
        }
        Basis::Standard(_) => None,
    }
}

/// Returns the verdict of a case. A malformed scope fails every case that needs the scope; against a
/// server of ASGI only the cases about scopes count it.
fn verdict_for(case: &Case, options: &ServerOptions, outcome: &CaseOutcome) -> Verdict {
    let is_about_scopes = case.rule.id.starts_with("SCOPE-");
    if options.asgi && outcome.has_malformed_scope && !is_about_scopes {
        return Verdict::NotApplicable("the scope is malformed: see SCOPE-12".into());
    }
    outcome.verdict.clone()
}
