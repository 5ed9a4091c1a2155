//! `websocket.md`: the handshake, and its answer.

use callgate::{
    HttpResponseBody, HttpResponseStart, Message, ReceiveEvent, Scope, WebSocketAccept,
    WebSocketClose, WebSocketDisconnect, WebSocketScope,
};
use http::Version;

use crate::probe::Step;
use crate::server_suite::bench::Bench;
use crate::server_suite::case::{
    Asgi::{Differs, Shared},
    Case, Outcome, case, must,
};
use crate::server_suite::exchange::Over;
use crate::server_suite::launch::Settings;
use crate::server_suite::request::Request;
use crate::server_suite::server::Server;
use crate::server_suite::websocket::{
    Asked, TEXT, after_connect, ask, connect_http2, disconnected, handshake, text, websocket_cases,
};

/// Over HTTP/1.1 and over HTTP/2 alike.
pub(super) const CASES: &[Case] = websocket_cases![
    connect_comes_first: CONNECT_FIRST, Shared,
        "Opens a WebSocket and sends a message; the application receives three times.",
        "It receives `websocket.connect`, then the message, and no other `websocket.connect`.";
    the_handshake_waits: HANDSHAKE_WAITS, Shared,
        "Sends a handshake, and has the application called for another request before it answers.",
        "Nothing of an answer is sent before the application accepts.";
    close_before_accept: CLOSE_BEFORE_ACCEPT_IS_403, Shared,
        "The application closes, with a code and a reason, where it should accept.",
        "The handshake is answered with 403.";
    return_before_accept: FAILURE_BEFORE_ACCEPT_IS_500,
        Differs("ASGI leaves open what becomes of a handshake whose call just ends"),
        "The application returns without having answered the handshake.",
        "The handshake is answered with 500.";
    failure_before_accept: FAILURE_BEFORE_ACCEPT_IS_500,
        Differs("ASGI leaves open what becomes of a handshake whose call fails"),
        "The application fails without having answered the handshake.",
        "The handshake is answered with 500.";
    panic_before_accept: FAILURE_BEFORE_ACCEPT_IS_500,
        Differs("ASGI leaves open what becomes of a handshake whose call fails"),
        "The application panics without having answered the handshake.",
        "The handshake is answered with 500.";
    broken_rule_before_accept: FAILURE_BEFORE_ACCEPT_IS_500,
        Differs("ASGI leaves open what a server does about an event that is out of turn"),
        "The application accepts with a subprotocol that the client has not offered.",
        "The handshake is answered with 500 while the application still runs.";
    other_version: UNSUPPORTED_WEBSOCKET_VERSION,
        Differs("RFC 6455 names the status 426 as an example only"),
        "Sends a handshake of version 8.",
        "It is answered with 426 and `sec-websocket-version: 13`; the application is not called.";
    no_version: UNSUPPORTED_WEBSOCKET_VERSION,
        Differs("RFC 6455 names the status 426 as an example only"),
        "Sends a handshake without a version.",
        "It is answered with 426 and `sec-websocket-version: 13`; the application is not called.";
    the_client_goes_away_before_accept: DISCONNECT_BEFORE_ACCEPT,
        Differs("ASGI does not say which code a client leaves that goes away before"),
        "The client goes away before the application has answered the handshake.",
        "The application receives `websocket.disconnect` with 1006.";
    accepted_with_fields: ACCEPT_HEADERS_KEPT, Shared,
        "The application accepts with a subprotocol and with fields, one of them repeated.",
        "The answer has all of them.";
    shutdown_before_accept: SHUTDOWN_BEFORE_ACCEPT_IS_503,
        Differs("ASGI leaves open what a shutdown does to a handshake"),
        "Stops the server before the application has answered the handshake.",
        "The handshake is answered with 503, and the application receives \
         `websocket.disconnect` with 1012.";
];

