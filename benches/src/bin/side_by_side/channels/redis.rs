//! A Redis on a port of its own, which writes nothing to the disk.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;

use crate::server::{Place, Running};

/// Returns the version of Redis, if it is installed.
pub(crate) fn version() -> Option<String> {
    let output = Command::new("redis-server")
        .arg("--version")
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (_, rest) = text.split_once("v=")?;
    rest.split_whitespace().next().map(str::to_owned)
}

/// Starts a Redis on the core of the client, so that the servers have theirs for themselves.
pub(crate) fn start(place: &Place) -> io::Result<Running> {
    // The port is free again when the listener is dropped.
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    let port = address.port().to_string();
    let directory = place.directory.display().to_string();
    let flags = ["--bind", "127.0.0.1", "--appendonly", "no", "--save", ""];
    let place = ["--port", &port, "--dir", &directory];
    let words: Vec<_> = ["redis-server"]
        .into_iter()
        .chain(flags)
        .chain(place)
        .map(str::to_owned)
        .collect();
    Running::start_quiet(&words, address, None)
}
