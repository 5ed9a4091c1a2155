//! `tls.md`: the security of the connection.
//!
//! The cases compare the scope with the parameters that the client has negotiated and the certificates that
//! it has presented. They need clients that speak TLS, except for the cases about cleartext.

use std::net::Ipv4Addr;
use std::sync::Arc;

use callgate::{Feature, Scheme, Scope, TlsInfo, rule};
use x509_cert::Certificate;
use x509_cert::der::{DecodePem as _, Encode as _};

use crate::Verdict;
use crate::basis::{Basis, Document::AsgiTls, demands};
use crate::probe::Step;
use crate::server_suite::case::{Case, HTTP1_AND_HTTP2, steps};
use crate::server_suite::client_exchange::{ClientExchange, Transport};
use crate::server_suite::client_tls::ClientCertificateKind;
use crate::server_suite::fixture::Fixture;
use crate::server_suite::request::Request;
use crate::server_suite::result::{CaseResult, must};
use crate::server_suite::server::Server;
use crate::server_suite::websocket::{begin_handshake, handshake};

pub(super) const CASES: &[&[Case]] = &[
    TLS_ONLY_WHEN_SECURED,
    TLS_VERSION,
    TLS_CLIENT_CHAIN,
    TLS_CLIENT_ERROR,
];

const TLS_ONLY_WHEN_SECURED_BASIS: Basis =
    Basis::Standard(&[demands(AsgiTls, "When to use this extension")]);

/// A client that a proxy names, an address for documentation (RFC 5737).
const CLIENT_OF_PROXY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

pub(super) const SCOPE_BASIS: Basis = Basis::Standard(&[demands(AsgiTls, "TLS Connection Scope")]);

const TLS_ONLY_WHEN_SECURED: &[Case] = &[
    Case {
        rule: rule::TLS_ONLY_WHEN_SECURED,
        name: "a_plain_request",
        transports: HTTP1_AND_HTTP2,
        does: "Sends a request over a connection that is not secured.",
        must: "Its scope neither offers `tls` nor has it.",
        basis: TLS_ONLY_WHEN_SECURED_BASIS,
        steps: steps!(async |fixture, transport| {
            let server = cleartext_server(fixture).await?;
            has_no_tls(&scope_of(server, transport, Request::get("/")).await?)
        }),
    },
    Case {
        rule: rule::TLS_ONLY_WHEN_SECURED,
        name: "a_plain_websocket",
        transports: HTTP1_AND_HTTP2,
        does: "Opens a WebSocket over a connection that is not secured.",
        must: "Its scope neither offers `tls` nor has it.",
        basis: TLS_ONLY_WHEN_SECURED_BASIS,
        steps: steps!(async |fixture, transport| {
            let server = cleartext_server(fixture).await?;
            has_no_tls(&scope_of(server, transport, handshake()).await?)
        }),
    },
    Case {
        rule: rule::TLS_ONLY_WHEN_SECURED,
        name: "cleartext_before_a_proxy",
        transports: HTTP1_AND_HTTP2,
        does: "Sends, over TLS, a request and a handshake that a proxy has received in cleartext.",
        must: "A scope whose scheme is not secured neither offers `tls` nor has it.",
        basis: TLS_ONLY_WHEN_SECURED_BASIS,
        steps: steps!(async |fixture, transport| {
            let server = tls_server(fixture).await?;
            for request in [Request::get("/"), handshake()] {
                let request = received_by_proxy(request, "http");
                let scope = scope_of(server, transport, request).await?;
                if secured(&scope).0 == Scheme::Http {
                    has_no_tls(&scope)?;
                }
            }
            Ok(())
        }),
    },
];

async fn cleartext_server<'a>(fixture: &'a mut Fixture<'_>) -> CaseResult<&'a mut Server> {
    match fixture.tls() {
        Some(_) => Err(Verdict::NotApplicable("every connection is secured".into())),
        None => fixture.server().await,
    }
}

async fn tls_server<'a>(fixture: &'a mut Fixture<'_>) -> CaseResult<&'a mut Server> {
    match fixture.tls() {
        Some(_) => fixture.server().await,
        None => Err(Verdict::NotApplicable(
            "the suite does not speak TLS".into(),
        )),
    }
}

/// Returns a request with the fields of a proxy that has received it over this scheme.
pub(super) fn received_by_proxy(request: Request, scheme: &str) -> Request {
    request
        .field("forwarded", &format!("proto={scheme}"))
        .field("x-forwarded-proto", scheme)
}

fn has_no_tls(scope: &Scope) -> CaseResult {
    let (_, offers, tls) = secured(scope);
    must!(!offers, "the scope offers `tls`");
    must!(tls.is_none(), "the scope has {tls:?}");
    Ok(())
}

/// Calls the application by a request or a handshake. Returns its scope.
pub(super) async fn scope_of(
    server: &mut Server,
    transport: Transport,
    request: Request,
) -> CaseResult<Scope> {
    if is_handshake(&request) {
        let _pending = begin_handshake(server, transport, &request).await?;
        return called(server).await;
    }
    let _exchange = ClientExchange::begin(server, transport, &request).await?;
    called(server).await
}

