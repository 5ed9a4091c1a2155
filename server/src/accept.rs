//! Accepts connections: while the server runs, and from the system's queue when the server begins
//! to drain.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::select_all;
use tokio::time::{Instant, timeout};

use crate::connection::{self, ConnectionInfo};
use crate::context::ServerContext;
use crate::limit::Limit;
use crate::listener::{AsyncListener, Connection, Listener, Security};

/// The longest time for which a listener waits for the end of a connection, before it looks again for
/// connections that can be closed.
const PAUSE: Duration = Duration::from_millis(250);

/// The least time between two lines of the log about failed accepts.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Accepts and serves connections until the future is dropped.
pub(crate) async fn accept(
    context: &Arc<ServerContext>,
    listeners: &[AsyncListener],
) -> Infallible {
    let accepting = listeners.iter().map(|listener| {
        Box::pin(accept_from(
            context,
            || listener.accept(),
            |connection| begin(context, connection),
        ))
    });
    match select_all(accepting).await.0 {}
}

async fn accept_from<T, F>(
    context: &ServerContext,
    mut accept: impl FnMut() -> F,
    mut begin: impl FnMut(T),
) -> Infallible
where
    F: Future<Output = io::Result<T>>,
{
    let mut last_logged: Option<Instant> = None;
    loop {
        match accept().await {
            Ok(connection) => {
                // Begins also when the listener is closed while the connection waits for room.
                let _held = Held {
                    connection: Some(connection),
                    begin: &mut begin,
                };
                room(context).await;
            }
            Err(error) if is_of_client(&error) => {}
            Err(error) => {
                context.limits.reached(Limit::OpenFiles);
                if last_logged.is_none_or(|last| last.elapsed() >= LOG_INTERVAL) {
                    last_logged = Some(Instant::now());
                    tracing::error!(
                        "cannot accept a connection: {error} (idle connections are closed to make room)"
                    );
                }
                make_room(context).await;
            }
        }
    }
}

/// A connection that has been accepted, and begins when it is dropped.
struct Held<'a, T, B: FnMut(T)> {
    connection: Option<T>,
    begin: &'a mut B,
}

impl<T, B: FnMut(T)> Drop for Held<'_, T, B> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            (self.begin)(connection);
        }
    }
}

/// Waits until there is room for another connection.
async fn room(context: &ServerContext) {
    if context.registry.len() < context.max_connections {
        return;
    }
    context.limits.reached(Limit::Connections);
    while context.registry.len() >= context.max_connections {
        make_room(context).await;
    }
}

/// Closes connections that are idle, and waits until a connection has ended.
async fn make_room(context: &ServerContext) {
    let registry = &context.registry;
    // A connection that has ended since the last call may have left room already.
    if registry.ended().now_or_never().is_none() {
        registry.make_room(None);
        let _ = timeout(PAUSE, registry.ended()).await;
    }
}

/// Accepts and serves the connections that the system holds in the queue of `listener`. At most
/// `backlog` connections are accepted, which is the size of the queue, so that clients that go on
/// connecting do not delay the shutdown.
pub(crate) fn accept_queued(context: &Arc<ServerContext>, listener: &Listener, security: Security) {
    let begin = |connection| begin(context, connection);
    accept_up_to(
        context.config.listen.backlog,
        || listener.accept_queued(security),
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
        security,
    } = connection;
    let info = ConnectionInfo::new(context.clone(), client, server);
    context
        .tasks
        .spawn(connection::serve(info, stream, security));
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
    use std::future::pending;
    use std::num::NonZeroUsize;
    use std::pin::Pin;

    use callgate::{AppError, BoxApp, Receiver, Scope, Sender};

    use super::*;
    use crate::Config;
    use crate::registry::ConnectionState;

    fn exhausted() -> io::Error {
        io::Error::other("too many open files")
    }

    fn context() -> Arc<ServerContext> {
        async fn never(_: Scope, _: Receiver, _: Sender) -> Result<(), AppError> {
            Err(AppError::Unsupported)
        }
        let app = BoxApp::new(never);
        let config = Config::new().max_connections(NonZeroUsize::new(2));
        Arc::new(ServerContext::new(app, config))
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_failed_accept_the_next_is_tried_after_a_pause() {
        let context = context();
        let mut attempts = 0;
        let accepting = accept_from(
            &context,
            || {
                attempts += 1;
                std::future::ready(io::Result::<()>::Err(exhausted()))
            },
            |()| panic!("nothing is accepted"),
        );
        assert!(timeout(PAUSE * 5 / 2, accepting).await.is_err());
        assert_eq!(attempts, 3);
        assert_eq!(context.limits.count(Limit::OpenFiles), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_failed_accept_the_next_is_tried_when_a_connection_has_ended() {
        let context = context();
        let idle = context.registry.add(None);
        idle.record(ConnectionState::Idle, 1);
        let mut results = vec![Ok(()), Err(exhausted())];
        let (accepted, mut is_accepted) = tokio::sync::mpsc::unbounded_channel();
        let accepting = accept_from(
            &context,
            || {
                let result = results.pop();
                async {
                    match result {
                        Some(result) => result,
                        None => pending().await,
                    }
                }
            },
            |()| accepted.send(()).unwrap(),
        );
        let closes: Pin<Box<dyn Future<Output = Infallible>>> = Box::pin(async {
            idle.register().await;
            idle.room_needed().await;
            drop(idle);
            pending().await
        });
        let start = Instant::now();
        tokio::select! {
            biased;
            _ = is_accepted.recv() => assert_eq!(start.elapsed(), Duration::ZERO),
            never = closes => match never {},
            never = accepting => match never {},
        }
    }

    #[tokio::test]
    async fn a_connection_that_waits_for_room_begins_when_the_server_stops_accepting() {
        let context = context();
        let _open: Vec<_> = (0..context.max_connections)
            .map(|_| context.registry.add(None))
            .collect();
        let (begun, mut is_begun) = tokio::sync::mpsc::unbounded_channel();
        let accepting = accept_from(
            &context,
            || std::future::ready(Ok(())),
            |()| begun.send(()).unwrap(),
        );
        assert!(accepting.now_or_never().is_none());
        is_begun.recv().now_or_never().unwrap().unwrap();
        assert_eq!(context.limits.count(Limit::Connections), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_left_the_queue_costs_no_pause() {
        let context = context();
        let start = Instant::now();
        let mut results = vec![Ok(()), Err(io::ErrorKind::ConnectionAborted.into())];
        let (accepted, mut is_accepted) = tokio::sync::mpsc::unbounded_channel();
        let accepting = accept_from(
            &context,
            || {
                let result = results.pop();
                async {
                    match result {
                        Some(result) => result,
                        None => pending().await,
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
