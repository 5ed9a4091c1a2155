//! The wheel `callgate` beside other servers of ASGI, on the same applications in Python.

mod client;
mod idle;
mod process;
mod report;
mod server;
mod socket;
mod work;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustls::pki_types::CertificateDer;

use crate::results::Spread;
use crate::server::Place;
use crate::{client as load, machine};
use client::Target;
use process::Processes;
use server::{Server, Start};
use work::{WORKS, Work};

/// The directory of the applications.
const APPLICATIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/peers/python");
/// The environment variable with the URL of a PostgreSQL.
const DATABASE: &str = "CALLGATE_POSTGRES_URL";
/// The time before a measurement, in which Python specialises what it runs.
const WARM_UP: Duration = Duration::from_millis(500);

/// How the works are measured.
#[derive(Debug)]
pub(crate) struct Extent<'a> {
    /// The names of the works.
    pub(crate) works: Vec<&'static str>,
    pub(crate) rounds: u32,
    pub(crate) time: Duration,
    /// The interpreter of an environment with the wheel and the peers.
    pub(crate) python: &'a Path,
}

/// Returns the names of all works.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    WORKS.iter().map(|work| work.name)
}

/// What was measured of a server once.
#[derive(Clone, Copy, Debug)]
struct Outcome {
    /// Requests per second.
    rate: f64,
    /// Microseconds of processor time per request.
    cpu: f64,
    /// Megabytes of memory after the load.
    memory: f64,
}

/// The values of each server, by round. Callgate is the first.
type ByServer<T> = Vec<(Server, Vec<T>)>;

#[derive(Debug)]
struct WorkResult {
    work: &'static Work,
    servers: ByServer<Outcome>,
}

/// A server that was not measured at a work, or at none.
#[derive(Debug)]
struct LeftOut {
    server: Server,
    work: Option<&'static Work>,
    why: String,
}

/// All results of a run.
#[derive(Debug, Default)]
struct Results {
    works: Vec<WorkResult>,
    /// The kilobytes that a WebSocket takes.
    idle: Option<WorkIdle>,
    left_out: Vec<LeftOut>,
    /// The works that were not measured, and why.
    skipped: Vec<(&'static Work, String)>,
}

#[derive(Debug)]
struct WorkIdle {
    work: &'static Work,
    servers: ByServer<f64>,
}

impl WorkResult {
    fn outcomes(&self, server: Server) -> Option<&[Outcome]> {
        let (_, outcomes) = self.servers.iter().find(|(each, _)| *each == server)?;
        Some(outcomes)
    }

    fn values(&self, server: Server, value: fn(&Outcome) -> f64) -> Option<Spread> {
        Some(Spread::of(self.outcomes(server)?.iter().map(value)))
    }

    /// Returns the ratios of Callgate's values to those of a peer, each within one round.
    fn ratio(&self, peer: Server, value: fn(&Outcome) -> f64) -> Option<Spread> {
        let ours = self.outcomes(Server::Callgate)?.iter();
        let rounds = ours.zip(self.outcomes(peer)?);
        Some(Spread::of(
            rounds.map(|(ours, theirs)| value(ours) / value(theirs)),
        ))
    }

    /// Returns the peer that takes the least processor time.
    fn fastest_peer(&self) -> Option<Server> {
        let peers = self.servers.iter().map(|&(server, _)| server);
        let peers = peers.filter(|&server| server != Server::Callgate);
        let times = peers.filter_map(|peer| {
            let time = self.values(peer, |outcome| outcome.cpu)?;
            Some((peer, time.median))
        });
        let fastest = times.min_by(|(_, one), (_, other)| one.total_cmp(other));
        fastest.map(|(peer, _)| peer)
    }
}

/// What all measurements share.
struct Laboratory<'a> {
    extent: &'a Extent<'a>,
    place: &'a Place,
    python: PathBuf,
    certificate: (PathBuf, PathBuf),
    trusted: CertificateDer<'static>,
    /// The address of the server that `raw.py` asks.
    socket: String,
}

