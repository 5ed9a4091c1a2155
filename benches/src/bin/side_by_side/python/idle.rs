//! The memory that an idle WebSocket takes.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::net::TcpStream;

use super::process::Processes;
use crate::client::{connect, unexpected, websocket};

/// The WebSockets that are open before memory is measured for the first time.
const FIRST: usize = 20;
/// How many WebSockets are opened at a time.
const OPENING: usize = 32;
/// The longest time until all are open.
const SETUP: Duration = Duration::from_secs(60);
/// What the server frees after the last handshake is freed in this time.
const REST: Duration = Duration::from_millis(500);

/// Returns the kilobytes that each of this many WebSockets takes.
pub(super) fn measure(processes: &Processes, count: usize) -> io::Result<f64> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let all = tokio::time::timeout(SETUP, async {
            let _first = open(processes.address(), FIRST).await?;
            let before = processes.memory()?;
            let sockets = open(processes.address(), count).await?;
            tokio::time::sleep(REST).await;
            let after = processes.memory()?;
            for socket in &sockets {
                check_is_open(socket)?;
            }
            Ok((after as f64 - before as f64) / 1024.0 / count as f64)
        });
        all.await?
    })
}

async fn open(address: SocketAddr, count: usize) -> io::Result<Vec<TcpStream>> {
    let open = async |_| {
        let socket = connect(address).await?;
        Ok::<_, io::Error>(websocket::open_on(socket, "/", false).await?.0)
    };
    let sockets = stream::iter(0..count).map(open);
    sockets.buffer_unordered(OPENING).try_collect().await
}

/// Checks that the server has not closed a WebSocket. It may have sent a ping.
fn check_is_open(socket: &TcpStream) -> io::Result<()> {
    const PING: u8 = 0x89;
    let mut octets = [0; 64];
    match socket.try_read(&mut octets) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        Ok(count) if count > 0 && octets[0] == PING => Ok(()),
        Ok(count) => Err(unexpected("the server ended a WebSocket", &octets[..count])),
        Err(error) => Err(error),
    }
}
