//! `cargo xtask peers`: runs the server suite against servers of ASGI, in cleartext and over TLS, and the suite
//! for HTTP against servers in Rust and nginx, and writes RESULTS.md.

mod differences;
mod findings;
mod http;
mod results;
mod table;

use std::path::Path;
use std::thread;

use crate::prepare::{self, PYTHON, PythonEnvironment};
use crate::step::{Step, root, shown, target};
use findings::{ListedRule, Report, Run, Security, Subject, Unavailable};

/// The file of the results.
const RESULTS: &str = "conformance-tests/RESULTS.md";

/// The command of the suite, as a reader runs it.
const SUITE: &str = "cargo conformance";

/// The time-out of one step of a case, in seconds.
const TIMEOUT: &str = "10";

/// A server of ASGI.
#[derive(Debug)]
struct Peer {
    name: &'static str,
    /// The requirements that pip installs.
    packages: &'static [&'static str],
    /// The module that `python -m` runs.
    module: &'static str,
    /// The Python package whose version is that of the server, and then the packages of others that serve in it.
    versions_of: &'static [&'static str],
    /// The arguments after `python -m MODULE`. `{address}` is replaced by `cleartext` or `tls`.
    args: &'static str,
    /// The address to listen on in cleartext.
    cleartext: &'static str,
    /// The address to listen on over TLS, with the certificate of the suite.
    tls: &'static str,
    /// The flags for the settings of the suite. A setting without a flag is not checked.
    flags: &'static [&'static str],
    /// The flags for client certificates.
    client_certificate_flags: &'static [&'static str],
}

const UVICORN_TLS: &str = "--port {port} --ssl-certfile {certfile} --ssl-keyfile {keyfile}";

const UVICORN_FLAGS: &[&str] = &[
    "root-path=--root-path {value}",
    "lifespan=--lifespan {value}",
    "ws-max-size=--ws-max-size {value}",
    "ws-ping-interval=--ws-ping-interval {value}",
    "ws-ping-timeout=--ws-ping-timeout {value}",
    "timeout-graceful-shutdown=--timeout-graceful-shutdown {integer}",
];

const UVICORN_CLIENT_CERTIFICATE_FLAGS: &[&str] = &[
    "ssl-ca-certs=--ssl-ca-certs {value}",
    "ssl-cert-reqs=--ssl-cert-reqs {value}",
];

