//! Accepts connections: while the server runs, and from the system's queue when the server begins
//! to drain.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::select_all;
use tokio::time::{Instant, timeout};

use crate::connection::{self, ConnectionInfo};
use crate::context::{ServerContext, max_open_files};
use crate::limit::Limit;
use crate::listener::{AsyncListener, Connection, Listener, Security};
use crate::registry::Registry;
use crate::stream::Stream;

/// The longest time for which a listener waits for the end of a connection, before it looks again for
/// connections that can be closed.
const PAUSE: Duration = Duration::from_millis(250);

/// The least time between two lines of the log about failed accepts.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Accepts and serves connections until the future is dropped.
///
/// The listeners of clients leave the last files that the process may open to the rest of the process. The
/// admin listener takes them, so that it is reached when clients have taken all others.
pub(crate) async fn accept(
    context: &Arc<ServerContext>,
    listeners: &[AsyncListener],
) -> Infallible {
    let room = Room {
        context,
        others: None,
        first_reserved_file: first_reserved_file(),
    };
    accept_with(room, context, listeners).await
}

/// Accepts and serves connections of the admin listener until the future is dropped. Connections of `server`
/// make room for them.
pub(crate) async fn accept_admin(
    context: &Arc<ServerContext>,
    listeners: &[AsyncListener],
    server: &ServerContext,
) -> Infallible {
    let room = Room {
        context,
        others: Some(&server.registry),
        first_reserved_file: None,
    };
    accept_with(room, context, listeners).await
}

async fn accept_with(
    room: Room<'_>,
    context: &Arc<ServerContext>,
    listeners: &[AsyncListener],
) -> Infallible {
    let accepting = listeners.iter().map(|listener| {
        Box::pin(accept_from(
            room,
            || listener.accept(),
            |connection| file_number(&connection.stream),
            |connection| begin(context, connection),
        ))
    });
    match select_all(accepting).await.0 {}
}

async fn accept_from<T, F>(
    room: Room<'_>,
    mut accept: impl FnMut() -> F,
    file_number: impl Fn(&T) -> u64,
    mut begin: impl FnMut(T),
) -> Infallible
where
    F: Future<Output = io::Result<T>>,
{
    let mut last_logged: Option<Instant> = None;
    loop {
        match accept().await {
            Ok(connection) => {
                let number = file_number(&connection);
                // Begins also when the listener is closed while the connection waits for room.
                let _held = Held {
                    connection: Some(connection),
                    begin: &mut begin,
                };
                if room.is_reserved(number) {
                    room.context.limits.reached(Limit::OpenFiles);
                    log(&mut last_logged, &"few files are left");
                    room.wait_for_end().await;
                }
                room.wait_for_place().await;
            }
            Err(error) if is_of_client(&error) => {}
            Err(error) => {
                room.context.limits.reached(Limit::OpenFiles);
                log(&mut last_logged, &error);
                room.make().await;
            }
        }
    }
}

/// Logs why a connection is not accepted, unless that has been logged lately.
fn log(last_logged: &mut Option<Instant>, reason: &dyn fmt::Display) {
    if last_logged.is_none_or(|last| last.elapsed() >= LOG_INTERVAL) {
        *last_logged = Some(Instant::now());
        tracing::error!(
            "cannot accept a connection: {reason} (idle connections are closed to make room)"
        );
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

/// The room for the connections of a listener.
#[derive(Clone, Copy)]
struct Room<'a> {
    context: &'a ServerContext,
    /// Other connections that make room. Their own listener waits for their end.
    others: Option<&'a Registry>,
    /// The number of the first file that a connection takes only when another has ended.
    first_reserved_file: Option<u64>,
}

impl Room<'_> {
    /// Returns whether a file is one of the last that the process may open: a new file has the lowest number
    /// that is free.
    fn is_reserved(&self, file: u64) -> bool {
        self.first_reserved_file.is_some_and(|first| file >= first)
    }

    /// Waits until there is a place for another connection.
    async fn wait_for_place(&self) {
        let Self { context, .. } = self;
        if context.registry.len() < context.max_connections {
            return;
        }
        context.limits.reached(Limit::Connections);
        while context.registry.len() >= context.max_connections {
            self.make().await;
        }
    }

    /// Waits until a connection has ended, if there is one.
    async fn wait_for_end(&self) {
        while self.context.registry.len() > 0 && !self.make().await {}
    }

    /// Closes connections that are idle, and waits until a connection has ended. Returns whether one has.
    async fn make(&self) -> bool {
        let registry = &self.context.registry;
        // A connection that has ended since the last call may have left room already.
        if registry.ended().now_or_never().is_some() {
            return true;
        }
        registry.make_room(None);
        if let Some(others) = self.others {
            others.make_room(None);
        }
        timeout(PAUSE, registry.ended()).await.is_ok()
    }
}

