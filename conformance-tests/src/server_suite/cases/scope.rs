//! `overview.md`: what a scope says of the request's line.

use callgate::HttpScope;

use super::steps::{call_over, scope_over};
use crate::probe::Step;
use crate::server_suite::bench::Bench;
use crate::server_suite::case::{Asgi, Asgi::Shared, Case, Outcome, case, must};
use crate::server_suite::exchange::Over::{self, Http1, Http2};
use crate::server_suite::launch::Settings;
use crate::server_suite::request::Request;
use crate::server_suite::server::Server;
use crate::server_suite::websocket::handshake_to;

const METHODS: Asgi = Asgi::Differs("ASGI has the method in upper case.");
const TARGETS: Asgi = Asgi::Differs("ASGI does not speak of targets in asterisk form.");
const ESCAPES: Asgi = Asgi::Differs("ASGI does not say what comes of a broken escape.");
const DECODED: Asgi = Asgi::Differs("In ASGI the undecoded path is optional.");
const TUNNELS: Asgi = Asgi::Differs("ASGI does not speak of CONNECT.");
const MOUNTS: Asgi =
    Asgi::Differs("ASGI does not say whether the path has the root path in front.");

pub(super) const CASES: &[Case] = &[
    case!(
        methods: METHOD_AS_RECEIVED, METHODS,
        "Sends the methods `GET`, `DELETE`, `PURGE`, `get` and `X-1!`.",
        "The scope has each as it was sent."
    ),
    case!(
        methods_over_http2: METHOD_AS_RECEIVED, METHODS,
        "Sends the methods `GET`, `DELETE`, `PURGE`, `get` and `X-1!`.",
        "The scope has each as it was sent."
    ),
    case!(
        the_target_is_in_origin_form: ORIGIN_FORM, Shared,
        "Sends targets in origin form and in absolute form, with a path and without.",
        "The target in the scope is the path and the query."
    ),
    case!(
        the_target_is_in_origin_form_over_http2: ORIGIN_FORM, Shared,
        "Sends a target with scheme, authority, path and query.",
        "The target in the scope is the path and the query."
    ),
    case!(
        the_target_of_a_websocket_is_in_origin_form: ORIGIN_FORM, Shared,
        "Sends a handshake.",
        "The target in the scope is the path and the query."
    ),
    case!(
        an_absolute_target_has_the_host: ABSOLUTE_FORM, Shared,
        "Sends a target in absolute form whose authority is not what `host` says.",
        "The scope has one `host` field, with the authority of the target."
    ),
    case!(
        the_asterisk: ASTERISK_FORM, TARGETS,
        "Sends `OPTIONS *`.",
        "The path is `*`."
    ),
    case!(
        the_asterisk_over_http2: ASTERISK_FORM, TARGETS,
        "Sends `OPTIONS` with the path `*`.",
        "The path is `*`."
    ),
    case!(
        broken_escapes: BAD_PERCENT_ENCODING, ESCAPES,
        "Sends paths with `%` that is not followed by two hexadecimal digits.",
        "The answer is 400, and the application is not called."
    ),
    case!(
        broken_escapes_over_http2: BAD_PERCENT_ENCODING, ESCAPES,
        "Sends paths with `%` that is not followed by two hexadecimal digits.",
        "The answer is 400, and the application is not called."
    ),
    case!(
        the_path: RAW_PATH, DECODED,
        "Sends a path with escapes in upper and lower case, octets that are not UTF-8, dot segments \
         and empty segments.",
        "The scope has the path unchanged, and decoded."
    ),
    case!(
        the_path_over_http2: RAW_PATH, DECODED,
        "Sends a path with escapes in upper and lower case, octets that are not UTF-8, dot segments \
         and empty segments.",
        "The scope has the path unchanged, and decoded."
    ),
    case!(
        the_query: RAW_QUERY, Shared,
        "Sends queries with escapes, broken ones among them, and a target without a query.",
        "The scope has each query unchanged."
    ),
    case!(
        the_query_over_http2: RAW_QUERY, Shared,
        "Sends queries with escapes, broken ones among them, and a target without a query.",
        "The scope has each query unchanged."
    ),
    case!(
        the_root_path: ROOT_PATH, MOUNTS,
        "Sends a request to a server with a root path.",
        "The scope has the root path, and the path begins with it, percent-encoded."
    ),
    case!(
        the_root_path_over_http2: ROOT_PATH, MOUNTS,
        "Sends a request to a server with a root path.",
        "The scope has the root path, and the path begins with it, percent-encoded."
    ),
    case!(
        the_root_path_of_a_websocket: ROOT_PATH, MOUNTS,
        "Sends a handshake to a server with a root path.",
        "The scope has the root path, and the path begins with it, percent-encoded."
    ),
    case!(
        connect: CONNECT_REFUSED, TUNNELS,
        "Sends a CONNECT request.",
        "The answer is 501, and the application is not called."
    ),
    case!(
        connect_over_http2: CONNECT_REFUSED, TUNNELS,
        "Sends a CONNECT request without a protocol.",
        "The answer is 501, and the application is not called."
    ),
];

async fn methods(bench: &mut Bench<'_>) -> Outcome {
    has_methods(bench.server().await?, Http1).await
}

async fn methods_over_http2(bench: &mut Bench<'_>) -> Outcome {
    has_methods(bench.server().await?, Http2).await
}

async fn has_methods(server: &mut Server, over: Over) -> Outcome {
    for method in ["GET", "DELETE", "PURGE", "get", "X-1!"] {
        let scope = scope_over(over, server, &Request::new(method, "/")).await?;
        must!(
            scope.method == *method,
            "`{method}` became `{}`",
            scope.method
        );
    }
    Ok(())
}

