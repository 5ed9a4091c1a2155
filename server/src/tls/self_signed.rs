//! A certificate for development, which the server makes at its start.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{CertificateParams, KeyPair};
use ring::digest::{SHA256, digest};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::sign::CertifiedKey;

use super::certificate::Certificate;
use super::error::TlsError;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a certificate is valid.
const LIFETIME: Duration = Duration::from_secs(365 * DAY.as_secs());

/// The names that each self-signed certificate is for.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Makes a certificate for the names of this machine and for `hosts`, and logs its fingerprint.
pub(super) fn make(hosts: &[String], provider: &CryptoProvider) -> Result<Certificate, TlsError> {
    let mut names: Vec<String> = NAMES.map(String::from).to_vec();
    names.extend(
        hosts
            .iter()
            .filter(|host| !NAMES.contains(&host.as_str()))
            .cloned(),
    );
    let not_after = SystemTime::now() + LIFETIME;
    let (certificate, key) =
        generate(&names, not_after).map_err(|error| TlsError::Other(error.to_string()))?;
    let der = certificate.der().clone();
    let fingerprint = fingerprint(&der);
    tracing::info!("the certificate is self-signed; its SHA-256 fingerprint is {fingerprint}");
    let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    let key = CertifiedKey::from_der(vec![der], key, provider)
        .map_err(|error| TlsError::Other(error.to_string()))?;
    let not_after = not_after.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(Certificate::new(key, names, not_after))
}

fn generate(
    names: &[String],
    not_after: SystemTime,
) -> Result<(rcgen::Certificate, KeyPair), rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    params.not_before = (SystemTime::now() - DAY).into();
    params.not_after = not_after.into();
    let key = KeyPair::generate()?;
    Ok((params.self_signed(&key)?, key))
}

/// Returns the SHA-256 fingerprint of a certificate as OpenSSL and browsers show it.
fn fingerprint(der: &[u8]) -> String {
    let mut text = String::new();
    for octet in digest(&SHA256, der).as_ref() {
        let separator = if text.is_empty() { "" } else { ":" };
        // Writing to a text does not fail.
        let _ = write!(text, "{separator}{octet:02X}");
    }
    text
}
