//! The settings of limits.

use std::num::NonZeroUsize;

use super::kind::{One, Parsed, Shape};
use super::setting::settings;
use super::values::size;

settings! {
    /// What a client may ask of the server.
    limits: Limits {
        /// The largest number of connections; `auto` for nine tenths of the files that the process may open.
        ///
        /// At this number, the server closes connections that are idle, first the one that has been idle for
        /// the longest time. While all are in use, new connections wait in the queue of the system. The
        /// server does the same when the system lets it open no more files.
        max_connections => max_connections: (Option<NonZeroUsize>) = "auto" as COUNT_OR_AUTO;

        /// The largest number of connections of one client; `auto` for half of `max-connections`.
        ///
        /// An IPv4 address is a client, and so is an IPv6 network of 64 bits. At this number, the server
        /// closes an idle connection of the client, or else the new one. Trusted proxies
        /// (`forwarded-allow-ips`) and the peers of Unix sockets have no limit; the client that the PROXY
        /// protocol names has.
        max_client_connections => max_client_connections: (Option<NonZeroUsize>) = "auto" as COUNT_OR_AUTO;

        /// The largest number of exchanges for which the application runs at a time; `none` for no limit.
        ///
        /// A further request gets 503 with `retry-after`, over HTTP/1 and HTTP/2, unless there is a queue
        /// (`concurrency-queue`). Exchanges are counted, and not connections: an exchange counts until the
        /// call of the application has ended, and the handshake of a WebSocket until it is answered.
        limit_concurrency => concurrency: (Option<NonZeroUsize>) = "none" as COUNT_OR_NONE;

        /// The largest number of exchanges that wait while `limit-concurrency` is reached; 0 for none.
        ///
        /// They begin in the order in which they came. An exchange that has waited for
        /// `timeout-concurrency-queue` gets 503.
        concurrency_queue => concurrency_queue: (usize) = "0" as COUNT;

        /// The largest number of calls of the application that go on after their client is gone.
        ///
        /// Such a call has `timeout-disconnect` to come to its end. A call too many is dropped at once.
        max_abandoned_calls => abandoned_calls: (usize) = "1000" as COUNT;

        /// The most bytes that the server buffers, over all connections; `auto` for a quarter of the memory.
        ///
        /// What is counted is input that no application has received, unfinished WebSocket messages, and output
        /// that no client has taken, each beyond its first 16 KiB. When it is too much, the connection ends that
        /// buffers the most: with 503 if its response has not begun, a WebSocket with 1013, and otherwise the
        /// response is cut. `auto` is 1 GiB where the memory is not known.
        max_buffered => buffered: (Option<NonZeroUsize>) = "auto" as SIZE_OR_AUTO;

        /// The largest number of requests on one connection; `none` for no limit.
        ///
        /// The last response says `connection: close`; over HTTP/2, the server sends GOAWAY and completes
        /// the streams that are open. Clients then connect again, perhaps to another server behind the same
        /// balancer.
        max_requests_per_connection => requests_per_connection: (Option<NonZeroUsize>) = "none" as COUNT_OR_NONE;

        /// The largest content of a request; `none` for no limit.
        ///
        /// A request whose `content-length` is larger gets 413 at once. Otherwise the application's receive
        /// fails where the limit is passed: it receives `http.disconnect`, and the client gets 413 if the
        /// response has not started.
        max_request_body => request_body: (Option<u64>) = "none" as SIZE_OR_NONE;

        /// The least rate of a request's content, in bytes per second; 0 for none.
        ///
        /// A client that sends less than this many bytes for each second of `timeout-request-content` makes no
        /// progress. The rate holds while the application waits for the content and has not started its
        /// response, so it does not hold for streams in both directions.
        min_request_rate => request_rate: (u64) = "240" as RATE;

        /// The least rate at which a client takes its response, in bytes per second; 0 for none.
        ///
        /// A client that takes less than this many bytes for each second of `timeout-write`, while output
        /// waits for it, takes nothing. A response that the application sends slowly has no least rate.
        min_response_rate => response_rate: (u64) = "240" as RATE;

        /// The largest head of a request: its first line and its fields; at least 8192.
        max_request_head => max_request_head: (usize) = "65536" as HEAD_SIZE;
    }
}

