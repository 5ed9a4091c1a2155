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
//! - [`watchdog`] and [`socket`]: a connection ends when it is idle, when its client shows no activity
//!   after a PING, when its socket takes no output in time, and when a response is stalled whose stream
//!   hyper can no longer reset ([`finished`]). After GOAWAY, new streams are refused by time, not only
//!   when the client acknowledges it.
//! - [`flood`]: a connection ends that sends too many frames without content.
//! - [`windows`]: the socket follows the windows of the connection by its frames, so a stream is not
//!   blamed for the time in which other streams have used a window up.
//!
//! `h2` bounds what else a client can cause: concurrent streams, streams that are reset before
//! the service has been called (`--http2-max-pending-resets`), streams that `h2` resets itself
//! (`--http2-max-stream-errors`), the frames and the size of a header section (`--max-request-head`), and data
//! frames with little content. It reads no further frame before it has written the acknowledgement of a PING
//! or of SETTINGS. [`refusal`] recognises what `h2` refuses by itself, so that it is counted.
//!
//! The streams that [`service`] resets do not count for `--http2-max-stream-errors`. A proxy may pass such requests on
//! for many clients, and each costs less than a request that is served: the application is not called, and
//! the stream stays one of the concurrent streams until its reset has been written. `h2` refuses those beyond
//! them, which counts.

mod content;
mod finished;
mod flood;
mod load;
mod malformed;
mod pending;
mod refusal;
mod response_content;
mod response_data;
mod service;
mod socket;
mod stream_state;
mod stream_task;
mod unflushed_records;
mod watchdog;
mod websocket;
mod windows;

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use callgate_drive::timer::LONGEST;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::task::TaskTracker;

use self::load::Load;
use self::service::ConnectionService;
use self::socket::Socket;
use self::stream_task::StreamExecutor;
use self::watchdog::{Order, Watchdog};
use crate::config::Config;
use crate::connection::ConnectionInfo;
use crate::deadline::SILENCE;
use crate::record::Outcome;
use crate::report;

/// The content of one stream that h2 holds, in octets.
const SEND_BUFFER: usize = 64 * 1024;

/// hyper's builder of connections.
pub(crate) type Builder = http2::Builder<StreamExecutor>;

/// Creates the builder of all connections. Their streams run on tasks of `tasks`.
pub(crate) fn builder(config: &Config, tasks: TaskTracker) -> Builder {
    let mut builder = http2::Builder::new(StreamExecutor(tasks));
    builder
        .timer(TokioTimer::new())
        .auto_date_header(config.http.date_header)
        .max_header_list_size(u32::try_from(config.limits.max_request_head).unwrap_or(u32::MAX))
        .max_concurrent_streams(config.http2.max_concurrent_streams)
        .initial_stream_window_size(config.http2.stream_window)
        .initial_connection_window_size(config.http2.connection_window)
        .max_pending_accept_reset_streams(config.http2.max_pending_resets)
        .max_local_error_reset_streams(config.http2.max_stream_errors)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(Some(SILENCE / 2))
        // The watchdog ends the connection of a client that does not acknowledge the PING: hyper does
        // not see that the acknowledgement waits behind other input.
        .keep_alive_timeout(LONGEST)
        .enable_connect_protocol();
    builder
}

