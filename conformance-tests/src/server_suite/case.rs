//! The cases of the server suite.

use std::future::Future;
use std::pin::Pin;

use callgate::rule::Rule;

use super::client_exchange::Transport;
use super::fixture::Fixture;
use super::result::CaseResult;
use crate::basis::Basis;

/// A case: the rule that it checks, its transports and its steps.
pub(super) struct Case {
    pub(super) rule: &'static Rule,
    /// Lower case, words joined by `_`. Over HTTP/2 the check has `_over_http2` after it.
    pub(super) name: &'static str,
    pub(super) transports: &'static [Transport],
    /// The steps of the case, in a sentence.
    pub(super) does: &'static str,
    /// The demanded behaviour, in a sentence.
    pub(super) must: &'static str,
    /// The reason for which the case counts against servers of ASGI, or does not count.
    pub(super) basis: Basis,
    pub(super) steps: Steps,
}

/// The steps of a case, which [`steps!`] makes.
pub(super) type Steps =
    for<'a> fn(&'a mut Fixture<'_>, Transport) -> Pin<Box<dyn Future<Output = CaseResult> + 'a>>;

impl Case {
    pub(super) fn is_of_lifespan(&self) -> bool {
        self.rule.document() == "lifespan.md"
    }

    /// Returns the name of the check over one transport.
    pub(super) fn check_name(&self, transport: Transport) -> String {
        match transport {
            Transport::Http1 => self.name.to_owned(),
            Transport::Http2 => format!("{}_over_http2", self.name),
        }
    }
}

/// The transports of a case that runs over HTTP/1.1 only, over HTTP/2 only, or over each of them. A
/// case of WebSockets opens its WebSocket over the transport (RFC 6455, RFC 8441).
pub(super) const HTTP1: &[Transport] = &[Transport::Http1];
pub(super) const HTTP2: &[Transport] = &[Transport::Http2];
pub(super) const HTTP1_AND_HTTP2: &[Transport] = &[Transport::Http1, Transport::Http2];

/// Makes the [`Steps`] of a case from an async closure over the fixture and, where the case runs over
/// several, the transport.
macro_rules! steps {
    (async |$fixture:ident| $body:block $(,)?) => {
        |$fixture, _| Box::pin(async move $body)
    };
    (async |$fixture:ident, $transport:ident| $body:block $(,)?) => {
        |$fixture, $transport| Box::pin(async move $body)
    };
}
pub(super) use steps;
