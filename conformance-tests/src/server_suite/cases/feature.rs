//! `features.md`: optional features.

use std::io::Write as _;

use callgate::{
    Feature, Features, HttpResponseBody, HttpResponseDebug, HttpResponseEarlyHint,
    HttpResponsePathSend, HttpResponseStart, HttpResponseTrailers, Scope, SendEvent,
    WebSocketAccept, rule,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use tempfile::NamedTempFile;

use super::steps::{call_over, expect_response, respond};
use crate::Verdict;
use crate::basis::{Basis, Document::AsgiExtensions, demands, recommends};
use crate::probe::{SendOutcome, Step};
use crate::server_suite::case::{Case, HTTP1, HTTP1_AND_HTTP2, steps};
use crate::server_suite::client_exchange::Transport;
use crate::server_suite::fixture::Fixture;
use crate::server_suite::probe_call::ProbeCall;
use crate::server_suite::request::Request;
use crate::server_suite::result::{CaseResult, must};
use crate::server_suite::websocket::{begin_handshake, handshake};

pub(super) const CASES: &[&[Case]] = &[
    NOT_OFFERED_FAILS,
    TRAILERS_SENT,
    PATH_SEND_FAILS,
    PATH_SEND_IS_WHOLE,
    EARLY_HINTS_ARE_SENT,
    DENIAL_IS_SENT,
    TRAILERS_OFFERED,
];

const NOT_OFFERED_FAILS_BASIS: Basis = Basis::CallgateOnly(
    "ASGI 3.0, \"Error Handling\", recommends an exception for an unknown event, and does not name it",
);

const NOT_OFFERED_FAILS: &[Case] = &[
    Case {
        rule: rule::NOT_OFFERED_FAILS,
        name: "an_http_feature_that_is_not_offered",
        transports: HTTP1_AND_HTTP2,
        does: "The application sends, before its response, events of each feature that the scope does not offer.",
        must: "Each send fails as not offered; the response goes out as if there had been none.",
        basis: NOT_OFFERED_FAILS_BASIS,
        steps: steps!(async |fixture, transport| {
            let server = fixture.server().await?;
            let (mut client, mut app) = call_over(transport, server, &Request::get("/")).await?;
            let offered = offered(app.scope());
            let hints =
                HttpResponseEarlyHint::new([HeaderValue::from_static("</style.css>; rel=preload")]);
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
            expect_response(&response, "the response")?;
            app.finish(Step::Return).await
        }),
    },
    Case {
        rule: rule::NOT_OFFERED_FAILS,
        name: "a_websocket_feature_that_is_not_offered",
        transports: HTTP1_AND_HTTP2,
        does: "The application denies a WebSocket where the scope does not offer that, and then accepts.",
        must: "The denial fails as not offered; the handshake is accepted.",
        basis: NOT_OFFERED_FAILS_BASIS,
        steps: steps!(async |fixture, transport| {
            let server = fixture.server().await?;
            let pending = begin_handshake(server, transport, &handshake()).await?;
            let mut app = server.call().await?;
            if offered(app.scope()).contains(Feature::DenialResponse) {
                app.finish(Step::Decline).await?;
                return Err(Verdict::NotApplicable(
                    "it offers every feature of a WebSocket".into(),
                ));
            }
            let start =
                SendEvent::DenialResponseStart(HttpResponseStart::new(StatusCode::UNAUTHORIZED));
            is_not_offered(&mut app, Feature::DenialResponse, start).await?;
            app.send(WebSocketAccept::new()).await?;
            pending.opened(server).await?;
            app.finish(Step::Return).await
        }),
    },
];

/// Returns the call if its scope offers this feature. The case is not applicable otherwise.
async fn offers(app: ProbeCall, feature: Feature) -> CaseResult<ProbeCall> {
    if offered(app.scope()).contains(feature) {
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

async fn is_not_offered(app: &mut ProbeCall, feature: Feature, event: SendEvent) -> CaseResult {
    let name = feature.name();
    let outcome = app.try_send(event).await?;
    // A server that looks for a file offers that, and only does not list it: SCOPE-19's matter.
    must!(
        outcome == SendOutcome::NotOffered(name.into()) || outcome == SendOutcome::File,
        "sending an event of `{name}` resulted in {outcome:?}"
    );
    Ok(())
}

/// Creates a file with this content, which is removed when the returned value is dropped.
fn file(content: &[u8]) -> CaseResult<NamedTempFile> {
    let made = NamedTempFile::new().and_then(|mut file| {
        file.write_all(content)?;
        Ok(file)
    });
    made.map_err(|error| Verdict::failed(format!("the case cannot make a file: {error}")))
}

const TRAILERS_SENT: &[Case] = &[Case {
    rule: rule::TRAILERS_SENT,
    name: "trailers",
    transports: HTTP1_AND_HTTP2,
    does: "The application sends trailer fields in two events.",
    must: "The client gets all of them after the content, and with them the end of the response.",
    basis: Basis::Standard(&[demands(AsgiExtensions, "HTTP Trailers")]),
    steps: steps!(async |fixture, transport| {
        let server = fixture.server().await?;
        let request = Request::get("/").field("te", "trailers");
        let (mut client, app) = call_over(transport, server, &request).await?;
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
    }),
}];

fn one_field(name: &'static str, value: &'static str) -> HeaderMap {
    let mut fields = HeaderMap::new();
    fields.insert(name, HeaderValue::from_static(value));
    fields
}

const EARLY_HINTS_ARE_SENT: &[Case] = &[Case {
    rule: rule::EARLY_HINTS_ARE_SENT,
    name: "early_hints",
    transports: HTTP1,
    does: "The application sends early hints twice, and then its response.",
    must: "The client gets a 103 with the links of each, and then the response.",
    basis: Basis::CallgateOnly(
        "ASGI's text had early hints after `http.response.start` up to asgiref 3.12",
    ),
    steps: steps!(async |fixture| {
        let server = fixture.server().await?;
        let mut client = server.connect().await?;
        client.send(Request::get("/").http1()).await?;
        let mut app = offers(server.call().await?, Feature::EarlyHints).await?;
        for links in [
            &["</a.css>; rel=preload", "</b.js>; rel=preload"][..],
            &["</c>"],
        ] {
            let values = links.iter().map(|link| HeaderValue::from_static(link));
            app.send(HttpResponseEarlyHint::new(values)).await?;
            let interim = client.head().await?;
            let sent = interim.fields.get_all("link").iter();
            must!(
                interim.status == 103 && sent.eq(links.iter()),
                "the client was sent {} {:?}",
                interim.status,
                interim.fields
            );
        }
        respond(&mut app, "the response").await?;
        let response = client.response().await?;
        expect_response(&response, "the response")?;
        app.finish(Step::Return).await
    }),
}];

const PATH_SEND_FAILS: &[Case] = &[Case {
    rule: rule::PATH_SEND_FAILS,
    name: "a_file_that_is_not_there",
    transports: HTTP1_AND_HTTP2,
    does: "The application sends the path of a file that does not exist, and then a body.",
    must: "The path send fails for that reason; the response has the body.",
    basis: Basis::CallgateOnly("ASGI does not say what becomes of a file that cannot be opened"),
    steps: steps!(async |fixture, transport| {
        let server = fixture.server().await?;
        let (mut client, app) = call_over(transport, server, &Request::get("/")).await?;
        let mut app = offers(app, Feature::PathSend).await?;
        let gone = file(b"")?.path().to_owned();
        app.send(HttpResponseStart::ok()).await?;
        let outcome = app.try_send(HttpResponsePathSend::new(gone)).await?;
        must!(
            outcome == SendOutcome::File,
            "sending the path resulted in {outcome:?}"
        );
        app.send(HttpResponseBody::last("instead")).await?;
        let response = client.response().await?;
        must!(
            response.text() == "instead",
            "the content is `{}`",
            response.text()
        );
        app.finish(Step::Return).await
    }),
}];

const PATH_SEND_IS_WHOLE_BASIS: Basis = Basis::Standard(&[recommends(AsgiExtensions, "Path Send")]);

const PATH_SEND_IS_WHOLE: &[Case] = &[
    Case {
        rule: rule::PATH_SEND_IS_WHOLE,
        name: "a_file",
        transports: HTTP1_AND_HTTP2,
        does: "The application sends the path of a file that is larger than any buffer.",
        must: "The client gets all of it, and the end of the response.",
        basis: PATH_SEND_IS_WHOLE_BASIS,
        steps: steps!(async |fixture, transport| {
            let content: Vec<_> = (0..=u8::MAX).cycle().take(300_000).collect();
            is_sent(fixture, transport, &content).await
        }),
    },
    Case {
        rule: rule::PATH_SEND_IS_WHOLE,
        name: "an_empty_file",
        transports: HTTP1_AND_HTTP2,
        does: "The application sends the path of an empty file.",
        must: "The client gets the end of the response, and no content.",
        basis: PATH_SEND_IS_WHOLE_BASIS,
        steps: steps!(async |fixture, transport| { is_sent(fixture, transport, b"").await }),
    },
];

async fn is_sent(fixture: &mut Fixture<'_>, transport: Transport, content: &[u8]) -> CaseResult {
    let server = fixture.server().await?;
    let (mut client, app) = call_over(transport, server, &Request::get("/")).await?;
    let mut app = offers(app, Feature::PathSend).await?;
    let file = file(content)?;
    app.send(HttpResponseStart::ok()).await?;
    // The send may wait until the client has read most of it.
    let sending = app.begin(Step::Send(HttpResponsePathSend::new(file.path()).into()));
    let response = client.response().await?;
    app.sent(Some(sending)).await?;
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

const DENIAL_IS_SENT_BASIS: Basis =
    Basis::Standard(&[recommends(AsgiExtensions, "Websocket Denial Response")]);

const DENIAL_IS_SENT: &[Case] = &[
    Case {
        rule: rule::DENIAL_IS_SENT,
        name: "a_denial_response",
        transports: HTTP1_AND_HTTP2,
        does: "The application denies a WebSocket with a status, a field and a content in one event.",
        must: "The handshake is answered with them.",
        basis: DENIAL_IS_SENT_BASIS,
        steps: steps!(async |fixture, transport| {
            is_denied(fixture, transport, &["log in"]).await
        }),
    },
    Case {
        rule: rule::DENIAL_IS_SENT,
        name: "a_streamed_denial_response",
        transports: HTTP1_AND_HTTP2,
        does: "The application denies a WebSocket with a content in two events.",
        must: "The handshake is answered with the whole content.",
        basis: DENIAL_IS_SENT_BASIS,
        steps: steps!(async |fixture, transport| {
            is_denied(fixture, transport, &["log ", "in"]).await
        }),
    },
];

async fn is_denied(
    fixture: &mut Fixture<'_>,
    transport: Transport,
    parts: &[&'static str],
) -> CaseResult {
    let server = fixture.server().await?;
    let pending = begin_handshake(server, transport, &handshake()).await?;
    let mut app = offers(server.call().await?, Feature::DenialResponse).await?;
    let start = HttpResponseStart::new(StatusCode::UNAUTHORIZED).header("x-why", "login");
    app.begin(Step::Send(SendEvent::DenialResponseStart(start)));
    for (index, part) in parts.iter().enumerate() {
        // An application may wait between its events.
        app.act(Step::Fence).await?;
        let more = index + 1 < parts.len();
        let body = SendEvent::DenialResponseBody(HttpResponseBody::new(*part, more));
        app.begin(Step::Send(body));
    }
    let response = pending.response().await?;
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

const TRAILERS_OFFERED_BASIS: Basis =
    Basis::CallgateOnly("ASGI does not say on which exchanges a server offers trailers");

const TRAILERS_OFFERED: &[Case] = &[
    Case {
        rule: rule::TRAILERS_OFFERED,
        name: "trailers_that_are_not_asked_for",
        transports: HTTP1,
        does: "Sends a request of HTTP/1.1 without `te: trailers`.",
        must: "Its scope does not offer `http.response.trailers`.",
        basis: TRAILERS_OFFERED_BASIS,
        steps: steps!(async |fixture| {
            has_no_trailers(fixture, Request::get("/").http1()).await
        }),
    },
    Case {
        rule: rule::TRAILERS_OFFERED,
        name: "trailers_and_http10",
        transports: HTTP1,
        does: "Sends a request of HTTP/1.0 with `te: trailers`.",
        must: "Its scope does not offer `http.response.trailers`.",
        basis: TRAILERS_OFFERED_BASIS,
        steps: steps!(async |fixture| {
            let request = b"GET / HTTP/1.0\r\nhost: test\r\nte: trailers\r\n\r\n";
            has_no_trailers(fixture, request.to_vec()).await
        }),
    },
];

async fn has_no_trailers(fixture: &mut Fixture<'_>, request: Vec<u8>) -> CaseResult {
    let server = fixture.server().await?;
    let mut client = server.connect().await?;
    client.send(request).await?;
    let app = server.call().await?;
    let offered = offered(app.scope());
    must!(
        !offered.contains(Feature::ResponseTrailers),
        "the scope offers {offered:?}"
    );
    app.finish(Step::Decline).await
}
