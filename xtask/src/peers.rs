//! `cargo xtask peers`: runs the server suite against servers of ASGI, in cleartext and over TLS, and the suite
//! for HTTP against servers in Rust and nginx, and writes RESULTS.md.

mod differences;
mod filed;
mod findings;
mod http;
mod peer;
mod results;
mod table;

use std::path::Path;
use std::thread;

use crate::prepare::{self, PYTHON};
use crate::step::{Step, root, shown, target};
use findings::{ListedRule, Report, Run, Security, Subject, Unavailable};
use peer::PEERS;

/// The file of the results.
const RESULTS: &str = "conformance-tests/RESULTS.md";

/// The command of the suite, as a reader runs it.
const SUITE: &str = "cargo conformance";

/// The time-out of one step of a case, in seconds.
const TIMEOUT: &str = "10";

/// The name that stands for the servers of HTTP, whose section of the results is written.
const HTTP: &str = "http";

/// Checks the peers with these names; all, and the reference server, if there are none. After `--case`,
/// each argument is the name of a check, and only these checks are run.
///
/// # Errors
///
/// The step that failed, and how to repeat it; a name that no peer has; `--case` without a peer.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    if matches!(arguments, [name] if name == HTTP) {
        build()?;
        let results = std::fs::read_to_string(root().join(RESULTS))
            .map_err(|reason| format!("cannot read {RESULTS}: {reason}"))?;
        return write(&http::with_section(&results, &http::check()?));
    }
    let (names, cases) = match arguments.iter().position(|argument| argument == "--case") {
        Some(at) => (&arguments[..at], &arguments[at + 1..]),
        None => (arguments, &[][..]),
    };
    if names.is_empty() && names.len() < arguments.len() {
        return Err("--case needs the name of a peer before it".into());
    }
    if let Some(unknown) = names
        .iter()
        .find(|name| PEERS.iter().all(|peer| peer.name != **name))
    {
        let known = PEERS.map(|peer| peer.name).join(", ");
        return Err(format!(
            "there is no peer `{unknown}` (one of: {known}; or {HTTP} alone)"
        ));
    }
    let is_all = names.is_empty();
    let peers: Vec<_> = PEERS
        .iter()
        .filter(|peer| is_all || names.iter().any(|name| name == peer.name))
        .collect();

    prepare::tools(&[PYTHON])?;
    build()?;

    let rules: Vec<ListedRule> = {
        let list = suite("rules")?.arg("--list").arg("--format=json");
        findings::read(&list.output()?)?
    };
    let mut subjects = Vec::new();
    if is_all {
        let [cleartext, tls] = in_both(check_reference)?;
        subjects.push(Subject {
            name: "callgate-server",
            version: env!("CARGO_PKG_VERSION").to_owned(),
            is_of_callgate: true,
            cleartext,
            tls,
        });
    }
    let mut unavailable = Vec::new();
    for peer in peers {
        let (version, why) = match peer.environment()? {
            None => (String::new(), peer.missing_python()),
            Some(environment) => match peer.install(&environment) {
                Ok(()) => {
                    subjects.push(peer.subject(&environment, cases)?);
                    continue;
                }
                Err(why) => (peer.version(&environment).unwrap_or_default(), why),
            },
        };
        unavailable.push(Unavailable {
            name: peer.name,
            version,
            why,
        });
    }

    let results = results::write(&rules, &subjects, &unavailable);
    if is_all {
        return write(&http::with_section(&results, &http::check()?));
    }
    println!("\n{results}");
    Ok(())
}

/// Builds the suite.
fn build() -> Result<(), String> {
    let command = "cargo build -p callgate-apps --features conformance --bin callgate-conformance";
    Step::new("build", command).run()
}

/// Writes the file of the results.
fn write(results: &str) -> Result<(), String> {
    let path = root().join(RESULTS);
    std::fs::write(&path, results).map_err(|reason| format!("cannot write {RESULTS}: {reason}"))?;
    println!("\nThe results are in {RESULTS}.");
    Ok(())
}

/// Makes the run in cleartext and the run over TLS at the same time: both wait most of the time.
fn in_both(run: impl Fn(Security) -> Result<Run, String> + Sync) -> Result<[Run; 2], String> {
    thread::scope(|scope| {
        let tls = scope.spawn(|| run(Security::Tls));
        let cleartext = run(Security::Cleartext);
        let tls = tls.join().map_err(|_| "a run over TLS panicked")?;
        Ok([cleartext?, tls?])
    })
}

/// Checks the reference server.
fn check_reference(security: Security) -> Result<Run, String> {
    let report = report(suite_step("the reference server", security)?, &[])?;
    let command = format!("{SUITE} {}", subcommand(security));
    Ok(Run::new(command, &report))
}

/// Returns the subcommand that checks a server.
fn subcommand(security: Security) -> &'static str {
    match security {
        Security::Cleartext => "server",
        Security::Tls => "server --tls",
    }
}

/// Returns a step that checks the server of this name.
fn suite_step(name: &str, security: Security) -> Result<Step, String> {
    let step = suite(&format!("{name}, {security}"))?;
    Ok(subcommand(security).split(' ').fold(step, Step::arg))
}

/// Returns a step that runs the suite.
fn suite(name: &str) -> Result<Step, String> {
    let program = target()?.join("debug").join("callgate-conformance");
    Ok(Step::program(name, shown(&program)))
}

fn report(step: Step, cases: &[String]) -> Result<Report, String> {
    let step = step.arg("--format=json").arg("--timeout").arg(TIMEOUT);
    let step = cases
        .iter()
        .fold(step, |step, case| step.arg("--case").arg(case));
    // The status is 1 when a rule is broken.
    findings::read(&step.output_with_status(&[0, 1])?)
}

/// Quotes a path for the shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.to_string_lossy().replace('\'', r"'\''"))
}