/// Those that only one version of HTTP has.
pub(super) const SINGLE_CASES: &[Case] = &[
    case!(
        no_key: BAD_HANDSHAKE, Shared,
        "Sends a handshake without `sec-websocket-key`.",
        "It is answered with 400; the application is not called."
    ),
    case!(
        short_key: BAD_HANDSHAKE, Shared,
        "Sends a handshake whose `sec-websocket-key` is not 16 bytes in base64.",
        "It is answered with 400; the application is not called."
    ),
    case!(
        two_keys: BAD_HANDSHAKE, Shared,
        "Sends a handshake with two `sec-websocket-key` fields.",
        "It is answered with 400; the application is not called."
    ),
    case!(
        a_websocket_over_extended_connect: EXTENDED_CONNECT,
        Differs("ASGI leaves open whether a server of HTTP/2 serves WebSockets over it"),
        "Opens a WebSocket over HTTP/2, and another over HTTP/1.1, with the same fields.",
        "HTTP/2's settings offer it; both scopes are alike but for the version, and both WebSockets \
         have the same events."
    ),
    case!(
        another_upgrade: OTHER_UPGRADES_ARE_HTTP,
        Differs("RFC 9110 lets a server refuse a request for an upgrade that it does not know"),
        "Sends a GET that asks to upgrade to `example/1`.",
        "The application is called for an HTTP request, and its response is sent."
    ),
    case!(
        an_upgrade_to_websocket_by_post: OTHER_UPGRADES_ARE_HTTP,
        Differs("RFC 6455 leaves open what becomes of a handshake that is not a GET"),
        "Sends what would be a handshake if its method were not POST.",
        "The application is called for an HTTP request, and its response is sent."
    ),
    case!(
        an_upgrade_that_the_connection_does_not_list: OTHER_UPGRADES_ARE_HTTP, Shared,
        "Sends what would be a handshake if `connection` listed `upgrade`.",
        "The application is called for an HTTP request, and its response is sent."
    ),
];

async fn connect_comes_first(bench: &mut Bench<'_>, over: Over) -> Outcome {
    let server = bench.server().await?;
    let asked = ask(server, over, &handshake()).await?;
    let mut app = server.call().await?;
    let first = app.receive().await?;
    must!(
        first == ReceiveEvent::WebSocketConnect,
        "first came {first:?}"
    );
    app.send(WebSocketAccept::new()).await?;
    let mut client = asked.opened(server).await?;
    client.send(text("message")).await?;
    let second = app.receive().await?;
    must!(
        second != ReceiveEvent::WebSocketConnect,
        "`websocket.connect` came twice"
    );
    let third = app.begin(Step::Receive);
    must!(
        app.is_pending(third).await?,
        "after the one message came {:?}",
        app.received(Some(third)).await?
    );
    app.finish(Step::Return).await
}

async fn the_handshake_waits(bench: &mut Bench<'_>, over: Over) -> Outcome {
    let server = bench.server().await?;
    let mut asked = ask(server, over, &handshake()).await?;
    let mut app = server.call().await?;
    app.act(Step::Fence).await?;
    server.serves().await?;
    must!(
        !asked.has_answer().await?,
        "the handshake was answered before the application had accepted"
    );
    app.send(WebSocketAccept::new()).await?;
    asked.opened(server).await?;
    app.finish(Step::Return).await
}

async fn close_before_accept(bench: &mut Bench<'_>, over: Over) -> Outcome {
    let server = bench.server().await?;
    let close = WebSocketClose::new(3000).reason("no");
    let asked = ask(server, over, &handshake().sends(close)).await?;
    let app = server.call().await?;
    is_answered(asked, 403).await?;
    app.finish(Step::Return).await
}

async fn return_before_accept(bench: &mut Bench<'_>, over: Over) -> Outcome {
    ends_before_accept(bench, over, Step::Return).await
}

async fn failure_before_accept(bench: &mut Bench<'_>, over: Over) -> Outcome {
    ends_before_accept(bench, over, Step::Fail("a failure of the probe".into())).await
}

async fn panic_before_accept(bench: &mut Bench<'_>, over: Over) -> Outcome {
    ends_before_accept(bench, over, Step::Panic("a panic of the probe".into())).await
}