/// Measures the works that are wanted, and returns the report.
pub(crate) fn measure(extent: &Extent<'_>, place: &Place) -> io::Result<String> {
    let versions = server::versions(extent.python)
        .ok_or_else(|| io::Error::other("there is no such interpreter of Python"))?;
    let is_installed = |server: &Server| versions.iter().any(|(name, _)| name == server.name());
    if !is_installed(&Server::Callgate) {
        return Err(io::Error::other("the wheel is not installed"));
    }
    let mut results = Results::default();
    for server in Server::ALL {
        if !is_installed(&server) {
            println!("{} is not installed, and is left out.", server.name());
            results.left_out.push(LeftOut {
                server,
                work: None,
                why: "it could not be installed".to_owned(),
            });
        }
    }
    let load_before = machine::load();
    let laboratory = Laboratory::new(extent, place)?;
    let database = make_table(&laboratory.python);
    for work in &WORKS {
        if !extent.works.contains(&work.name) {
            continue;
        }
        println!("\nPython: {}", work.title);
        if let (true, Err(why)) = (work.needs_database, &database) {
            println!("  left out: {why}");
            results.skipped.push((work, why.clone()));
            continue;
        }
        let servers: Vec<_> = Server::ALL
            .into_iter()
            .filter(|server| is_installed(server) && server.offers(work))
            .collect();
        if work.workers > 1 {
            crate::bind_to(&machine::all_cores());
        }
        laboratory.measure(work, &servers, &mut results);
        crate::bind_to(crate::CORE_OF_THE_CLIENT);
    }
    let loads = [load_before, machine::load()];
    Ok(report::write(&results, extent, place, &versions, &loads))
}

/// Makes the table of the works with a database.
fn make_table(python: &Path) -> Result<(), String> {
    if std::env::var_os(DATABASE).is_none() {
        return Err(format!("there is no PostgreSQL in {DATABASE}"));
    }
    let script = Path::new(APPLICATIONS).join("brands.py");
    let output = Command::new(python).arg("-B").arg(script).output();
    let output = output.map_err(|reason| reason.to_string())?;
    match output.status.success() {
        true => Ok(()),
        false => {
            eprint!("{}", String::from_utf8_lossy(&output.stderr));
            Err("the table could not be made".to_owned())
        }
    }
}

impl<'a> Laboratory<'a> {
    fn new(extent: &'a Extent<'a>, place: &'a Place) -> io::Result<Self> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
        let made = made.map_err(io::Error::other)?;
        let file = |name: &str| place.directory.join(name);
        let certificate = (file("certificate.pem"), file("key.pem"));
        fs::write(&certificate.0, made.cert.pem())?;
        fs::write(&certificate.1, made.signing_key.serialize_pem())?;
        Ok(Self {
            extent,
            place,
            // The path of an environment, which is not the interpreter that it leads to.
            python: std::path::absolute(extent.python)?,
            certificate,
            trusted: made.cert.der().clone(),
            socket: socket::serve()?.to_string(),
        })
    }

    /// Measures a work, server by server in turns. A server that fails is left out from there on.
    fn measure(&self, work: &'static Work, servers: &[Server], results: &mut Results) {
        let left_out = &mut results.left_out;
        if let work::Traffic::IdleWebSockets(count) = work.traffic {
            let once = |server: Server| {
                let processes = self.start(server, work)?;
                let memory = idle::measure(&processes, count)?;
                println!("  {:<12} {memory:>9.1} KB each", server.name());
                Ok(memory)
            };
            let servers = self.in_turns(work, servers, left_out, once);
            results.idle = Some(WorkIdle { work, servers });
            return;
        }
        let once = |server: Server| {
            let outcome = self.load(server, work)?;
            println!(
                "  {:<12} {:>9.0} {}/s {:>9.1} us CPU {:>7.1} MB",
                server.name(),
                outcome.rate,
                work.traffic.unit(),
                outcome.cpu,
                outcome.memory
            );
            Ok(outcome)
        };
        let servers = self.in_turns(work, servers, left_out, once);
        results.works.push(WorkResult { work, servers });
    }

