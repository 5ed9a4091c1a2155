//! The serialised form keeps every scope and event as it is.
#![cfg(feature = "serde")]

use std::fmt::Debug;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use callgate::{
    ByteString, Feature, Features, HttpRequestBody, HttpResponseBody, HttpResponseDebug,
    HttpResponseEarlyHint, HttpResponsePathSend, HttpResponseStart, HttpResponseTrailers,
    HttpScope, LifespanScope, LifespanShutdownComplete, LifespanShutdownFailed,
    LifespanStartupComplete, LifespanStartupFailed, Message, ReceiveEvent, Scheme, Scope,
    SendEvent, State, TlsInfo, WebSocketAccept, WebSocketClose, WebSocketDisconnect,
    WebSocketScope,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Writes `value` as JSON text, reads it back, and compares.
fn assert_round_trip<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    let text = serde_json::to_string(value).unwrap();
    let read: T =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{value:?} as {text}: {error}"));
    assert_eq!(&read, value, "{text}");
    assert_eq!(serde_json::to_string(&read).unwrap(), text);
}

fn bytes() -> impl Strategy<Value = bytes::Bytes> {
    prop_oneof![
        vec(any::<u8>(), 0..40).prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ]
}

fn text() -> impl Strategy<Value = ByteString> {
    any::<String>().prop_map(Into::into)
}

fn header_value() -> impl Strategy<Value = HeaderValue> {
    vec(
        prop_oneof![Just(b'\t'), 0x20..=0x7e_u8, 0x80..=0xff_u8],
        0..20,
    )
    .prop_map(|octets| HeaderValue::from_bytes(&octets).unwrap())
}

/// Returns headers with few names, so that some names are repeated.
fn headers() -> impl Strategy<Value = HeaderMap> {
    vec(("[a-c]{1,2}|x-[a-z0-9]{1,8}", header_value()), 0..8).prop_map(|fields| {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::try_from(name).unwrap(), value);
        }
        headers
    })
}

fn status() -> impl Strategy<Value = StatusCode> {
    (100..=999_u16).prop_map(|code| StatusCode::from_u16(code).unwrap())
}

fn uri() -> impl Strategy<Value = Uri> {
    let origin = (
        "/[A-Za-z0-9/.~_%-]{0,20}",
        option::of("[A-Za-z0-9=&%?/.]{0,20}"),
    )
        .prop_map(|(path, query)| match query {
            Some(query) => format!("{path}?{query}").parse().unwrap(),
            None => path.parse().unwrap(),
        });
    prop_oneof![9 => origin, 1 => Just(Uri::from_static("*"))]
}

fn version() -> impl Strategy<Value = Version> {
    prop_oneof![
        Just(Version::HTTP_10),
        Just(Version::HTTP_11),
        Just(Version::HTTP_2)
    ]
}

fn scheme() -> impl Strategy<Value = Scheme> {
    prop_oneof![Just(Scheme::Http), Just(Scheme::Https)]
}

fn address() -> impl Strategy<Value = Option<SocketAddr>> {
    option::of(any::<(IpAddr, u16)>().prop_map(SocketAddr::from))
}

fn features() -> impl Strategy<Value = Features> {
    proptest::sample::subsequence(&Feature::ALL[..], 0..=Feature::ALL.len())
        .prop_map(|features| features.into_iter().collect())
}

fn tls() -> impl Strategy<Value = Option<Arc<TlsInfo>>> {
    let fields = (
        option::of(any::<String>()),
        vec(any::<String>(), 0..3),
        option::of(any::<String>()),
        option::of(any::<String>()),
        any::<Option<u16>>(),
        any::<Option<u16>>(),
    );
    option::of(
        fields.prop_map(|(server_cert, chain, name, error, version, cipher)| {
            let mut tls = TlsInfo::default();
            tls.server_cert = server_cert;
            tls.client_cert_chain = chain;
            tls.client_cert_name = name;
            tls.client_cert_error = error;
            tls.tls_version = version;
            tls.cipher_suite = cipher;
            Arc::new(tls)
        }),
    )
}

