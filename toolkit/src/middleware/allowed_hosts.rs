//! Requests for the hosts that an application serves, and for no others.

use callgate::{App, AppError, Receiver, RequestScope, Scope, Sender};
use http::StatusCode;
use http::header::HOST;

use super::host::{HostPattern, HostPort, single_field};
use super::refusal::Refusal;
use crate::respond;

/// Refuses requests and WebSockets whose field `host` names another host than those that are allowed.
///
/// A client can send any `host`. An application that makes links of this field, for example in a mail that
/// resets a password, must not take the host of an attacker. The check also stops DNS rebinding, by which
/// a page of another site reaches a local server under the name of that site.
///
/// - A host is allowed by its name or address: `example.com`, `127.0.0.1`, `[::1]`. `*.example.com`
///   allows all subdomains of `example.com`, at any depth, and not `example.com` itself.
/// - Names are compared without regard to case. The port, and the dot of the root at the end of a name,
///   are ignored.
/// - A host that is not allowed is a 421 (RFC 9110, 15.5.20): the request has been directed to a server
///   that does not serve its host. A browser that shares one HTTP/2 connection among several hosts then
///   repeats the request on a connection of its own, which it does not after a 400.
/// - A `host` that is missing, malformed or repeated is a 400.
/// - A WebSocket is refused with 403 where the server does not offer denial responses.
/// - Health checks usually name the server by its address, which must then be allowed too.
///
/// Behind a proxy, the field must be what the client has sent: `x-forwarded-host` is not read.
///
/// ```
/// use callgate::App;
/// use callgate_toolkit::middleware::AllowedHosts;
///
/// fn public(app: impl App) -> impl App {
///     AllowedHosts::new(app, ["example.com", "*.example.com", "127.0.0.1"])
/// }
/// ```
#[derive(Clone, Debug)]
pub struct AllowedHosts<A> {
    app: A,
    hosts: Vec<HostPattern>,
}

impl<A> AllowedHosts<A> {
    /// Creates an application of `app` that serves requests for these hosts only.
    ///
    /// # Panics
    ///
    /// When a text is not a host: it has a scheme, a port or a path, for example. `*` is not a host
    /// either: an application without this middleware serves every host.
    pub fn new<H: AsRef<str>>(app: A, hosts: impl IntoIterator<Item = H>) -> Self {
        let hosts = hosts.into_iter().map(|host| {
            let host = host.as_ref();
            HostPattern::parse(host).unwrap_or_else(|| {
                panic!(
                    "`{host}` is no host: a host is a name or an address without a scheme and a port, \
                     such as `example.com` or `*.example.com`"
                )
            })
        });
        let hosts = hosts.collect();
        Self { app, hosts }
    }

    /// Returns the status to refuse this request with; `None` when its host is allowed.
    fn refusal(&self, request: &RequestScope) -> Option<StatusCode> {
        let host = single_field(&request.headers, HOST).ok().flatten();
        let Some(HostPort { host, .. }) = host.and_then(HostPort::parse) else {
            return Some(StatusCode::BAD_REQUEST);
        };
        let is_allowed = self.hosts.iter().any(|pattern| pattern.matches(host));
        (!is_allowed).then_some(StatusCode::MISDIRECTED_REQUEST)
    }
}

impl<A: App> App for AllowedHosts<A> {
    async fn call(&self, scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        let status = scope.request().and_then(|request| self.refusal(request));
        let (Some(refusal), Some(status)) = (Refusal::of(&scope), status) else {
            return self.app.call(scope, receiver, sender).await;
        };
        let text = match status {
            StatusCode::BAD_REQUEST => "The request does not name its host.\n",
            _ => "This host is not served here.\n",
        };
        let response = respond::text(text).status(status);
        refusal.send(response, &sender).await
    }
}
