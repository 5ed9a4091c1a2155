//! Messages from one task to many, without sockets, as a program of its own, whose instructions can be counted.

use std::io;

use callgate_benches::fan_out::{self, Channel};
use clap::Parser;

/// Publishes messages on one thread, and writes the nanoseconds that all of them took
#[derive(Debug, Parser)]
struct Flags {
    /// What carries the messages
    #[arg(long)]
    channel: Channel,
    /// The number of tasks that receive
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    subscribers: u64,
    /// The number of messages
    #[arg(long)]
    messages: u64,
}

fn main() -> io::Result<()> {
    let flags = Flags::parse();
    let subscribers = usize::try_from(flags.subscribers).map_err(io::Error::other)?;
    let time = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(fan_out::run(flags.channel, subscribers, flags.messages))?;
    println!("{}", time.as_nanos());
    Ok(())
}
