//! The exchanges that an application is put through.

use std::iter;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use callgate::{
    Feature, Features, HttpRequestBody, HttpScope, LifespanScope, Message, ReceiveEvent, Scope,
    State, WebSocketDisconnect, WebSocketScope,
};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, TE, TRANSFER_ENCODING, USER_AGENT};
use http::{HeaderValue, Method, Version};

use super::AppOptions;
use crate::driver::{Ledger, Memory, Plan};

/// An exchange, or several that differ in one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Play {
    /// A request without content. Nothing is offered.
    Get,
    Head,
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1, and every feature is offered.
    Offered,
    /// The same, with content.
    OfferedPost,
    /// HTTP/2, and every feature is offered.
    Http2,
    /// Content in one event.
    Whole,
    /// The same content in many events, some of them empty.
    Split,
    /// A POST without content.
    Empty,
    /// The client does not finish its content.
    Unfinished,
    /// As `Get`, `Split`: the client goes away before, between and after each event.
    GetGone,
    SplitGone,
    /// As `Get`, `Split`: the client reads nothing more after each event.
    GetStalled,
    SplitStalled,
    /// As `Split`, with an unknown event in each place.
    SplitUnknown,
    /// Content without end.
    Flood,
    /// The same, from a client that does not read.
    FloodStalled,
    /// A WebSocket: subprotocols are offered, messages are sent, the client closes.
    Socket,
    /// One without subprotocols; nothing is offered.
    SocketPlain,
    /// One over HTTP/2; denial responses are offered.
    SocketOffered,
    SocketGone,
    SocketStalled,
    SocketUnknown,
    /// Messages without end, from a client that does not read.
    SocketFlood,
    /// Start-up and shutdown.
    Life,
    LifeUnknown,
    /// A kind of scope that nobody knows.
    UnknownScope,
}

/// Positions of one exchange that are tried. Longer ones are those of endless streams.
const POSITIONS: usize = 50;
/// Events of a flood.
const PARTS: usize = 1024;

const UNKNOWN: &str = "callgate.conformance.unknown";

impl Play {
    pub(crate) const HTTP: &[Self] = &[
        Self::Get,
        Self::Head,
        Self::Http10,
        Self::Offered,
        Self::OfferedPost,
        Self::Http2,
        Self::Whole,
        Self::Split,
        Self::Empty,
        Self::Unfinished,
        Self::GetGone,
        Self::SplitGone,
        Self::GetStalled,
        Self::SplitStalled,
    ];

    pub(crate) const WEBSOCKET: &[Self] = &[
        Self::Socket,
        Self::SocketPlain,
        Self::SocketOffered,
        Self::SocketGone,
        Self::SocketStalled,
    ];

    /// The exchange that this one varies, event by event.
    pub(crate) fn varies(self) -> Option<Self> {
        match self {
            Self::GetGone | Self::GetStalled => Some(Self::Get),
            Self::SplitGone | Self::SplitStalled | Self::SplitUnknown => Some(Self::Split),
            Self::SocketGone | Self::SocketStalled | Self::SocketUnknown => Some(Self::Socket),
            Self::LifeUnknown => Some(Self::Life),
            _ => None,
        }
    }

    /// Whether the application is one that has not been called before.
    pub(crate) fn is_lifespan(self) -> bool {
        matches!(self, Self::Life | Self::LifeUnknown)
    }

    /// Whether memory is measured, so that nothing else may be going on.
    pub(crate) fn is_flood(self) -> bool {
        matches!(self, Self::Flood | Self::FloodStalled | Self::SocketFlood)
    }

    /// The plans of this exchange. One that varies another is told how many events, and how many
    /// sends, that one had.
    pub(crate) fn plans(
        self,
        options: &AppOptions,
        state: &State,
        (events, sends): (usize, usize),
    ) -> Vec<Plan> {
        let make = Maker { options, state };
        let each = |last: usize| 0..=last.min(POSITIONS);
        match self {
            Self::GetGone | Self::SplitGone | Self::SocketGone => each(events)
                .map(|after| Plan {
                    gone_after: Some(after),
                    ..make.plan(self.varies().expect("one that varies"))
                })
                .collect(),
            Self::GetStalled | Self::SplitStalled | Self::SocketStalled => each(sends)
                .map(|after| Plan {
                    stalls_after: Some(after),
                    ..make.plan(self.varies().expect("one that varies"))
                })
                .collect(),
            Self::SplitUnknown | Self::SocketUnknown | Self::LifeUnknown => {
                let base = || make.plan(self.varies().expect("one that varies"));
                let length = base().script.count();
                (0..=length)
                    .map(|at| {
                        let mut plan = base();
                        let mut script: Vec<_> = plan.script.collect();
                        script.insert(at, ReceiveEvent::Unknown(UNKNOWN.into()).into());
                        plan.script = Box::new(script.into_iter());
                        plan
                    })
                    .collect()
            }
            other => vec![make.plan(other)],
        }
    }
}