/// The common keys of HTTP and WebSocket scopes.
#[derive(Clone, Debug)]
struct Common {
    uri: Uri,
    version: Version,
    headers: HeaderMap,
    scheme: Scheme,
    root_path: ByteString,
    client: Option<SocketAddr>,
    server: Option<SocketAddr>,
    features: Features,
    tls: Option<Arc<TlsInfo>>,
}

fn common() -> impl Strategy<Value = Common> {
    (
        uri(),
        version(),
        headers(),
        scheme(),
        text(),
        address(),
        address(),
        features(),
        tls(),
    )
        .prop_map(
            |(uri, version, headers, scheme, root_path, client, server, features, tls)| Common {
                uri,
                version,
                headers,
                scheme,
                root_path,
                client,
                server,
                features,
                tls,
            },
        )
}

fn http_scope() -> impl Strategy<Value = Scope> {
    ("[A-Z-]{1,10}|[a-z]{1,5}", common()).prop_map(|(method, common)| {
        let mut scope = HttpScope::new(Method::from_bytes(method.as_bytes()).unwrap(), common.uri);
        scope.version = common.version;
        scope.headers = common.headers;
        scope.scheme = common.scheme;
        scope.root_path = common.root_path;
        scope.client = common.client;
        scope.server = common.server;
        scope.features = common.features;
        scope.tls = common.tls;
        scope.into()
    })
}

fn websocket_scope() -> impl Strategy<Value = Scope> {
    (vec(text(), 0..3), common()).prop_map(|(subprotocols, common)| {
        let mut scope = WebSocketScope::new(common.uri);
        scope.version = common.version;
        scope.headers = common.headers;
        scope.scheme = common.scheme;
        scope.root_path = common.root_path;
        scope.subprotocols = subprotocols;
        scope.client = common.client;
        scope.server = common.server;
        scope.features = common.features;
        scope.tls = common.tls;
        scope.into()
    })
}

fn scope() -> impl Strategy<Value = Scope> {
    prop_oneof![
        4 => http_scope(),
        4 => websocket_scope(),
        1 => Just(LifespanScope::new().into()),
    ]
}

fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        text().prop_map(Message::Text),
        bytes().prop_map(Message::Binary),
    ]
}

fn receive_event() -> impl Strategy<Value = ReceiveEvent> {
    let request = (
        bytes(),
        any::<bool>(),
        option::of(headers().prop_map(Box::new)),
    );
    let disconnect = (any::<u16>(), text());
    prop_oneof![
        request.prop_map(|(body, more_body, trailers)| {
            let mut request = HttpRequestBody::new(body, more_body);
            request.trailers = trailers;
            ReceiveEvent::HttpRequestBody(request)
        }),
        message().prop_map(ReceiveEvent::WebSocketReceive),
        disconnect.prop_map(|(code, reason)| {
            ReceiveEvent::WebSocketDisconnect(WebSocketDisconnect::new(code).reason(reason))
        }),
        Just(ReceiveEvent::HttpDisconnect),
        Just(ReceiveEvent::WebSocketConnect),
        Just(ReceiveEvent::LifespanStartup),
        Just(ReceiveEvent::LifespanShutdown),
    ]
}

fn response_start() -> impl Strategy<Value = HttpResponseStart> {
    (status(), headers(), any::<bool>()).prop_map(|(status, headers, trailers)| {
        let mut start = HttpResponseStart::new(status);
        start.headers = headers;
        start.trailers = trailers;
        start
    })
}

fn response_body() -> impl Strategy<Value = HttpResponseBody> {
    (bytes(), any::<bool>()).prop_map(|(body, more_body)| HttpResponseBody::new(body, more_body))
}

