//! The works: what is asked of the servers, which servers take part, and what Callgate is to reach.

use crate::server::Server::{
    self, Actix, Axum, Hyper, HyperFlush, Nginx, Tungstenite, TungsteniteDefault,
};

/// One kind of work.
#[derive(Debug)]
pub(crate) struct Work {
    /// The name for `--only`.
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) traffic: Traffic,
    /// The servers that Callgate is compared with. The first is the reference of the chart.
    pub(crate) peers: &'static [Server],
    pub(crate) goals: &'static [Goal],
}

/// What the client does. Each connection goes on as soon as it has its answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Traffic {
    /// Requests over HTTP/1.1 on connections that stay open.
    Requests {
        path: &'static str,
        /// The bytes of content that a request has. A request without content is a GET, and a request
        /// with content is a POST.
        content: usize,
        /// The bytes of content that a response has.
        response: usize,
        connections: usize,
        /// The number of requests that are sent at once.
        pipelined: usize,
    },
    /// One request over HTTP/1.1 on each connection.
    Connections { concurrent: usize },
    /// Requests over HTTP/2.
    Streams { connections: usize, streams: usize },
    /// Messages of this many bytes over WebSockets, each of which comes back.
    Messages {
        size: usize,
        connections: usize,
        /// Whether messages are compressed with a server that can.
        is_compressed: bool,
    },
    /// Messages of 64 bytes from one WebSocket to all.
    Broadcast { members: usize },
}

impl Traffic {
    /// Returns the word for what is counted.
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::Requests { .. } | Self::Streams { .. } => "requests",
            Self::Connections { .. } => "connections",
            Self::Messages { .. } => "messages",
            Self::Broadcast { .. } => "deliveries",
        }
    }
}

/// A bound for the ratio of Callgate to a peer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Goal {
    pub(crate) peer: Server,
    pub(crate) metric: Metric,
    pub(crate) bound: f64,
}

/// What is measured of a work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Metric {
    /// Requests, or what is counted instead, per second. More is better.
    Rate,
    /// The CPU time of the server per request. Less is better.
    Cpu,
}

const fn rate_at_least(bound: f64, peer: Server) -> Goal {
    Goal {
        peer,
        metric: Metric::Rate,
        bound,
    }
}

const fn cpu_at_most(bound: f64, peer: Server) -> Goal {
    Goal {
        peer,
        metric: Metric::Cpu,
        bound,
    }
}

const KB: usize = 1024;

/// The content of the short response. The servers have it from the library, which would bring all of
/// them into this program.
pub(crate) const HELLO: &str = "Hello, world!\n";

/// Returns a GET of `path` on this many connections.
const fn get(path: &'static str, response: usize, connections: usize) -> Traffic {
    Traffic::Requests {
        path,
        content: 0,
        response,
        connections,
        pipelined: 1,
    }
}

const fn post(size: usize, connections: usize) -> Traffic {
    Traffic::Requests {
        path: "/echo",
        content: size,
        response: size,
        connections,
        pipelined: 1,
    }
}

const fn messages(size: usize, is_compressed: bool) -> Traffic {
    Traffic::Messages {
        size,
        connections: 32,
        is_compressed,
    }
}

/// All works, in the order of the report.
pub(crate) static WORKS: [Work; 16] = [
    Work {
        name: "hello",
        title: "hello",
        traffic: get("/", HELLO.len(), 32),
        peers: &[Hyper, Axum, Actix, Nginx],
        goals: &[
            rate_at_least(1.0, Hyper),
            cpu_at_most(0.98, Hyper),
            rate_at_least(1.0, Axum),
            rate_at_least(1.0, Actix),
        ],
    },
    Work {
        name: "pipelined",
        title: "16 pipelined",
        traffic: Traffic::Requests {
            path: "/",
            content: 0,
            response: HELLO.len(),
            connections: 32,
            pipelined: 16,
        },
        // Without `pipeline_flush`, hyper writes each response by itself. Nearly all of the time is then
        // spent in the system, which would flatter Callgate.
        peers: &[HyperFlush, Actix, Nginx],
        goals: &[rate_at_least(1.0, HyperFlush), rate_at_least(1.0, Actix)],
    },
    Work {
        name: "echo-1k",
        title: "1 KB echoed",
        traffic: post(KB, 32),
        peers: &[Hyper, Axum, Actix],
        goals: &[],
    },
    Work {
        name: "echo-100k",
        title: "100 KB echoed",
        traffic: post(100 * KB, 16),
        peers: &[Hyper, Axum, Actix],
        goals: &[rate_at_least(0.95, Hyper)],
    },
    Work {
        name: "large",
        title: "response of 100 KB",
        traffic: get("/large", 100 * KB, 16),
        peers: &[Hyper, Axum, Actix],
        goals: &[],
    },
    Work {
        name: "chunks",
        title: "64 chunks of 1 KB",
        traffic: get("/chunks", 64 * KB, 32),
        peers: &[Hyper, Axum, Actix],
        goals: &[rate_at_least(0.95, Hyper)],
    },
    Work {
        name: "wait",
        title: "10 ms of waiting",
        traffic: get("/wait", HELLO.len(), 512),
        peers: &[Hyper, Axum, Actix],
        goals: &[],
    },
    Work {
        name: "file-50k",
        title: "file of 50 KB",
        traffic: get("/file/50k", 50 * KB, 16),
        peers: &[Nginx],
        goals: &[rate_at_least(0.8, Nginx)],
    },
    Work {
        name: "file-100m",
        title: "file of 100 MB",
        traffic: get("/file/100m", 100 * KB * KB, 2),
        peers: &[Nginx],
        goals: &[rate_at_least(0.6, Nginx)],
    },
    Work {
        name: "connections",
        title: "a connection a request",
        traffic: Traffic::Connections { concurrent: 16 },
        peers: &[Hyper, Axum, Actix, Nginx],
        goals: &[],
    },
    Work {
        name: "http2",
        title: "HTTP/2, 100 streams",
        traffic: Traffic::Streams {
            connections: 4,
            streams: 100,
        },
        peers: &[Hyper, Axum, Nginx],
        goals: &[rate_at_least(1.0, Hyper)],
    },
    Work {
        name: "websocket-64",
        title: "WebSocket echo of 64 B",
        traffic: messages(64, false),
        peers: &[Tungstenite, TungsteniteDefault],
        goals: &[cpu_at_most(1.0, Tungstenite)],
    },
    Work {
        name: "websocket-16k",
        title: "WebSocket echo of 16 KB",
        traffic: messages(16 * KB, false),
        peers: &[Tungstenite, TungsteniteDefault],
        goals: &[cpu_at_most(1.0, Tungstenite)],
    },
    Work {
        name: "deflate-64",
        title: "echo of 64 B, compressed",
        traffic: messages(64, true),
        // The peer cannot compress, so the ratio is the price of compression.
        peers: &[Tungstenite],
        goals: &[],
    },
    Work {
        name: "deflate-16k",
        title: "echo of 16 KB, compressed",
        traffic: messages(16 * KB, true),
        peers: &[Tungstenite],
        goals: &[],
    },
    Work {
        name: "broadcast",
        title: "broadcast to 1,000",
        traffic: Traffic::Broadcast { members: 1_000 },
        peers: &[Tungstenite],
        goals: &[],
    },
];