    fn in_turns<T>(
        &self,
        work: &'static Work,
        servers: &[Server],
        left_out: &mut Vec<LeftOut>,
        mut once: impl FnMut(Server) -> io::Result<T>,
    ) -> ByServer<T> {
        let mut measured: ByServer<T> = servers.iter().map(|&each| (each, Vec::new())).collect();
        for round in 0..self.extent.rounds {
            let mut order: Vec<_> = measured.iter().map(|&(server, _)| server).collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for server in order {
                match once(server) {
                    Ok(value) => {
                        let of_server = measured.iter_mut().find(|(each, _)| *each == server);
                        of_server.expect("it is measured").1.push(value);
                    }
                    Err(error) => {
                        let last_words = Processes::last_words(&self.log());
                        println!("  {:<12} left out: {error} ({last_words})", server.name());
                        measured.retain(|(each, _)| *each != server);
                        left_out.push(LeftOut {
                            server,
                            work: Some(work),
                            why: error.to_string(),
                        });
                    }
                }
            }
        }
        measured
    }

    /// Returns the file of what the last server has written.
    fn log(&self) -> PathBuf {
        self.place.directory.join("python.log")
    }

    fn start(&self, server: Server, work: &Work) -> io::Result<Processes> {
        let address = process::free_address()?;
        let start = Start {
            work,
            port: address.port(),
            certificate: (&self.certificate.0, &self.certificate.1),
        };
        let all_cores = machine::all_cores();
        let cores = match (self.place.core, work.workers) {
            (None, _) => None,
            (core, 1) => core,
            _ => Some(all_cores.as_str()),
        };
        let mut command = match cores {
            Some(cores) => {
                let mut command = Command::new("taskset");
                command.args(["--cpu-list", cores]).arg(&self.python);
                command
            }
            None => Command::new(&self.python),
        };
        command
            .args(server.arguments(&start))
            .current_dir(APPLICATIONS)
            .env("PYTHONPATH", APPLICATIONS)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("BENCH_SOCKET", &self.socket);
        let processes = Processes::start(command, address, &self.log())?;
        processes.settle()?;
        Ok(processes)
    }

    fn load(&self, server: Server, work: &Work) -> io::Result<Outcome> {
        let processes = self.start(server, work)?;
        let tls = work.is_tls.then(|| client::trusting(self.trusted.clone()));
        let target = Target {
            address: processes.address(),
            tls: tls.transpose()?,
        };
        let measured = load::load_with(
            || client::begin(work.traffic, &target),
            || processes.cpu_time(),
            WARM_UP,
            self.extent.time,
        )?;
        Ok(Outcome {
            rate: measured.rate,
            cpu: measured.cpu,
            memory: processes.memory()? as f64 / 1024.0 / 1024.0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(cpu: f64) -> Outcome {
        Outcome {
            rate: 1.0,
            cpu,
            memory: 1.0,
        }
    }

    #[test]
    fn a_peer_is_the_fastest_by_the_median_of_its_processor_time() {
        let result = WorkResult {
            work: &WORKS[0],
            servers: vec![
                (Server::Callgate, [1.0, 2.0, 3.0].map(outcome).into()),
                (Server::Weft, [4.0, 4.0, 4.0].map(outcome).into()),
                (Server::Granian, [1.0, 5.0, 5.0].map(outcome).into()),
            ],
        };
        assert_eq!(result.fastest_peer(), Some(Server::Weft));
        let ratio = result.ratio(Server::Weft, |outcome| outcome.cpu);
        assert_eq!(ratio.unwrap().to_string(), "0.50 (0.25..0.75)");
        assert!(
            result
                .ratio(Server::Uvicorn, |outcome| outcome.cpu)
                .is_none()
        );
    }

    #[test]
    fn works_have_names_of_their_own() {
        let mut names: Vec<_> = names().collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), WORKS.len());
    }
}
