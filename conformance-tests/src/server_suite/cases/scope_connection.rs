//! `overview.md`: what a scope says of the connection, of the state and of what is offered.

use callgate::{
    Feature, Features, HttpResponseDebug, HttpResponseEarlyHint, HttpResponsePathSend,
    HttpResponseStart, Scheme, SendEvent,
};

use super::steps::{call_over, scope_over};
use crate::Verdict;
use crate::probe::{SentOutcome, Step};
use crate::server_suite::bench::Bench;
use crate::server_suite::case::{Asgi, Asgi::Shared, Case, Outcome, case, must};
use crate::server_suite::exchange::Over::{self, Http1, Http2};
use crate::server_suite::launch::Settings;
use crate::server_suite::remote::Remote;
use crate::server_suite::request::Request;
use crate::server_suite::server::Server;
use crate::server_suite::websocket::handshake;

const HANDED_OVER: Asgi =
    Asgi::Differs("In ASGI the application writes its state into the scope of lifespan.");
const ISOLATED: Asgi = Asgi::Differs("ASGI lets what a scope's state holds be changed for all.");
const OFFERED: Asgi =
    Asgi::Differs("ASGI does not say what comes of an event whose feature is not offered.");

pub(super) const CASES: &[Case] = &[
    case!(
        the_version: VERSION, Shared,
        "Sends requests of HTTP/1.1 and of HTTP/1.0.",
        "The scope has the version of each."
    ),
    case!(
        the_version_over_http2: VERSION, Shared,
        "Sends a request of HTTP/2.",
        "The scope has the version."
    ),
    case!(
        the_scheme: SCHEME, Shared,
        "Sends requests over a connection that is not secured, one of them for an `https` target.",
        "The scope says so of each."
    ),
    case!(
        the_scheme_over_http2: SCHEME, Shared,
        "Sends requests over a connection that is not secured, one of them for an `https` target.",
        "The scope says so of each."
    ),
    case!(
        the_scheme_of_a_websocket: SCHEME, Shared,
        "Sends a handshake over a connection that is not secured.",
        "The scope says so."
    ),
    case!(
        the_addresses: ADDRESSES, Shared,
        "Sends a request.",
        "The scope has both addresses of the connection."
    ),
    case!(
        the_addresses_over_http2: ADDRESSES, Shared,
        "Sends a request.",
        "The scope has both addresses of the connection."
    ),
    case!(
        the_addresses_of_a_websocket: ADDRESSES, Shared,
        "Sends a handshake.",
        "The scope has both addresses of the connection."
    ),
    case!(
        subprotocols: SUBPROTOCOLS_OFFERED, Shared,
        "Sends a handshake with subprotocols in two fields, one of them a list.",
        "The scope lists them in this order."
    ),
    case!(
        the_state: STATE_IS_SHARED, HANDED_OVER,
        "Completes lifespan start-up with a state, and sends two requests.",
        "Each scope has the state."
    ),
    case!(
        the_state_over_http2: STATE_IS_SHARED, HANDED_OVER,
        "Completes lifespan start-up with a state, and sends two requests.",
        "Each scope has the state."
    ),
    case!(
        the_state_of_a_websocket: STATE_IS_SHARED, HANDED_OVER,
        "Completes lifespan start-up with a state, and sends two handshakes.",
        "Each scope has the state."
    ),
    case!(
        a_value_of_ones_own: EXTENSIONS_ARE_ISOLATED, ISOLATED,
        "Puts a value into the state of a scope, and looks at that of an earlier and of a later one.",
        "Neither has the value."
    ),
    case!(
        a_value_of_ones_own_over_http2: EXTENSIONS_ARE_ISOLATED, ISOLATED,
        "Puts a value into the state of a scope, and looks at that of an earlier and of a later one.",
        "Neither has the value."
    ),
    case!(
        features: FEATURES_OFFERED, OFFERED,
        "Sends the event of each feature of HTTP.",
        "That of a feature which the scope lists is taken; that of another has no effect."
    ),
    case!(
        extensions_over_http2: FEATURES_OFFERED, OFFERED,
        "Sends the event of each feature of HTTP.",
        "That of a feature which the scope lists is taken; that of another has no effect."
    ),
    case!(
        extensions_of_a_websocket: FEATURES_OFFERED, OFFERED,
        "Denies a WebSocket with a response.",
        "That is taken if the scope lists the feature."
    ),
];

