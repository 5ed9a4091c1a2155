//! Builds the client scripts of the scenarios.

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

use super::asgi;
use super::options::AppOptions;
use super::scenario::{Scenario, Variation};
use crate::driver::{ClientScript, MemoryBudget};

/// The most positions of one exchange that are tried. An exchange with more is an endless stream.
const MAX_POSITIONS: usize = 50;
/// The number of events of a flood.
const FLOOD_EVENTS: usize = 1024;

const UNKNOWN: &str = "callgate.conformance.unknown";

/// The number of events of an exchange.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EventCounts {
    /// Received and sent.
    pub(crate) all: usize,
    pub(crate) sent: usize,
}

/// Builds client scripts, with the options of a suite and the state that start-up has returned.
pub(crate) struct ScriptBuilder<'a> {
    pub(crate) options: &'a AppOptions,
    pub(crate) state: &'a State,
}

impl ScriptBuilder<'_> {
    /// Returns the script of this scenario, or of the exchange that this scenario is based on.
    pub(crate) fn script(&self, scenario: Scenario) -> ClientScript {
        use Scenario as S;

        if let Some((base, _)) = scenario.variation() {
            return self.script(base);
        }
        let method = || self.options.method.clone().unwrap_or(Method::GET);
        let (http1, http2) = (Version::HTTP_11, Version::HTTP_2);
        let body = &self.options.body;
        match scenario {
            S::Head => self.request(Method::HEAD, http1, Features::NONE),
            S::Http10 => self.request(method(), Version::HTTP_10, Features::NONE),
            S::GetWithFeatures => self.request(method(), http1, self.http_features()),
            S::Http2WithFeatures => self.request(method(), http2, self.http_features()),
            S::PostWithFeatures => {
                let mut scope = self.post_scope_with_length(body);
                offer(&mut scope, self.http_features());
                ClientScript::new(scope, split(body))
            }
            S::PostWhole => self.post_whole(body),
            S::PostSplit => self.post_split(body),
            S::PostEmpty => self.post_whole(&Bytes::new()),
            S::PostUnfinished => {
                let parts = split(body).into_iter().map(|mut part| {
                    if let ReceiveEvent::HttpRequestBody(request) = &mut part {
                        request.more_body = true;
                    }
                    part
                });
                ClientScript::new(self.chunked_post_scope(), parts)
            }
            S::PostFlood => self.post_flood(),
            S::PostFloodUnread => ClientScript {
                stops_reading_after: Some(1),
                ..self.post_flood()
            },
            S::GetWithShutdown => {
                let mut scope = self.scope(method(), &self.options.path, http1);
                scope.features = Features::NONE.with(Feature::Shutdown);
                let request = ReceiveEvent::HttpRequestBody(HttpRequestBody::default());
                ClientScript::new(scope, [request, ReceiveEvent::HttpShutdown])
            }
            S::WebSocket => self.websocket(http1, true, Features::NONE),
            S::WebSocketPlain => self.websocket(http1, false, Features::NONE),
            S::WebSocketWithFeatures => {
                let features = Features::NONE.with(Feature::DenialResponse);
                self.websocket(http2, true, features)
            }
            S::WebSocketFlood => self.websocket_flood(),
            S::Lifespan => ClientScript::new(
                LifespanScope::new(),
                [
                    ReceiveEvent::LifespanStartup,
                    ReceiveEvent::LifespanShutdown,
                ],
            ),
            S::UnknownScope => ClientScript::new(
                Scope::Unknown(UNKNOWN.into()),
                [ReceiveEvent::Unknown(UNKNOWN.into())],
            ),
            _ => self.request(method(), http1, Features::NONE),
        }
    }

    /// Returns the scripts of a scenario that varies another, one for each position. `counts` are
    /// those of the exchange that it is based on.
    pub(crate) fn variations(&self, scenario: Scenario, counts: EventCounts) -> Vec<ClientScript> {
        let Some((base, variation)) = scenario.variation() else {
            return vec![self.script(scenario)];
        };
        let positions = |last: usize| 0..=last.min(MAX_POSITIONS);
        match variation {
            Variation::Disconnects => positions(counts.all)
                .map(|position| ClientScript {
                    disconnects_after: Some(position),
                    ..self.script(base)
                })
                .collect(),
            Variation::StopsReading => positions(counts.sent)
                .map(|position| ClientScript {
                    stops_reading_after: Some(position),
                    ..self.script(base)
                })
                .collect(),
            Variation::AddsUnknownEvent => {
                let length = self.script(base).events.count();
                (0..=length)
                    .map(|position| {
                        let mut script = self.script(base);
                        let mut events: Vec<_> = script.events.collect();
                        events.insert(position, ReceiveEvent::Unknown(UNKNOWN.into()).into());
                        script.events = Box::new(events.into_iter());
                        script
                    })
                    .collect()
            }
        }
    }

    /// Returns every feature of HTTP that the application can have.
    fn http_features(&self) -> Features {
        let features = [
            Feature::ResponseTrailers,
            Feature::PathSend,
            Feature::EarlyHints,
            Feature::Debug,
            Feature::Shutdown,
        ]
        .into_iter()
        .collect();
        match self.options.asgi {
            true => asgi::shared(features),
            false => features,
        }
    }

    /// Returns the script of a request with this content in one event.
    pub(crate) fn post_whole(&self, content: &Bytes) -> ClientScript {
        let event = ReceiveEvent::HttpRequestBody(HttpRequestBody::last(content.clone()));
        ClientScript::new(self.post_scope_with_length(content), [event])
    }

    /// Returns the script of a request with this content in many events.
    pub(crate) fn post_split(&self, content: &Bytes) -> ClientScript {
        ClientScript::new(self.post_scope_with_length(content), split(content))
    }

    /// Returns the scope of a request for `target`.
    pub(crate) fn scope(&self, method: Method, target: &str, version: Version) -> HttpScope {
        let uri = target.parse().expect("the options checked the path");
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

    fn request(&self, method: Method, version: Version, features: Features) -> ClientScript {
        let mut scope = self.scope(method, &self.options.path, version);
        offer(&mut scope, features);
        ClientScript::new(
            scope,
            [ReceiveEvent::HttpRequestBody(HttpRequestBody::default())],
        )
    }

    fn post_scope(&self) -> HttpScope {
        let method = self.options.method.clone().unwrap_or(Method::POST);
        let mut scope = self.scope(method, &self.options.path, Version::HTTP_11);
        let octets = HeaderValue::from_static("application/octet-stream");
        scope.headers.entry(CONTENT_TYPE).or_insert(octets);
        scope
    }

    fn post_scope_with_length(&self, content: &Bytes) -> HttpScope {
        let mut scope = self.post_scope();
        scope.headers.insert(CONTENT_LENGTH, content.len().into());
        scope
    }

    fn chunked_post_scope(&self) -> HttpScope {
        let mut scope = self.post_scope();
        let chunked = HeaderValue::from_static("chunked");
        scope.headers.insert(TRANSFER_ENCODING, chunked);
        scope
    }

    fn post_flood(&self) -> ClientScript {
        let memory = MemoryBudget::new(self.options.memory);
        let last = ReceiveEvent::HttpRequestBody(HttpRequestBody::default());
        let events = flood_parts(&memory)
            .map(|part| ReceiveEvent::HttpRequestBody(HttpRequestBody::part(part)))
            .chain(iter::once(last));
        let mut script = ClientScript::new(self.chunked_post_scope(), events);
        script.memory = Some(memory);
        script
    }

    fn websocket_scope(&self, version: Version) -> WebSocketScope {
        let path = self.options.websocket_path.as_ref();
        let http = self.scope(Method::GET, path.unwrap_or(&self.options.path), version);
        let mut scope = WebSocketScope::new(http.uri.clone());
        scope.request = http.request;
        scope
    }

    fn websocket(
        &self,
        version: Version,
        offers_subprotocols: bool,
        features: Features,
    ) -> ClientScript {
        let mut scope = self.websocket_scope(version);
        scope.features = features;
        if offers_subprotocols {
            scope.subprotocols = self.options.subprotocols.clone();
            let list = scope.subprotocols.join(", ");
            if let Ok(value) = HeaderValue::try_from(list) {
                scope.headers.insert("sec-websocket-protocol", value);
            }
        }
        let messages = self.options.messages.clone();
        let messages = messages.into_iter().map(ReceiveEvent::WebSocketReceive);
        let events = iter::once(ReceiveEvent::WebSocketConnect).chain(messages);
        let mut script = ClientScript::new(scope, events);
        let closed = WebSocketDisconnect::new(1000);
        script.disconnect_event = ReceiveEvent::WebSocketDisconnect(closed);
        script
    }

    fn websocket_flood(&self) -> ClientScript {
        let memory = MemoryBudget::new(self.options.memory);
        let messages =
            flood_parts(&memory).map(|part| ReceiveEvent::WebSocketReceive(Message::Binary(part)));
        let events = iter::once(ReceiveEvent::WebSocketConnect).chain(messages);
        let mut script = ClientScript::new(self.websocket_scope(Version::HTTP_11), events);
        script.memory = Some(memory);
        script.stops_reading_after = Some(1);
        script
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

fn address(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Returns the parts of a flood: four times as many bytes as the application may hold.
fn flood_parts(memory: &MemoryBudget) -> impl Iterator<Item = Bytes> + Send + use<> {
    let part: Arc<[u8]> = vec![b'z'; (memory.limit * 4).div_ceil(FLOOD_EVENTS)].into();
    let live_bytes = memory.live_bytes.clone();
    (0..FLOOD_EVENTS).map(move |_| live_bytes.track(&part))
}

/// Splits content into events. Some are empty, the first and the last among them.
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
