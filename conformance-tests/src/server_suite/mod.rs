//! Checks a server over real sockets, while it serves the [`Probe`](crate::Probe).
//!
//! One request through the suite: a case has a client of [`http1`] write it to the server; the
//! server calls the probe, which tells [`remote`] of the call; the case then says step by step what
//! the application does, and looks at what the client gets.

mod bench;
mod case;
mod cases;
mod http1;
mod http2;
mod launch;
mod remote;
mod request;
mod server;
mod websocket;

use std::time::Duration;

use callgate::rule::Rule;

pub use case::Asgi;
pub use launch::{Attach, CommandLine, Exit, Launch, Lifespan, NotLaunched, Running, Settings};

use crate::{Check, Finding, Report};
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

/// Checks the server that `launch` starts. `progress` is told of each finding as it is made.
pub async fn check_server(
    launch: &dyn Launch,
    options: &ServerOptions,
    mut progress: impl FnMut(&Finding),
) -> Report {
    let mut bench = Bench::new(launch, options.patience);
    let mut findings = Vec::new();
    for case in cases::all() {
        let is_wanted = options.only.is_empty()
            || options
                .only
                .iter()
                .any(|id| id.eq_ignore_ascii_case(case.check.rule.id));
        if !is_wanted {
            continue;
        }
        let verdict = match case.asgi {
            Asgi::Differs(why) if options.asgi => crate::Verdict::NotApplicable(why.into()),
            _ => bench.run(case).await,
        };
        let finding = Finding {
            check: case.check,
            verdict,
        };
        progress(&finding);
        findings.push(finding);
    }
    bench.finish().await;
    Report {
        subject: launch.name(),
        findings,
    }
}