const PEERS: [Peer; 12] = [
    Peer {
        name: "uvicorn",
        packages: &["uvicorn[standard]"],
        module: "uvicorn",
        versions_of: &["uvicorn"],
        args: "asgi_probe:app {address} {flags}",
        cleartext: "--port {port}",
        tls: UVICORN_TLS,
        flags: UVICORN_FLAGS,
        client_certificate_flags: UVICORN_CLIENT_CERTIFICATE_FLAGS,
    },
    Peer {
        name: "uvicorn-h11",
        packages: &["uvicorn[standard]", "h11", "wsproto"],
        module: "uvicorn",
        versions_of: &["uvicorn", "h11", "wsproto"],
        args: "asgi_probe:app --http h11 --ws wsproto {address} {flags}",
        cleartext: "--port {port}",
        tls: UVICORN_TLS,
        flags: UVICORN_FLAGS,
        client_certificate_flags: UVICORN_CLIENT_CERTIFICATE_FLAGS,
    },
    Peer {
        name: "uvicorn-websockets",
        packages: &["uvicorn[standard]"],
        module: "uvicorn",
        versions_of: &["uvicorn", "websockets"],
        args: "asgi_probe:app --ws websockets {address} {flags}",
        cleartext: "--port {port}",
        tls: UVICORN_TLS,
        flags: UVICORN_FLAGS,
        client_certificate_flags: UVICORN_CLIENT_CERTIFICATE_FLAGS,
    },
    // uvicorn speaks HTTP/2 with this implementation only.
    Peer {
        name: "uvicorn-zttp",
        packages: &["uvicorn[standard]", "zttp"],
        module: "uvicorn",
        versions_of: &["uvicorn", "zttp"],
        args: "asgi_probe:app --http zttp --http2 {address} {flags}",
        cleartext: "--port {port}",
        tls: UVICORN_TLS,
        flags: UVICORN_FLAGS,
        client_certificate_flags: UVICORN_CLIENT_CERTIFICATE_FLAGS,
    },
    Peer {
        name: "hypercorn",
        packages: &["hypercorn"],
        module: "hypercorn",
        versions_of: &["hypercorn"],
        args: "asgi_probe:app {address} {flags}",
        cleartext: "--bind 127.0.0.1:{port}",
        tls: "--bind 127.0.0.1:{port} --certfile {certfile} --keyfile {keyfile}",
        flags: &[
            "root-path=--root-path {value}",
            "ws-ping-interval=--websocket-ping-interval {integer}",
            "timeout-graceful-shutdown=--graceful-timeout {integer}",
        ],
        client_certificate_flags: &[
            "ssl-ca-certs=--ca-certs {value}",
            "ssl-cert-reqs:1=--verify-mode CERT_OPTIONAL",
        ],
    },
    Peer {
        name: "granian",
        packages: &["granian"],
        module: "granian",
        versions_of: &["granian"],
        args: "--interface asgi {address} {flags} asgi_probe:app",
        cleartext: "--port {port}",
        tls: "--port {port} --ssl-certificate {certfile} --ssl-keyfile {keyfile}",
        flags: &[
            "root-path=--url-path-prefix {value}",
            "lifespan:off=--interface asginl",
            "timeout-graceful-shutdown=--workers-kill-timeout {integer}",
        ],
        client_certificate_flags: &[
            "ssl-ca-certs=--ssl-ca {value}",
            // The server then demands a certificate, which each client of these cases presents.
            "ssl-cert-reqs:1=--ssl-client-verify",
        ],
    },
    Peer {
        name: "daphne",
        // Twisted negotiates HTTP/2 over TLS.
        packages: &["daphne", "Twisted[tls,http2]"],
        module: "daphne",
        versions_of: &["daphne"],
        args: "{address} {flags} asgi_probe:app",
        cleartext: "--port {port}",
        tls: "-e ssl:{port}:interface=127.0.0.1:privateKey={keyfile}:certKey={certfile}",
        flags: &[
            "root-path=--root-path {value}",
            "ws-max-size=--websocket-max-message-size {value}",
            "ws-ping-interval=--ping-interval {integer}",
            "ws-ping-timeout=--ping-timeout {integer}",
            "timeout-disconnect=--application-close-timeout {integer}",
        ],
        client_certificate_flags: &[],
    },
    Peer {
        name: "gunicorn",
        packages: &["gunicorn", "h2"],
        module: "gunicorn",
        versions_of: &["gunicorn"],
        args: "--worker-class asgi --http-protocols h2,h1 --http2-cleartext both --no-control-socket {address} {flags} asgi_probe:app",
        cleartext: "--bind 127.0.0.1:{port}",
        tls: "--bind 127.0.0.1:{port} --certfile {certfile} --keyfile {keyfile}",
        flags: &[
            "root-path=--root-path {value}",
            "lifespan=--asgi-lifespan {value}",
            "ws-max-size=--websocket-max-message-size {value}",
            "timeout-graceful-shutdown=--graceful-timeout {integer}",
            "timeout-disconnect=--asgi-disconnect-grace-period {integer}",
        ],
        client_certificate_flags: &[
            "ssl-ca-certs=--ca-certs {value}",
            "ssl-cert-reqs=--cert-reqs {value}",
        ],
    },
    Peer {
        name: "h2corn",
        packages: &["h2corn"],
        module: "h2corn",
        versions_of: &["h2corn"],
        args: "{address} {flags} asgi_probe:app",
        cleartext: "--bind 127.0.0.1:{port}",
        tls: "--bind 127.0.0.1:{port} --certfile {certfile} --keyfile {keyfile}",
        flags: &[
            "root-path=--root-path {value}",
            "lifespan=--lifespan {value}",
            "ws-max-size=--websocket-max-message-size {value}",
            "ws-ping-interval=--websocket-ping-interval {value}",
            "ws-ping-timeout=--websocket-ping-timeout {value}",
            "timeout-graceful-shutdown=--timeout-graceful-shutdown {value}",
        ],
        client_certificate_flags: &[
            "ssl-ca-certs=--ca-certs {value}",
            "ssl-cert-reqs:1=--cert-reqs optional",
        ],
    },
    Peer {
        name: "anycorn",
        packages: &["anycorn"],
        module: "anycorn",
        versions_of: &["anycorn"],
        args: "asgi_probe:app {address} {flags}",
        cleartext: "--bind 127.0.0.1:{port}",
        tls: "--bind 127.0.0.1:{port} --certfile {certfile} --keyfile {keyfile}",
        flags: &[
            "root-path=--root-path {value}",
            "ws-ping-interval=--websocket-ping-interval {integer}",
            "timeout-graceful-shutdown=--graceful-timeout {integer}",
        ],
        client_certificate_flags: &[
            "ssl-ca-certs=--ca-certs {value}",
            "ssl-cert-reqs:1=--verify-mode CERT_OPTIONAL",
        ],
    },
    Peer {
        name: "peregrine",
        packages: &["peregrine-server"],
        module: "peregrine",
        versions_of: &["peregrine-server"],
        args: "--protocol asgi {address} {flags} asgi_probe:app",
        cleartext: "--port {port}",
        tls: "--port {port} --tls-cert {certfile} --tls-key {keyfile}",
        flags: &[
            "root-path=--root-path {value}",
            "lifespan:off=--no-lifespan",
            "ws-max-size=--ws-max-message {value}",
        ],
        client_certificate_flags: &[],
    },
    Peer {
        name: "weft",
        packages: &["weft-server"],
        module: "weft",
        versions_of: &["weft-server"],
        args: "{address} {flags} asgi_probe:app",
        cleartext: "--port {port}",
        tls: "--port {port} --certfile {certfile} --keyfile {keyfile}",
        flags: &[],
        client_certificate_flags: &[],
    },
];

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
    let environment = PythonEnvironment::named("peers")?;
    if !environment.python().exists() {
        environment.create()?;
    }
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
        match peer.install(&environment) {
            Ok(()) => subjects.push(peer.subject(&environment, cases)?),
            Err(why) => unavailable.push(Unavailable {
                name: peer.name,
                version: peer.version(&environment).unwrap_or_default(),
                why,
            }),
        }
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

