//! Accepts connections: while the server runs, and from the system's queue when the server begins
//! to drain.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::select_all;

use crate::connection::{self, ConnectionInfo};
use crate::context::ServerContext;
use crate::listener::{AsyncListener, Connection, Listener};

/// How long a listener waits after a failed accept: the system has run out of a resource, which
/// another attempt at once does not change.
const PAUSE: Duration = Duration::from_secs(1);

/// Accepts and serves connections until the future is dropped.
pub(crate) async fn accept(
    context: &Arc<ServerContext>,
    listeners: &[AsyncListener],
) -> Infallible {
    let accepting = listeners.iter().map(|listener| {
        Box::pin(accept_from(
            || listener.accept(),
            |connection| begin(context, connection),
        ))
    });
    match select_all(accepting).await.0 {}
}

async fn accept_from<T, F>(mut accept: impl FnMut() -> F, mut begin: impl FnMut(T)) -> Infallible
where
    F: Future<Output = io::Result<T>>,
{
    loop {
        match accept().await {
            Ok(connection) => begin(connection),
            Err(error) if is_of_client(&error) => {}
            Err(error) => {
                tracing::error!("cannot accept a connection: {error}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Accepts and serves the connections that the system holds in the queue of `listener`. At most
/// `backlog` connections are accepted, which is the size of the queue, so that clients that go on
/// connecting do not delay the shutdown.
pub(crate) fn accept_queued(context: &Arc<ServerContext>, listener: &Listener) {
    let begin = |connection| begin(context, connection);
    accept_up_to(
        context.config.listen.backlog,
        || listener.accept_queued(),
        begin,
    );
}

fn accept_up_to<T>(
    limit: u32,
    mut accept: impl FnMut() -> io::Result<T>,
    mut begin: impl FnMut(T),
) {
    for _ in 0..limit {
        match accept() {
            Ok(connection) => begin(connection),
            Err(error) if is_of_client(&error) => {}
            Err(error) => {
                if error.kind() != io::ErrorKind::WouldBlock {
                    tracing::error!("cannot accept a connection: {error}");
                }
                return;
            }
        }
    }
}

fn begin(context: &Arc<ServerContext>, connection: Connection) {
    let Connection {
        stream,
        client,
        server,
    } = connection;
    let info = ConnectionInfo::new(context.clone(), client, server);
    context.tasks.spawn(connection::serve(info, stream));
}

/// Returns whether the error is that a client ended its connection before it was accepted. The next
/// connection can then be accepted at once.
fn is_of_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    fn exhausted() -> io::Error {
        io::Error::other("too many open files")
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_failed_accept_the_next_is_tried_after_a_pause() {
        let mut attempts = 0;
        let accepting = accept_from(
            || {
                attempts += 1;
                std::future::ready(io::Result::<()>::Err(exhausted()))
            },
            |()| panic!("nothing is accepted"),
        );
        assert!(
            tokio::time::timeout(PAUSE * 5 / 2, accepting)
                .await
                .is_err()
        );
        assert_eq!(attempts, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_left_the_queue_costs_no_pause() {
        let start = Instant::now();
        let mut results = vec![Ok(()), Err(io::ErrorKind::ConnectionAborted.into())];
        let (accepted, mut is_accepted) = tokio::sync::mpsc::unbounded_channel();
        let accepting = accept_from(
            || {
                let result = results.pop();
                async {
                    match result {
                        Some(result) => result,
                        None => std::future::pending().await,
                    }
                }
            },
            |()| accepted.send(()).unwrap(),
        );
        tokio::select! {
            _ = is_accepted.recv() => assert_eq!(start.elapsed(), Duration::ZERO),
            never = accepting => match never {},
        }
    }

    #[test]
    fn clients_that_go_on_connecting_do_not_keep_the_queue_from_its_end() {
        let mut accepted = 0;
        accept_up_to(7, || Ok(()), |()| accepted += 1);
        assert_eq!(accepted, 7);
    }

    #[test]
    fn a_client_that_left_the_queue_does_not_hide_those_behind_it() {
        let mut results = vec![
            Err(io::ErrorKind::WouldBlock.into()),
            Ok(2),
            Err(io::ErrorKind::ConnectionAborted.into()),
            Ok(1),
        ];
        let mut accepted = Vec::new();
        accept_up_to(7, || results.pop().unwrap(), |number| accepted.push(number));
        assert_eq!(accepted, [1, 2]);
    }
}
