//! The `callgate-conformance` command: checks the example applications, and servers, by default the
//! reference server.

use std::ffi::OsString;
use std::process::ExitCode;

use callgate_apps::Settings;
use callgate_conformance::Probe;
use callgate_conformance::cli::{self, Subjects};
use callgate_server::cli::Flags;
use clap::Parser;

fn main() -> ExitCode {
    let settings = match Settings::from_env() {
        Ok(settings) => settings,
        Err(status) => return status,
    };
    let subjects = Subjects::new().server("the reference server", serve);
    let subjects = callgate_apps::all()
        .iter()
        .fold(subjects, |subjects, entry| {
            let settings = settings.clone();
            subjects.app(entry.name, move || (entry.app)(&settings))
        });
    cli::main(subjects)
}

/// The flags of the reference server.
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
