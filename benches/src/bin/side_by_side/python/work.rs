//! The works: the application, what the client does, and what Callgate is to reach.

use super::server::Server;

/// The text of the short response, as in `raw.py`.
pub(super) use crate::work::HELLO;

/// One kind of work.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    /// The name for `--only`.
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    /// The module and the attribute of the application, in `src/peers/python`.
    pub(super) app: &'static str,
    pub(super) interface: Interface,
    /// The worker processes of the server. More than one are not bound to a core.
    pub(super) workers: usize,
    pub(super) is_tls: bool,
    pub(super) needs_database: bool,
    pub(super) traffic: Traffic,
    /// The most processor time that a request is to take, as a ratio to that of a peer.
    pub(super) goals: &'static [(Server, f64)],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interface {
    Asgi,
    Wsgi,
}

/// What the client does. Each connection goes on as soon as it has its answer, and checks it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Traffic {
    /// Requests over HTTP/1.1.
    Requests {
        path: &'static str,
        /// The bytes of content of a request. A request without content is a GET, one with content is a POST.
        content: usize,
        answer: Answer,
        connections: usize,
    },
    /// Requests for `/` over HTTP/2.
    Streams { connections: usize, streams: usize },
    /// Texts of this many bytes over WebSockets at `/`, each of which comes back.
    Messages { size: usize, connections: usize },
    /// This many WebSockets, which are idle. What is measured is their memory.
    IdleWebSockets(usize),
}

/// The content of an answer, but for white space at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Text(&'static str),
    /// This many times the letter x.
    Filler(usize),
    /// The list of `brands.py`.
    Brands,
}

impl Work {
    pub(super) fn is_http2(&self) -> bool {
        matches!(self.traffic, Traffic::Streams { .. })
    }

    pub(super) fn is_idle(&self) -> bool {
        matches!(self.traffic, Traffic::IdleWebSockets(_))
    }
}

impl Traffic {
    /// Returns the word for what is counted.
    pub(super) fn unit(self) -> &'static str {
        match self {
            Self::Requests { .. } | Self::Streams { .. } => "requests",
            Self::Messages { .. } => "messages",
            Self::IdleWebSockets(_) => "WebSockets",
        }
    }
}

const KB: usize = 1024;
const CONNECTIONS: usize = 32;
const MESSAGE: &str = r#"{"message":"Hello, world!"}"#;

const HELLO_GOALS: &[(Server, f64)] = &[(Server::Granian, 0.55), (Server::Uvicorn, 0.4)];
const ECHO_GOALS: &[(Server, f64)] = &[(Server::Granian, 0.4), (Server::Uvicorn, 0.55)];
const FASTAPI_GOALS: &[(Server, f64)] = &[(Server::Granian, 0.7), (Server::Uvicorn, 0.7)];
const FLASK_GOALS: &[(Server, f64)] = &[(Server::Granian, 0.7)];

const fn get(path: &'static str, text: &'static str) -> Traffic {
    Traffic::Requests {
        path,
        content: 0,
        answer: Answer::Text(text),
        connections: CONNECTIONS,
    }
}

const BRANDS: Traffic = Traffic::Requests {
    path: "/brands",
    content: 0,
    answer: Answer::Brands,
    connections: 200,
};

const MESSAGES: Traffic = Traffic::Messages {
    size: 64,
    connections: CONNECTIONS,
};

/// One worker of an application of ASGI without a framework.
const RAW: Work = Work {
    name: "",
    title: "",
    app: "raw:app",
    interface: Interface::Asgi,
    workers: 1,
    is_tls: false,
    needs_database: false,
    traffic: get("/", HELLO),
    goals: &[],
};

const FASTAPI: Work = Work {
    app: "with_fastapi:app",
    goals: FASTAPI_GOALS,
    ..RAW
};

const FLASK: Work = Work {
    app: "with_flask:app",
    interface: Interface::Wsgi,
    goals: FLASK_GOALS,
    ..RAW
};

const HELLO_WORK: Work = Work {
    name: WITH_MEMORY,
    title: "hello",
    goals: HELLO_GOALS,
    ..RAW
};

const ECHO: Work = Work {
    name: "echo-1k",
    title: "1 KB echoed",
    traffic: Traffic::Requests {
        path: "/echo",
        content: KB,
        answer: Answer::Filler(KB),
        connections: CONNECTIONS,
    },
    goals: ECHO_GOALS,
    ..RAW
};

