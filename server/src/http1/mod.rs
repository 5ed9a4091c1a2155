//! HTTP/1, on the codec of `callgate-http1`.

mod connection;
mod content;
mod end;
mod incoming;
mod input;
mod outgoing;
mod output;
mod records;

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use bytes::BytesMut;
use callgate_http1::{Config as CodecConfig, Limits, ResponseEncoder, TargetGrammar};

use self::connection::Connection;
use self::end::End;
use crate::config::Config;
use crate::connection::ConnectionInfo;
use crate::deadline::{Check, Deadline};
use crate::record::Outcome;
use crate::rejection::Rejection;
use crate::stage::Stage;
use crate::stream::Stream;

/// Returns the settings of the decoders of all connections.
pub(crate) fn codec_config(config: &Config) -> CodecConfig {
    CodecConfig {
        limits: Limits {
            target: config.limits.max_request_head,
            field: config.limits.max_request_head,
            fields: config.limits.max_request_head,
            field_count: config.http1.max_request_fields,
            ..Limits::default()
        },
        // Browsers send some octets in queries without percent-encoding.
        target_grammar: TargetGrammar::Url,
        ..CodecConfig::default()
    }
}

/// Serves a connection until it is over. `read` is the input that has been read from it.
pub(crate) async fn serve(info: ConnectionInfo, stream: Stream, read: BytesMut) {
    run(info.clone(), Connection::new(info, stream, read)).await;
}

/// Responds to a connection whose first request is rejected.
pub(crate) async fn reject(info: &ConnectionInfo, stream: Stream, rejection: Rejection) {
    let mut connection = Connection::new(info.clone(), stream, BytesMut::new());
    connection.reject(rejection, ResponseEncoder::for_malformed_request());
    run(info.clone(), connection).await;
}

async fn run(info: ConnectionInfo, mut connection: Connection) {
    let server = &info.server;
    let end = {
        let mut deadline = pin!(Deadline::new());
        let mut stage = pin!(server.stages.watch());
        poll_fn(|cx| {
            if stage.as_mut().poll_new(cx) == Some(Stage::Ending) {
                return Poll::Ready(connection.abandon(Outcome::CutByServer));
            }
            loop {
                if let Poll::Ready(end) = connection.poll(cx) {
                    return Poll::Ready(end);
                }
                let wait = connection.wait();
                info.open.record(wait.into(), connection.requests());
                connection.count_buffers();
                if info.open.must_make_room() {
                    return Poll::Ready(End::Gone);
                }
                if info.open.must_release() {
                    match connection.release_buffers() {
                        Some(end) => return Poll::Ready(end),
                        None => continue,
                    }
                }
                match deadline.as_mut().poll(wait, &server.config, cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Check::Quiet) => {
                        connection.shrink();
                        return Poll::Pending;
                    }
                    Poll::Ready(Check::Expired) => {
                        if let Some(end) = connection.expire(wait, cx) {
                            return Poll::Ready(end);
                        }
                    }
                }
            }
        })
        .await
    };
    // Boxed, so that an idle connection does not hold the memory of this future.
    Box::pin(end::conclude(&info, connection.into_remainder(), end)).await;
}
