//! Tests of sockets of a thread that works in turns.

use std::future::poll_fn;
use std::io::IoSlice;
use std::pin::Pin;
use std::thread;
use std::time::Duration;

use callgate_drive::{task, turn};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::LocalSet;
use tokio::time::timeout;

use super::*;

/// The longest time that a test may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs `test` on a thread that works in turns, with a socket of it and with the peer of that.
fn in_turns<F>(test: impl FnOnce(Socket, TcpStream) -> F + Send + 'static)
where
    F: Future<Output = ()>,
{
    let run = || {
        task::spawn_locally();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let tasks = LocalSet::new();
        runtime.block_on(tasks.run_until(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let peer = TcpStream::connect(listener.local_addr().unwrap());
            let (peer, accepted) = tokio::join!(peer, listener.accept());
            let (stream, _) = accepted.unwrap();
            stream.writable().await.unwrap();
            let socket = Socket::from(stream);
            let test = test(socket, peer.unwrap());
            timeout(PATIENCE, test).await.expect("no write hangs");
        }));
    };
    thread::spawn(run).join().unwrap();
}

/// Returns what the peer can read now.
fn arrived(peer: &TcpStream) -> String {
    let mut octets = [0; 256];
    match peer.try_read(&mut octets) {
        Ok(length) => String::from_utf8(octets[..length].to_vec()).unwrap(),
        Err(error) => {
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
            String::new()
        }
    }
}

async fn read(peer: &mut TcpStream, length: usize) -> String {
    let mut octets = vec![0; length];
    peer.read_exact(&mut octets).await.unwrap();
    String::from_utf8(octets).unwrap()
}

/// Writes small pieces, each in a turn of its own, until a write waits. Returns how many octets were taken.
async fn write_until_it_waits(socket: &mut Socket) -> usize {
    let piece = [b'x'; 1000];
    let mut written = 0;
    loop {
        turn::begin();
        let write = poll_fn(|cx| Poll::Ready(Pin::new(&mut *socket).poll_write(cx, &piece)));
        let is_pending = write.await.is_pending();
        turn::end();
        if is_pending {
            return written;
        }
        written += piece.len();
        assert!(written < 64 << 20, "the writes do not end");
    }
}

#[test]
fn what_is_small_is_sent_at_the_end_of_the_turn() {
    in_turns(async |mut socket, mut peer| {
        turn::begin();
        socket.write_all(b"one ").await.unwrap();
        let pieces = [IoSlice::new(b"two "), IoSlice::new(b"three ")];
        assert_eq!(socket.write_vectored(&pieces).await.unwrap(), 10);
        let pieces = [IoSlice::new(b"four")];
        let more = poll_fn(|cx| socket.poll_write_more(cx, &pieces)).await;
        assert_eq!(more.unwrap(), 4);
        // The system has nothing that the runtime could report.
        tokio::task::yield_now().await;
        assert_eq!(arrived(&peer), "");
        turn::end();
        assert_eq!(read(&mut peer, 18).await, "one two three four");
        // Outside a turn nothing is kept.
        socket.write_all(b"five").await.unwrap();
        assert_eq!(read(&mut peer, 4).await, "five");
    });
}

#[test]
fn what_is_small_is_sent_at_the_end_of_a_part() {
    in_turns(async |mut socket, mut peer| {
        turn::end_part();
        turn::begin();
        socket.write_all(b"one ").await.unwrap();
        turn::end_part();
        assert_eq!(read(&mut peer, 4).await, "one ");
        socket.write_all(b"two").await.unwrap();
        tokio::task::yield_now().await;
        assert_eq!(arrived(&peer), "");
        turn::end();
        assert_eq!(read(&mut peer, 3).await, "two");
    });
}

#[test]
fn a_turn_that_lasts_is_not_waited_for() {
    in_turns(async |mut socket, mut peer| {
        turn::begin();
        socket.write_all(b"kept, ").await.unwrap();
        thread::sleep(turn::LONGEST);
        let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut other_peer = TcpStream::connect(other.local_addr().unwrap())
            .await
            .unwrap();
        let (stream, _) = other.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        let mut other = Socket::from(TcpStream::from_std(stream).unwrap());
        other.write_all(b"late").await.unwrap();
        assert_eq!(read(&mut peer, 6).await, "kept, ");
        assert_eq!(read(&mut other_peer, 4).await, "late");
        turn::end();
    });
}

#[test]
fn what_is_large_is_sent_at_once_and_in_order() {
    in_turns(async |mut socket, mut peer| {
        turn::begin();
        socket.write_all(b"small").await.unwrap();
        let large = "x".repeat(64 << 10);
        let (written, received) = tokio::join!(
            socket.write_all(large.as_bytes()),
            read(&mut peer, 5 + large.len())
        );
        written.unwrap();
        assert_eq!(received, format!("small{large}"));
        turn::end();
    });
}

#[test]
fn many_small_writes_wait_for_a_peer_that_does_not_read() {
    in_turns(async |mut socket, mut peer| {
        let written = write_until_it_waits(&mut socket).await;
        let (last, received) = tokio::join!(
            async {
                turn::begin();
                socket.write_all(b"end").await.unwrap();
                turn::end();
            },
            read(&mut peer, written + 3),
        );
        let () = last;
        assert!(received.ends_with("xend"));
        assert_eq!(received.len(), written + 3);
    });
}

#[test]
fn the_shutdown_comes_after_what_was_kept() {
    in_turns(async |mut socket, mut peer| {
        turn::begin();
        socket.write_all(b"last words").await.unwrap();
        socket.shutdown().await.unwrap();
        let mut received = String::new();
        peer.read_to_string(&mut received).await.unwrap();
        assert_eq!(received, "last words");
        turn::end();
    });
}

#[test]
fn a_socket_that_is_dropped_sends_what_it_kept_and_closes() {
    in_turns(async |mut socket, mut peer| {
        turn::begin();
        socket.write_all(b"last words").await.unwrap();
        drop(socket);
        turn::end();
        let mut received = String::new();
        peer.read_to_string(&mut received).await.unwrap();
        assert_eq!(received, "last words");
    });
}

#[test]
fn a_socket_that_is_dropped_is_closed_though_its_peer_does_not_read() {
    in_turns(async |mut socket, mut peer| {
        let written = write_until_it_waits(&mut socket).await;
        drop(socket);
        let mut received = Vec::new();
        peer.read_to_end(&mut received).await.unwrap();
        // What was kept is given up.
        assert!(received.len() < written);
    });
}

#[test]
fn a_write_after_a_loss_of_the_connection_fails() {
    in_turns(async |mut socket, peer| {
        peer.set_zero_linger().unwrap();
        drop(peer);
        // The runtime knows of the loss.
        poll_fn(|cx| socket.poll_hang_up(cx)).await;
        turn::begin();
        let _ = socket.write(b"nobody reads this").await;
        turn::end();
        let error = socket.write(b"nor this").await.unwrap_err();
        let lost = [io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe];
        assert!(lost.contains(&error.kind()), "{error:?}");
    });
}

#[test]
fn other_threads_send_each_write_at_once() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap());
        let (peer, accepted) = tokio::join!(peer, listener.accept());
        let mut socket = Socket::from(accepted.unwrap().0);
        turn::begin();
        socket.write_all(b"at once").await.unwrap();
        assert_eq!(read(&mut peer.unwrap(), 7).await, "at once");
        turn::end();
    });
}
