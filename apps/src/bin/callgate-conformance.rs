//! The `callgate-conformance` command: checks the example applications, and servers: without being
//! told of another, the reference server.

use std::ffi::OsString;
use std::process::ExitCode;

use callgate_conformance::Probe;
use callgate_conformance::cli::{self, Subjects};
use callgate_server::cli::Flags;
use clap::Parser;

fn main() -> ExitCode {
    let subjects = Subjects::new().server("the reference server", serve);
    let subjects = callgate_apps::all()
        .iter()
        .fold(subjects, |subjects, entry| {
            subjects.app(entry.name, entry.app)
        });
    cli::main(subjects)
}

/// The flags of the reference server, on their own.
#[derive(Debug, Parser)]
struct Server {
    #[command(flatten)]
    flags: Flags,
}

fn serve(probe: Probe, flags: Vec<OsString>) -> ExitCode {
    let args = [OsString::from("callgate-conformance probe")]
        .into_iter()
        .chain(flags);
    match callgate_server::cli::parse_from(args) {
        Ok(Server { flags }) => callgate_server::cli::run(probe, flags),
        Err(status) => status,
    }
}
