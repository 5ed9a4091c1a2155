//! HTTP/2, which hyper speaks. All that depends on hyper is in this folder.

mod content;
mod load;
mod pending;
mod response_body;
mod service;
mod socket;
mod watchdog;
mod websocket;

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper_util::rt::TokioTimer;
use tokio_util::task::TaskTracker;

use self::load::Load;
use self::service::ConnectionService;
use self::socket::Socket;
use self::watchdog::{Order, Watchdog};
use crate::config::Config;
use crate::connection::ConnectionInfo;
use crate::report;
use crate::stream::Stream;

/// The time of silence after which a connection that serves exchanges is pinged.
const PING_INTERVAL: std::time::Duration = std::time::Duration::from_secs(20);

/// hyper's builder of connections.
pub(crate) type Builder = http2::Builder<TrackedExecutor>;

/// Creates the builder of all connections. Its exchanges run on tasks of `tasks`.
pub(crate) fn builder(config: &Config, tasks: TaskTracker) -> Builder {
    let mut builder = http2::Builder::new(TrackedExecutor(tasks));
    builder
        .timer(TokioTimer::new())
        .auto_date_header(config.date_header)
        .max_header_list_size(u32::try_from(config.max_request_head).unwrap_or(u32::MAX))
        .keep_alive_interval(Some(PING_INTERVAL))
        .enable_connect_protocol();
    builder
}

/// Runs the exchanges of connections as tracked tasks: a shutdown waits for an exchange whose
/// connection has just ended, because its call may still be detached.
#[derive(Clone, Debug)]
pub(crate) struct TrackedExecutor(TaskTracker);

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for TrackedExecutor {
    fn execute(&self, exchange: F) {
        self.0.spawn(exchange);
    }
}

/// Serves a connection until it is over. `read` is the input that has been read from it.
pub(crate) async fn serve(info: ConnectionInfo, stream: Stream, read: Bytes) {
    let server = info.server.clone();
    let load = Arc::new(Load::new(info));
    let socket = Socket::new(stream, read, load.clone());
    let service = ConnectionService::new(load.clone());
    let mut connection = pin!(server.http2.serve_connection(socket, service));
    let mut watchdog = pin!(Watchdog::new(&server, &load));
    let mut has_waited = false;
    poll_fn(|cx| {
        // Each exchange wakes this task, and the runtime would run it right after the first of
        // them. The task goes to the end of the queue instead, so that the responses of the others
        // leave in the same write.
        if load.is_exchanging() && !has_waited {
            has_waited = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        has_waited = false;
        loop {
            if let Poll::Ready(result) = connection.as_mut().poll(cx) {
                if let Err(error) = result {
                    report::failed(load.info.client, &error);
                }
                return Poll::Ready(());
            }
            match watchdog.as_mut().poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Order::Finish) => connection.as_mut().graceful_shutdown(),
                Poll::Ready(Order::End) => return Poll::Ready(()),
            }
        }
    })
    .await;
}
