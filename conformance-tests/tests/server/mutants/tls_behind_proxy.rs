//! Servers that break the rules checked in `cases/tls_behind_proxy.rs`.
//!
//! They trust the fields of a proxy that has received a request over TLS, and their scopes have wrong
//! information about it.

use callgate::{Scheme, Scope, TlsInfo};
use callgate_conformance::{ServerOptions, check_server};

use super::tls::{EXPIRED, offer};
use super::{mutants, with_app, with_interceptor};
use crate::in_process::InProcess;
use crate::interceptor::{Interceptor, intercepted};

mutants! {
    tls_02_the_version_is_that_of_its_name: TLS_VERSION [
        "version_and_cipher_suite_behind_a_proxy",
        "version_and_cipher_suite_behind_a_proxy_over_http2",
    ],
    tls_02_the_cipher_suite_is_of_another_version: TLS_VERSION [
        "version_and_cipher_suite_behind_a_proxy",
        "version_and_cipher_suite_behind_a_proxy_over_http2",
    ],
    tls_03_the_authority_comes_before_the_client: TLS_CLIENT_CHAIN [
        "client_certificates_behind_a_proxy",
        "client_certificates_behind_a_proxy_over_http2",
    ],
    tls_03_the_certificates_are_in_one_line: TLS_CLIENT_CHAIN [
        "client_certificates_behind_a_proxy",
        "client_certificates_behind_a_proxy_over_http2",
    ],
    tls_04_there_is_no_error_for_a_certificate_that_has_expired: TLS_CLIENT_ERROR [
        "client_certificate_error_behind_a_proxy",
        "client_certificate_error_behind_a_proxy_over_http2",
    ],
}

const AUTHORITY: &str = include_str!("../certificates/ca.pem");
/// Issued by the authority.
const CLIENT: &str = include_str!("../certificates/client.pem");
/// Adds this `tls` to the scopes of requests that have come over TLS.
struct BehindProxy(fn(&mut TlsInfo));

impl Interceptor for BehindProxy {
    fn scope(&self, scope: &mut Scope) {
        let is_secured = scope
            .headers()
            .is_some_and(|fields| fields.contains_key("x-forwarded-proto"));
        if !is_secured {
            return;
        }
        let mut tls = TlsInfo::default();
        tls.tls_version = Some(0x0304);
        tls.cipher_suite = Some(0x1301);
        tls.client_cert_chain = vec![CLIENT.into(), AUTHORITY.into()];
        self.0(&mut tls);
        offer(scope, Scheme::Https, tls);
    }
}

#[tokio::test]
async fn tls_information_that_is_right_breaks_no_rule() {
    let server = with_interceptor(|| BehindProxy(|_| {}));
    let report = check_server(&server, &ServerOptions::default(), |_| {}).await;
    assert!(report.broken_rules().is_empty(), "{report}");
}

fn tls_02_the_version_is_that_of_its_name() -> InProcess {
    with_interceptor(|| BehindProxy(|tls| tls.tls_version = Some(13)))
}

fn tls_02_the_cipher_suite_is_of_another_version() -> InProcess {
    with_interceptor(|| BehindProxy(|tls| tls.cipher_suite = Some(0xc02f)))
}

fn tls_03_the_authority_comes_before_the_client() -> InProcess {
    with_interceptor(|| BehindProxy(|tls| tls.client_cert_chain.reverse()))
}

fn tls_03_the_certificates_are_in_one_line() -> InProcess {
    with_app(|probe| {
        intercepted(probe, || {
            BehindProxy(|tls| {
                for certificate in &mut tls.client_cert_chain {
                    *certificate = certificate.replace('\n', "");
                }
            })
        })
    })
}

fn tls_04_there_is_no_error_for_a_certificate_that_has_expired() -> InProcess {
    with_app(|probe| {
        intercepted(probe, || {
            BehindProxy(|tls| tls.client_cert_chain[0] = EXPIRED.into())
        })
    })
}
