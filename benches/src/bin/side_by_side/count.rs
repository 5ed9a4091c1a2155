//! The instructions and the allocations of a plain exchange, counted by valgrind.
//!
//! A server does some exchanges on one connection, and, started anew, more of them. The difference of
//! the counts, divided by the difference of the exchanges, has neither the start nor the end of the
//! process and of the connection in it.

use std::io;
use std::process::Command;

use crate::client::ExchangeClient;
use crate::server::{Place, Running, Server};

/// The servers whose exchanges are counted.
pub(crate) const SERVERS: [Server; 4] =
    [Server::Callgate, Server::Hyper, Server::Axum, Server::Actix];

const FEW: u32 = 1_000;
const MANY: u32 = 3_000;

/// What one exchange takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Count {
    pub(crate) server: Server,
    pub(crate) instructions: f64,
    pub(crate) allocations: f64,
    /// The bytes of all allocations.
    pub(crate) allocated: f64,
}

/// Returns the version of valgrind, if it is installed.
pub(crate) fn version() -> Option<String> {
    let output = Command::new("valgrind").arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().trim_start_matches("valgrind-").to_owned())
}

pub(crate) const CALLGRIND: [&str; 3] = [
    "valgrind",
    "--tool=callgrind",
    "--callgrind-out-file=/dev/null",
];
const DHAT: [&str; 3] = ["valgrind", "--tool=dhat", "--dhat-out-file=/dev/null"];

/// Counts for `server`.
pub(crate) fn count(server: Server, place: &Place) -> io::Result<Count> {
    let callgrind = Outputs::of(&CALLGRIND, server, place)?;
    let dhat = Outputs::of(&DHAT, server, place)?;
    Ok(Count {
        server,
        instructions: callgrind.per_exchange(|output| number_after(output, "Collected :"))?,
        allocated: dhat.per_exchange(|output| number_after(output, "Total:"))?,
        allocations: dhat.per_exchange(|output| {
            let (_, total) = output.split_once("Total:")?;
            number_after(total, "bytes in ")
        })?,
    })
}

/// What a tool writes about a server.
struct Outputs {
    /// After [`FEW`] exchanges.
    few: String,
    /// After [`MANY`] exchanges.
    many: String,
}

impl Outputs {
    fn of(tool: &[&str], server: Server, place: &Place) -> io::Result<Self> {
        let run = |exchanges| {
            let running = Running::start_under(tool, server, place)?;
            let mut client = ExchangeClient::connect(running.http1())?;
            for _ in 0..exchanges {
                client.exchange()?;
            }
            drop(client);
            running.terminate()
        };
        Ok(Self {
            few: run(FEW)?,
            many: run(MANY)?,
        })
    }

    /// Returns the difference for each exchange of a number that `read` finds.
    fn per_exchange(&self, read: fn(&str) -> Option<f64>) -> io::Result<f64> {
        let read = |output: &str| {
            read(output).ok_or_else(|| io::Error::other(format!("no count in: {output}")))
        };
        Ok((read(&self.many)? - read(&self.few)?) / f64::from(MANY - FEW))
    }
}

/// Returns the number that stands after `label`; its digits may have commas between them.
pub(crate) fn number_after(text: &str, label: &str) -> Option<f64> {
    let (_, rest) = text.split_once(label)?;
    let number: String = rest
        .trim_start()
        .chars()
        .take_while(|c| c.is_ascii_digit() || *c == ',')
        .filter(|c| *c != ',')
        .collect();
    number.parse().ok()
}