fn http_send_event() -> impl Strategy<Value = SendEvent> {
    let trailers = (headers(), any::<bool>());
    let info = btree_map(any::<String>(), any::<String>(), 0..4);
    prop_oneof![
        response_start().prop_map(SendEvent::from),
        response_body().prop_map(SendEvent::from),
        trailers.prop_map(|(headers, more_trailers)| {
            let mut trailers = HttpResponseTrailers::last(headers);
            trailers.more_trailers = more_trailers;
            trailers.into()
        }),
        any::<String>().prop_map(|path| HttpResponsePathSend::new(path).into()),
        vec(header_value(), 0..3).prop_map(|links| HttpResponseEarlyHint::new(links).into()),
        info.prop_map(|info| HttpResponseDebug::new(info).into()),
    ]
}

fn other_send_event() -> impl Strategy<Value = SendEvent> {
    let accept = (option::of(text()), headers());
    let close = (any::<u16>(), text());
    prop_oneof![
        accept.prop_map(|(subprotocol, headers)| {
            let mut accept = WebSocketAccept::new();
            accept.subprotocol = subprotocol;
            accept.headers = headers;
            accept.into()
        }),
        message().prop_map(SendEvent::from),
        close.prop_map(|(code, reason)| WebSocketClose::new(code).reason(reason).into()),
        response_start().prop_map(SendEvent::DenialResponseStart),
        response_body().prop_map(SendEvent::DenialResponseBody),
        Just(LifespanStartupComplete::new().into()),
        any::<String>().prop_map(|message| LifespanStartupFailed::new(message).into()),
        Just(LifespanShutdownComplete::new().into()),
        any::<String>().prop_map(|message| LifespanShutdownFailed::new(message).into()),
    ]
}

proptest! {
    #[test]
    fn a_scope_is_read_as_it_was_written(scope in scope()) {
        assert_round_trip(&scope);
    }

    #[test]
    fn a_received_event_is_read_as_it_was_written(event in receive_event()) {
        assert_round_trip(&event);
    }

    #[test]
    fn a_sent_event_is_read_as_it_was_written(
        event in prop_oneof![http_send_event(), other_send_event()],
    ) {
        assert_round_trip(&event);
    }

    #[test]
    fn the_type_of_an_event_is_its_type_name(event in receive_event()) {
        prop_assert_eq!(&serde_json::to_value(&event).unwrap()["type"], event.type_name());
    }

    #[test]
    fn the_path_is_written_decoded(scope in http_scope()) {
        let written = serde_json::to_value(&scope).unwrap();
        let Scope::Http(scope) = scope else { unreachable!() };
        prop_assert_eq!(written["path"].as_str().unwrap(), scope.path());
        prop_assert_eq!(written["raw_path"].as_str().unwrap(), scope.raw_path());
    }
}

fn read<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|error| error.to_string())
}

#[test]
fn absent_keys_have_their_defaults() {
    let event = read(json!({"type": "http.request"}));
    assert_eq!(
        event,
        Ok(ReceiveEvent::HttpRequestBody(HttpRequestBody::last("")))
    );
    let event = read(json!({"type": "http.response.start", "status": 200}));
    assert_eq!(event, Ok(SendEvent::from(HttpResponseStart::ok())));
    let event = read(json!({"type": "websocket.close"}));
    assert_eq!(event, Ok(SendEvent::from(WebSocketClose::new(1000))));
    let event = read(json!({"type": "websocket.disconnect"}));
    let disconnect = WebSocketDisconnect::new(1005);
    assert_eq!(event, Ok(ReceiveEvent::WebSocketDisconnect(disconnect)));
    let scope = json!({
        "type": "http", "http_version": "1.1", "method": "GET", "scheme": "http", "raw_path": "/",
    });
    let expected = HttpScope::new(Method::GET, "/".parse().unwrap());
    assert_eq!(read(scope), Ok(Scope::from(expected)));
}

