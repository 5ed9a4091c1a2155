//! `cargo xtask peers`: runs the server suite against other servers, and writes down what came of it.

mod findings;
mod results;

use std::path::Path;

use crate::prepare::{self, PYTHON, PythonEnvironment};
use crate::step::{Step, root, shown, target};
use findings::{ListedRule, Report, Subject};

/// Where the results are written.
const RESULTS: &str = "conformance-tests/RESULTS.md";

/// How long a case waits for one thing, in seconds.
const TIMEOUT: &str = "5";

/// A server of ASGI.
#[derive(Debug)]
struct Peer {
    /// Its name and that of its module.
    name: &'static str,
    /// What to install.
    package: &'static str,
    /// Its arguments, after `python -m NAME`.
    args: &'static str,
    /// Its flags for the settings of the suite. What it has none for is not checked.
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

/// Checks the peers with these names; all, and the reference server, if there are none.
///
/// # Errors
///
/// What failed, and how to repeat it; a name that no peer has.
pub(crate) fn run(names: &[String]) -> Result<(), String> {
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
        subjects.push(Subject::new("callgate-server", version, &report(step)?));
    }
    for peer in peers {
        let version = peer.version(&environment)?;
        let report = report(peer.step(&environment)?)?;
        subjects.push(Subject::new(peer.name, version, &report));
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
    /// The version that is installed.
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

    /// Its check.
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

/// The command of the suite.
fn conformance(name: &str) -> Result<Step, String> {
    let program = target()?.join("debug").join("callgate-conformance");
    Ok(Step::program(name, shown(&program)))
}

fn report(step: Step) -> Result<Report, String> {
    let step = step.arg("--format=json").arg("--timeout").arg(TIMEOUT);
    // Its status is 1 when a rule is broken, which is a result as good as any.
    findings::read(&step.output_with_status(&[0, 1])?)
}

/// A path, for the shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.to_string_lossy().replace('\'', r"'\''"))
}