async fn ends_before_accept(bench: &mut Bench<'_>, over: Over, end: Step) -> Outcome {
    let server = bench.server().await?;
    let asked = ask(server, over, &handshake()).await?;
    let app = server.call().await?;
    app.finish(end).await?;
    is_answered(asked, 500).await
}

async fn broken_rule_before_accept(bench: &mut Bench<'_>, over: Over) -> Outcome {
    let server = bench.server().await?;
    let asked = ask(server, over, &handshake()).await?;
    let mut app = server.call().await?;
    app.try_send(WebSocketAccept::new().subprotocol("not-offered"))
        .await?;
    is_answered(asked, 500).await?;
    app.finish(Step::Return).await
}

async fn is_answered(asked: Asked, status: u16) -> Outcome {
    let seen = asked.response().await?.status;
    must!(seen == status, "the handshake was answered with {seen}");
    Ok(())
}

async fn other_version(bench: &mut Bench<'_>, over: Over) -> Outcome {
    wants_version_13(bench, over, |request| {
        set(request, "sec-websocket-version", "8");
    })
    .await
}

async fn no_version(bench: &mut Bench<'_>, over: Over) -> Outcome {
    wants_version_13(bench, over, |request| {
        without(request, "sec-websocket-version");
    })
    .await
}

async fn wants_version_13(
    bench: &mut Bench<'_>,
    over: Over,
    change: impl FnOnce(&mut Request),
) -> Outcome {
    let server = bench.server().await?;
    let mut request = handshake();
    change(&mut request);
    let response = ask(server, over, &request).await?.response().await?;
    must!(
        response.status == 426,
        "the handshake was answered with {}",
        response.status
    );
    must!(
        response.lists("sec-websocket-version", "13"),
        "`sec-websocket-version` is {:?}",
        response.field("sec-websocket-version")
    );
    server.was_not_called().await
}

async fn no_key(bench: &mut Bench<'_>) -> Outcome {
    bad_handshake(bench, |request| without(request, "sec-websocket-key")).await
}

async fn short_key(bench: &mut Bench<'_>) -> Outcome {
    bad_handshake(bench, |request| {
        set(request, "sec-websocket-key", "c2hvcnQ=");
    })
    .await
}

async fn two_keys(bench: &mut Bench<'_>) -> Outcome {
    bad_handshake(bench, |request| {
        let second = ("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA==");
        request.fields.push((second.0.into(), second.1.into()));
    })
    .await
}

async fn bad_handshake(bench: &mut Bench<'_>, change: impl FnOnce(&mut Request)) -> Outcome {
    let server = bench.server().await?;
    let mut request = handshake();
    change(&mut request);
    let asked = ask(server, Over::Http1, &request).await?;
    is_answered(asked, 400).await?;
    server.was_not_called().await
}

fn set(request: &mut Request, name: &str, value: &str) {
    without(request, name);
    request.fields.push((name.into(), value.into()));
}

fn without(request: &mut Request, name: &str) {
    request.fields.retain(|(field, _)| field != name);
}

async fn a_websocket_over_extended_connect(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let client = connect_http2(server).await?;
    must!(
        client.takes_extended_connect(),
        "its settings do not offer extended CONNECT"
    );
    drop(client);
    let mut scope = echoed(server, Over::Http2).await?;
    let http1 = echoed(server, Over::Http1).await?;
    must!(
        scope.version == Version::HTTP_2,
        "the version in the scope is {:?}",
        scope.version
    );
    // The same but for what only one of the two has.
    scope.version = http1.version;
    scope.client = http1.client;
    scope.headers = http1.headers.clone();
    must!(
        scope == http1,
        "over HTTP/2 the scope is {scope:?}, and over HTTP/1.1 {http1:?}"
    );
    Ok(())
}

