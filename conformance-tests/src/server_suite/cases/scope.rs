//! `overview.md`: the fields of a scope that come from the request line.

use callgate::{HttpScope, rule};

use super::steps::{call_over, scope_over};
use crate::basis::{Basis, Document::AsgiHttp, demands};
use crate::probe::Step;
use crate::server_suite::case::{Case, HTTP1, HTTP1_AND_HTTP2, steps};
use crate::server_suite::client_exchange::ClientExchange;
use crate::server_suite::client_exchange::Transport::{self, Http1};
use crate::server_suite::request::Request;
use crate::server_suite::result::{CaseResult, must};
use crate::server_suite::server::Server;
use crate::server_suite::settings::ServerSettings;
use crate::server_suite::websocket::handshake_to;

pub(super) const CASES: &[&[Case]] = &[
    METHOD_AS_RECEIVED,
    ORIGIN_FORM,
    ABSOLUTE_FORM,
    ASTERISK_FORM,
    BAD_PERCENT_ENCODING,
    RAW_PATH,
    RAW_QUERY,
    ROOT_PATH,
    CONNECT_REFUSED,
];

const METHOD_AS_RECEIVED: &[Case] = &[Case {
    rule: rule::METHOD_AS_RECEIVED,
    name: "methods",
    transports: HTTP1_AND_HTTP2,
    does: "Sends the methods `GET`, `DELETE`, `PURGE`, `get` and `X-1!`.",
    must: "The scope has each as it was sent.",
    basis: Basis::CallgateOnly("ASGI has the method in upper case"),
    steps: steps!(async |fixture, transport| {
        let server = fixture.server().await?;

        for method in ["GET", "DELETE", "PURGE", "get", "X-1!"] {
            let scope = scope_over(transport, server, &Request::new(method, "/")).await?;
            must!(
                scope.method == *method,
                "`{method}` became `{}`",
                scope.method
            );
        }
        Ok(())
    }),
}];

const ORIGIN_FORM: &[Case] = &[
    Case {
        rule: rule::ORIGIN_FORM,
        name: "the_target_is_in_origin_form",
        transports: HTTP1_AND_HTTP2,
        does: "Sends a target with path and query in the form that is usual for requests.",
        must: "The target in the scope is the path and the query.",
        basis: Basis::Standard(&[demands(AsgiHttp, "HTTP Connection Scope")]),
        steps: steps!(async |fixture, transport| {
            let server = fixture.server().await?;
            expect_target(server, &Request::get("/a/b?c=d"), transport, "/a/b?c=d").await
        }),
    },
    Case {
        rule: rule::ORIGIN_FORM,
        name: "a_target_in_absolute_form",
        transports: HTTP1,
        does: "Sends targets in absolute form, with a path and without.",
        must: "The target in the scope is the path and the query.",
        basis: Basis::CallgateOnly(
            "ASGI's path is the request target without the query, in whatever form",
        ),
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            for (sent, passed) in [("http://test/a/b?c=d", "/a/b?c=d"), ("http://test", "/")] {
                expect_target(server, &Request::get(sent), Http1, passed).await?;
            }
            Ok(())
        }),
    },
    Case {
        rule: rule::ORIGIN_FORM,
        name: "the_target_of_a_websocket_is_in_origin_form",
        transports: HTTP1,
        does: "Sends a handshake.",
        must: "The target in the scope is the path and the query.",
        basis: Basis::Standard(&[demands(AsgiHttp, "Websocket Connection Scope")]),
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            expect_target(server, &handshake_to("/a/b?c=d"), Http1, "/a/b?c=d").await
        }),
    },
];

async fn expect_target(
    server: &mut Server,
    request: &Request,
    transport: Transport,
    passed: &str,
) -> CaseResult {
    let (_client, app) = call_over(transport, server, request).await?;
    let target = app.target().to_owned();
    must!(
        target == passed,
        "`{}` became `{target}`, not `{passed}`",
        request.target
    );
    app.finish(Step::Decline).await
}

