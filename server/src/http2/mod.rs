//! HTTP/2, which hyper speaks. All that depends on hyper is in this folder.
//!
//! hyper's part: it reads and writes frames (by the crate `h2`), keeps the windows, compresses header
//! sections, refuses what violates RFC 9113 in frames and pseudo-fields, calls [`ConnectionService`]
//! for each request, and runs one task for each stream, which polls the response and its content.
//!
//! The server's part, on what hyper exposes:
//! - [`service`] and [`malformed`]: requests that `h2` takes although they are malformed are reset.
//! - [`content`]: content that the application waits for has a deadline.
//! - [`response_content`] and [`response_data`]: the payload of each data frame is a type of the
//!   server, so the server sees what hyper writes. Thereby the content of all streams has a bound, and
//!   the failure of an application reaches hyper only when everything before it has been written.
//! - [`stream_task`]: the task of a stream ends, and hyper thereby resets the stream, when nothing of
//!   its content is written in time.
//! - [`watchdog`] and [`socket`]: a connection ends when it is idle, when its socket takes no output
//!   in time, and when a response is stalled whose stream hyper can no longer reset ([`finished`]).
//!   After GOAWAY, new streams are refused by time, not only when the client acknowledges it.
//!
//! `h2` bounds what else a client can cause: 100 concurrent streams, 20 streams that are reset before
//! the service has been called, 1,024 that `h2` resets itself, the frames and the size of a header
//! section (`max_request_head`), and data frames with little content. It reads no further frame before
//! it has written the acknowledgement of a PING or of SETTINGS.

mod content;
mod finished;
mod load;
mod malformed;
mod pending;
mod response_content;
mod response_data;
mod service;
mod socket;
mod stream_state;
mod stream_task;
mod watchdog;
mod websocket;

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use hyper::server::conn::http2;
use hyper_util::rt::TokioTimer;
use tokio_util::task::TaskTracker;

use self::load::Load;
use self::service::ConnectionService;
use self::socket::Socket;
use self::stream_task::StreamExecutor;
use self::watchdog::{Order, Watchdog};
use crate::config::Config;
use crate::connection::ConnectionInfo;
use crate::report;
use crate::stream::Stream;

/// The time of silence after which a connection that serves exchanges is pinged.
const PING_INTERVAL: Duration = Duration::from_secs(20);

/// The number of concurrent streams of a connection.
const MAX_STREAMS: u32 = 100;

/// The window of a stream, in octets: half of the connection's, so that one stream whose application
/// does not receive leaves the others room.
const STREAM_WINDOW: u32 = 512 * 1024;

/// The window of a connection, in octets. It bounds the content of all its requests that no
/// application has received.
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// The content of one stream that h2 holds, in octets.
const SEND_BUFFER: usize = 64 * 1024;

/// hyper's builder of connections.
pub(crate) type Builder = http2::Builder<StreamExecutor>;

/// Creates the builder of all connections. Their streams run on tasks of `tasks`.
pub(crate) fn builder(config: &Config, tasks: TaskTracker) -> Builder {
    let mut builder = http2::Builder::new(StreamExecutor(tasks));
    builder
        .timer(TokioTimer::new())
        .auto_date_header(config.date_header)
        .max_header_list_size(u32::try_from(config.max_request_head).unwrap_or(u32::MAX))
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(Some(PING_INTERVAL))
        .enable_connect_protocol();
    builder
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
        load.register(cx);
        // Each stream wakes this task, and the runtime would run it right after the first of
        // them. The task goes to the end of the queue instead, so that the responses of the others
        // leave in the same write.
        if load.has_streams() && !has_waited {
            has_waited = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        has_waited = false;
        loop {
            match connection.as_mut().poll(cx) {
                Poll::Pending => {}
                // hyper returns in the middle of a connection when it resets the stream of a CONNECT
                // with content. At the end of a connection it closes the socket first.
                Poll::Ready(Ok(())) if !load.is_shut_down() => continue,
                Poll::Ready(result) => {
                    if let Err(error) = result {
                        report::failed(load.info.client, &error);
                    }
                    return Poll::Ready(());
                }
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
