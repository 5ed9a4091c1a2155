//! `tls.md`: how the connection is secured.
//!
//! The suite does not speak TLS. It sends the requests of a proxy that terminates TLS,
//! and looks at what the scope of a server that goes by that says of it.

use std::sync::Arc;
use std::time::SystemTime;

use callgate::{Feature, Scheme, Scope, TlsInfo, rule};
use x509_cert::Certificate;
use x509_cert::der::DecodePem as _;

use crate::Verdict;
use crate::probe::Step;
use crate::server_suite::basis::{Basis, Document::AsgiTls, demands};
use crate::server_suite::case::{Case, HTTP1_AND_HTTP2, steps};
use crate::server_suite::client_exchange::{ClientExchange, Transport};
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

const TLS_ONLY_WHEN_SECURED: &[Case] = &[
    Case {
        rule: rule::TLS_ONLY_WHEN_SECURED,
        name: "a_plain_request",
        transports: HTTP1_AND_HTTP2,
        does: "Sends a request over a connection that is not secured.",
        must: "Its scope neither offers `tls` nor has it.",
        basis: TLS_ONLY_WHEN_SECURED_BASIS,
        steps: steps!(async |fixture, transport| {
            let server = fixture.server().await?;
            let scope = scope_of(server, transport, Request::get("/")).await?;
            has_no_tls(&scope)
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
            let server = fixture.server().await?;
            let scope = scope_of(server, transport, handshake()).await?;
            has_no_tls(&scope)
        }),
    },
];

fn has_no_tls(scope: &Scope) -> CaseResult {
    let (_, offers, tls) = secured(scope);
    must!(!offers, "the scope offers `tls`");
    must!(tls.is_none(), "the scope has {tls:?}");
    Ok(())
}

/// Has the application called for a request or a handshake; the scope.
async fn scope_of(
    server: &mut Server,
    transport: Transport,
    request: Request,
) -> CaseResult<Scope> {
    let is_handshake = request.fields.iter().any(|(name, _)| name == "upgrade");
    if is_handshake {
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

/// Returns the scheme, whether `tls` is offered, and its value.
fn secured(scope: &Scope) -> (Scheme, bool, Option<Arc<TlsInfo>>) {
    let (scheme, features, tls) = match scope {
        Scope::Http(scope) => (scope.scheme, scope.features, &scope.tls),
        Scope::WebSocket(scope) => (scope.scheme, scope.features, &scope.tls),
        _ => return (Scheme::Http, false, None),
    };
    (scheme, features.contains(Feature::Tls), tls.clone())
}

const TLS_VERSION: &[Case] = &[Case {
    rule: rule::TLS_VERSION,
    name: "version_and_cipher_suite",
    transports: HTTP1_AND_HTTP2,
    does: "Sends a request and a handshake that have come over TLS.",
    must: "If the scope offers `tls`, its version is one of TLS and its cipher suite is one of that version, or they are none.",
    basis: Basis::Standard(&[demands(AsgiTls, "TLS Connection Scope")]),
    steps: steps!(async |fixture, transport| {
        for tls in over_tls(fixture, transport).await? {
            let version = tls.tls_version;
            must!(
                version.is_none_or(|version| (SSL_3_0..=TLS_1_3).contains(&version)),
                "the version is {version:?}"
            );
            if let Some(suite) = tls.cipher_suite {
                // Those of TLS 1.3 are for no other version (RFC 8446, B.4).
                let is_of_tls_1_3 = matches!(suite >> 8, 0x13);
                let fits = version.is_none_or(|version| (version == TLS_1_3) == is_of_tls_1_3);
                must!(
                    suite != 0 && fits,
                    "the version is {version:?} and the cipher suite {suite:#06x}"
                );
            }
        }
        Ok(())
    }),
}];

/// Returns the TLS information in the scopes of a request and of a handshake that came through a proxy
/// which terminates TLS.
async fn over_tls(
    fixture: &mut Fixture<'_>,
    transport: Transport,
) -> CaseResult<Vec<Arc<TlsInfo>>> {
    let server = fixture.server().await?;
    let mut all = Vec::new();
    for request in [Request::get("/"), handshake()] {
        let request = request
            .field("forwarded", "proto=https")
            .field("x-forwarded-proto", "https");
        let (_, offers, tls) = secured(&scope_of(server, transport, request).await?);
        all.extend(tls.filter(|_| offers));
    }
    match all.is_empty() {
        false => Ok(all),
        true => Err(Verdict::NotApplicable("it does not offer `tls`".into())),
    }
}

const SSL_3_0: u16 = 0x0300;

const TLS_1_3: u16 = 0x0304;

const TLS_CLIENT_CHAIN: &[Case] = &[Case {
    rule: rule::TLS_CLIENT_CHAIN,
    name: "client_certificates",
    transports: HTTP1_AND_HTTP2,
    does: "Sends a request and a handshake that have come over TLS.",
    must: "If the scope offers `tls`, each of the client's certificates is a PEM text, and issued by the next.",
    basis: Basis::Standard(&[demands(AsgiTls, "TLS Connection Scope")]),
    steps: steps!(async |fixture, transport| {
        for tls in over_tls(fixture, transport).await? {
            let chain = certificates(&tls)?;
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
        }
        Ok(())
    }),
}];

/// Returns the client's certificates, which must be PEM texts.
fn certificates(tls: &TlsInfo) -> CaseResult<Vec<Certificate>> {
    let read = |text: &String| {
        Certificate::from_pem(text)
            .map_err(|error| Verdict::failed(format!("`{text}` is no certificate in PEM: {error}")))
    };
    tls.client_cert_chain.iter().map(read).collect()
}

const TLS_CLIENT_ERROR: &[Case] = &[Case {
    rule: rule::TLS_CLIENT_ERROR,
    name: "client_certificate_error",
    transports: HTTP1_AND_HTTP2,
    does: "Sends a request and a handshake that have come over TLS.",
    must: "If the scope offers `tls` and the client's certificates are out of date, there is an error; if there is an error, it says something.",
    basis: Basis::Standard(&[demands(AsgiTls, "TLS Connection Scope")]),
    steps: steps!(async |fixture, transport| {
        for tls in over_tls(fixture, transport).await? {
            match &tls.client_cert_error {
                Some(error) => must!(!error.trim().is_empty(), "the error is empty"),
                // Another rule is about malformed certificates.
                None => {
                    for certificate in certificates(&tls).unwrap_or_default() {
                        let certificate = certificate.tbs_certificate();
                        let validity = certificate.validity();
                        let now = SystemTime::now()
                            .duration_since(SystemTime::UNIX_EPOCH)
                            .unwrap_or_default();
                        must!(
                            validity.not_before.to_unix_duration() <= now
                                && now <= validity.not_after.to_unix_duration(),
                            "the certificate of `{}` is valid from {} to {}, and there is no error",
                            certificate.subject(),
                            validity.not_before,
                            validity.not_after
                        );
                    }
                }
            }
        }
        Ok(())
    }),
}];
