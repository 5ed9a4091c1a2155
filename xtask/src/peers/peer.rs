//! The servers of ASGI that are checked.

use super::findings::{Run, Security, Subject};
use super::{SUITE, in_both, quoted, report, subcommand, suite_step};
use crate::prepare::WHEEL;
use crate::prepare::{self, PYTHON3, PythonEnvironment};
use crate::step::{Step, root, shown};
use crate::wheel::SETTINGS;

/// A server of ASGI.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) name: &'static str,
    /// The requirements that pip installs.
    packages: &'static [&'static str],
    /// The version of Python that the server needs; that of the machine if there is none.
    python: Option<&'static str>,
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

/// The settings of uvicorn, whose other implementations of HTTP and WebSocket are peers of their own.
const UVICORN: Peer = Peer {
    name: "uvicorn",
    packages: &["uvicorn[standard]"],
    python: None,
    module: "uvicorn",
    versions_of: &["uvicorn"],
    args: "asgi_probe:app {address} {flags}",
    cleartext: "--port {port}",
    tls: "--port {port} --ssl-certfile {certfile} --ssl-keyfile {keyfile}",
    flags: &[
        "root-path=--root-path {value}",
        "lifespan=--lifespan {value}",
        "ws-max-size=--ws-max-size {value}",
        "ws-ping-interval=--ws-ping-interval {value}",
        "ws-ping-timeout=--ws-ping-timeout {value}",
        "timeout-graceful-shutdown=--timeout-graceful-shutdown {integer}",
    ],
    client_certificate_flags: &[
        "ssl-ca-certs=--ssl-ca-certs {value}",
        "ssl-cert-reqs=--ssl-cert-reqs {value}",
    ],
};

/// The settings of hypercorn, from which anycorn comes.
const HYPERCORN: Peer = Peer {
    name: "hypercorn",
    packages: &["hypercorn"],
    python: None,
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
};

/// The servers, in the order of the results.
pub(super) const PEERS: [Peer; 13] = [
    Peer {
        name: "callgate",
        // Built from the repository.
        packages: &[WHEEL],
        module: "callgate",
        versions_of: &["callgate"],
        flags: &SETTINGS,
        ..UVICORN
    },
    UVICORN,
    Peer {
        name: "uvicorn-h11",
        packages: &["uvicorn[standard]", "h11", "wsproto"],
        versions_of: &["uvicorn", "h11", "wsproto"],
        args: "asgi_probe:app --http h11 --ws wsproto {address} {flags}",
        ..UVICORN
    },
    Peer {
        name: "uvicorn-websockets",
        versions_of: &["uvicorn", "websockets"],
        args: "asgi_probe:app --ws websockets {address} {flags}",
        ..UVICORN
    },
    // uvicorn speaks HTTP/2 with this implementation only.
    Peer {
        name: "uvicorn-zttp",
        packages: &["uvicorn[standard]", "zttp"],
        versions_of: &["uvicorn", "zttp"],
        args: "asgi_probe:app --http zttp --http2 {address} {flags}",
        ..UVICORN
    },
    HYPERCORN,
    Peer {
        name: "granian",
        packages: &["granian"],
        python: None,
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
        python: None,
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
        python: None,
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
        python: None,
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
        python: None,
        module: "anycorn",
        versions_of: &["anycorn"],
        ..HYPERCORN
    },
    Peer {
        name: "peregrine",
        packages: &["peregrine-server"],
        python: None,
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
        // The wheel for Python 3.11 cannot be imported: reports/weft-import.md.
        python: Some("3.13"),
        module: "weft",
        versions_of: &["weft-server"],
        args: "--protocol asgi --ws-compress {address} {flags} asgi_probe:app",
        cleartext: "--port {port}",
        tls: "--port {port} --tls-cert {certfile} --tls-key {keyfile}",
        flags: &[
            "root-path=--root-path {value}",
            "lifespan=--lifespan {value}",
            "ws-max-size=--ws-max-message {value}",
            "ws-ping-interval=--ws-ping-interval {value}",
            "ws-ping-timeout=--ws-ping-timeout {value}",
            "timeout-graceful-shutdown=--graceful-timeout {value}",
        ],
        client_certificate_flags: &[],
    },
];

impl Peer {
    /// Returns the environment that the server is installed in, which is created if need be; `None` if this machine
    /// does not have its version of Python.
    ///
    /// # Errors
    ///
    /// Returns how to repeat the creation that failed.
    pub(super) fn environment(&self) -> Result<Option<PythonEnvironment>, String> {
        let environment = match self.python {
            Some(version) => PythonEnvironment::named(&format!("peers-{version}"))?,
            None => PythonEnvironment::named("peers")?,
        };
        if !environment.python().exists() {
            let interpreter = match self.python {
                Some(version) => prepare::interpreter(version),
                None => Some(PYTHON3.to_owned()),
            };
            let Some(interpreter) = interpreter else {
                return Ok(None);
            };
            environment.create(&interpreter)?;
        }
        Ok(Some(environment))
    }

    /// Says that this machine does not have the version of Python that the server needs.
    pub(super) fn missing_python(&self) -> String {
        format!(
            "it needs Python {}, which is not installed here",
            self.python.unwrap_or_default()
        )
    }

    /// Installs the newest version.
    ///
    /// # Errors
    ///
    /// One line that says why the server cannot be run here.
    pub(super) fn install(&self, environment: &PythonEnvironment) -> Result<(), String> {
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

    pub(super) fn subject(
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
    pub(super) fn version(&self, environment: &PythonEnvironment) -> Result<String, String> {
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
        if let Some(version) = self.python {
            versions = format!("{versions} with Python {version}");
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
            "PYTHONPATH=conformance-tests {SUITE} {} --asgi --command 'python{} -m {} {}'{}",
            subcommand(security),
            self.python.unwrap_or_default(),
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
