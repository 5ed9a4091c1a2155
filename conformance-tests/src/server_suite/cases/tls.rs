//! `tls.md`: how the connection is secured.
//!
//! The suite has no TLS of its own. It sends what a proxy sends that has taken a request over TLS,
//! and looks at what the scope of a server that goes by that says of it.

use std::sync::Arc;
use std::time::SystemTime;

use callgate::{Feature, Scheme, Scope, TlsInfo};
use x509_cert::Certificate;
use x509_cert::der::DecodePem as _;

use crate::Verdict;
use crate::probe::Step;
use crate::server_suite::bench::Bench;
use crate::server_suite::case::{Asgi::Shared, Case, Outcome, must};
use crate::server_suite::exchange::{Exchange, Over};
use crate::server_suite::request::Request;
use crate::server_suite::server::Server;
use crate::server_suite::websocket::{ask, handshake, websocket_cases};

pub(super) const CASES: &[Case] = websocket_cases![
    a_plain_request: TLS_ONLY_WHEN_SECURED, Shared,
        "Sends a request over a connection that is not secured.",
        "Its scope neither offers `tls` nor has it.";
    a_plain_websocket: TLS_ONLY_WHEN_SECURED, Shared,
        "Opens a WebSocket over a connection that is not secured.",
        "Its scope neither offers `tls` nor has it.";
    version_and_cipher_suite: TLS_VERSION, Shared,
        "Sends a request and a handshake that have come over TLS.",
        "If the scope offers `tls`, its version is one of TLS and its cipher suite is one of that \
         version, or they are none.";
    client_certificates: TLS_CLIENT_CHAIN, Shared,
        "Sends a request and a handshake that have come over TLS.",
        "If the scope offers `tls`, each of the client's certificates is a PEM text, and issued by \
         the next.";
    client_certificate_error: TLS_CLIENT_ERROR, Shared,
        "Sends a request and a handshake that have come over TLS.",
        "If the scope offers `tls` and the client's certificates are out of date, there is an \
         error; if there is an error, it says something.";
];

async fn a_plain_request(bench: &mut Bench<'_>, over: Over) -> Outcome {
    let server = bench.server().await?;
    let scope = scope_of(server, over, Request::get("/")).await?;
    has_no_tls(&scope)
}

async fn a_plain_websocket(bench: &mut Bench<'_>, over: Over) -> Outcome {
    let server = bench.server().await?;
    let scope = scope_of(server, over, handshake()).await?;
    has_no_tls(&scope)
}

fn has_no_tls(scope: &Scope) -> Outcome {
    let (_, offers, tls) = secured(scope);
    must!(!offers, "the scope offers `tls`");
    must!(tls.is_none(), "the scope has {tls:?}");
    Ok(())
}

/// Has the application called for a request or a handshake; the scope.
async fn scope_of(server: &mut Server, over: Over, request: Request) -> Outcome<Scope> {
    let is_handshake = request.fields.iter().any(|(name, _)| name == "upgrade");
    if is_handshake {
        let _asked = ask(server, over, &request).await?;
        return called(server).await;
    }
    let _exchange = Exchange::begin(server, over, &request).await?;
    called(server).await
}

async fn called(server: &mut Server) -> Outcome<Scope> {
    let app = server.call().await?;
    let scope = app.scope.clone();
    app.finish(Step::Decline).await?;
    Ok(scope)
}

/// The scheme, whether `tls` is offered, and what it says.
fn secured(scope: &Scope) -> (Scheme, bool, Option<Arc<TlsInfo>>) {
    let (scheme, features, tls) = match scope {
        Scope::Http(scope) => (scope.scheme, scope.features, &scope.tls),
        Scope::WebSocket(scope) => (scope.scheme, scope.features, &scope.tls),
        _ => return (Scheme::Http, false, None),
    };
    (scheme, features.contains(Feature::Tls), tls.clone())
}

/// What the scopes of a request and of a handshake say that a proxy has taken over TLS.
async fn over_tls(bench: &mut Bench<'_>, over: Over) -> Outcome<Vec<Arc<TlsInfo>>> {
    let server = bench.server().await?;
    let mut all = Vec::new();
    for request in [Request::get("/"), handshake()] {
        let request = request
            .field("forwarded", "proto=https")
            .field("x-forwarded-proto", "https");
        let (_, offers, tls) = secured(&scope_of(server, over, request).await?);
        all.extend(tls.filter(|_| offers));
    }
    match all.is_empty() {
        false => Ok(all),
        true => Err(Verdict::NotApplicable("it does not offer `tls`".into())),
    }
}

async fn version_and_cipher_suite(bench: &mut Bench<'_>, over: Over) -> Outcome {
    for tls in over_tls(bench, over).await? {
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
}

const SSL_3_0: u16 = 0x0300;
const TLS_1_3: u16 = 0x0304;

async fn client_certificates(bench: &mut Bench<'_>, over: Over) -> Outcome {
    for tls in over_tls(bench, over).await? {
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
}

/// The client's certificates, which must be PEM texts.
fn certificates(tls: &TlsInfo) -> Outcome<Vec<Certificate>> {
    let read = |text: &String| {
        Certificate::from_pem(text)
            .map_err(|error| Verdict::failed(format!("`{text}` is no certificate in PEM: {error}")))
    };
    tls.client_cert_chain.iter().map(read).collect()
}

/// What the server made of a certificate is not to be seen. But one that is out of date is not
/// accepted by anyone who validates it (RFC 5280, 6.1.3).
async fn client_certificate_error(bench: &mut Bench<'_>, over: Over) -> Outcome {
    for tls in over_tls(bench, over).await? {
        match &tls.client_cert_error {
            Some(error) => must!(!error.trim().is_empty(), "the error is empty"),
            // What is no certificate is another rule's matter.
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
}