async fn called(server: &mut Server) -> CaseResult<Scope> {
    let app = server.call().await?;
    let scope = app.scope().clone();
    app.finish(Step::Decline).await?;
    Ok(scope)
}

/// Calls the application by a request or a handshake. Returns its scope, or `None` if the server refuses the
/// connection or the request. The server may refuse a connection after its handshake, too: in TLS 1.3, the
/// client completes the handshake before the server has its certificate.
///
/// # Errors
///
/// The case is not applicable where the server does not speak this version of HTTP.
async fn scope_unless_refused(
    server: &mut Server,
    transport: Transport,
    request: Request,
) -> CaseResult<Option<Scope>> {
    let call = if is_handshake(&request) {
        let Some(pending) = unless_refused(begin_handshake(server, transport, &request).await)?
        else {
            return Ok(None);
        };
        tokio::select! {
            biased;
            call = server.call() => call,
            _ = pending.response() => return Ok(None),
        }
    } else {
        let exchange = ClientExchange::begin(server, transport, &request).await;
        let Some(mut exchange) = unless_refused(exchange)? else {
            return Ok(None);
        };
        tokio::select! {
            biased;
            call = server.call() => call,
            _ = exchange.head() => return Ok(None),
        }
    };
    let app = call?;
    let scope = app.scope().clone();
    app.finish(Step::Decline).await?;
    Ok(Some(scope))
}

fn unless_refused<T>(begun: CaseResult<T>) -> CaseResult<Option<T>> {
    match begun {
        Err(Verdict::Failed(_)) => Ok(None),
        begun => begun.map(Some),
    }
}

fn is_handshake(request: &Request) -> bool {
    request.fields.iter().any(|(name, _)| name == "upgrade")
}

/// Returns the scheme, whether `tls` is offered, and its value.
fn secured(scope: &Scope) -> (Scheme, bool, Option<Arc<TlsInfo>>) {
    let Some(request) = scope.request() else {
        return (Scheme::Http, false, None);
    };
    let offers = request.features.contains(Feature::Tls);
    (request.scheme, offers, request.tls.clone())
}

/// Returns the `tls` of a scope.
///
/// # Errors
///
/// The case is not applicable where `tls` is not offered.
pub(super) fn tls_of(scope: &Scope) -> CaseResult<Arc<TlsInfo>> {
    let (_, offers, tls) = secured(scope);
    tls.filter(|_| offers)
        .ok_or_else(|| Verdict::NotApplicable("it does not offer `tls`".into()))
}

const TLS_VERSION: &[Case] = &[Case {
    rule: rule::TLS_VERSION,
    name: "version_and_cipher_suite",
    transports: HTTP1_AND_HTTP2,
    does: "Sends a request and a handshake over TLS.",
    must: "If the scope offers `tls`, the version and the cipher suite are those of the connection, or none.",
    basis: SCOPE_BASIS,
    steps: steps!(async |fixture, transport| {
        let server = tls_server(fixture).await?;
        for request in [Request::get("/"), handshake()] {
            let tls = tls_of(&scope_of(server, transport, request).await?)?;
            let Some(negotiated) = server.negotiated() else {
                return Err(Verdict::failed("the handshake has no result"));
            };
            let (version, suite) = (tls.tls_version, tls.cipher_suite);
            must!(
                version.is_none_or(|version| version == negotiated.version)
                    && suite.is_none_or(|suite| suite == negotiated.cipher_suite),
                "the version is {version:?} and the cipher suite {suite:?} on a connection with {negotiated:?}"
            );
        }
        Ok(())
    }),
}];

