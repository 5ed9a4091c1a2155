//! `tls.md`: the security of a connection to a proxy that terminates TLS.
//!
//! The cases send the requests of such a proxy in cleartext, and look at the scopes of a server that believes
//! the proxy.

use std::sync::Arc;
use std::time::SystemTime;

use callgate::{TlsInfo, rule};

use super::tls::{SCOPE_BASIS, certificates, is_ordered, received_by_proxy, scope_of, tls_of};
use crate::Verdict;
use crate::server_suite::case::{Case, HTTP1_AND_HTTP2, steps};
use crate::server_suite::client_exchange::Transport;
use crate::server_suite::fixture::Fixture;
use crate::server_suite::request::Request;
use crate::server_suite::result::{CaseResult, must};
use crate::server_suite::websocket::handshake;

pub(super) const CASES: &[&[Case]] = &[CASES_OF_PROXY];

const SSL_3_0: u16 = 0x0300;

const TLS_1_3: u16 = 0x0304;

const CASES_OF_PROXY: &[Case] = &[
    Case {
        rule: rule::TLS_VERSION,
        name: "version_and_cipher_suite_behind_a_proxy",
        transports: HTTP1_AND_HTTP2,
        does: "Sends a request and a handshake that a proxy has received over TLS.",
        must: "If the scope offers `tls`, its version is one of TLS and its cipher suite is one of that version, or they are none.",
        basis: SCOPE_BASIS,
        steps: steps!(async |fixture, transport| {
            for tls in tls_behind_proxy(fixture, transport).await? {
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
    },
    Case {
        rule: rule::TLS_CLIENT_CHAIN,
        name: "client_certificates_behind_a_proxy",
        transports: HTTP1_AND_HTTP2,
        does: "Sends a request and a handshake that a proxy has received over TLS.",
        must: "If the scope offers `tls`, each of the client's certificates is a PEM text, and issued by the next.",
        basis: SCOPE_BASIS,
        steps: steps!(async |fixture, transport| {
            for tls in tls_behind_proxy(fixture, transport).await? {
                is_ordered(&certificates(&tls)?)?;
            }
            Ok(())
        }),
    },
    Case {
        rule: rule::TLS_CLIENT_ERROR,
        name: "client_certificate_error_behind_a_proxy",
        transports: HTTP1_AND_HTTP2,
        does: "Sends a request and a handshake that a proxy has received over TLS.",
        must: "If the scope offers `tls` and the client's certificates are out of date, there is an error. An error is not empty.",
        basis: SCOPE_BASIS,
        steps: steps!(async |fixture, transport| {
            for tls in tls_behind_proxy(fixture, transport).await? {
                match &tls.client_cert_error {
                    Some(error) => must!(!error.trim().is_empty(), "the error is empty"),
                    None => is_in_date(&tls)?,
                }
            }
            Ok(())
        }),
    },
];

/// Returns the `tls` of a request and of a handshake that a proxy has received over TLS.
async fn tls_behind_proxy(
    fixture: &mut Fixture<'_>,
    transport: Transport,
) -> CaseResult<Vec<Arc<TlsInfo>>> {
    if fixture.tls().is_some() {
        return Err(Verdict::NotApplicable("the suite speaks TLS itself".into()));
    }
    let server = fixture.server().await?;
    let mut all = Vec::new();
    for request in [Request::get("/"), handshake()] {
        let request = received_by_proxy(request, "https");
        all.push(tls_of(&scope_of(server, transport, request).await?)?);
    }
    Ok(all)
}

/// Checks that the client's certificates are valid now. Another rule is about malformed certificates.
fn is_in_date(tls: &TlsInfo) -> CaseResult {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    for certificate in certificates(tls).unwrap_or_default() {
        let certificate = certificate.tbs_certificate();
        let validity = certificate.validity();
        must!(
            validity.not_before.to_unix_duration() <= now
                && now <= validity.not_after.to_unix_duration(),
            "the certificate of `{}` is valid from {} to {}, and there is no error",
            certificate.subject(),
            validity.not_before,
            validity.not_after
        );
    }
    Ok(())
}
