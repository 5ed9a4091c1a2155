//! `overview.md`: the fields of a scope about the connection, the state and the features.

use callgate::{
    Feature, Features, HttpResponseDebug, HttpResponseEarlyHint, HttpResponsePathSend,
    HttpResponseStart, Scheme, SendEvent, rule,
};

use super::steps::{call_over, scope_over};
use crate::Verdict;
use crate::basis::{
    Basis,
    Document::{AsgiHttp, Rfc},
    demands,
};
use crate::probe::{SendOutcome, Step};
use crate::server_suite::case::{Case, HTTP1, HTTP1_AND_HTTP2, HTTP2, steps};
use crate::server_suite::client_exchange::Transport::{self, Http1, Http2};
use crate::server_suite::fixture::Fixture;
use crate::server_suite::probe_call::ProbeCall;
use crate::server_suite::request::Request;
use crate::server_suite::result::{CaseResult, must};
use crate::server_suite::server::Server;
use crate::server_suite::settings::ServerSettings;
use crate::server_suite::websocket::handshake;

pub(super) const CASES: &[&[Case]] = &[
    VERSION,
    SCHEME,
    ADDRESSES,
    SUBPROTOCOLS_OFFERED,
    STATE_IS_SHARED,
    EXTENSIONS_ARE_ISOLATED,
    FEATURES_OFFERED,
];

const VERSION_BASIS: Basis = Basis::Standard(&[demands(AsgiHttp, "HTTP Connection Scope")]);

const VERSION: &[Case] = &[
    Case {
        rule: rule::VERSION,
        name: "the_version",
        transports: HTTP1,
        does: "Sends a request of HTTP/1.1.",
        must: "The scope has the version.",
        basis: VERSION_BASIS,
        steps: steps!(async |fixture| {
            let version = scope_over(Http1, fixture.server().await?, &Request::get("/"))
                .await?
                .version;
            must!(version == http::Version::HTTP_11, "it is {version:?}");
            Ok(())
        }),
    },
    Case {
        rule: rule::VERSION,
        name: "the_version_of_http10",
        transports: HTTP1,
        does: "Sends a request of HTTP/1.0.",
        must: "The scope has the version.",
        basis: VERSION_BASIS,
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            let mut client = server.connect().await?;
            client.send(Request::get("/").http10()).await?;
            let app = server.call_of_http10(&mut client).await?;
            let version = app.http()?.version;
            must!(version == http::Version::HTTP_10, "it is {version:?}");
            app.finish(Step::Decline).await
        }),
    },
    Case {
        rule: rule::VERSION,
        name: "the_version",
        transports: HTTP2,
        does: "Sends a request of HTTP/2.",
        must: "The scope has the version.",
        basis: VERSION_BASIS,
        steps: steps!(async |fixture| {
            let version = scope_over(Http2, fixture.server().await?, &Request::get("/"))
                .await?
                .version;
            must!(version == http::Version::HTTP_2, "it is {version:?}");
            Ok(())
        }),
    },
];

const SCHEME: &[Case] = &[
    Case {
        rule: rule::SCHEME,
        name: "the_scheme",
        transports: HTTP1_AND_HTTP2,
        does: "Sends requests, one of them for an `https` target.",
        must: "The scope of each says whether its connection is secured.",
        basis: Basis::CallgateOnly("ASGI's scheme is that of the URL, which may be the target's"),
        steps: steps!(async |fixture, transport| {
            let expected = scheme_of_connections(fixture);
            let server = fixture.server().await?;

            for target in ["/", "https://test/"] {
                let scope = scope_over(transport, server, &Request::get(target)).await?;
                is_scheme(scope.scheme, expected)?;
            }
            Ok(())
        }),
    },
    Case {
        rule: rule::SCHEME,
        name: "the_scheme_of_a_websocket",
        transports: HTTP1,
        does: "Sends a handshake.",
        must: "Its scope says whether the connection is secured.",
        basis: Basis::Standard(&[demands(AsgiHttp, "Websocket Connection Scope")]),
        steps: steps!(async |fixture| {
            let expected = scheme_of_connections(fixture);
            let (_client, app) = call_over(Http1, fixture.server().await?, &handshake()).await?;
            is_scheme(app.websocket()?.scheme, expected)?;
            app.finish(Step::Decline).await
        }),
    },
];

