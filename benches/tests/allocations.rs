//! The number of allocations of one plain exchange. The number does not depend on the machine, so a
//! test can fix it.

use std::future::Future;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;

use callgate_benches::{app, peers};
use callgate_inspector::Inspector;
use callgate_server::{Config, Server};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

/// The allocations of one exchange. A change of this number changes the cost of every exchange, and
/// needs a reason.
const CALLGATE: u64 = 5;
/// The allocations of the same request with hyper alone.
const BARE_HYPER: u64 = 3;
/// The allocations of one exchange that an inspector keeps.
const KEPT: u64 = 23;

const WARM_UP: usize = 100;
const EXCHANGES: usize = 1000;

#[test]
fn a_plain_exchange_takes_a_known_number_of_allocations() {
    let runtime = runtime();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let bare_hyper = per_exchange(&runtime, address, async {
        peers::hyper::serve(listener, false).await.unwrap();
    });

    let mut config = Config::default();
    config.listen.port = 0;
    let server = Server::new(app::hello).config(config).bind().unwrap();
    let address = server.local_addr().unwrap();
    let callgate = per_exchange(&runtime, address, async {
        server.serve_until(std::future::pending()).await.unwrap();
    });

    println!("allocations per exchange: {callgate}; of bare hyper: {bare_hyper}");
    assert_eq!((callgate, bare_hyper), (CALLGATE, BARE_HYPER));
}

#[test]
fn an_inspector_allocates_only_while_somebody_looks() {
    let runtime = runtime();
    let inspector = Inspector::new();
    let serve = || {
        let mut config = Config::default();
        config.listen.port = 0;
        let app = inspector.inspect(app::hello);
        let server = Server::new(app).config(config).bind().unwrap();
        let address = server.local_addr().unwrap();
        per_exchange(&runtime, address, async {
            server.serve_until(std::future::pending()).await.unwrap();
        })
    };
    let unwatched = serve();
    let watch = inspector.watch();
    let kept = serve();
    drop(watch);

    println!("allocations per exchange: {unwatched}; while somebody looks: {kept}");
    assert_eq!((unwatched, kept), (CALLGATE, KEPT));
}

/// The whole server runs on the one thread whose allocations are counted.
fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Returns the allocations of `server`, which listens on `address`, per exchange, over many
/// exchanges on one connection.
fn per_exchange(
    runtime: &Runtime,
    address: SocketAddr,
    server: impl Future<Output = ()> + Send + 'static,
) -> u64 {
    let server = runtime.spawn(server);
    let (warm, is_warm) = oneshot::channel();
    let (go, may_go) = std::sync::mpsc::channel();
    let (done, is_done) = oneshot::channel();
    // The client runs on a thread of its own, whose allocations are not counted.
    let client = thread::spawn(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        exchange(&mut stream, WARM_UP);
        warm.send(()).unwrap();
        may_go.recv().unwrap();
        exchange(&mut stream, EXCHANGES);
        done.send(()).unwrap();
        stream
    });
    runtime.block_on(is_warm).unwrap();
    let counted = allocation_counter::measure(|| {
        go.send(()).unwrap();
        runtime.block_on(is_done).unwrap();
    });
    drop(client.join().unwrap());
    server.abort();
    // Allocations that belong to no exchange, such as those of the channel here, are less than one
    // per exchange.
    counted.count_total / EXCHANGES as u64
}

/// Sends one request after the other, each when the one before it was answered.
fn exchange(stream: &mut TcpStream, count: usize) {
    const END: &[u8] = b"Hello, world!\n";
    let mut buffer = [0; 1024];
    for _ in 0..count {
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
            .unwrap();
        let mut filled = 0;
        while !buffer[..filled].ends_with(END) {
            let read = stream.read(&mut buffer[filled..]).unwrap();
            assert_ne!(read, 0, "the connection ended early");
            filled += read;
        }
        assert!(buffer.starts_with(b"HTTP/1.1 200 "));
    }
}