/// Makes the plans of exchanges that stand for themselves.
pub(crate) struct Maker<'a> {
    pub(crate) options: &'a AppOptions,
    pub(crate) state: &'a State,
}

impl Maker<'_> {
    pub(crate) fn plan(&self, play: Play) -> Plan {
        match play {
            Play::Head => self.request(Method::HEAD, Version::HTTP_11, Features::NONE),
            Play::Http10 => self.request(self.reading(), Version::HTTP_10, Features::NONE),
            Play::Offered => self.request(self.reading(), Version::HTTP_11, every_http()),
            Play::Http2 => self.request(self.reading(), Version::HTTP_2, every_http()),
            Play::OfferedPost => {
                let mut scope = self.post(&self.options.body);
                offer(&mut scope, every_http());
                Plan::new(scope, split(&self.options.body))
            }
            Play::Whole => self.whole(&self.options.body),
            Play::Split => self.split(&self.options.body),
            Play::Empty => self.whole(&Bytes::new()),
            Play::Unfinished => {
                let parts = split(&self.options.body);
                let parts = parts.into_iter().map(|mut part| {
                    if let ReceiveEvent::HttpRequestBody(request) = &mut part {
                        request.more_body = true;
                    }
                    part
                });
                Plan::new(self.endless(), parts)
            }
            Play::Flood => self.flood(None),
            // The head is taken, and nothing after it.
            Play::FloodStalled => self.flood(Some(1)),
            Play::Socket => self.socket(Version::HTTP_11, true, Features::NONE),
            Play::SocketPlain => self.socket(Version::HTTP_11, false, Features::NONE),
            Play::SocketOffered => {
                let offered = Features::NONE.with(Feature::DenialResponse);
                self.socket(Version::HTTP_2, true, offered)
            }
            Play::SocketFlood => self.socket_flood(),
            Play::Life => Plan::new(
                LifespanScope::new(),
                [
                    ReceiveEvent::LifespanStartup,
                    ReceiveEvent::LifespanShutdown,
                ],
            ),
            Play::UnknownScope => Plan::new(
                Scope::Unknown(UNKNOWN.into()),
                [ReceiveEvent::Unknown(UNKNOWN.into())],
            ),
            _ => self.request(self.reading(), Version::HTTP_11, Features::NONE),
        }
    }

    /// This content in one event.
    pub(crate) fn whole(&self, content: &Bytes) -> Plan {
        let event = ReceiveEvent::HttpRequestBody(HttpRequestBody::last(content.clone()));
        Plan::new(self.post(content), [event])
    }

    /// This content in many events.
    pub(crate) fn split(&self, content: &Bytes) -> Plan {
        Plan::new(self.post(content), split(content))
    }

    /// The scope of a request for `target`.
    pub(crate) fn scope(&self, method: Method, target: &str, version: Version) -> HttpScope {
        let uri = target.parse().expect("checked when it was given");
        let mut scope = HttpScope::new(method, uri);
        scope.version = version;
        scope.headers = self.options.headers.clone();
        for (name, value) in [
            (HOST, "localhost:8000"),
            (USER_AGENT, "callgate-conformance"),
        ] {
            if !scope.headers.contains_key(&name) {
                scope.headers.insert(name, HeaderValue::from_static(value));
            }
        }
        scope.client = Some(address(50_000));
        scope.server = Some(address(8000));
        scope.state = self.state.clone();
        scope
    }

    fn reading(&self) -> Method {
        self.options.method.clone().unwrap_or(Method::GET)
    }

    fn request(&self, method: Method, version: Version, features: Features) -> Plan {
        let mut scope = self.scope(method, &self.options.path, version);
        offer(&mut scope, features);
        Plan::new(
            scope,
            [ReceiveEvent::HttpRequestBody(HttpRequestBody::default())],
        )
    }

    fn posting(&self) -> HttpScope {
        let method = self.options.method.clone().unwrap_or(Method::POST);
        let mut scope = self.scope(method, &self.options.path, Version::HTTP_11);
        let octets = HeaderValue::from_static("application/octet-stream");
        scope.headers.entry(CONTENT_TYPE).or_insert(octets);
        scope
    }

    fn post(&self, content: &Bytes) -> HttpScope {
        let mut scope = self.posting();
        scope.headers.insert(CONTENT_LENGTH, content.len().into());
        scope
    }

    fn endless(&self) -> HttpScope {
        let mut scope = self.posting();
        let chunked = HeaderValue::from_static("chunked");
        scope.headers.insert(TRANSFER_ENCODING, chunked);
        scope
    }

    fn flood(&self, stalls_after: Option<usize>) -> Plan {
        let memory = self.memory();
        let events = self
            .parts(&memory)
            .map(|part| ReceiveEvent::HttpRequestBody(HttpRequestBody::part(part)))
            .chain(iter::once(ReceiveEvent::HttpRequestBody(
                HttpRequestBody::default(),
            )));
        let mut plan = Plan::new(self.endless(), events);
        plan.memory = Some(memory);
        plan.stalls_after = stalls_after;
        plan
    }

    fn memory(&self) -> Memory {
        Memory::new(self.options.memory)
    }

    /// Four times as much as may be held.
    fn parts(&self, memory: &Memory) -> impl Iterator<Item = Bytes> + Send + use<> {
        let part: Arc<[u8]> = vec![b'z'; (memory.limit * 4).div_ceil(PARTS)].into();
        let ledger: Ledger = memory.ledger.clone();
        (0..PARTS).map(move |_| ledger.track(&part))
    }

    fn socket_scope(&self, version: Version) -> WebSocketScope {
        let path = self.options.websocket_path.as_ref();
        let http = self.scope(Method::GET, path.unwrap_or(&self.options.path), version);
        let mut scope = WebSocketScope::new(http.uri);
        scope.version = version;
        scope.headers = http.headers;
        scope.client = http.client;
        scope.server = http.server;
        scope.state = http.state;
        scope
    }

    fn socket(&self, version: Version, offers: bool, features: Features) -> Plan {
        let mut scope = self.socket_scope(version);
        scope.features = features;
        if offers {
            scope.subprotocols = self.options.subprotocols.clone();
            let list = scope.subprotocols.join(", ");
            if let Ok(value) = HeaderValue::try_from(list) {
                scope.headers.insert("sec-websocket-protocol", value);
            }
        }
        let messages = self.options.messages.clone();
        let messages = messages.into_iter().map(ReceiveEvent::WebSocketReceive);
        let mut plan = Plan::new(
            scope,
            iter::once(ReceiveEvent::WebSocketConnect).chain(messages),
        );
        plan.disconnect = ReceiveEvent::WebSocketDisconnect(WebSocketDisconnect::new(1000));
        plan
    }

    fn socket_flood(&self) -> Plan {
        let memory = self.memory();
        let messages = self
            .parts(&memory)
            .map(|part| ReceiveEvent::WebSocketReceive(Message::Binary(part)));
        let mut plan = Plan::new(
            self.socket_scope(Version::HTTP_11),
            iter::once(ReceiveEvent::WebSocketConnect).chain(messages),
        );
        plan.memory = Some(memory);
        // The handshake is answered, and nothing more is read.
        plan.stalls_after = Some(1);
        plan
    }
}

fn offer(scope: &mut HttpScope, features: Features) {
    scope.features = features;
    if features.contains(Feature::ResponseTrailers) && scope.version == Version::HTTP_11 {
        scope
            .headers
            .insert(TE, HeaderValue::from_static("trailers"));
    }
}

fn every_http() -> Features {
    [
        Feature::ResponseTrailers,
        Feature::PathSend,
        Feature::EarlyHints,
        Feature::Debug,
    ]
    .into_iter()
    .collect()
}

fn address(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Some parts are empty, the first and the last among them.
fn split(content: &Bytes) -> Vec<ReceiveEvent> {
    let mut parts = vec![Bytes::new()];
    let mut rest = content.clone();
    let first = rest.split_to(rest.len().min(1));
    parts.extend([first, Bytes::new()]);
    let length = rest.len().div_ceil(4).max(1);
    while !rest.is_empty() {
        parts.push(rest.split_to(rest.len().min(length)));
    }
    let parts = parts.into_iter().map(HttpRequestBody::part);
    parts
        .chain(iter::once(HttpRequestBody::default()))
        .map(ReceiveEvent::HttpRequestBody)
        .collect()
}