fn scheme_of_connections(fixture: &Fixture<'_>) -> Scheme {
    match fixture.tls() {
        Some(_) => Scheme::Https,
        None => Scheme::Http,
    }
}

fn is_scheme(scheme: Scheme, expected: Scheme) -> CaseResult {
    must!(scheme == expected, "the scheme is `{scheme}`");
    Ok(())
}

const ADDRESSES_BASIS: Basis = Basis::CallgateOnly("In ASGI both addresses are optional");

const ADDRESSES: &[Case] = &[
    Case {
        rule: rule::ADDRESSES,
        name: "the_addresses",
        transports: HTTP1_AND_HTTP2,
        does: "Sends a request.",
        must: "The scope has both addresses of the connection.",
        basis: ADDRESSES_BASIS,
        steps: steps!(async |fixture, transport| {
            has_addresses(fixture.server().await?, transport, Request::get("/")).await
        }),
    },
    Case {
        rule: rule::ADDRESSES,
        name: "the_addresses_of_a_websocket",
        transports: HTTP1,
        does: "Sends a handshake.",
        must: "The scope has both addresses of the connection.",
        basis: ADDRESSES_BASIS,
        steps: steps!(async |fixture| {
            has_addresses(fixture.server().await?, Http1, handshake()).await
        }),
    },
];