async fn the_version(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    for (line, version) in [
        ("GET / HTTP/1.1", http::Version::HTTP_11),
        ("GET / HTTP/1.0", http::Version::HTTP_10),
    ] {
        let mut client = server.connect().await?;
        client.send(format!("{line}\r\nhost: test\r\n\r\n")).await?;
        let app = server.call().await?;
        let seen = app.http()?.version;
        must!(seen == version, "`{line}` became {seen:?}");
        app.finish(Step::Decline).await?;
    }
    Ok(())
}

async fn the_version_over_http2(bench: &mut Bench<'_>) -> Outcome {
    let version = scope_over(Http2, bench.server().await?, &Request::get("/"))
        .await?
        .version;
    must!(version == http::Version::HTTP_2, "it is {version:?}");
    Ok(())
}

async fn the_scheme(bench: &mut Bench<'_>) -> Outcome {
    is_not_secured(bench.server().await?, Http1).await
}

async fn the_scheme_over_http2(bench: &mut Bench<'_>) -> Outcome {
    is_not_secured(bench.server().await?, Http2).await
}

async fn is_not_secured(server: &mut Server, over: Over) -> Outcome {
    for target in ["/", "https://test/"] {
        let scope = scope_over(over, server, &Request::get(target)).await?;
        is_http(scope.scheme)?;
    }
    Ok(())
}

fn is_http(scheme: Scheme) -> Outcome {
    must!(scheme == Scheme::Http, "the scheme is `{scheme}`");
    Ok(())
}

async fn the_scheme_of_a_websocket(bench: &mut Bench<'_>) -> Outcome {
    let (_client, app) = call_over(Http1, bench.server().await?, &handshake()).await?;
    is_http(app.websocket()?.scheme)?;
    app.finish(Step::Decline).await
}

async fn the_addresses(bench: &mut Bench<'_>) -> Outcome {
    has_addresses(bench.server().await?, Http1, Request::get("/")).await
}

async fn the_addresses_over_http2(bench: &mut Bench<'_>) -> Outcome {
    has_addresses(bench.server().await?, Http2, Request::get("/")).await
}

async fn the_addresses_of_a_websocket(bench: &mut Bench<'_>) -> Outcome {
    has_addresses(bench.server().await?, Http1, handshake()).await
}

async fn has_addresses(server: &mut Server, over: Over, request: Request) -> Outcome {
    let (client, app) = call_over(over, server, &request).await?;
    let (seen_client, seen_server) = match &app.scope {
        callgate::Scope::WebSocket(scope) => (scope.client, scope.server),
        _ => {
            let scope = app.http()?;
            (scope.client, scope.server)
        }
    };
    let (client, server) = (client.address()?, server.address());
    must!(
        seen_client == Some(client),
        "the client at {client} is said to be at {seen_client:?}"
    );
    must!(
        seen_server == Some(server),
        "the server at {server} is said to be at {seen_server:?}"
    );
    app.finish(Step::Decline).await
}

async fn subprotocols(bench: &mut Bench<'_>) -> Outcome {
    let request = handshake()
        .field("sec-websocket-protocol", "zeta, alpha.v2")
        .field("sec-websocket-protocol", "Beta");
    let (_client, app) = call_over(Http1, bench.server().await?, &request).await?;
    let listed = &app.websocket()?.subprotocols;
    must!(
        listed
            .iter()
            .map(|name| &**name)
            .eq(["zeta", "alpha.v2", "Beta"]),
        "listed are {listed:?}"
    );
    app.finish(Step::Decline).await
}

async fn the_state(bench: &mut Bench<'_>) -> Outcome {
    has_state(bench, Http1, Request::get("/")).await
}

async fn the_state_over_http2(bench: &mut Bench<'_>) -> Outcome {
    has_state(bench, Http2, Request::get("/")).await
}

async fn the_state_of_a_websocket(bench: &mut Bench<'_>) -> Outcome {
    has_state(bench, Http1, handshake()).await
}