/// Serves a connection until it is over. `read` is the input that has been read from it.
pub(crate) async fn serve<S>(info: ConnectionInfo, stream: S, read: Bytes)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let server = info.server.clone();
    let load = Arc::new(Load::new(info));
    let socket = Socket::new(stream, read, load.clone());
    let service = ConnectionService::new(load.clone());
    let mut connection = pin!(server.http2.serve_connection(TokioIo::new(socket), service));
    let mut watchdog = pin!(Watchdog::new(&server, &load));
    let mut has_waited = false;
    let takes_records = server.takes_records;
    let end = poll_fn(|cx| {
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
            load.begin_poll();
            if takes_records {
                load.unflushed.begin_poll();
            }
            match connection.as_mut().poll(cx) {
                Poll::Pending => {}
                // hyper returns in the middle of a connection when it resets the stream of a CONNECT
                // with content. A connection is over only when the socket is closed or has failed.
                Poll::Ready(Ok(())) if !load.is_closed() => continue,
                Poll::Ready(Ok(())) => return Poll::Ready(Outcome::Complete),
                Poll::Ready(Err(error)) => {
                    report::failed(load.info.client, &error);
                    return Poll::Ready(Outcome::ClientGone);
                }
            }
            if takes_records && !load.is_writing() {
                load.unflushed.flushed();
            }
            match watchdog.as_mut().poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Order::Finish) => connection.as_mut().graceful_shutdown(),
                Poll::Ready(Order::End(outcome)) => return Poll::Ready(outcome),
            }
        }
    })
    .await;
    if takes_records {
        load.unflushed.end(end);
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::pin::Pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::task::Context;
    use std::thread;
    use std::time::Duration;

    use callgate::{
        App, AppError, BoxApp, HttpResponseBody, HttpResponseStart, ReceiveEvent, Receiver, Scope,
        Sender,
    };
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadBuf};
    use tokio::sync::Notify;
    use tokio::task::JoinHandle;
    use tokio::time::{Instant, advance, sleep, timeout};

    use super::*;
    use crate::context::ServerContext;
    use crate::deadline::CHECKS;

    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const SETTINGS: u8 = 4;
    const END_STREAM: u8 = 1;
    const END_HEADERS: u8 = 4;

    fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(payload.len()).unwrap();
        [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
    }

    /// Returns the first octets of a client, which begin a POST request.
    fn request() -> Vec<u8> {
        // Fields of the static table, and a literal `:authority` (RFC 7541, 6).
        let fields = b"\x83\x86\x84\x41\x04test";
        [
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
            frame(SETTINGS, 0, 0, &[]),
            frame(HEADERS, END_HEADERS, 1, fields),
        ]
        .concat()
    }

    fn info(app: impl App) -> ConnectionInfo {
        ConnectionInfo::new(
            Arc::new(ServerContext::new(BoxApp::new(app), Config::default())),
            None,
            None,
        )
    }

    fn connect(app: impl App) -> (DuplexStream, JoinHandle<()>) {
        let (client, stream) = tokio::io::duplex(64 * 1024);
        let serving = serve(info(app), stream, request().into());
        (client, tokio::spawn(serving))
    }

    /// Receives nothing for a long time.
    async fn busy(_: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        sleep(3 * SILENCE).await;
        while let ReceiveEvent::HttpRequestBody(content) = receiver.receive().await {
            if !content.more_body {
                sender.send(HttpResponseStart::ok()).await?;
                sender.send(HttpResponseBody::last("a response")).await?;
                break;
            }
        }
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn the_connection_of_a_silent_client_ends() {
        let start = Instant::now();
        let (_client, serving) = connect(busy);
        serving.await.unwrap();
        let waited = start.elapsed();
        let latest = SILENCE + SILENCE / CHECKS + Duration::from_millis(2);
        assert!((SILENCE..latest).contains(&waited), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_whose_acknowledgement_waits_behind_its_content_is_served() {
        let (mut client, serving) = connect(busy);
        for _ in 0..10 {
            sleep(SILENCE / 3).await;
            client.write_all(&frame(DATA, 0, 1, b"x")).await.unwrap();
        }
        client
            .write_all(&frame(DATA, END_STREAM, 1, b"x"))
            .await
            .unwrap();
        let mut output = Vec::new();
        while !output.ends_with(b"a response") {
            let read = client.read_buf(&mut output).await.unwrap();
            assert_ne!(read, 0, "the connection has ended");
        }
        drop(client);
        serving.await.unwrap();
    }

    #[tokio::test]
    async fn a_poll_of_a_connection_reads_a_part_of_much_input_so_that_other_tasks_run() {
        /// Input that is there at once.
        struct Input {
            octets: Bytes,
            /// The octets that have been read since another task has run, and the most of them.
            since: Arc<AtomicUsize>,
            most: Arc<AtomicUsize>,
        }

        impl AsyncRead for Input {
            fn poll_read(
                mut self: Pin<&mut Self>,
                _: &mut Context<'_>,
                buf: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                if self.octets.is_empty() {
                    return Poll::Pending;
                }
                let length = self.octets.len().min(buf.remaining()).min(4096);
                buf.put_slice(&self.octets.split_to(length));
                let since = self.since.fetch_add(length, Ordering::Relaxed) + length;
                self.most.fetch_max(since, Ordering::Relaxed);
                Poll::Ready(Ok(()))
            }
        }

        let data = [&[0, 0x40, 0, DATA, 0, 0, 0, 0, 1], &[b'x'; 0x4000][..]].concat();
        let octets = [request(), data.repeat(20)].concat();
        let [since, most] = [Arc::default(), Arc::<AtomicUsize>::default()];
        let input = Input {
            octets: octets.clone().into(),
            since: Arc::clone(&since),
            most: most.clone(),
        };
        let stream = tokio::io::join(input, tokio::io::sink());
        let serving = tokio::spawn(async { serve(info(busy), stream, Bytes::new()).await });
        let mut read = 0;
        while read < octets.len() {
            read += since.swap(0, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
        let most = most.load(Ordering::Relaxed);
        // The task of the connection may also be woken by its stream before the other task runs.
        assert!(most <= 160 * 1024, "{most} octets");
        serving.abort();
    }

    /// Returns a client of HTTP/2, which acknowledges PINGs.
    async fn client(app: impl App) -> h2::client::SendRequest<Bytes> {
        let (client, stream) = tokio::io::duplex(64 * 1024);
        tokio::spawn(serve(info(app), stream, Bytes::new()));
        let (client, connection) = h2::client::handshake(client).await.unwrap();
        tokio::spawn(connection);
        client
    }

    fn post(path: &str) -> http::Request<()> {
        http::Request::post(format!("http://test{path}"))
            .body(())
            .unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_has_time_to_acknowledge_a_ping_after_a_stall_of_the_runtime() {
        for until_stall in [SILENCE / 40, SILENCE / 5, 2 * SILENCE / 5] {
            let mut client = client(busy).await;
            let (response, _) = client.send_request(post("/"), true).unwrap();
            sleep(until_stall).await;
            advance(2 * SILENCE).await;
            let response = response.await;
            assert!(response.is_ok(), "{until_stall:?}: {response:?}");
        }
    }

    /// The client cannot send content of the last stream, because the applications of the others
    /// do not receive.
    #[tokio::test(start_paused = true)]
    async fn content_that_is_held_up_by_other_streams_is_late_ten_time_outs_after_its_last_frame() {
        /// Receives a part for each notification, or all content.
        async fn receive(scope: Scope, mut receiver: Receiver, notify: Arc<Notify>) {
            let is_slow = matches!(scope, Scope::Http(scope) if scope.raw_path() == "/slow");
            loop {
                if is_slow {
                    notify.notified().await;
                }
                if let ReceiveEvent::HttpDisconnect = receiver.receive().await {
                    break;
                }
            }
        }

        let notify = Arc::new(Notify::new());
        let notified = notify.clone();
        let app = move |scope: Scope, receiver: Receiver, _: Sender| {
            let notify = notified.clone();
            async move {
                receive(scope, receiver, notify).await;
                Ok(())
            }
        };
        let limit = Config::default().timeouts.request_content;
        let mut client = client(app).await;
        let mut streams = Vec::new();
        let http2 = Config::default().http2;
        for _ in 0..http2.connection_window / http2.stream_window {
            let (response, mut content) = client.send_request(post("/slow"), false).unwrap();
            let octets = vec![b'x'; 2 * http2.stream_window as usize];
            content.send_data(octets.into(), false).unwrap();
            streams.push((response, content));
        }
        let (mut response, mut content) = client.send_request(post("/"), false).unwrap();
        content.send_data("x".into(), false).unwrap();
        timeout(8 * limit, &mut response).await.unwrap_err();
        notify.notify_one();
        let start = Instant::now();
        let response = timeout(20 * limit, response).await.expect("a response");
        assert_eq!(response.unwrap().status(), 408);
        let waited = start.elapsed();
        let latest = 11 * limit + limit / CHECKS + Duration::from_millis(2);
        assert!((10 * limit..latest).contains(&waited), "{waited:?}");
    }

    #[test]
    fn a_connection_whose_socket_reports_its_end_as_an_error_is_over() {
        /// As streams of TLS report an end that was not announced.
        struct Cut;

        impl AsyncRead for Cut {
            fn poll_read(
                self: Pin<&mut Self>,
                _: &mut Context<'_>,
                _: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()))
            }
        }

        let (end, ended) = mpsc::channel();
        // A connection that is polled without end would block the test.
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let stream = tokio::io::join(Cut, tokio::io::sink());
            runtime.block_on(async { serve(info(busy), stream, request().into()).await });
            end.send(()).unwrap();
        });
        assert_eq!(ended.recv_timeout(Duration::from_secs(30)), Ok(()));
    }
}