const HEAD_SIZE: One<usize> = One::number("BYTES", head_size);

const COUNT_OR_AUTO: One<Option<NonZeroUsize>> = One {
    name: "NUMBER",
    shape: Shape::Number,
    parse: |text| match text {
        "auto" => Ok(None),
        _ => (text.parse().map(Some)).map_err(|_| "give a number, 1 or more, or auto"),
    },
    show: |count| count.map_or_else(|| "auto".into(), |count| count.to_string()),
};

/// A number, or `none` for no limit.
pub(super) const COUNT_OR_NONE: One<Option<NonZeroUsize>> = One {
    name: "NUMBER",
    shape: Shape::Number,
    parse: |text| match text {
        "none" => Ok(None),
        _ => (text.parse().map(Some)).map_err(|_| "give a number, 1 or more, or none"),
    },
    show: |count| count.map_or_else(|| "none".into(), |count| count.to_string()),
};

const SIZE_OR_NONE: One<Option<u64>> = One {
    name: "BYTES",
    shape: Shape::Number,
    parse: |text| match text {
        "none" => Ok(None),
        _ => (size(text).map(|bytes| Some(bytes as u64)))
            .ok_or("give a number of bytes, such as 1048576 or 1MiB, or none"),
    },
    show: |bytes| bytes.map_or_else(|| "none".into(), |bytes| bytes.to_string()),
};

const SIZE_OR_AUTO: One<Option<NonZeroUsize>> = One {
    name: "BYTES",
    shape: Shape::Number,
    parse: |text| match text {
        "auto" => Ok(None),
        _ => (size(text).and_then(NonZeroUsize::new).map(Some))
            .ok_or("give a number of bytes, 1 or more, such as 1GiB, or auto"),
    },
    show: |bytes| bytes.map_or_else(|| "auto".into(), |bytes| bytes.to_string()),
};

const RATE: One<u64> = One::number("BYTES", |text| {
    (size(text).map(|bytes| bytes as u64))
        .ok_or("give a number of bytes, such as 240 or 1KiB, or 0")
});

const COUNT: One<usize> = One::number("NUMBER", |text| text.parse().map_err(|_| "give a number"));

impl Limits {
    /// Returns the largest number of connections of a process that may open so many files.
    pub(crate) fn connections(&self, open_files: Option<u64>) -> usize {
        let of_files = open_files.map_or(usize::MAX, |files| {
            usize::try_from(files - files / 10).unwrap_or(usize::MAX)
        });
        self.max_connections
            .map_or(of_files.max(1), NonZeroUsize::get)
    }

    /// Returns whether so much content is too much.
    #[inline]
    pub(crate) fn is_too_large(&self, content: u64) -> bool {
        self.request_body.is_some_and(|limit| content > limit)
    }

    /// Returns whether a connection takes no request after so many.
    #[inline]
    pub(crate) fn is_last_request(&self, requests: u64) -> bool {
        (self.requests_per_connection).is_some_and(|limit| requests >= limit.get() as u64)
    }

    /// Returns the largest number of connections of one client of a server with so many connections.
    pub(crate) fn client_connections(&self, connections: usize) -> usize {
        (self.max_client_connections).map_or(connections.div_ceil(2), NonZeroUsize::get)
    }
}

fn head_size(text: &str) -> Parsed<usize> {
    size(text)
        .filter(|bytes| *bytes >= 8192)
        .ok_or("give a number of bytes, 8192 or more, such as 65536 or 64KiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_connections_follows_from_the_files_that_may_be_open() {
        let mut limits = Limits::default();
        for (files, expected) in [
            (Some(1024), 922),
            (Some(1), 1),
            (Some(0), 1),
            (None, usize::MAX),
        ] {
            assert_eq!(limits.connections(files), expected, "{files:?}");
        }
        assert_eq!(limits.client_connections(7), 4);
        limits.max_connections = NonZeroUsize::new(5000);
        limits.max_client_connections = NonZeroUsize::new(3);
        assert_eq!(limits.connections(Some(1024)), 5000);
        assert_eq!(limits.client_connections(5000), 3);
    }
}
