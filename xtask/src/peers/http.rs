//! The servers of HTTP that are checked from outside, and their section of the results.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

use serde::Deserialize;

use super::filed;
use super::findings::{clean, read};
use super::table::{grouped, head, row, shortened};
use super::{SUITE, suite};
use crate::prepare::{self, NGINX};
use crate::step::{Step, root, shown, target};

/// The heading of the section, with which the rest of the file begins.
const HEADING: &str = "## Servers of HTTP";

/// The time in which a server must listen.
const START_TIMEOUT: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_millis(20);

/// A server, and the paths that the suite requests.
struct HttpServer {
    name: &'static str,
    /// The package whose version is that of the server, in `Cargo.lock`.
    package: Option<&'static str>,
    /// The subcommand of `bench-server`; `None` for nginx.
    program: Option<&'static str>,
    /// What the server is, for the reader.
    what: &'static str,
    path: &'static str,
    flags: &'static str,
}

const BENCH_FLAGS: &str =
    "--content-path /echo --no-content-path /no-content --streamed-path /chunks";

const SERVERS: [HttpServer; 5] = [
    HttpServer {
        name: "callgate-server",
        package: None,
        program: Some("callgate"),
        what: "the application of the measurements",
        path: "/",
        flags: "--content-path /echo --no-content-path /no-content --streamed-path /chunks --websocket-path /messages",
    },
    HttpServer {
        name: "hyper",
        package: Some("hyper"),
        program: Some("hyper"),
        what: "a service function, with `hyper_util::server::conn::auto`",
        path: "/",
        flags: BENCH_FLAGS,
    },
    HttpServer {
        name: "axum",
        package: Some("axum"),
        program: Some("axum"),
        what: "a router, with `axum::serve`",
        path: "/",
        flags: BENCH_FLAGS,
    },
    HttpServer {
        name: "actix-web",
        package: Some("actix-web"),
        program: Some("actix"),
        what: "routes, with `HttpServer::listen`",
        path: "/",
        flags: BENCH_FLAGS,
    },
    HttpServer {
        name: "nginx",
        package: None,
        program: None,
        what: "a file; HTTP/2 needs a port of its own in this version, and is not checked",
        path: "/file.txt",
        flags: "--no-content-path /no-content",
    },
];

#[derive(Debug, Deserialize)]
struct HttpReport {
    findings: Vec<HttpFinding>,
}

#[derive(Debug, Deserialize)]
struct HttpFinding {
    check: String,
    basis: String,
    level: String,
    verdict: String,
    seen: Option<String>,
}

/// A server that was checked.
struct Checked {
    server: &'static HttpServer,
    version: String,
    findings: Vec<HttpFinding>,
}

/// Returns the results of the servers of ASGI, with this section in place of the one that they have.
pub(super) fn with_section(results: &str, section: &str) -> String {
    let rest = results.split(&format!("\n{HEADING}\n")).next();
    format!("{}\n{section}", rest.unwrap_or_default())
}

/// Checks the servers, and returns their section of the results.
///
/// # Errors
///
/// The step that failed, and how to repeat it.
pub(super) fn check() -> Result<String, String> {
    prepare::tools(&[NGINX])?;
    Step::new(
        "build",
        "cargo build -p callgate-benches --bin bench-server",
    )
    .run()?;
    let checked: Result<Vec<_>, _> = SERVERS.iter().map(HttpServer::check).collect();
    Ok(section(&checked?))
}

impl HttpServer {
    fn check(&'static self) -> Result<Checked, String> {
        let failed = |error: io::Error| format!("cannot start {}: {error}", self.name);
        let running = self.start().map_err(failed)?;
        let url = format!("http://{}{}", running.address, self.path);
        let step = suite(self.name)?.arg("http").arg("--url").arg(url);
        let step = self.flags.split(' ').fold(step, Step::arg);
        // The status is 1 when a sentence is broken.
        let report = step.arg("--format=json").output_with_status(&[0, 1])?;
        let report: HttpReport = read(&report)?;
        Ok(Checked {
            server: self,
            version: self.version()?,
            findings: report.findings,
        })
    }

    fn start(&self) -> io::Result<Running> {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let target = target().map_err(io::Error::other)?;
        let mut command = match self.program {
            Some(program) => {
                let mut command = Command::new(target.join("debug").join("bench-server"));
                command
                    .arg(program)
                    .arg("--port")
                    .arg(address.port().to_string());
                command
            }
            None => {
                let mut command = Command::new("nginx");
                command.arg("-c").arg(nginx_configuration(address)?);
                command
            }
        };
        let child = command
            .current_dir(root())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let running = Running { child, address };
        let begun = Instant::now();
        while let Err(error) = TcpStream::connect(address) {
            if begun.elapsed() > START_TIMEOUT {
                return Err(error);
            }
            thread::sleep(RETRY);
        }
        Ok(running)
    }

    /// Returns the version of the server.
    fn version(&self) -> Result<String, String> {
        match (self.program, self.package) {
            (_, Some(package)) => locked_version(package),
            (Some(_), None) => Ok(env!("CARGO_PKG_VERSION").to_owned()),
            (None, None) => {
                let output = Command::new("nginx").arg("-v").output();
                let output = output.map_err(|error| format!("cannot run nginx: {error}"))?;
                let text = String::from_utf8_lossy(&output.stderr);
                let version = text.trim().split_once('/').map(|(_, version)| version);
                Ok(version.unwrap_or_default().to_owned())
            }
        }
    }