const TLS_CLIENT_CHAIN: &[Case] = &[
    Case {
        rule: rule::TLS_CLIENT_CHAIN,
        name: "a_client_certificate_is_given",
        transports: HTTP1_AND_HTTP2,
        does: "Sends a request and a handshake over TLS, as a client with a certificate.",
        must: "If the scope offers `tls`, it has a certificate.",
        basis: Basis::CallgateOnly("ASGI lets a server leave out the client's certificates"),
        steps: steps!(async |fixture, transport| {
            for tls in tls_with_certificate(fixture, transport).await? {
                must!(
                    !tls.client_cert_chain.is_empty(),
                    "there is no certificate of the client"
                );
            }
            Ok(())
        }),
    },
    Case {
        rule: rule::TLS_CLIENT_CHAIN,
        name: "client_certificates",
        transports: HTTP1_AND_HTTP2,
        does: "Sends a request and a handshake over TLS, as a client with a certificate and its issuer.",
        must: "If the scope offers `tls`, each certificate in it is a PEM text and issued by the next, and the first is the client's own.",
        basis: SCOPE_BASIS,
        steps: steps!(async |fixture, transport| {
            for tls in tls_with_certificate(fixture, transport).await? {
                let chain = certificates(&tls)?;
                let Some(first) = chain.first().and_then(|first| first.to_der().ok()) else {
                    continue;
                };
                must!(
                    own_certificate(fixture).is_some_and(|own| own == first),
                    "the first certificate is not the one that the client has presented"
                );
                is_ordered(&chain)?;
            }
            Ok(())
        }),
    },
    Case {
        rule: rule::TLS_CLIENT_CHAIN,
        name: "the_certificate_of_a_proxy",
        transports: HTTP1_AND_HTTP2,
        does: "Sends a request and a handshake over TLS, as a proxy with a certificate whose client has none.",
        must: "If the scope has the client that the proxy names, it does not have the certificate of the proxy.",
        basis: SCOPE_BASIS,
        steps: steps!(async |fixture, transport| {
            tls_with_certificate(fixture, transport).await?;
            let server = fixture.server_with_client_certificates().await?;
            for request in [Request::get("/"), handshake()] {
                let request = request
                    .field("forwarded", &format!("for={CLIENT_OF_PROXY};proto=https"))
                    .field("x-forwarded-for", &CLIENT_OF_PROXY.to_string())
                    .field("x-forwarded-proto", "https");
                let scope = scope_for_certificate(server, transport, request).await?;
                let client = scope.request().and_then(|request| request.client);
                let is_believed = client.is_some_and(|client| client.ip() == CLIENT_OF_PROXY);
                let (_, _, tls) = secured(&scope);
                must!(
                    !is_believed || tls.is_none_or(|tls| tls.client_cert_chain.is_empty()),
                    "the client {CLIENT_OF_PROXY} has the certificate of the proxy"
                );
            }
            Ok(())
        }),
    },
];

/// Returns the `tls` of a request and of a handshake of a client with a certificate.
async fn tls_with_certificate(
    fixture: &mut Fixture<'_>,
    transport: Transport,
) -> CaseResult<Vec<Arc<TlsInfo>>> {
    tls_server(fixture).await?;
    let server = fixture.server_with_client_certificates().await?;
    let mut all = Vec::new();
    for request in [Request::get("/"), handshake()] {
        all.push(tls_of(
            &scope_for_certificate(server, transport, request).await?,
        )?);
    }
    Ok(all)
}

/// Calls the application by a request or a handshake of a client with a certificate. Returns its scope.
async fn scope_for_certificate(
    server: &mut Server,
    transport: Transport,
    request: Request,
) -> CaseResult<Scope> {
    server.present(ClientCertificateKind::Valid);
    let scope = scope_of(server, transport, request).await;
    server.present(ClientCertificateKind::None);
    scope
}

/// Returns the certificate that the client of the suite presents.
fn own_certificate<'a>(fixture: &'a Fixture<'_>) -> Option<&'a [u8]> {
    let certificates = fixture.tls()?.certificates.as_ref()?;
    certificates.client.chain.first().map(|first| &**first)
}

/// Returns the client's certificates, which must be PEM texts.
pub(super) fn certificates(tls: &TlsInfo) -> CaseResult<Vec<Certificate>> {
    let read = |text: &String| {
        Certificate::from_pem(text)
            .map_err(|error| Verdict::failed(format!("`{text}` is no certificate in PEM: {error}")))
    };
    tls.client_cert_chain.iter().map(read).collect()
}

/// Checks that each certificate is followed by its issuer.
pub(super) fn is_ordered(chain: &[Certificate]) -> CaseResult {
    for pair in chain.windows(2) {
        let (issued, issuer) = (pair[0].tbs_certificate(), pair[1].tbs_certificate());
        must!(
            issued.issuer() == issuer.subject(),
            "the certificate of `{}` is followed by that of `{}`, and was issued by `{}`",
            issued.subject(),
            issuer.subject(),
            issued.issuer()
        );
    }
    Ok(())
}

const TLS_CLIENT_ERROR: &[Case] = &[Case {
    rule: rule::TLS_CLIENT_ERROR,
    name: "an_expired_client_certificate",
    transports: HTTP1_AND_HTTP2,
    does: "Sends a request and a handshake over TLS, as a client whose certificate has expired.",
    must: "The server refuses the connection or the request. If it does not, and the scope has the certificate, the scope has the error too.",
    basis: SCOPE_BASIS,
    steps: steps!(async |fixture, transport| {
        tls_server(fixture).await?;
        let server = fixture.server_with_client_certificates().await?;
        for request in [Request::get("/"), handshake()] {
            server.present(ClientCertificateKind::Expired);
            let scope = scope_unless_refused(server, transport, request).await;
            server.present(ClientCertificateKind::None);
            let Some(scope) = scope? else { continue };
            let tls = tls_of(&scope)?;
            let has_error = tls
                .client_cert_error
                .as_ref()
                .is_some_and(|error| !error.trim().is_empty());
            must!(
                has_error || tls.client_cert_chain.is_empty(),
                "the scope has a certificate that has expired, and the error {:?}",
                tls.client_cert_error
            );
        }
        Ok(())
    }),
}];
