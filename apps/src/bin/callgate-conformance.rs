//! The `callgate-conformance` command: checks servers against the documents; without being told of
//! another, the reference server.

use std::ffi::OsString;
use std::process::ExitCode;

use callgate_conformance::Probe;
use callgate_conformance::cli::{self, Subjects};
use callgate_server::cli::Flags;
use clap::Parser;

fn main() -> ExitCode {
    cli::main(Subjects::new().server("the reference server", serve))
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
