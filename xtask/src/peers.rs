//! `cargo xtask peers`: runs the server suite against servers of ASGI, and writes RESULTS.md.

mod findings;
mod results;

use std::path::Path;

use crate::prepare::{self, PYTHON, PythonEnvironment};
use crate::step::{Step, root, shown, target};
use findings::{ListedRule, Report, Subject};

/// The file of the results.
const RESULTS: &str = "conformance-tests/RESULTS.md";

/// The command of the suite, as a reader runs it.
const SUITE: &str = "cargo run -p callgate-apps --bin callgate-conformance --";

/// The time-out of one step of a case, in seconds.
const TIMEOUT: &str = "10";

/// A server of ASGI.
#[derive(Debug)]
struct Peer {
    /// The name of the server, of its Python package and of its module.
    name: &'static str,
    /// The requirement that pip installs.
    package: &'static str,
    /// The arguments after `python -m NAME`.
    args: &'static str,
    /// The flags for the settings of the suite. A setting without a flag is not checked.
    flags: &'static [&'static str],
}

const PEERS: [Peer; 4] = [
    Peer {
        name: "uvicorn",
        package: "uvicorn[standard]",
        args: "asgi_probe:app --port {port} {flags}",
        flags: &[
            "root-path=--root-path {value}",
            "lifespan=--lifespan {value}",
            "ws-max-size=--ws-max-size {value}",
            "ws-ping-interval=--ws-ping-interval {value}",
            "ws-ping-timeout=--ws-ping-timeout {value}",
            "timeout-graceful-shutdown=--timeout-graceful-shutdown {integer}",
        ],
    },
    Peer {
        name: "hypercorn",
        package: "hypercorn",
        args: "asgi_probe:app --bind 127.0.0.1:{port} {flags}",
        flags: &[
            "root-path=--root-path {value}",
            "ws-ping-interval=--websocket-ping-interval {integer}",
            "timeout-graceful-shutdown=--graceful-timeout {integer}",
        ],
    },
    Peer {
        name: "granian",
        package: "granian",
        args: "--interface asgi --port {port} {flags} asgi_probe:app",
        flags: &[
            "root-path=--url-path-prefix {value}",
            "lifespan:off=--interface asginl",
            "timeout-graceful-shutdown=--workers-kill-timeout {integer}",
        ],
    },
    Peer {
        name: "daphne",
        package: "daphne",
        args: "--port {port} {flags} asgi_probe:app",
        flags: &[
            "root-path=--root-path {value}",
            "ws-max-size=--websocket-max-message-size {value}",
            "ws-ping-interval=--ping-interval {integer}",
            "ws-ping-timeout=--ping-timeout {integer}",
            "timeout-disconnect=--application-close-timeout {integer}",
        ],
    },
];

/// Checks the peers with these names; all, and the reference server, if there are none. After `--case`,
/// each argument is the name of a check, and only these checks are run.
///
/// # Errors
///
/// The step that failed, and how to repeat it; a name that no peer has; `--case` without a peer.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
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
        return Err(format!("there is no peer `{unknown}` (one of: {known})"));
    }
    let is_all = names.is_empty();
    let peers: Vec<_> = PEERS
        .iter()
        .filter(|peer| is_all || names.iter().any(|name| name == peer.name))
        .collect();

    prepare::tools(&[PYTHON])?;
    let environment = PythonEnvironment::named("peers")?;
    if !environment.python().exists() {
        environment.create()?;
    }
    let packages: Vec<_> = peers.iter().map(|peer| peer.package).collect();
    environment.install(&packages)?;
    Step::new(
        "build",
        "cargo build -p callgate-apps --bin callgate-conformance",
    )
    .run()?;

    let rules: Vec<ListedRule> = {
        let list = conformance("rules")?.arg("--list").arg("--format=json");
        findings::read(&list.output()?)?
    };
    let mut subjects = Vec::new();
    if is_all {
        let step = conformance("the reference server")?.arg("server");
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let command = format!("{SUITE} server");
        let report = report(step, &[])?;
        subjects.push(Subject::new(
            "callgate-server",
            version,
            true,
            command,
            &report,
        ));
    }
    for peer in peers {
        let version = peer.version(&environment)?;
        let report = report(peer.step(&environment)?, cases)?;
        let command = peer.command();
        subjects.push(Subject::new(peer.name, version, false, command, &report));
    }

    let results = results::write(&rules, &subjects);
    if is_all {
        let path = root().join(RESULTS);
        std::fs::write(&path, results)
            .map_err(|reason| format!("cannot write {RESULTS}: {reason}"))?;
        println!("\nThe results are in {RESULTS}.");
    } else {
        println!("\n{results}");
    }
    Ok(())
}

impl Peer {
    /// Returns the version that is installed.
    fn version(&self, environment: &PythonEnvironment) -> Result<String, String> {
        let code = format!(
            "import importlib.metadata as m; print(m.version('{}'))",
            self.name
        );
        let step = Step::program(
            format!("the version of {}", self.name),
            shown(&environment.python()),
        );
        let version = step.arg("-c").arg(code).output()?;
        Ok(version.trim().to_owned())
    }

    /// Returns the command that checks the peer, for a reader who has it installed.
    fn command(&self) -> String {
        let flags = self.flags.iter().map(|flag| format!(" --flag '{flag}'"));
        format!(
            "PYTHONPATH=conformance-tests {SUITE} server --asgi --command 'python -m {} {}'{}",
            self.name,
            self.args,
            flags.collect::<String>()
        )
    }

    /// Returns the step that checks the peer.
    fn step(&self, environment: &PythonEnvironment) -> Result<Step, String> {
        let python = quoted(&environment.python());
        let probe = quoted(&root().join("conformance-tests"));
        let command = format!(
            "env PYTHONDONTWRITEBYTECODE=1 PYTHONPATH={probe} {python} -m {} {}",
            self.name, self.args
        );
        let step = conformance(self.name)?
            .arg("server")
            .arg("--asgi")
            .arg("--command")
            .arg(command);
        let flags = self.flags.iter();
        Ok(flags.fold(step, |step, flag| step.arg("--flag").arg(*flag)))
    }
}

/// Returns a step that runs the suite.
fn conformance(name: &str) -> Result<Step, String> {
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