/// Has a WebSocket go all its ways; its scope.
async fn echoed(server: &mut Server, over: Over) -> Outcome<WebSocketScope> {
    let asked = ask(
        server,
        over,
        &handshake().field("sec-websocket-protocol", "one, two"),
    )
    .await?;
    let mut app = server.call().await?;
    app.send(WebSocketAccept::new()).await?;
    let mut client = asked.opened(server).await?;
    client.send(text("there")).await?;
    let there = after_connect(&mut app).await?;
    let message = ReceiveEvent::WebSocketReceive(Message::text("there"));
    must!(there == message, "received {there:?}");
    app.send(Message::text("and back")).await?;
    app.send(WebSocketClose::new(1001)).await?;
    let back = client.message().await?;
    must!(
        back.first & 0x0f == TEXT && back.payload == "and back",
        "the client got {back:?}"
    );
    client.is_closed_with(1001).await?;
    let scope = app.websocket()?.clone();
    app.finish(Step::Return).await?;
    Ok(scope)
}

async fn the_client_goes_away_before_accept(bench: &mut Bench<'_>, over: Over) -> Outcome {
    let server = bench.server().await?;
    let asked = ask(server, over, &handshake()).await?;
    let mut app = server.call().await?;
    asked.reset();
    let disconnect = disconnected(&mut app).await?;
    must!(
        disconnect == WebSocketDisconnect::new(1006),
        "received {disconnect:?}"
    );
    app.finish(Step::Return).await
}

async fn another_upgrade(bench: &mut Bench<'_>) -> Outcome {
    let request = Request::get("/")
        .field("connection", "upgrade")
        .field("upgrade", "example/1");
    is_served_as_http(bench, request).await
}

async fn an_upgrade_to_websocket_by_post(bench: &mut Bench<'_>) -> Outcome {
    let mut request = handshake().body("");
    request.method = "POST".into();
    is_served_as_http(bench, request).await
}

async fn an_upgrade_that_the_connection_does_not_list(bench: &mut Bench<'_>) -> Outcome {
    let mut request = handshake();
    without(&mut request, "connection");
    is_served_as_http(bench, request).await
}

async fn is_served_as_http(bench: &mut Bench<'_>, request: Request) -> Outcome {
    let server = bench.server().await?;
    let mut client = server.connect().await?;
    let request = request
        .sends(HttpResponseStart::ok())
        .sends(HttpResponseBody::last("as HTTP"));
    client.send(request.http1()).await?;
    let response = client.response().await?;
    must!(
        response.status == 200 && response.text() == "as HTTP",
        "the response was {} `{}`",
        response.status,
        response.text()
    );
    let app = server.call().await?;
    must!(
        matches!(app.scope, Scope::Http(_)),
        "the scope is of type `{}`",
        app.scope.type_name()
    );
    app.finish(Step::Return).await
}

async fn accepted_with_fields(bench: &mut Bench<'_>, over: Over) -> Outcome {
    let server = bench.server().await?;
    let request = handshake().field("sec-websocket-protocol", "one, two");
    let asked = ask(server, over, &request).await?;
    let mut app = server.call().await?;
    let accept = WebSocketAccept::new()
        .subprotocol("two")
        .header("x-more", "1")
        .header("set-cookie", "a=1")
        .header("set-cookie", "b=2");
    app.send(accept).await?;
    let (response, _client) = asked.answered(server).await?;
    for (name, values) in [
        ("sec-websocket-protocol", &["two"][..]),
        ("x-more", &["1"]),
        ("set-cookie", &["a=1", "b=2"]),
    ] {
        let seen: Vec<_> = response.fields.get_all(name).iter().collect();
        must!(seen == values, "`{name}` is {seen:?}");
    }
    app.finish(Step::Return).await
}

async fn shutdown_before_accept(bench: &mut Bench<'_>, over: Over) -> Outcome {
    let mut server = bench.launch(&Settings::default()).await?;
    server.live().await?;
    let asked = ask(&server, over, &handshake()).await?;
    let mut app = server.call().await?;
    server.stop()?;
    is_answered(asked, 503).await?;
    let disconnect = disconnected(&mut app).await?;
    must!(
        disconnect.code == 1012,
        "the application received {disconnect:?}"
    );
    app.finish(Step::Return).await
}
