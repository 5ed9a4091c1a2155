//! A span of `tracing` for each exchange, in which the application's call is polled.
//!
//! The span has the target `callgate::exchange`, the level INFO, and the fields of OpenTelemetry's conventions
//! for HTTP servers, so a layer such as that of `tracing-opentelemetry` exports the span unchanged. The span
//! begins when the head of a request has been read, and ends when both the exchange and the call have ended;
//! the span of a WebSocket ends with its session. Without a subscriber that is interested in the target when the server is
//! created, there is no span and no cost. The log of the command line is not interested unless `--log-level`
//! names the target.
//!
//! The fields `traceparent` and `tracestate` of trusted proxies (`--forwarded-allow-ips`) tell the trace that
//! a request belongs to. `tracing` has no means to carry it, so the program passes it on to its layer by
//! [`on_remote_parent`]. Those of other peers have no effect.

mod context;

use std::sync::{PoisonError, RwLock};

use callgate::RequestScope;
use http::header;
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode, Version};
use tracing::field::{Empty, display};
use tracing::{Level, Span};

use crate::connection::ConnectionInfo;

pub use self::context::TraceContext;

/// The target of the spans.
pub const TARGET: &str = "callgate::exchange";

/// Passes the trace of a request on to the span of its exchange.
pub type RemoteParentHook = fn(&Span, &TraceContext);

static ON_REMOTE_PARENT: RwLock<Option<RemoteParentHook>> = RwLock::new(None);

/// Sets the function that is called with the new span of an exchange whose request has a trusted trace
/// context, before the span is entered. It replaces the function that was set before, for all servers of
/// the process.
///
/// With `tracing-opentelemetry`, the function sets the parent of the span:
///
/// ```text
/// callgate_server::trace::on_remote_parent(|span, context| {
///     let parent = SpanContext::new(
///         TraceId::from(context.trace_id()),
///         SpanId::from(context.parent_id()),
///         TraceFlags::new(context.flags()),
///         true,
///         context.state().parse().unwrap_or_default(),
///     );
///     let _ = span.set_parent(Context::new().with_remote_span_context(parent));
/// });
/// ```
pub fn on_remote_parent(hook: RemoteParentHook) {
    *(ON_REMOTE_PARENT.write()).unwrap_or_else(PoisonError::into_inner) = Some(hook);
}

/// Returns whether a subscriber is interested in the spans.
pub(crate) fn is_enabled() -> bool {
    tracing::span_enabled!(target: TARGET, Level::INFO)
}

/// Begins the span of a request; a disabled one if no subscriber is interested.
pub(crate) fn begin(
    parts: &Parts,
    request_id: Option<&HeaderValue>,
    connection: &ConnectionInfo,
) -> Span {
    let method = well_known(&parts.method);
    let span = tracing::info_span!(
        target: TARGET,
        parent: None,
        "exchange",
        otel.name = method.unwrap_or("HTTP"),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method.unwrap_or("_OTHER"),
        http.response.status_code = Empty,
        url.path = parts.uri.path(),
        url.query = parts.uri.query(),
        url.scheme = Empty,
        network.protocol.version = version(parts.version),
        network.peer.address = connection.peer.map(|peer| display(peer.ip())),
        client.address = Empty,
        user_agent.original = text(parts.headers.get(header::USER_AGENT)),
        request_id = text(request_id),
        outcome = Empty,
        "error.type" = Empty,
    );
    if !span.is_disabled() && connection.is_trusted_proxy {
        let hook = *(ON_REMOTE_PARENT.read()).unwrap_or_else(PoisonError::into_inner);
        if let (Some(hook), Some(context)) = (hook, TraceContext::of(&parts.headers)) {
            hook(&span, &context);
        }
    }
    span
}

/// Records the scope for which the application is called.
pub(crate) fn called(span: &Span, scope: &RequestScope) {
    if span.is_disabled() {
        return;
    }
    span.record("url.scheme", scope.scheme.as_str());
    if let Some(client) = scope.client {
        span.record("client.address", display(client.ip()));
    }
}

/// Records how an exchange has ended. By the conventions of OpenTelemetry, only what is a fault of the server
/// is an error.
pub(crate) fn end(
    span: &Span,
    status: Option<StatusCode>,
    outcome: &'static str,
    is_failure: bool,
) {
    span.record("outcome", outcome);
    match status {
        Some(status) if status.is_server_error() => {
            span.record("otel.status_code", "ERROR");
            span.record("error.type", status.as_str());
        }
        _ if is_failure => {
            span.record("otel.status_code", "ERROR");
            span.record("error.type", outcome);
        }
        _ => {}
    }
}

fn text(value: Option<&HeaderValue>) -> Option<&str> {
    value.and_then(|value| value.to_str().ok())
}

/// Returns the name of a method of RFC 9110 and RFC 5789. Other names could be without number.
fn well_known(method: &Method) -> Option<&str> {
    let is_known = matches!(
        *method,
        Method::GET
            | Method::HEAD
            | Method::POST
            | Method::PUT
            | Method::PATCH
            | Method::DELETE
            | Method::OPTIONS
            | Method::CONNECT
            | Method::TRACE
    );
    is_known.then(|| method.as_str())
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "2",
        Version::HTTP_11 => "1.1",
        _ => "1.0",
    }
}
