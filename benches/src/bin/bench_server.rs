//! A server of the measurements as a program, which writes its address and serves until it is killed.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;

use callgate_benches::app::BenchApp;
use callgate_benches::group;
use callgate_benches::peers::{actix, axum, hyper, tungstenite};
use callgate_server::cli::{self, Flags};
use clap::{Args, Parser};

/// Serves the paths of the measurements on one thread
#[derive(Debug, Parser)]
enum Server {
    /// The reference server of Callgate
    Callgate {
        /// The directory of the files that are sent, an absolute path
        #[arg(long, default_value = "/nonexistent")]
        directory: PathBuf,
        #[command(flatten)]
        flags: Box<Flags>,
    },
    /// hyper, over HTTP/1.1 and HTTP/2
    Hyper {
        /// Let the responses to pipelined requests leave together
        #[arg(long)]
        pipeline_flush: bool,
        #[command(flatten)]
        port: Port,
    },
    /// axum
    Axum(Port),
    /// actix-web, over HTTP/1.1
    Actix(Port),
    /// tokio-tungstenite, for WebSockets
    Tungstenite {
        /// The size of the read buffer, in bytes, in place of the library's default
        #[arg(long)]
        read_buffer: Option<usize>,
        #[command(flatten)]
        port: Port,
    },
    /// The reference server of Callgate, with a group of the channel layer
    Group {
        /// The channel layer: memory, or the URL of a Redis
        #[arg(long, default_value = "memory")]
        channels: String,
        #[command(flatten)]
        flags: Box<Flags>,
    },
}

#[derive(Args, Debug)]
struct Port {
    /// The port to listen on; 0 picks a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
}

impl Port {
    fn bind(&self) -> io::Result<TcpListener> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port))?;
        eprintln!("http://{}", listener.local_addr()?);
        Ok(listener)
    }
}

fn main() -> ExitCode {
    let result = match Server::parse() {
        Server::Callgate { directory, flags } => return cli::run(BenchApp::new(directory), *flags),
        Server::Hyper {
            pipeline_flush,
            port,
        } => on_runtime(&port, |listener| hyper::serve(listener, pipeline_flush)),
        Server::Axum(port) => on_runtime(&port, axum::serve),
        Server::Actix(port) => port.bind().and_then(actix::serve),
        Server::Tungstenite { read_buffer, port } => {
            on_runtime(&port, |listener| tungstenite::serve(listener, read_buffer))
        }
        Server::Group { channels, flags } => return cli::run(group::app(channels), *flags),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs `serve` on the runtime that Callgate runs on: one worker, and the main thread.
fn on_runtime<F>(port: &Port, serve: impl FnOnce(tokio::net::TcpListener) -> F) -> io::Result<()>
where
    F: Future<Output = io::Result<()>>,
{
    let listener = port.bind()?;
    listener.set_nonblocking(true)?;
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?
        .block_on(async { serve(tokio::net::TcpListener::from_std(listener)?).await })
}