const WEBSOCKET: Work = Work {
    name: "websocket",
    title: "WebSocket echo of 64 B",
    traffic: MESSAGES,
    goals: ECHO_GOALS,
    ..RAW
};

const FASTAPI_WEBSOCKET: Work = Work {
    name: "fastapi-websocket",
    title: "FastAPI, WebSocket echo of 64 B",
    traffic: MESSAGES,
    goals: ECHO_GOALS,
    ..FASTAPI
};

const FASTAPI_JSON: Work = Work {
    name: "fastapi-json",
    title: "FastAPI, JSON",
    traffic: get("/json", MESSAGE),
    ..FASTAPI
};

const FASTAPI_SLEEP: Work = Work {
    name: "fastapi-sleep",
    title: "FastAPI, `sleep(0)`",
    traffic: get("/sleep", MESSAGE),
    ..FASTAPI
};

const FASTAPI_DEF: Work = Work {
    name: "fastapi-def",
    title: "FastAPI, `def` in the thread pool",
    traffic: get("/def", MESSAGE),
    ..FASTAPI
};

const ASK: Work = Work {
    name: "ask",
    title: "a handler that asks over a socket",
    traffic: get("/ask", HELLO),
    ..RAW
};

/// The same work on all cores.
const fn with_two_workers(name: &'static str, title: &'static str, work: Work) -> Work {
    Work {
        name,
        title,
        workers: 2,
        ..work
    }
}

/// The name of the work whose memory is reported, too.
pub(super) const WITH_MEMORY: &str = "hello";

/// All works, in the order of the report.
pub(super) static WORKS: [Work; 25] = [
    HELLO_WORK,
    ECHO,
    WEBSOCKET,
    FASTAPI_WEBSOCKET,
    FASTAPI_JSON,
    FASTAPI_SLEEP,
    FASTAPI_DEF,
    ASK,
    with_two_workers("hello-2", "hello, 2 workers", HELLO_WORK),
    with_two_workers("echo-1k-2", "1 KB echoed, 2 workers", ECHO),
    with_two_workers(
        "websocket-2",
        "WebSocket echo of 64 B, 2 workers",
        WEBSOCKET,
    ),
    with_two_workers(
        "fastapi-websocket-2",
        "FastAPI, WebSocket echo of 64 B, 2 workers",
        FASTAPI_WEBSOCKET,
    ),
    with_two_workers("fastapi-json-2", "FastAPI, JSON, 2 workers", FASTAPI_JSON),
    with_two_workers(
        "fastapi-sleep-2",
        "FastAPI, `sleep(0)`, 2 workers",
        FASTAPI_SLEEP,
    ),
    with_two_workers(
        "fastapi-def-2",
        "FastAPI, `def` in the thread pool, 2 workers",
        FASTAPI_DEF,
    ),
    with_two_workers("ask-2", "a handler that asks over a socket, 2 workers", ASK),
    Work {
        name: "brands",
        title: "brands: FastAPI, asyncpg, 8 workers",
        app: "brands:app",
        workers: 8,
        needs_database: true,
        traffic: BRANDS,
        ..FASTAPI
    },
    Work {
        name: "brands-flask",
        title: "brands: Flask, psycopg2, 8 workers",
        app: "brands_flask:app",
        workers: 8,
        needs_database: true,
        traffic: BRANDS,
        ..FLASK
    },
    Work {
        name: "flask",
        title: "Flask, JSON",
        traffic: get("/json", MESSAGE),
        ..FLASK
    },
    Work {
        name: "wsgi",
        title: "hello over WSGI",
        app: "with_flask:bare",
        ..FLASK
    },
    Work {
        name: "upload",
        title: "upload of 1 MB",
        traffic: Traffic::Requests {
            path: "/upload",
            content: KB * KB,
            answer: Answer::Text("1048576"),
            connections: 8,
        },
        ..RAW
    },
    Work {
        name: "stream",
        title: "stream of 10 MB",
        traffic: Traffic::Requests {
            path: "/stream",
            content: 0,
            answer: Answer::Filler(10 * KB * KB),
            connections: 4,
        },
        ..RAW
    },
    Work {
        name: "tls",
        title: "hello over TLS",
        is_tls: true,
        ..RAW
    },
    Work {
        name: "http2",
        title: "hello over HTTP/2, 32 streams",
        traffic: Traffic::Streams {
            connections: 1,
            streams: 32,
        },
        ..RAW
    },
    Work {
        name: "idle",
        title: "10,000 idle WebSockets",
        traffic: Traffic::IdleWebSockets(10_000),
        ..RAW
    },
];