const ABSOLUTE_FORM: &[Case] = &[Case {
    rule: rule::ABSOLUTE_FORM,
    name: "an_absolute_target_has_the_host",
    transports: HTTP1,
    does: "Sends a target in absolute form whose authority is not what `host` says.",
    must: "The scope has one `host` field, with the authority of the target.",
    basis: Basis::CallgateOnly(
        "ASGI passes fields as they were received, and has no other place for the authority of the target",
    ),
    steps: steps!(async |fixture| {
        let server = fixture.server().await?;
        let request = Request::get("http://other.example:81/");
        let scope = scope_over(Http1, server, &request).await?;
        let hosts: Vec<_> = scope.headers.get_all("host").iter().collect();
        must!(hosts == ["other.example:81"], "`host` is {hosts:?}");
        Ok(())
    }),
}];

const ASTERISK_FORM: &[Case] = &[Case {
    rule: rule::ASTERISK_FORM,
    name: "the_asterisk",
    transports: HTTP1_AND_HTTP2,
    does: "Sends `OPTIONS` for the target `*`.",
    must: "The path is `*`.",
    basis: Basis::CallgateOnly("ASGI does not speak of targets in asterisk form"),
    steps: steps!(async |fixture, transport| {
        let server = fixture.server().await?;

        let scope = scope_over(transport, server, &Request::new("OPTIONS", "*")).await?;
        must!(scope.path() == "*", "the path is `{}`", scope.path());
        Ok(())
    }),
}];

const BAD_PERCENT_ENCODING: &[Case] = &[Case {
    rule: rule::BAD_PERCENT_ENCODING,
    name: "broken_escapes",
    transports: HTTP1_AND_HTTP2,
    does: "Sends paths with `%` that is not followed by two hexadecimal digits.",
    must: "The answer is 400, and the application is not called.",
    basis: Basis::CallgateOnly("ASGI does not say what becomes of a malformed percent-encoding"),
    steps: steps!(async |fixture, transport| {
        let server = fixture.server().await?;
        for target in ["/%", "/%4", "/%zz/", "/a%2", "/%%41", "/%4?%41"] {
            let status = refused_status_over(transport, server, &Request::get(target)).await?;
            must!(status == 400, "`{target}` is answered with {status}");
        }
        Ok(())
    }),
}];

const RAW_PATH: &[Case] = &[Case {
    rule: rule::RAW_PATH,
    name: "the_path",
    transports: HTTP1_AND_HTTP2,
    does: "Sends a path with escapes in upper and lower case, octets that are not UTF-8, dot segments and empty segments.",
    must: "The scope has the path unchanged, and decoded.",
    basis: Basis::CallgateOnly("In ASGI the path as received is optional"),
    steps: steps!(async |fixture, transport| {
        let server = fixture.server().await?;

        let sent = "/caf%C3%A9%2f/%FF//A/../x%00";
        let (_client, app) = call_over(transport, server, &Request::get(sent)).await?;
        let raw_path = app.http()?.raw_path();
        must!(raw_path == sent, "`{sent}` became `{raw_path}`");
        let path = app.decoded_path();
        must!(
            path == "/caf\u{e9}//\u{fffd}//A/../x\0",
            "`{sent}` was decoded to `{}`",
            path.escape_debug()
        );
        app.finish(Step::Decline).await
    }),
}];

const RAW_QUERY: &[Case] = &[
    Case {
        rule: rule::RAW_QUERY,
        name: "the_query",
        transports: HTTP1_AND_HTTP2,
        does: "Sends queries with escapes, and a target without a query.",
        must: "The scope has each query unchanged.",
        basis: Basis::Standard(&[demands(AsgiHttp, "HTTP Connection Scope")]),
        steps: steps!(async |fixture, transport| {
            let server = fixture.server().await?;

            for query in ["", "?", "?a=%41&b=c+d?e", "?%C3%a9=/../"] {
                is_passed(server, transport, query).await?;
            }
            Ok(())
        }),
    },
    Case {
        rule: rule::RAW_QUERY,
        name: "broken_escapes_in_the_query",
        transports: HTTP1_AND_HTTP2,
        does: "Sends a query with a `%` that no two digits follow.",
        must: "The scope has the query unchanged.",
        basis: Basis::CallgateOnly(
            "RFC 9112, 3.2 recommends to answer 400 to a target that is malformed",
        ),
        steps: steps!(async |fixture, transport| {
            is_passed(fixture.server().await?, transport, "?a=%zz").await
        }),
    },
];

