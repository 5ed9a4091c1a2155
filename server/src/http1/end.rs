//! The end of a connection.

use std::time::Duration;

use bytes::Bytes;
use callgate_drive::linger::linger;

use crate::connection::ConnectionInfo;
use crate::record::ExchangeRecord;
use crate::registry::ConnectionState;
use crate::stage::Stage;
use crate::stream::Stream;
use crate::websocket::{AcceptedWebSocket, run_over_http1};

/// How a connection ends.
#[derive(Debug)]
pub(super) enum End {
    /// All requests have been answered.
    Done,
    /// The client is gone, or the server ends: the connection is dropped.
    Gone,
    /// The client does not take the output, or must see that the response is incomplete: the
    /// connection is reset.
    Reset,
    /// The connection becomes a WebSocket.
    Upgrade(AcceptedWebSocket, Option<Box<ExchangeRecord>>),
}

/// The stream of a connection after its end, and its unread input.
#[derive(Debug)]
pub(super) struct Remainder {
    pub(super) stream: Stream,
    /// Input that has been read and not used.
    pub(super) unread: Bytes,
    /// Whether the client has closed its sending side.
    pub(super) is_input_ended: bool,
}

/// Ends a connection whose output has been written.
pub(super) async fn conclude(info: &ConnectionInfo, remainder: Remainder, end: End) {
    let server = &info.server;
    let Remainder {
        mut stream,
        unread,
        is_input_ended,
    } = remainder;
    match end {
        // On a task of its own, so that the memory of this task is freed.
        End::Upgrade(websocket, record) => {
            info.open.set_state(ConnectionState::WebSocket);
            let open = info.open.clone();
            let session = run_over_http1(websocket, server, stream, unread, open, record);
            server.spawn_tracked(session);
        }
        // The client of a secured connection is told of its end (RFC 8446, 6.1). Closing both sides while
        // the client is sending would destroy output that the client has not read (RFC 9112, 9.6).
        End::Done if !is_input_ended || !unread.is_empty() || stream.is_secured() => {
            info.open.set_state(ConnectionState::Closing);
            tokio::select! {
                biased;
                () = linger(&mut stream) => {}
                () = info.must_end(Stage::Ending) => {}
            }
        }
        End::Done | End::Gone => {}
        // Without a connection there is nothing to reset.
        End::Reset => drop(stream.as_socket().set_linger(Some(Duration::ZERO))),
    }
}
