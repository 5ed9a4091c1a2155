//! `features.md`: optional features.

use std::io::Write as _;

use callgate::{
    Feature, Features, HttpResponseBody, HttpResponseDebug, HttpResponseEarlyHint,
    HttpResponsePathSend, HttpResponseStart, HttpResponseTrailers, Scope, SendEvent,
    WebSocketAccept,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use tempfile::NamedTempFile;

use super::steps::call_over;
use crate::Verdict;
use crate::probe::{SentOutcome, Step};
use crate::server_suite::bench::Bench;
use crate::server_suite::case::{
    Asgi::{Differs, Shared},
    Case, Outcome, case, must,
};
use crate::server_suite::exchange::Over;
use crate::server_suite::remote::Remote;
use crate::server_suite::request::Request;
use crate::server_suite::websocket::{ask, handshake, websocket_cases};

/// Over HTTP/1.1 and over HTTP/2 alike.
pub(super) const CASES: &[Case] = websocket_cases![
    an_http_extension_that_is_not_offered: NOT_OFFERED_FAILS,
        Differs("ASGI leaves open what becomes of an event that the server does not know"),
        "The application sends, before its response, events of each feature that the scope does \
         not offer.",
        "Each send fails as not offered; the response goes out as if there had been none.";
    trailers: TRAILERS_SENT, Shared,
        "The application sends trailer fields in two events.",
        "The client gets all of them after the content, and with them the end of the response.";
    a_file_that_is_not_there: PATH_SEND_FAILS,
        Differs("ASGI leaves open what becomes of a file that cannot be opened"),
        "The application sends the path of a file that does not exist, and then a body.",
        "The path send fails for that reason; the response has the body.";
    a_file: PATH_SEND_IS_WHOLE, Shared,
        "The application sends the path of a file that is larger than any buffer.",
        "The client gets all of it, and the end of the response.";
    an_empty_file: PATH_SEND_IS_WHOLE, Shared,
        "The application sends the path of an empty file.",
        "The client gets the end of the response, and no content.";
    a_denial_response: DENIAL_IS_SENT, Shared,
        "The application denies a WebSocket with a status, a field and a content in one event.",
        "The handshake is answered with them.";
    a_streamed_denial_response: DENIAL_IS_SENT, Shared,
        "The application denies a WebSocket with a content in two events.",
        "The handshake is answered with the whole content.";
    a_websocket_extension_that_is_not_offered: NOT_OFFERED_FAILS,
        Differs("ASGI leaves open what becomes of an event that the server does not know"),
        "The application denies a WebSocket where the scope does not offer that, and then accepts.",
        "The denial fails as not offered; the handshake is accepted.";
];

/// Those that only HTTP/1 has.
pub(super) const SINGLE_CASES: &[Case] = &[
    case!(
        trailers_that_are_not_asked_for: TRAILERS_OFFERED,
        Differs("ASGI leaves open on which exchanges a server offers trailers"),
        "Sends a request of HTTP/1.1 without `te: trailers`.",
        "Its scope does not offer `http.response.trailers`."
    ),
    case!(
        trailers_and_http10: TRAILERS_OFFERED,
        Differs("ASGI leaves open on which exchanges a server offers trailers"),
        "Sends a request of HTTP/1.0 with `te: trailers`.",
        "Its scope does not offer `http.response.trailers`."
    ),
];

/// A call whose scope offers this feature.
async fn offers(app: Remote, feature: Feature) -> Outcome<Remote> {
    if offered(&app.scope).contains(feature) {
        return Ok(app);
    }
    app.finish(Step::Decline).await?;
    Err(Verdict::NotApplicable(
        format!("it does not offer `{}`", feature.name()).into(),
    ))
}

fn offered(scope: &Scope) -> Features {
    match scope {
        Scope::Http(scope) => scope.features,
        Scope::WebSocket(scope) => scope.features,
        _ => Features::NONE,
    }
}

async fn an_http_extension_that_is_not_offered(bench: &mut Bench<'_>, over: Over) -> Outcome {
    let server = bench.server().await?;
    let (mut client, mut app) = call_over(over, server, &Request::get("/")).await?;
    let offered = offered(&app.scope);
    let hints = HttpResponseEarlyHint::new([HeaderValue::from_static("</style.css>; rel=preload")]);
    let events: [(_, SendEvent); 2] = [
        (Feature::EarlyHints, hints.into()),
        (Feature::Debug, HttpResponseDebug::default().into()),
    ];
    for (feature, event) in events {
        if !offered.contains(feature) {
            is_not_offered(&mut app, feature, event).await?;
        }
    }
    app.send(HttpResponseStart::ok()).await?;
    if !offered.contains(Feature::PathSend) {
        let event = HttpResponsePathSend::new("/callgate-conformance");
        is_not_offered(&mut app, Feature::PathSend, event.into()).await?;
    }
    app.send(HttpResponseBody::last("the response")).await?;
    let response = client.response().await?;
    must!(
        response.status == 200 && response.text() == "the response",
        "the response was {} `{}`",
        response.status,
        response.text()
    );
    app.finish(Step::Return).await
}

async fn a_websocket_extension_that_is_not_offered(bench: &mut Bench<'_>, over: Over) -> Outcome {
    let server = bench.server().await?;
    let asked = ask(server, over, &handshake()).await?;
    let mut app = server.call().await?;
    if offered(&app.scope).contains(Feature::DenialResponse) {
        app.finish(Step::Decline).await?;
        return Err(Verdict::NotApplicable(
            "it offers every feature of a WebSocket".into(),
        ));
    }
    let start = SendEvent::DenialResponseStart(HttpResponseStart::new(StatusCode::UNAUTHORIZED));
    is_not_offered(&mut app, Feature::DenialResponse, start).await?;
    app.send(WebSocketAccept::new()).await?;
    asked.opened(server).await?;
    app.finish(Step::Return).await
}

async fn is_not_offered(app: &mut Remote, feature: Feature, event: SendEvent) -> Outcome {
    let name = feature.name();
    let outcome = app.try_send(event).await?;
    // A server that looks for a file offers that, and only does not list it: SCOPE-19's matter.
    must!(
        outcome == SentOutcome::NotOffered(name.into()) || outcome == SentOutcome::File,
        "sending an event of `{name}` came to {outcome:?}"
    );
    Ok(())
}

async fn trailers(bench: &mut Bench<'_>, over: Over) -> Outcome {
    let server = bench.server().await?;
    let request = Request::get("/").field("te", "trailers");
    let (mut client, app) = call_over(over, server, &request).await?;
    let mut app = offers(app, Feature::ResponseTrailers).await?;
    let mut start = HttpResponseStart::ok().header("trailer", "x-checksum, x-status");
    start.trailers = true;
    app.send(start).await?;
    app.send(HttpResponseBody::last("content")).await?;
    app.send(HttpResponseTrailers::part(one_field(
        "x-checksum",
        "9a0364b9",
    )))
    .await?;
    app.send(HttpResponseTrailers::last(one_field("x-status", "good")))
        .await?;
    let response = client.response().await?;
    must!(
        response.text() == "content",
        "the content is `{}`",
        response.text()
    );
    let mut expected = one_field("x-checksum", "9a0364b9");
    expected.extend(one_field("x-status", "good"));
    must!(
        response.trailers == expected,
        "the trailer fields are {:?}",
        response.trailers
    );
    app.finish(Step::Return).await
}

fn one_field(name: &'static str, value: &'static str) -> HeaderMap {
    let mut fields = HeaderMap::new();
    fields.insert(name, HeaderValue::from_static(value));
    fields
}

async fn trailers_that_are_not_asked_for(bench: &mut Bench<'_>) -> Outcome {
    has_no_trailers(bench, Request::get("/").http1()).await
}

async fn trailers_and_http10(bench: &mut Bench<'_>) -> Outcome {
    let request = b"GET / HTTP/1.0\r\nhost: test\r\nte: trailers\r\n\r\n";
    has_no_trailers(bench, request.to_vec()).await
}

async fn has_no_trailers(bench: &mut Bench<'_>, request: Vec<u8>) -> Outcome {
    let server = bench.server().await?;
    let mut client = server.connect().await?;
    client.send(request).await?;
    let app = server.call().await?;
    let offered = offered(&app.scope);
    must!(
        !offered.contains(Feature::ResponseTrailers),
        "the scope offers {offered:?}"
    );
    app.finish(Step::Decline).await
}

async fn a_file_that_is_not_there(bench: &mut Bench<'_>, over: Over) -> Outcome {
    let server = bench.server().await?;
    let (mut client, app) = call_over(over, server, &Request::get("/")).await?;
    let mut app = offers(app, Feature::PathSend).await?;
    let gone = file(b"")?.path().to_owned();
    app.send(HttpResponseStart::ok()).await?;
    let outcome = app.try_send(HttpResponsePathSend::new(gone)).await?;
    must!(
        outcome == SentOutcome::File,
        "sending the path came to {outcome:?}"
    );
    app.send(HttpResponseBody::last("instead")).await?;
    let response = client.response().await?;
    must!(
        response.text() == "instead",
        "the content is `{}`",
        response.text()
    );
    app.finish(Step::Return).await
}

async fn a_file(bench: &mut Bench<'_>, over: Over) -> Outcome {
    let content: Vec<_> = (0..=u8::MAX).cycle().take(300_000).collect();
    is_sent(bench, over, &content).await
}

async fn an_empty_file(bench: &mut Bench<'_>, over: Over) -> Outcome {
    is_sent(bench, over, b"").await
}

async fn is_sent(bench: &mut Bench<'_>, over: Over, content: &[u8]) -> Outcome {
    let server = bench.server().await?;
    let (mut client, app) = call_over(over, server, &Request::get("/")).await?;
    let mut app = offers(app, Feature::PathSend).await?;
    let file = file(content)?;
    app.send(HttpResponseStart::ok()).await?;
    app.send(HttpResponsePathSend::new(file.path())).await?;
    let response = client.response().await?;
    must!(
        response.body == content,
        "of {} bytes came {}, which are {}those at the beginning",
        content.len(),
        response.body.len(),
        match content.starts_with(&response.body) {
            true => "",
            false => "not ",
        }
    );
    app.finish(Step::Return).await
}

/// A file with this content, which goes when this is dropped.
fn file(content: &[u8]) -> Outcome<NamedTempFile> {
    let made = NamedTempFile::new().and_then(|mut file| {
        file.write_all(content)?;
        Ok(file)
    });
    made.map_err(|error| Verdict::failed(format!("the case cannot make a file: {error}")))
}

async fn a_denial_response(bench: &mut Bench<'_>, over: Over) -> Outcome {
    is_denied(bench, over, &["log in"]).await
}

async fn a_streamed_denial_response(bench: &mut Bench<'_>, over: Over) -> Outcome {
    is_denied(bench, over, &["log ", "in"]).await
}

async fn is_denied(bench: &mut Bench<'_>, over: Over, parts: &[&'static str]) -> Outcome {
    let server = bench.server().await?;
    let asked = ask(server, over, &handshake()).await?;
    let mut app = offers(server.call().await?, Feature::DenialResponse).await?;
    let start = HttpResponseStart::new(StatusCode::UNAUTHORIZED).header("x-why", "login");
    app.begin(Step::Send(SendEvent::DenialResponseStart(start)));
    for (index, part) in parts.iter().enumerate() {
        let more = index + 1 < parts.len();
        let body = SendEvent::DenialResponseBody(HttpResponseBody::new(*part, more));
        app.begin(Step::Send(body));
    }
    let response = asked.response().await?;
    must!(
        response.status == 401
            && response.field("x-why") == Some("login")
            && response.text() == "log in",
        "the handshake was answered with {} {:?} `{}`",
        response.status,
        response.fields,
        response.text()
    );
    app.finish(Step::Return).await
}