    /// Returns the command that checks the server, for a reader who has it running.
    fn command(&self) -> String {
        format!(
            "{SUITE} http --url http://127.0.0.1:8000{} {}",
            self.path, self.flags
        )
    }
}

/// A server that runs until it is dropped.
struct Running {
    child: Child,
    address: SocketAddr,
}

impl Drop for Running {
    fn drop(&mut self) {
        // A process that has ended already cannot be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes a configuration of nginx and the file that it serves. Returns the path of the configuration.
fn nginx_configuration(address: SocketAddr) -> io::Result<PathBuf> {
    // The worker is of another user, who may not read the directory where cargo builds.
    let directory = env::temp_dir().join("callgate-peers-nginx");
    fs::create_dir_all(&directory)?;
    fs::write(directory.join("file.txt"), "Hello, world!\n")?;
    let file = directory.join("nginx.conf");
    fs::write(&file, nginx_text(&directory, address))?;
    Ok(file)
}

fn nginx_text(directory: &Path, address: SocketAddr) -> String {
    let directory = shown(directory);
    format!(
        "daemon off;
master_process off;
pid {directory}/nginx.pid;
error_log stderr error;
events {{}}
http {{
  access_log off;
  client_body_temp_path {directory}/temp;
  proxy_temp_path {directory}/temp;
  fastcgi_temp_path {directory}/temp;
  uwsgi_temp_path {directory}/temp;
  scgi_temp_path {directory}/temp;
  server {{
    listen {address};
    root {directory};
    location = /no-content {{ return 204; }}
  }}
}}
"
    )
}

/// Returns the version of a package in `Cargo.lock`.
fn locked_version(package: &str) -> Result<String, String> {
    let lock = fs::read_to_string(root().join("Cargo.lock"))
        .map_err(|error| format!("cannot read Cargo.lock: {error}"))?;
    let name = format!("name = \"{package}\"\nversion = \"");
    let (_, rest) = lock
        .split_once(&name)
        .ok_or_else(|| format!("Cargo.lock has no {package}"))?;
    Ok(rest.split('"').next().unwrap_or_default().to_owned())
}

fn section(checked: &[Checked]) -> String {
    let mut text = format!(
        "{HEADING}\n\n\
         Servers that need not know Callgate or ASGI, checked from outside with `callgate-conformance http`, in cleartext. Each check \
         is a sentence of an RFC. A check counts as a server with the small application beside its name behaves; an application \
         may do better: it sees `host`, for example. `cargo xtask peers http` writes this section.\n\n"
    );
    head(
        "server, version, serves, checked, passed, broke a MUST, broke a SHOULD, not checked",
        &mut text,
    );
    for Checked {
        server,
        version,
        findings,
    } in checked
    {
        let count = |of: &dyn Fn(&HttpFinding) -> bool| {
            findings.iter().filter(|finding| of(finding)).count()
        };
        let passed = count(&|finding| finding.verdict == "passed");
        let failed =
            |level| count(&|finding| finding.verdict == "failed" && finding.level == level);
        let (must, should) = (failed("MUST"), failed("SHOULD"));
        let done = passed + must + should;
        row(
            &[
                server.name.into(),
                version.clone(),
                server.what.into(),
                done.to_string(),
                passed.to_string(),
                must.to_string(),
                should.to_string(),
                (findings.len() - done).to_string(),
            ],
            &mut text,
        );
    }
    text.push_str("\nWhat failed:\n\n");
    head(
        "server, demanded by, level, check, what was seen, reported",
        &mut text,
    );
    for Checked {
        server, findings, ..
    } in checked
    {
        for finding in findings
            .iter()
            .filter(|finding| finding.verdict == "failed")
        {
            row(
                &[
                    server.name.into(),
                    finding.basis.clone(),
                    finding.level.clone(),
                    finding.check.replace('_', " "),
                    shortened(&clean(finding.seen.as_deref().unwrap_or_default())),
                    filed::at(server.name, &finding.check),
                ],
                &mut text,
            );
        }
    }
    text.push_str("\nWhat was not checked:\n\n");
    head("server, why, checks", &mut text);
    let unchecked = checked.iter().flat_map(
        |Checked {
             server, findings, ..
         }| {
            let unchecked = findings
                .iter()
                .filter(|finding| !matches!(finding.verdict.as_str(), "passed" | "failed"));
            unchecked.map(|finding| {
                let why = clean(finding.seen.as_deref().unwrap_or_default());
                (
                    [server.name.to_owned(), why],
                    finding.check.replace('_', " "),
                )
            })
        },
    );
    for ([name, why], checks) in grouped(unchecked) {
        row(&[name, why, checks], &mut text);
    }
    text.push_str(
        "\nThe commands, with a server on port 8000 (`cargo run -p callgate-benches --bin bench-server -- hyper --port 8000`, or \
         `callgate`, `axum`, `actix`); add `--case NAME` for one check:\n\n```console\n",
    );
    let mut commands: Vec<_> = checked.iter().map(|one| one.server.command()).collect();
    commands.dedup();
    for command in commands {
        writeln!(text, "$ {command}").expect("a text can be written to");
    }
    text.push_str("```\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_takes_the_place_of_the_one_before() {
        let section = format!("{HEADING}\n\nnew\n");
        let results = format!("# Results\n\n{HEADING}\n\nold\n");
        let written = with_section(&results, &section);
        assert_eq!(written, format!("# Results\n\n{section}"));
        assert_eq!(with_section("# Results\n", &section), written);
    }
}
