//! Servers that break the rules checked in `cases/tls.rs`. Most of them speak TLS.

use std::sync::Arc;

use callgate::{Feature, Scheme, Scope, TlsInfo};

use super::{mutants, over_tls, with_interceptor};
use crate::in_process::InProcess;
use crate::interceptor::Interceptor;

mutants! {
    tls_01_tls_is_offered_on_every_connection: TLS_ONLY_WHEN_SECURED [
        "a_plain_request",
        "a_plain_request_over_http2",
        "a_plain_websocket",
        "a_plain_websocket_over_http2",
    ],
    tls_01_tls_is_offered_to_clients_of_a_proxy_in_cleartext: TLS_ONLY_WHEN_SECURED [
        "cleartext_before_a_proxy",
        "cleartext_before_a_proxy_over_http2",
    ],
    tls_02_the_version_is_not_that_of_the_connection: TLS_VERSION [
        "version_and_cipher_suite",
        "version_and_cipher_suite_over_http2",
    ],
    tls_02_the_cipher_suite_is_not_that_of_the_connection: TLS_VERSION [
        "version_and_cipher_suite",
        "version_and_cipher_suite_over_http2",
    ],
    tls_03_there_is_no_client_certificate: TLS_CLIENT_CHAIN [
        "a_client_certificate_is_given",
        "a_client_certificate_is_given_over_http2",
    ],
    tls_03_the_issuer_comes_before_the_client: TLS_CLIENT_CHAIN [
        "client_certificates",
        "client_certificates_over_http2",
    ],
    tls_03_the_client_of_a_proxy_has_a_certificate: TLS_CLIENT_CHAIN [
        "the_certificate_of_a_proxy",
        "the_certificate_of_a_proxy_over_http2",
    ],
}

/// A client certificate that was valid in the year 2000.
pub(super) const EXPIRED: &str = include_str!("../certificates/expired.pem");

/// Sets the scheme and the `tls` of a scope.
pub(super) fn offer(scope: &mut Scope, scheme: Scheme, info: TlsInfo) {
    if let Some(request) = scope.request_mut() {
        request.scheme = scheme;
        request.features = request.features.with(Feature::Tls);
        request.tls = Some(Arc::new(info));
    }
}

/// Changes the `tls` of each scope that has it.
pub(super) struct ChangedTls(pub(super) fn(&mut TlsInfo));

impl Interceptor for ChangedTls {
    fn scope(&self, scope: &mut Scope) {
        if let Some(request) = scope.request_mut()
            && let Some(tls) = &mut request.tls
        {
            (self.0)(Arc::make_mut(tls));
        }
    }
}

fn with_changed_tls(change: fn(&mut TlsInfo)) -> InProcess {
    over_tls(with_interceptor(move || ChangedTls(change)))
}

fn tls_01_tls_is_offered_on_every_connection() -> InProcess {
    struct Always;
    impl Interceptor for Always {
        fn scope(&self, scope: &mut Scope) {
            offer(scope, Scheme::Http, TlsInfo::default());
        }
    }
    with_interceptor(|| Always)
}

fn tls_01_tls_is_offered_to_clients_of_a_proxy_in_cleartext() -> InProcess {
    struct OfProxy;
    impl Interceptor for OfProxy {
        fn scope(&self, scope: &mut Scope) {
            let is_cleartext = scope
                .request_mut()
                .is_some_and(|request| request.scheme == Scheme::Http);
            if is_cleartext {
                offer(scope, Scheme::Http, TlsInfo::default());
            }
        }
    }
    over_tls(with_interceptor(|| OfProxy))
}

fn tls_02_the_version_is_not_that_of_the_connection() -> InProcess {
    with_changed_tls(|tls| tls.tls_version = Some(0x0303))
}

fn tls_02_the_cipher_suite_is_not_that_of_the_connection() -> InProcess {
    with_changed_tls(|tls| tls.cipher_suite = Some(0x1305))
}

fn tls_03_there_is_no_client_certificate() -> InProcess {
    with_changed_tls(|tls| tls.client_cert_chain.clear())
}

fn tls_03_the_issuer_comes_before_the_client() -> InProcess {
    with_changed_tls(|tls| tls.client_cert_chain.reverse())
}

fn tls_03_the_client_of_a_proxy_has_a_certificate() -> InProcess {
    struct OfProxy;
    impl Interceptor for OfProxy {
        fn scope(&self, scope: &mut Scope) {
            let is_of_proxy = scope
                .request()
                .is_some_and(|request| request.scheme == Scheme::Https && request.tls.is_none());
            if is_of_proxy {
                let mut tls = TlsInfo::default();
                tls.client_cert_chain = vec![EXPIRED.into()];
                offer(scope, Scheme::Https, tls);
            }
        }
    }
    over_tls(with_interceptor(|| OfProxy))
}
