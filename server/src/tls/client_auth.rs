//! How client certificates are checked.

use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

use super::error::TlsError;
use super::files;
use crate::config::{ClientCertificates, Tls};

/// Returns the verifier of client certificates.
pub(super) fn verifier(
    settings: &Tls,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let ca_certs = match (settings.cert_reqs, &settings.ca_certs) {
        (ClientCertificates::None, _) | (_, None) => {
            return Ok(WebPkiClientVerifier::no_client_auth());
        }
        (_, Some(path)) => path,
    };
    let authorities = Arc::new(authorities(ca_certs)?);
    let mut builder = WebPkiClientVerifier::builder_with_provider(authorities, provider.clone());
    if let Some(path) = &settings.crlfile {
        builder = builder
            .with_crls(files::revocation_lists(path)?)
            .enforce_revocation_expiration();
    }
    if settings.cert_reqs == ClientCertificates::Optional {
        builder = builder.allow_unauthenticated();
    }
    builder.build().map_err(|error| {
        let path = settings.crlfile.as_ref().unwrap_or(ca_certs);
        TlsError::Malformed(path.clone(), error.to_string())
    })
}

fn authorities(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    for certificate in files::certificates(path)? {
        store.add(certificate).map_err(|error| {
            let reason = format!("a certificate is malformed ({error})");
            TlsError::Malformed(path.into(), reason)
        })?;
    }
    Ok(store)
}