#[test]
fn unknown_keys_and_extensions_are_passed_over() {
    let event = read(json!({"type": "http.disconnect", "new": 1}));
    assert_eq!(event, Ok(ReceiveEvent::HttpDisconnect));
    let event = read(json!({"type": "websocket.send", "text": "x", "new": 1}));
    assert_eq!(event, Ok(SendEvent::from(Message::text("x"))));
    let scope: Scope = read(json!({
        "type": "websocket", "http_version": "2", "scheme": "ws", "raw_path": "/",
        "extensions": ["new", "tls"], "new": {},
    }))
    .unwrap();
    let Scope::WebSocket(scope) = scope else {
        panic!("{scope:?}");
    };
    assert_eq!(scope.features, Features::NONE.with(Feature::Tls));
}

#[test]
fn the_other_key_of_a_message_may_be_null() {
    let event = read(json!({"type": "websocket.receive", "text": null, "bytes": "x"}));
    let expected = ReceiveEvent::WebSocketReceive(Message::binary("x"));
    assert_eq!(event, Ok(expected));
}

#[test]
fn invalid_serialised_forms_are_refused() {
    for event in [
        json!({"type": "websocket.send"}),
        json!({"type": "websocket.send", "text": "x", "bytes": "x"}),
        json!({"type": "websocket.sent", "text": "x"}),
        json!({"type": "http.response.start"}),
        json!({"type": "http.response.start", "status": 42}),
        json!({"type": "http.response.start", "status": 200, "headers": [["a b", ""]]}),
        json!({"type": "http.response.start", "status": 200, "headers": [["a", "x\ny"]]}),
        json!({"type": "http.response.start", "status": 200, "headers": [["a\r\nb", ""]]}),
        json!({"type": "http.response.start", "status": 200, "headers": [["a", "x\r\nb: c"]]}),
        json!({"type": "http.response.start", "status": 200, "headers": [["a", "x\u{0}"]]}),
        json!({"type": "http.response.start", "status": 200, "headers": [[":status", "200"]]}),
        json!({"type": "http.response.start", "status": "200 OK\r\nb: c"}),
        json!({"type": "http.response.trailers", "headers": [["a", "x\r\nb: c"]]}),
        json!({"type": "http.response.early_hint", "links": ["x\r\nb: c"]}),
        json!({"type": "websocket.accept", "headers": [["a", "x\r\nb: c"]]}),
        json!({"type": "http.response.body", "body": {"base64": "?"}}),
    ] {
        assert!(read::<SendEvent>(event.clone()).is_err(), "{event}");
    }
    for (key, value) in [
        ("http_version", json!("1.2")),
        ("scheme", json!("ws")),
        ("raw_path", json!("")),
        ("raw_path", json!("/a b")),
        ("raw_path", json!("a")),
        ("raw_path", json!("/a?b")),
        ("raw_path", json!("/a#b")),
        ("raw_path", json!("example.com:80")),
        ("raw_path", json!("http://example.com/")),
        ("method", Value::Null),
        ("client", json!(["localhost", 80])),
    ] {
        let mut scope = json!({
            "type": "http", "http_version": "1.1", "method": "GET", "scheme": "http", "raw_path": "/",
        });
        assert!(read::<Scope>(scope.clone()).is_ok());
        scope[key] = value;
        assert!(read::<Scope>(scope.clone()).is_err(), "{scope}");
    }
}

#[test]
fn more_header_fields_than_a_map_can_hold_are_refused() {
    let fields: Vec<_> = (0..40_000).map(|n| (format!("x-{n}"), "")).collect();
    let event = json!({"type": "http.response.start", "status": 200, "headers": fields});
    assert!(read::<SendEvent>(event).is_err());
}

#[test]
fn state_and_extensions_are_not_written() {
    let mut state = State::new();
    state.insert("a pool");
    let event = SendEvent::from(LifespanStartupComplete::with_state(state.clone()));
    let written = serde_json::to_value(&event).unwrap();
    assert_eq!(written, json!({"type": "lifespan.startup.complete"}));
    let mut scope = Scope::from(HttpScope::new(Method::GET, "/".parse().unwrap()));
    let without = serde_json::to_value(&scope).unwrap();
    let request = scope.request_mut().unwrap();
    request.state = state;
    request.extensions.insert("of one exchange");
    assert_eq!(serde_json::to_value(&scope).unwrap(), without);
}