impl Peer {
    /// Installs the newest version.
    ///
    /// # Errors
    ///
    /// One line that says why the server cannot be run here.
    fn install(&self, environment: &PythonEnvironment) -> Result<(), String> {
        environment
            .install(self.packages)
            .map_err(|_| "pip installs no version of it here".to_owned())?;
        Step::program(
            format!("import {}", self.module),
            shown(&environment.python()),
        )
        .arg("-c")
        .arg(format!("import {}", self.module))
        .succeeds_or_says_why()
    }

    fn subject(
        &self,
        environment: &PythonEnvironment,
        cases: &[String],
    ) -> Result<Subject, String> {
        let [cleartext, tls] = in_both(|security| self.check(security, environment, cases))?;
        Ok(Subject {
            name: self.name,
            version: self.version(environment)?,
            is_of_callgate: false,
            cleartext,
            tls,
        })
    }

    /// Returns the version that is installed.
    fn version(&self, environment: &PythonEnvironment) -> Result<String, String> {
        let version_of = |package: &str| {
            let code = format!("import importlib.metadata as m; print(m.version('{package}'))");
            let name = format!("the version of {package}");
            let step = Step::program(name, shown(&environment.python()));
            let version = step.arg("-c").arg(code).output()?;
            Ok::<_, String>(version.trim().to_owned())
        };
        let mut versions = version_of(self.versions_of[0])?;
        for (index, package) in self.versions_of[1..].iter().enumerate() {
            let before = if index == 0 { " with" } else { "," };
            versions = format!("{versions}{before} {package} {}", version_of(package)?);
        }
        Ok(versions)
    }

    /// Returns the arguments of the server.
    fn args(&self, security: Security) -> String {
        let address = match security {
            Security::Cleartext => self.cleartext,
            Security::Tls => self.tls,
        };
        self.args.replace("{address}", address)
    }

    /// Returns the flags for the settings of the suite.
    fn flags(&self, security: Security) -> impl Iterator<Item = &'static str> {
        let flags_of_tls = match security {
            Security::Cleartext => &[],
            Security::Tls => self.client_certificate_flags,
        };
        self.flags.iter().chain(flags_of_tls).copied()
    }

    /// Returns the command that checks the peer, for a reader who has it installed.
    fn command(&self, security: Security) -> String {
        let flags = self.flags(security);
        let flags = flags.map(|flag| format!(" --flag '{flag}'"));
        format!(
            "PYTHONPATH=conformance-tests {SUITE} {} --asgi --command 'python -m {} {}'{}",
            subcommand(security),
            self.module,
            self.args(security),
            flags.collect::<String>()
        )
    }

    /// Checks the peer.
    fn check(
        &self,
        security: Security,
        environment: &PythonEnvironment,
        cases: &[String],
    ) -> Result<Run, String> {
        let python = quoted(&environment.python());
        let probe = quoted(&root().join("conformance-tests"));
        let command = format!(
            "env PYTHONDONTWRITEBYTECODE=1 PYTHONPATH={probe} {python} -m {} {}",
            self.module,
            self.args(security)
        );
        let step = suite_step(self.name, security)?
            .arg("--asgi")
            .arg("--command")
            .arg(command);
        let flags = self.flags(security);
        let step = flags.fold(step, |step, flag| step.arg("--flag").arg(flag));
        Ok(Run::new(self.command(security), &report(step, cases)?))
    }
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
