//! A master with its replicas, and a sentinel that watches them.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use callgate_channels::ChannelLayer;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::harness::RedisHarness;
use crate::load::{Load, settings};
use crate::server::{RedisServer, free_port};

const PASSWORD: &str = "of-the-nodes";
const SENTINEL_PASSWORD: &str = "of-the-sentinel";

/// Three nodes, the first of which is the master at first, and a sentinel.
#[derive(Debug)]
struct Watched {
    nodes: Vec<RedisServer>,
    ports: [u16; 3],
    sentinel: RedisServer,
    sentinel_port: u16,
    /// Has the file of the sentinel, which the sentinel writes as well.
    _folder: TempDir,
}

impl Watched {
    async fn start() -> Self {
        let ports = [(); 3].map(|()| free_port());
        let master = format!("127.0.0.1 {}", ports[0]);
        let mut nodes = Vec::new();
        for (index, port) in ports.into_iter().enumerate() {
            let all = ["--masterauth", PASSWORD, "--repl-diskless-sync-delay", "0"];
            let replica = ["--replicaof", &master];
            let more = if index == 0 { &[][..] } else { &replica };
            let arguments = [&all, more].concat();
            nodes.push(RedisServer::start_on(port, PASSWORD, &arguments).await);
        }
        for replica in &nodes[1..] {
            wait("a replica is in step", async || {
                let info: String = replica.command(&["INFO", "replication"]).await;
                info.contains("master_link_status:up")
            })
            .await;
        }
        let sentinel_port = free_port();
        let folder = tempfile::tempdir().expect("a directory");
        let file = folder.path().join("sentinel.conf");
        let configuration = format!(
            "sentinel monitor main {master} 1\n\
             sentinel auth-pass main {PASSWORD}\n\
             sentinel down-after-milliseconds main 500\n\
             sentinel failover-timeout main 1000\n"
        );
        std::fs::write(&file, configuration).expect("written");
        let arguments = [file.to_str().expect("a path"), "--sentinel"];
        let sentinel = RedisServer::start_on(sentinel_port, SENTINEL_PASSWORD, &arguments).await;
        let watched = Self {
            nodes,
            ports,
            sentinel,
            sentinel_port,
            _folder: folder,
        };
        wait("the sentinel knows the replicas", async || {
            let words = ["SENTINEL", "REPLICAS", "main"];
            let known: Vec<HashMap<String, String>> = watched.sentinel.command(&words).await;
            let in_step = |replica: &&HashMap<_, _>| replica["master-link-status"] == "ok";
            known.iter().filter(in_step).count() == 2
        })
        .await;
        watched
    }

    /// The first sentinel is not reached, and the second names a replica.
    async fn url(&self) -> String {
        let stale = fake_sentinel(Arc::new(self.ports[1].into())).await;
        format!(
            "redis+sentinel://:{PASSWORD}@127.0.0.1:1,127.0.0.1:{stale},127.0.0.1:{}/main\
             ?sentinel_password={SENTINEL_PASSWORD}",
            self.sentinel_port
        )
    }

    /// Waits until the sentinel names another node than the old master. Returns the node.
    async fn next_master(&self, old: usize) -> usize {
        let words = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main"];
        let master = Cell::new(old);
        wait("another master", async || {
            let (_, port): (String, u16) = self.sentinel.command(&words).await;
            let index = self.ports.iter().position(|known| *known == port);
            master.set(index.expect("one of the nodes"));
            master.get() != old
        })
        .await;
        master.get()
    }
}

/// Starts a sentinel that names the master with this port. Returns its own port.
async fn fake_sentinel(master: Arc<AtomicU16>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(BufStream::new(stream), Arc::clone(&master)));
        }
    });
    port
}

async fn answer(mut stream: BufStream<TcpStream>, master: Arc<AtomicU16>) {
    let mut line = String::new();
    while stream.read_line(&mut line).await.is_ok_and(|read| read > 0) {
        // Each word of a command is a line.
        let answer = match line.trim() {
            "GET-MASTER-ADDR-BY-NAME" => {
                let port = master.load(Ordering::Relaxed).to_string();
                format!("*2\r\n$9\r\n127.0.0.1\r\n${}\r\n{port}\r\n", port.len())
            }
            "AUTH" | "SETINFO" => "+OK\r\n".to_owned(),
            _ => String::new(),
        };
        line.clear();
        let written = stream.write_all(answer.as_bytes()).await;
        if written.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
}

pub(crate) async fn wait(what: &str, is_so: impl AsyncFn() -> bool) {
    let waiting = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(20), waiting)
        .await
        .unwrap_or_else(|_| panic!("{what}: not in time"));
}

#[tokio::test]
async fn the_rules_hold_with_sentinels() {
    let watched = Watched::start().await;
    let url = watched.url().await;
    callgate_channels::suite_run!(RedisHarness::at(&url));
}

#[tokio::test]
async fn a_master_that_is_killed_loses_nothing_in_silence() {
    let mut watched = Watched::start().await;
    let load = Load::start(&watched.url().await).await;
    load.published(20).await;
    watched.nodes[0].kill();
    load.failed().await;
    end_after_failover(&watched, load).await;
}

#[tokio::test]
async fn a_master_that_goes_on_as_a_replica_loses_nothing_in_silence() {
    let watched = Watched::start().await;
    let load = Load::start(&watched.url().await).await;
    load.published(20).await;
    watched.nodes[0].pause();
    load.failed().await;
    watched.next_master(0).await;
    // It thinks that it is the master still, until the sentinel says otherwise.
    watched.nodes[0].go_on();
    end_after_failover(&watched, load).await;
}

#[tokio::test]
async fn a_master_that_no_sentinel_names_any_more_is_left() {
    let ports = [free_port(), free_port()];
    let mut servers = Vec::new();
    for port in ports {
        servers.push(RedisServer::start_on(port, PASSWORD, &[]).await);
    }
    let named = Arc::new(AtomicU16::new(ports[0]));
    let sentinel = fake_sentinel(Arc::clone(&named)).await;
    let url = format!("redis+sentinel://:{PASSWORD}@127.0.0.1:{sentinel}/main");
    let layer = ChannelLayer::connect_with(&url, settings()).await;
    let layer = layer.expect("connected");
    named.store(ports[1], Ordering::Relaxed);
    wait("the layer connects again", async || {
        layer.metrics().reconnects > 0
    })
    .await;
    layer.group("g").publish("x").await.expect("published");
    for (server, expected) in servers.iter().zip([0, 1]) {
        let keys: usize = server.command(&["DBSIZE"]).await;
        assert_eq!(keys, expected);
    }
}

async fn end_after_failover(watched: &Watched, load: Load) {
    watched.next_master(0).await;
    load.end_after_loss().await;
}

#[tokio::test]
async fn ch_29_a_master_that_is_not_found_is_an_error_with_each_reason() {
    let server = RedisServer::start_on(free_port(), "secret", &[]).await;
    drop(server);
    let url = "redis+sentinel://:secret@127.0.0.1:1,127.0.0.1:2/main?sentinel_password=secret";
    let error = ChannelLayer::connect_with(url, settings()).await.map(drop);
    let message = error.expect_err("nothing listens").to_string();
    let expected = "cannot reach redis main (sentinels 127.0.0.1:1, 127.0.0.1:2): \
         sentinel 127.0.0.1:1: Connection refused (os error 111); \
         sentinel 127.0.0.1:2: Connection refused (os error 111)";
    assert_eq!(message, expected);
}