async fn has_addresses(server: &mut Server, transport: Transport, request: Request) -> CaseResult {
    let (client, app) = call_over(transport, server, &request).await?;
    let (seen_client, seen_server) = match &app.scope() {
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

const SUBPROTOCOLS_OFFERED: &[Case] = &[Case {
    rule: rule::SUBPROTOCOLS_OFFERED,
    name: "subprotocols",
    transports: HTTP1,
    does: "Sends a handshake with subprotocols in two fields, one of them a list.",
    must: "The scope lists them in this order.",
    basis: Basis::Standard(&[
        demands(AsgiHttp, "Websocket Connection Scope"),
        demands(Rfc(6455), "11.3.4"),
    ]),
    steps: steps!(async |fixture| {
        let request = handshake()
            .field("sec-websocket-protocol", "zeta, alpha.v2")
            .field("sec-websocket-protocol", "Beta");
        let (_client, app) = call_over(Http1, fixture.server().await?, &request).await?;
        let listed = &app.websocket()?.subprotocols;
        must!(
            listed
                .iter()
                .map(|name| &**name)
                .eq(["zeta", "alpha.v2", "Beta"]),
            "listed are {listed:?}"
        );
        app.finish(Step::Decline).await
    }),
}];

const STATE_IS_SHARED_BASIS: Basis = Basis::CallgateOnly(
    "In ASGI the application writes its state into the scope of lifespan, and state is optional",
);

const STATE_IS_SHARED: &[Case] = &[
    Case {
        rule: rule::STATE_IS_SHARED,
        name: "the_state",
        transports: HTTP1_AND_HTTP2,
        does: "Completes lifespan start-up with a state, and sends two requests.",
        must: "Each scope has the state.",
        basis: STATE_IS_SHARED_BASIS,
        steps: steps!(async |fixture, transport| {
            has_state(fixture, transport, Request::get("/")).await
        }),
    },
    Case {
        rule: rule::STATE_IS_SHARED,
        name: "the_state_of_a_websocket",
        transports: HTTP1,
        does: "Completes lifespan start-up with a state, and sends two handshakes.",
        must: "Each scope has the state.",
        basis: STATE_IS_SHARED_BASIS,
        steps: steps!(async |fixture| { has_state(fixture, Http1, handshake()).await }),
    },
];

async fn has_state(
    fixture: &mut Fixture<'_>,
    transport: Transport,
    request: Request,
) -> CaseResult {
    const TEXT: &str = "from start-up";
    let mut server = fixture.launch(&ServerSettings::default()).await?;
    server.run_lifespan_with_state(Some(TEXT)).await?;
    for _ in 0..2 {
        let (_client, mut app) = call_over(transport, &mut server, &request).await?;
        let texts = app.act(Step::TellState).await?;
        must!(texts == [TEXT], "the state has {texts:?}");
        app.finish(Step::Decline).await?;
    }
    server.shut_down().await;
    Ok(())
}

const EXTENSIONS_ARE_ISOLATED: &[Case] = &[Case {
    rule: rule::EXTENSIONS_ARE_ISOLATED,
    name: "a_value_of_ones_own",
    transports: HTTP1_AND_HTTP2,
    does: "Puts a value into the extensions of a scope, and looks at those of an earlier and of a later one.",
    must: "Neither has the value.",
    basis: Basis::CallgateOnly("ASGI has no values that travel with one exchange"),
    steps: steps!(async |fixture, transport| {
        const TEXT: &str = "a value of one exchange";
        let server = fixture.server().await?;
        let request = Request::get("/");
        let (_earlier_client, mut earlier) = call_over(transport, server, &request).await?;
        let (_client, mut app) = call_over(transport, server, &request).await?;
        app.act(Step::PutExtension(TEXT.into())).await?;
        let (_later_client, mut later) = call_over(transport, server, &request).await?;
        for other in [&mut earlier, &mut later] {
            let texts = other.act(Step::TellExtensions).await?;
            must!(
                !texts.iter().any(|text| text == TEXT),
                "another exchange has {texts:?}"
            );
        }
        for app in [earlier, app, later] {
            app.finish(Step::Decline).await?;
        }
        Ok(())
    }),
}];

const FEATURES_OFFERED_BASIS: Basis =
    Basis::CallgateOnly("ASGI does not say what becomes of an event whose feature is not offered");

const FEATURES_OFFERED: &[Case] = &[
    Case {
        rule: rule::FEATURES_OFFERED,
        name: "features",
        transports: HTTP1_AND_HTTP2,
        does: "Sends the event of each feature of HTTP.",
        must: "That of a feature which the scope lists is taken; that of another has no effect.",
        basis: FEATURES_OFFERED_BASIS,
        steps: steps!(async |fixture, transport| {
            let server = fixture.server().await?;

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
                let request = match transport {
                    Http1 => request.field("connection", "te"),
                    Http2 => request,
                };
                let (_client, mut app) = call_over(transport, server, &request).await?;
                let listed = app.http()?.features;
                if feature == Feature::PathSend {
                    app.send(HttpResponseStart::ok()).await?;
                }
                is_as_listed(&mut app, listed, feature, event).await?;
                app.finish(Step::Return).await?;
            }
            Ok(())
        }),
    },
    Case {
        rule: rule::FEATURES_OFFERED,
        name: "features_of_a_websocket",
        transports: HTTP1,
        does: "Denies a WebSocket with a response.",
        must: "That is taken if the scope lists the feature.",
        basis: FEATURES_OFFERED_BASIS,
        steps: steps!(async |fixture| {
            let (_client, mut app) =
                call_over(Http1, fixture.server().await?, &handshake()).await?;
            let listed = app.websocket()?.features;
            let event = SendEvent::DenialResponseStart(HttpResponseStart::ok());
            is_as_listed(&mut app, listed, Feature::DenialResponse, event).await?;
            app.finish(Step::Return).await
        }),
    },
];

/// The path of no file: a path send of it fails for another reason than a missing feature.
const NO_FILE: &str = "/callgate/there is no such file";

/// Checks that an event is taken when its feature is listed, and has no effect when it is not.
async fn is_as_listed(
    app: &mut ProbeCall,
    listed: Features,
    feature: Feature,
    event: SendEvent,
) -> CaseResult {
    let name = feature.name();
    let outcome = app.try_send(event).await?;
    match outcome {
        SendOutcome::NotOffered(_) if listed.contains(feature) => Err(Verdict::failed(format!(
            "`{name}` is listed and not offered"
        ))),
        // No server says this of a file that it has not looked for.
        SendOutcome::File if !listed.contains(feature) => Err(Verdict::failed(format!(
            "`{name}` is offered and not listed"
        ))),
        _ => Ok(()),
    }
}
