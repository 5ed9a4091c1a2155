//! A connection, from its first byte to its last.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;

use crate::config::HttpVersions;
use crate::context::ServerContext;
use crate::link::Link;
use crate::rejection::Rejection;
use crate::report;
use crate::service::ConnectionService;
use crate::socket::Socket;
use crate::stage::Stage;
use crate::stream::Stream;
use crate::watchdog::{Order, Watchdog};
use crate::websocket::run_over_http1;

/// Serves a connection until it is over.
pub(crate) async fn serve(server: Arc<ServerContext>, stream: Stream, link: Arc<Link>) {
    // Each response is one write already. Waiting for more output would only delay it.
    stream.set_nodelay();
    let mut socket = Socket::new(stream, link.clone(), server.stages.clone());
    let versions = server.config.http;
    let detected = match versions {
        HttpVersions::Http1 => Detected::Http1,
        _ => detect(&server, &mut socket, &link).await,
    };
    // Thousands of these futures are idle at a time, nearly all of them in `http1`. The other
    // futures are boxed, so that they take no memory there.
    match detected {
        Detected::Http2 => Box::pin(http2(server, socket, link)).await,
        Detected::Http1 if versions == HttpVersions::Http2 => {
            Box::pin(reject(socket, &link, Rejection::unsupported_version())).await;
        }
        Detected::Http1 => {
            let (socket, read, end) = http1(&server, socket, &link).await;
            Box::pin(conclude(socket, read, end, &link)).await;
        }
        Detected::TooSlow => Box::pin(reject(socket, &link, Rejection::too_slow())).await,
        Detected::Gone => {}
    }
}

enum Detected {
    Http1,
    Http2,
    /// The client did not send its first bytes in time.
    TooSlow,
    /// The client is gone, or has sent nothing.
    Gone,
}

/// Detects the version by the first bytes.
async fn detect(server: &ServerContext, socket: &mut Socket, link: &Link) -> Detected {
    let mut watchdog = pin!(Watchdog::new(server, link));
    let mut speaks_http2 = pin!(socket.speaks_http2());
    poll_fn(|cx| {
        if let Poll::Ready(answer) = speaks_http2.as_mut().poll(cx) {
            return Poll::Ready(match answer {
                Some(true) => Detected::Http2,
                Some(false) => Detected::Http1,
                None => Detected::Gone,
            });
        }
        watchdog.as_mut().poll(cx).map(|order| match order {
            Order::TooSlow => Detected::TooSlow,
            // hyper goes on, and reads a request that has arrived.
            Order::Finish => Detected::Http1,
            Order::End => Detected::Gone,
        })
    })
    .await
}

/// How hyper's part of an HTTP/1 connection ended.
enum End {
    /// All requests have been answered, or the connection becomes a WebSocket.
    Done,
    /// The client sent a malformed request, or went away.
    Failed(hyper::Error),
    /// The client did not send the head of a request in time.
    TooSlow,
    /// The server drops the connection.
    Ended,
}

/// Has hyper serve HTTP/1 for as long as it can. Returns the socket, and the input that hyper has
/// read and not used.
async fn http1(server: &ServerContext, socket: Socket, link: &Arc<Link>) -> (Socket, Bytes, End) {
    let service = ConnectionService::new(link.clone());
    let mut connection = server.http1.serve_connection(socket, service);
    let end = {
        let mut watchdog = pin!(Watchdog::new(server, link));
        poll_fn(|cx| {
            let mut has_flushed = false;
            // A response that has not started says that it is the last on the connection. Without
            // an exchange in flight, hyper first looks for a request: one that has arrived is still
            // served.
            if link.is_exchanging() && server.stages.now() != Stage::Serving {
                Pin::new(&mut connection).graceful_shutdown();
            }
            loop {
                link.turn_begins();
                let mut result = connection.poll_without_shutdown(cx);
                if let Poll::Ready(Ok(())) = result {
                    // Only output is left that the client has not taken: while the client is
                    // sending, hyper is done before it has written everything.
                    result = Pin::new(&mut connection).poll(cx);
                }
                if let Poll::Ready(result) = result {
                    return Poll::Ready(result.map_or_else(End::Failed, |()| End::Done));
                }
                if link.has_gathered() && !has_flushed {
                    // No further request was there whose response could join the gathered output,
                    // so it is written now, as far as the client takes it.
                    has_flushed = true;
                    continue;
                }
                match watchdog.as_mut().poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Order::Finish) => Pin::new(&mut connection).graceful_shutdown(),
                    Poll::Ready(Order::TooSlow) => return Poll::Ready(End::TooSlow),
                    Poll::Ready(Order::End) => return Poll::Ready(End::Ended),
                }
            }
        })
        .await
    };
    let parts = connection.into_parts();
    (parts.io, parts.read_buf, end)
}

/// Ends an HTTP/1 connection after hyper's part of it.
async fn conclude(mut socket: Socket, read: Bytes, end: End, link: &Link) {
    match end {
        End::Done => match link.take_upgrade() {
            Some(websocket) => {
                // When the client is gone, the WebSocket is dropped, and the application receives a
                // disconnect.
                if let Some(stream) = socket.into_stream().await {
                    // On a task of its own, so that the memory of this task is freed.
                    let session = run_over_http1(websocket, &link.server, stream, read);
                    link.server.tasks.spawn(session);
                }
            }
            None => socket.close(b"").await,
        },
        End::Failed(error) => match Rejection::of(&error, &read) {
            Some(rejection) if socket.take_rejection() => reject(socket, link, rejection).await,
            Some(rejection) => {
                report::rejected(link.client, &rejection);
                socket.close(b"").await;
            }
            None => {
                report::failed(link.client, &error);
                if link.is_close_delimited() {
                    socket.reset();
                } else if socket.has_output() {
                    // Earlier responses are still to be written.
                    socket.close(b"").await;
                }
            }
        },
        End::TooSlow => reject(socket, link, Rejection::too_slow()).await,
        End::Ended => {}
    }
}

async fn http2(server: Arc<ServerContext>, socket: Socket, link: Arc<Link>) {
    let service = ConnectionService::new(link.clone());
    let mut connection = pin!(server.http2.serve_connection(socket, service));
    let mut watchdog = pin!(Watchdog::new(&server, &link));
    let mut has_waited = false;
    poll_fn(|cx| {
        // Each exchange wakes this task, and the runtime would run it right after the first of
        // them. The task goes to the end of the queue instead, so that the responses of the others
        // leave in the same write.
        if link.is_exchanging() && !has_waited {
            has_waited = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        has_waited = false;
        loop {
            if let Poll::Ready(result) = connection.as_mut().poll(cx) {
                if let Err(error) = result {
                    report::failed(link.client, &error);
                }
                return Poll::Ready(());
            }
            match watchdog.as_mut().poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Order::Finish) => connection.as_mut().graceful_shutdown(),
                Poll::Ready(Order::TooSlow | Order::End) => return Poll::Ready(()),
            }
        }
    })
    .await;
}

async fn reject(socket: Socket, link: &Link, rejection: Rejection) {
    report::rejected(link.client, &rejection);
    socket.close(&rejection.into_bytes(&link.server)).await;
}
