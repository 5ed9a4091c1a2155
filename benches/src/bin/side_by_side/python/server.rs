//! The servers that are compared, and how each is started.

use std::path::Path;
use std::process::Command;

use super::work::{Interface, Work};

/// A server of ASGI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Server {
    /// The wheel.
    Callgate,
    Uvicorn,
    Granian,
    Hypercorn,
    Gunicorn,
    Weft,
    H2corn,
}

/// What a server is started with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start<'a> {
    pub(super) work: &'a Work,
    pub(super) port: u16,
    /// The files of a certificate and of its key.
    pub(super) certificate: (&'a Path, &'a Path),
}

impl Server {
    pub(super) const ALL: [Self; 7] = [
        Self::Callgate,
        Self::Uvicorn,
        Self::Granian,
        Self::Hypercorn,
        Self::Gunicorn,
        Self::Weft,
        Self::H2corn,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Callgate => "callgate",
            Self::Uvicorn => "uvicorn",
            Self::Granian => "granian",
            Self::Hypercorn => "hypercorn",
            Self::Gunicorn => "gunicorn",
            Self::Weft => "weft-server",
            Self::H2corn => "h2corn",
        }
    }

    /// Returns whether the server can do this work by its documents.
    pub(super) fn offers(self, work: &Work) -> bool {
        let has_wsgi = matches!(
            self,
            Self::Callgate | Self::Granian | Self::Gunicorn | Self::Weft
        );
        let has_http2 = self != Self::Uvicorn;
        (work.interface == Interface::Asgi || has_wsgi) && (!work.is_http2() || has_http2)
    }

    /// Returns the arguments of Python.
    pub(super) fn arguments(self, start: &Start<'_>) -> Vec<String> {
        let Start {
            work,
            port,
            certificate: (certificate, key),
        } = *start;
        let (certificate, key) = (certificate.display(), key.display());
        let (app, workers) = (work.app, work.workers);
        let is_wsgi = work.interface == Interface::Wsgi;
        let if_wsgi = |flags: &'static str| if is_wsgi { flags } else { "" };
        let if_http2 = |flags: &'static str| if work.is_http2() { flags } else { "" };
        let if_idle = |flags: &'static str| if work.is_idle() { flags } else { "" };
        let tls = |[first, second]: [&str; 2]| match work.is_tls {
            true => format!("{first} {certificate} {second} {key}"),
            false => String::new(),
        };
        let pem = || tls(["--certfile", "--keyfile"]);
        let uvicorn_pem = || tls(["--ssl-certfile", "--ssl-keyfile"]);
        let command = match self {
            Self::Callgate => format!(
                "callgate {app} --port {port} --workers {workers} {} {}",
                if_wsgi("--interface wsgi"),
                uvicorn_pem()
            ),
            Self::Uvicorn => format!(
                "uvicorn {app} --port {port} --workers {workers} --no-access-log --log-level warning {}",
                uvicorn_pem()
            ),
            Self::Granian => format!(
                "granian {app} --port {port} --workers {workers} --interface {} --loop uvloop {} {}",
                if is_wsgi { "wsgi" } else { "asgi" },
                if_idle("--backpressure 20000"),
                tls(["--ssl-certificate", "--ssl-keyfile"])
            ),
            Self::Hypercorn => format!(
                "hypercorn {app} --bind 127.0.0.1:{port} --workers {workers} --worker-class uvloop {}",
                pem()
            ),
            Self::Gunicorn => format!(
                "gunicorn {app} --bind 127.0.0.1:{port} --workers {workers} --worker-class {} --no-control-socket {} {} {}",
                if is_wsgi {
                    "gthread --threads 4"
                } else {
                    "asgi"
                },
                if_http2("--http-protocols h2,h1 --http2-cleartext both"),
                if_idle("--worker-connections 20000"),
                pem()
            ),
            Self::Weft => format!(
                "weft {app} --port {port} --workers {workers} {} {} {}",
                if_wsgi("--protocol wsgi"),
                if_idle("--max-connections 20000"),
                tls(["--tls-cert", "--tls-key"])
            ),
            Self::H2corn => format!(
                "h2corn {app} --bind 127.0.0.1:{port} --workers {workers} --no-access-log {}",
                pem()
            ),
        };
        let words = ["-m"].into_iter().chain(command.split_whitespace());
        words.map(str::to_owned).collect()
    }

    /// Returns the command of a work as a reader would type it.
    pub(super) fn shown(self, work: &Work) -> String {
        let arguments = self.arguments(&Start {
            work,
            port: 8000,
            certificate: (Path::new("CERTIFICATE"), Path::new("KEY")),
        });
        format!("python {}", arguments.join(" "))
    }
}

/// The packages that belong to the results, beside the servers.
const LIBRARIES: [&str; 8] = [
    "uvloop",
    "httptools",
    "websockets",
    "h2",
    "fastapi",
    "asyncpg",
    "flask",
    "psycopg2-binary",
];

/// Returns the version of Python, and those packages of the servers and their libraries that are installed.
pub(super) fn versions(python: &Path) -> Option<Vec<(String, String)>> {
    let script = "\
import platform, sys
from importlib import metadata
print('Python', platform.python_version())
for name in sys.argv[1:]:
    try:
        print(name, metadata.version(name))
    except metadata.PackageNotFoundError:
        pass";
    let names = Server::ALL.map(Server::name).into_iter().chain(LIBRARIES);
    let output = Command::new(python)
        .args(["-c", script])
        .args(names)
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let pairs = text.lines().filter_map(|line| line.split_once(' '));
    let pairs = pairs.map(|(name, version)| (name.to_owned(), version.to_owned()));
    output.status.success().then(|| pairs.collect())
}