/// Checks that the scope of a request with this query, and its `?`, has the query.
async fn is_passed(server: &mut Server, transport: Transport, query: &str) -> CaseResult {
    let scope = scope_over(transport, server, &Request::get(&format!("/{query}"))).await?;
    let passed = query.strip_prefix('?').unwrap_or_default();
    must!(
        scope.query() == passed,
        "the query of `/{query}` is `{}`",
        scope.query()
    );
    Ok(())
}

const ROOT_PATH_BASIS: Basis =
    Basis::CallgateOnly("ASGI does not say whether the path begins with the root path");

const ROOT_PATH: &[Case] = &[
    Case {
        rule: rule::ROOT_PATH,
        name: "the_root_path",
        transports: HTTP1_AND_HTTP2,
        does: "Sends a request to a server with a root path.",
        must: "The scope has the root path, and the path begins with it, percent-encoded.",
        basis: ROOT_PATH_BASIS,
        steps: steps!(async |fixture, transport| {
            let server = fixture.server_with(mounted()).await?;
            expect_mounted(&scope_over(transport, server, &Request::get("/users%20")).await?)
        }),
    },
    Case {
        rule: rule::ROOT_PATH,
        name: "the_root_path_of_a_websocket",
        transports: HTTP1,
        does: "Sends a handshake to a server with a root path.",
        must: "The scope has the root path, and the path begins with it, percent-encoded.",
        basis: ROOT_PATH_BASIS,
        steps: steps!(async |fixture| {
            let server = fixture.server_with(mounted()).await?;
            let (_client, app) = call_over(Http1, server, &handshake_to("/users%20")).await?;
            let scope = app.websocket()?;
            expect_root_path(&scope.root_path, scope.raw_path())?;
            app.finish(Step::Decline).await
        }),
    },
];

fn mounted() -> ServerSettings {
    ServerSettings {
        root_path: Some("/the%api".into()),
        ..ServerSettings::default()
    }
}

fn expect_mounted(scope: &HttpScope) -> CaseResult {
    expect_root_path(&scope.root_path, scope.raw_path())
}

fn expect_root_path(root_path: &str, path: &str) -> CaseResult {
    must!(root_path == "/the%api", "the root path is `{root_path}`");
    must!(path == "/the%25api/users%20", "the path is `{path}`");
    Ok(())
}

const CONNECT_REFUSED: &[Case] = &[Case {
    rule: rule::CONNECT_REFUSED,
    name: "connect",
    transports: HTTP1_AND_HTTP2,
    does: "Sends a CONNECT request, over HTTP/2 one without a protocol.",
    must: "The answer is 501, and the application is not called.",
    basis: Basis::CallgateOnly("ASGI does not speak of CONNECT"),
    steps: steps!(async |fixture, transport| {
        let server = fixture.server().await?;
        let request = Request::new("CONNECT", "test:80");
        let status = refused_status_over(transport, server, &request).await?;
        must!(status == 501, "the answer is {status}");
        Ok(())
    }),
}];

/// Sends a request that the application must not see. Returns the status of the answer.
async fn refused_status_over(
    transport: Transport,
    server: &mut Server,
    request: &Request,
) -> CaseResult<u16> {
    let mut exchange = ClientExchange::begin(server, transport, request).await?;
    let head = server.refused(exchange.head()).await?;
    server.expect_no_call().await?;
    Ok(head.status)
}