async fn has_state(bench: &mut Bench<'_>, over: Over, request: Request) -> Outcome {
    const TEXT: &str = "from start-up";
    let mut server = bench.launch(&Settings::default()).await?;
    server.live_with_state(Some(TEXT)).await?;
    for _ in 0..2 {
        let (_client, mut app) = call_over(over, &mut server, &request).await?;
        let texts = app.act(Step::TellState).await?;
        must!(texts == [TEXT], "the state has {texts:?}");
        app.finish(Step::Decline).await?;
    }
    server.end().await;
    Ok(())
}

async fn a_value_of_ones_own(bench: &mut Bench<'_>) -> Outcome {
    keeps_values_apart(bench.server().await?, Http1).await
}

async fn a_value_of_ones_own_over_http2(bench: &mut Bench<'_>) -> Outcome {
    keeps_values_apart(bench.server().await?, Http2).await
}

async fn keeps_values_apart(server: &mut Server, over: Over) -> Outcome {
    const TEXT: &str = "a value of one's own";
    let request = Request::get("/");
    let (_earlier_client, mut earlier) = call_over(over, server, &request).await?;
    let (_client, mut app) = call_over(over, server, &request).await?;
    app.act(Step::PutState(TEXT.into())).await?;
    let (_later_client, mut later) = call_over(over, server, &request).await?;
    for other in [&mut earlier, &mut later] {
        let texts = other.act(Step::TellState).await?;
        must!(
            !texts.iter().any(|text| text == TEXT),
            "another exchange has {texts:?}"
        );
    }
    for app in [earlier, app, later] {
        app.finish(Step::Decline).await?;
    }
    Ok(())
}

/// No such file: a path send of it fails, but not for want of the feature.
const NO_FILE: &str = "/callgate/there is no such file";

async fn features(bench: &mut Bench<'_>) -> Outcome {
    offers_what_it_lists(bench.server().await?, Http1).await
}

async fn extensions_over_http2(bench: &mut Bench<'_>) -> Outcome {
    offers_what_it_lists(bench.server().await?, Http2).await
}

async fn offers_what_it_lists(server: &mut Server, over: Over) -> Outcome {
    let trailers = HttpResponseStart::ok().with_trailers();
    let uses: [(Feature, SendEvent); 4] = [
        (Feature::ResponseTrailers, trailers.into()),
        (Feature::PathSend, HttpResponsePathSend::new(NO_FILE).into()),
        (Feature::EarlyHints, HttpResponseEarlyHint::default().into()),
        (Feature::Debug, HttpResponseDebug::default().into()),
    ];
    for (feature, event) in uses {
        // With this client every server may offer trailer fields.
        let request = Request::get("/").field("te", "trailers");
        let request = match over {
            Http1 => request.field("connection", "te"),
            Http2 => request,
        };
        let (_client, mut app) = call_over(over, server, &request).await?;
        let listed = app.http()?.features;
        if feature == Feature::PathSend {
            app.send(HttpResponseStart::ok()).await?;
        }
        is_as_listed(&mut app, listed, feature, event).await?;
        app.finish(Step::Return).await?;
    }
    Ok(())
}

async fn extensions_of_a_websocket(bench: &mut Bench<'_>) -> Outcome {
    let (_client, mut app) = call_over(Http1, bench.server().await?, &handshake()).await?;
    let listed = app.websocket()?.features;
    let event = SendEvent::DenialResponseStart(HttpResponseStart::ok());
    is_as_listed(&mut app, listed, Feature::DenialResponse, event).await?;
    app.finish(Step::Return).await
}

/// That an event is taken when its feature is listed; and, when it is not, that it does not do
/// what it would.
async fn is_as_listed(
    app: &mut Remote,
    listed: Features,
    feature: Feature,
    event: SendEvent,
) -> Outcome {
    let name = feature.name();
    let outcome = app.try_send(event).await?;
    match outcome {
        SentOutcome::NotOffered(_) if listed.contains(feature) => Err(Verdict::failed(format!(
            "`{name}` is listed and not offered"
        ))),
        // No server says this of a file that it has not looked for.
        SentOutcome::File if !listed.contains(feature) => Err(Verdict::failed(format!(
            "`{name}` is offered and not listed"
        ))),
        _ => Ok(()),
    }
}
