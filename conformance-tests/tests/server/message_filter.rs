//! A filter between the probe and the suite. It breaks rules that the types of the protocol keep a
//! server in Rust from breaking: it changes the probe's messages to those that the probe would send of a
//! server without such types.

use std::io;
use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::proxy::listen;

/// Stands between the probe and the suite, and changes the probe's messages.
pub(crate) trait MessageFilter: Send {
    /// Takes notice of a command.
    fn command(&mut self, _command: &Value) {}

    /// Changes a message.
    fn message(&mut self, _message: &mut Value) {}
}

/// Listens in place of the suite.
pub(crate) struct Relay {
    address: SocketAddr,
    listening: JoinHandle<()>,
}

impl Relay {
    pub(crate) fn start(
        suite: SocketAddr,
        make: fn() -> Box<dyn MessageFilter>,
    ) -> io::Result<Self> {
        let listener = listen()?;
        let address = listener.local_addr()?;
        let listening = tokio::spawn(async move {
            while let Ok((probe, _)) = listener.accept().await {
                if let Ok(suite) = TcpStream::connect(suite).await {
                    tokio::spawn(relay(probe, suite, make()));
                }
            }
        });
        Ok(Self { address, listening })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// Relays line by line until one of the connections ends.
async fn relay(probe: TcpStream, suite: TcpStream, mut filter: Box<dyn MessageFilter>) {
    let _ = probe.set_nodelay(true);
    let _ = suite.set_nodelay(true);
    let (from_probe, mut to_probe) = probe.into_split();
    let (from_suite, mut to_suite) = suite.into_split();
    let mut from_probe = BufReader::new(from_probe).lines();
    let mut from_suite = BufReader::new(from_suite).lines();
    loop {
        let sent = tokio::select! {
            line = from_probe.next_line() => {
                let Ok(Some(line)) = line else { return };
                let mut message = serde_json::from_str(&line).unwrap();
                filter.message(&mut message);
                to_suite.write_all(format!("{message}\n").as_bytes()).await
            }
            line = from_suite.next_line() => {
                let Ok(Some(line)) = line else { return };
                filter.command(&serde_json::from_str(&line).unwrap());
                to_probe.write_all(format!("{line}\n").as_bytes()).await
            }
        };
        if sent.is_err() {
            return;
        }
    }
}