async fn the_target_is_in_origin_form(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    for (sent, passed) in [
        ("/a/b?c=d", "/a/b?c=d"),
        ("http://test/a/b?c=d", "/a/b?c=d"),
        ("http://test", "/"),
    ] {
        has_target(server, &Request::get(sent), Http1, passed).await?;
    }
    Ok(())
}

async fn the_target_is_in_origin_form_over_http2(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    has_target(server, &Request::get("/a/b?c=d"), Http2, "/a/b?c=d").await
}

async fn the_target_of_a_websocket_is_in_origin_form(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    has_target(server, &handshake_to("/a/b?c=d"), Http1, "/a/b?c=d").await
}

async fn has_target(server: &mut Server, request: &Request, over: Over, passed: &str) -> Outcome {
    let (_client, app) = call_over(over, server, request).await?;
    let target = app.target.clone().unwrap_or_default();
    must!(
        target == passed,
        "`{}` became `{target}`, not `{passed}`",
        request.target
    );
    app.finish(Step::Decline).await
}

async fn an_absolute_target_has_the_host(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let request = Request::get("http://other.example:81/");
    let scope = scope_over(Http1, server, &request).await?;
    let hosts: Vec<_> = scope.headers.get_all("host").iter().collect();
    must!(hosts == ["other.example:81"], "`host` is {hosts:?}");
    Ok(())
}

async fn the_asterisk(bench: &mut Bench<'_>) -> Outcome {
    has_asterisk(bench.server().await?, Http1).await
}

async fn the_asterisk_over_http2(bench: &mut Bench<'_>) -> Outcome {
    has_asterisk(bench.server().await?, Http2).await
}

async fn has_asterisk(server: &mut Server, over: Over) -> Outcome {
    let scope = scope_over(over, server, &Request::new("OPTIONS", "*")).await?;
    must!(scope.path() == "*", "the path is `{}`", scope.path());
    Ok(())
}

const BROKEN: [&str; 6] = ["/%", "/%4", "/%zz/", "/a%2", "/%%41", "/%4?%41"];

async fn broken_escapes(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    for target in BROKEN {
        let status = server.refuses(Request::get(target).http1()).await?;
        must!(status == 400, "`{target}` is answered with {status}");
    }
    Ok(())
}

async fn broken_escapes_over_http2(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    for target in BROKEN {
        let status = server.refuses_over_http2(&Request::get(target)).await?;
        must!(status == 400, "`{target}` is answered with {status}");
    }
    Ok(())
}

async fn the_path(bench: &mut Bench<'_>) -> Outcome {
    has_path(bench.server().await?, Http1).await
}

async fn the_path_over_http2(bench: &mut Bench<'_>) -> Outcome {
    has_path(bench.server().await?, Http2).await
}

async fn has_path(server: &mut Server, over: Over) -> Outcome {
    let sent = "/caf%C3%A9%2f/%FF//A/../x%00";
    let (_client, app) = call_over(over, server, &Request::get(sent)).await?;
    let raw_path = app.http()?.raw_path();
    must!(raw_path == sent, "`{sent}` became `{raw_path}`");
    let path = app.told_scope["path"].as_str().unwrap_or_default();
    must!(
        path == "/caf\u{e9}//\u{fffd}//A/../x\0",
        "`{sent}` was decoded to `{}`",
        path.escape_debug()
    );
    app.finish(Step::Decline).await
}

async fn the_query(bench: &mut Bench<'_>) -> Outcome {
    has_query(bench.server().await?, Http1).await
}

async fn the_query_over_http2(bench: &mut Bench<'_>) -> Outcome {
    has_query(bench.server().await?, Http2).await
}

async fn has_query(server: &mut Server, over: Over) -> Outcome {
    for query in ["", "?", "?a=%41&b=%zz+c?d", "?%C3%a9=/../"] {
        let scope = scope_over(over, server, &Request::get(&format!("/{query}"))).await?;
        let passed = query.strip_prefix('?').unwrap_or_default();
        must!(
            scope.query() == passed,
            "the query of `/{query}` is `{}`",
            scope.query()
        );
    }
    Ok(())
}

fn mounted() -> Settings {
    Settings {
        root_path: Some("/the%api".into()),
        ..Settings::default()
    }
}

async fn the_root_path(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server_with(mounted()).await?;
    is_mounted(&scope_over(Http1, server, &Request::get("/users%20")).await?)
}

async fn the_root_path_over_http2(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server_with(mounted()).await?;
    is_mounted(&scope_over(Http2, server, &Request::get("/users%20")).await?)
}

fn is_mounted(scope: &HttpScope) -> Outcome {
    has_root_path(&scope.root_path, scope.raw_path())
}

async fn the_root_path_of_a_websocket(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server_with(mounted()).await?;
    let (_client, app) = call_over(Http1, server, &handshake_to("/users%20")).await?;
    let scope = app.websocket()?;
    has_root_path(&scope.root_path, scope.raw_path())?;
    app.finish(Step::Decline).await
}

fn has_root_path(root_path: &str, path: &str) -> Outcome {
    must!(root_path == "/the%api", "the root path is `{root_path}`");
    must!(path == "/the%25api/users%20", "the path is `{path}`");
    Ok(())
}

async fn connect(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let request = Request::new("CONNECT", "test:80");
    let status = server.refuses(request.http1()).await?;
    must!(status == 501, "the answer is {status}");
    Ok(())
}

async fn connect_over_http2(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let request = Request::new("CONNECT", "test:80");
    let status = server.refuses_over_http2(&request).await?;
    must!(status == 501, "the answer is {status}");
    Ok(())
}
