//! Servers whose scopes have a wrong client certificate.

use callgate_server::config::ClientCertificates;

use super::several_rules;
use crate::in_process::InProcess;
use crate::mutants::tls::{ChangedTls, EXPIRED};
use crate::mutants::{over_tls, with_interceptor};

several_rules! {
    an_expired_certificate_has_no_error: {
        TLS_CLIENT_ERROR: [
            "an_expired_client_certificate",
            "an_expired_client_certificate_over_http2",
        ],
    },
}

/// Accepts every client, and gives the same certificate for each.
fn an_expired_certificate_has_no_error() -> InProcess {
    let mut server =
        with_interceptor(|| ChangedTls(|tls| tls.client_cert_chain = vec![EXPIRED.into()]));
    server.config = Some(|config| {
        config.tls.cert_reqs = ClientCertificates::None;
        config.tls.ca_certs = None;
    });
    over_tls(server)
}