/// The files that are left to the rest of the process: at most so many, and at most an eighth of all.
const RESERVED_FILES: u64 = 16;

/// Returns the number of the first file that is left to the rest of the process; `None` without a limit.
fn first_reserved_file() -> Option<u64> {
    max_open_files().map(|limit| limit - (limit / 8).min(RESERVED_FILES))
}

/// Returns the number of a connection's file.
#[cfg(unix)]
fn file_number(stream: &Stream) -> u64 {
    use std::os::fd::AsRawFd as _;
    u64::try_from(stream.as_socket().as_raw_fd()).unwrap_or(0)
}

#[cfg(not(unix))]
fn file_number(_: &Stream) -> u64 {
    0
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
    context.spawn_tracked(connection::serve(info, stream, security));
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
    use std::pin::{Pin, pin};

    use callgate::BoxApp;

    use super::*;
    use crate::Config;
    use crate::registry::ConnectionState;
    use crate::test_app::never;

    fn exhausted() -> io::Error {
        io::Error::other("too many open files")
    }

    fn context() -> Arc<ServerContext> {
        let app = BoxApp::new(never);
        let config = Config::new().max_connections(NonZeroUsize::new(2));
        Arc::new(ServerContext::new(app, config))
    }

    /// The room of a server whose files are reserved from number 10 on.
    fn room(context: &ServerContext) -> Room<'_> {
        Room {
            context,
            others: None,
            first_reserved_file: Some(10),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_takes_a_reserved_file_begins_when_another_has_ended() {
        let context = context();
        let open = context.registry.add(None);
        let mut numbers = vec![10, 9];
        let (begun, mut is_begun) = tokio::sync::mpsc::unbounded_channel();
        let mut accepting = pin!(accept_from(
            room(&context),
            || {
                let number = numbers.pop();
                async move {
                    match number {
                        Some(number) => Ok(number),
                        None => pending().await,
                    }
                }
            },
            |number| *number,
            |number| begun.send(number).unwrap(),
        ));
        assert!(timeout(PAUSE * 3, &mut accepting).await.is_err());
        assert_eq!(is_begun.try_recv(), Ok(9));
        assert!(is_begun.try_recv().is_err());
        drop(open);
        assert!(timeout(PAUSE, &mut accepting).await.is_err());
        assert_eq!(is_begun.try_recv(), Ok(10));
        assert_eq!(context.limits.count(Limit::OpenFiles), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn idle_connections_of_the_server_make_room_for_its_admin_listener() {
        let (admin, server) = (context(), context());
        let idle = server.registry.add(None);
        idle.record(ConnectionState::Idle, 1);
        let room = Room {
            others: Some(&server.registry),
            ..room(&admin)
        };
        room.make().await;
        assert!(idle.must_make_room());
        // The listener of the server is woken by the end of its connection.
        drop(idle);
        assert!(server.registry.ended().now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_failed_accept_the_next_is_tried_after_a_pause() {
        let context = context();
        let mut attempts = 0;
        let accepting = accept_from(
            room(&context),
            || {
                attempts += 1;
                std::future::ready(io::Result::<()>::Err(exhausted()))
            },
            |()| 0,
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
            room(&context),
            || {
                let result = results.pop();
                async {
                    match result {
                        Some(result) => result,
                        None => pending().await,
                    }
                }
            },
            |()| 0,
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
            room(&context),
            || std::future::ready(Ok(())),
            |()| 0,
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
            room(&context),
            || {
                let result = results.pop();
                async {
                    match result {
                        Some(result) => result,
                        None => pending().await,
                    }
                }
            },
            |()| 0,
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
