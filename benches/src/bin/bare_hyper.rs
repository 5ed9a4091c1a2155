//! The plainest hyper server as a program: prints its address and serves until it is ended.

use std::io;
use std::net::Ipv4Addr;

use callgate_benches::bare_hyper;
use clap::Parser;
use tokio::net::TcpListener;

/// Answers every request with one text, over HTTP/1.1 and HTTP/2
#[derive(Debug, Parser)]
struct Flags {
    /// The port to listen on; 0 picks a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The number of threads that serve
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Let the answers to pipelined requests leave together
    #[arg(long)]
    pipeline_flush: bool,
}

fn main() -> io::Result<()> {
    let flags = Flags::parse();
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(flags.threads)
        .enable_all()
        .build()?
        .block_on(async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, flags.port)).await?;
            println!("http://{}", listener.local_addr()?);
            bare_hyper::serve(listener, flags.pipeline_flush).await
        })
}
