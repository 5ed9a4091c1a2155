//! A certificate of the server, with its private key.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;
use x509_cert::der::Decode as _;
use x509_cert::der::pem::{LineEnding, encode_string};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use super::error::TlsError;
use super::{files, ocsp};

/// How long before its end a certificate is reported in the log.
const SOON: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// A certificate of the server, with its private key.
#[derive(Debug)]
pub(super) struct Certificate {
    pub(super) key: Arc<CertifiedKey>,
    /// The serial number, as in DER.
    serial: Vec<u8>,
    /// The certificate as PEM text.
    pub(super) pem: String,
    /// The names that the certificate is for, in lower case.
    names: Vec<String>,
    /// When the certificate expires, since 1970-01-01.
    #[cfg_attr(
        not(feature = "metrics"),
        expect(dead_code, reason = "only the metrics show it")
    )]
    not_after: Duration,
}

impl Certificate {
    /// Reads a certificate and its private key, and checks that they can be used now.
    pub(super) fn read(
        certfile: &Path,
        keyfile: &Path,
        password: Option<&str>,
        provider: &CryptoProvider,
    ) -> Result<Self, TlsError> {
        let chain = files::certificates(certfile)?;
        let key = files::private_key(keyfile, password)?;
        let unusable = |reason: String| TlsError::Malformed(certfile.into(), reason);
        let certificate = x509_cert::Certificate::from_der(&chain[0])
            .map_err(|error| unusable(format!("the certificate is malformed ({error})")))?;
        check_validity(certfile, &certificate)?;
        let key = CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => TlsError::KeyMismatch {
                certfile: certfile.into(),
                keyfile: keyfile.into(),
            },
            error => TlsError::Malformed(
                keyfile.into(),
                format!("the private key is not supported ({error}); use ECDSA, Ed25519 or RSA"),
            ),
        })?;
        Ok(Self {
            pem: pem(&key.cert[0]),
            names: names(&certificate),
            serial: (certificate.tbs_certificate().serial_number().as_bytes()).to_vec(),
            not_after: certificate
                .tbs_certificate()
                .validity()
                .not_after
                .to_unix_duration(),
            key: Arc::new(key),
        })
    }

    /// Adds the OCSP response in a file, which must be for this certificate in `certfile`.
    pub(super) fn staple(&mut self, ocspfile: &Path, certfile: &Path) -> Result<(), TlsError> {
        let response = ocsp::read(ocspfile, certfile, &self.serial)?;
        Arc::make_mut(&mut self.key).ocsp = response;
        Ok(())
    }

    /// Returns the certificate of a key, without a check. `not_after` is when it expires, since 1970-01-01.
    pub(super) fn new(key: CertifiedKey, names: Vec<String>, not_after: Duration) -> Self {
        Self {
            pem: pem(&key.cert[0]),
            names,
            not_after,
            serial: Vec::new(),
            key: Arc::new(key),
        }
    }

    /// Returns the first name that the certificate is for; nothing if it is for none.
    #[cfg(feature = "metrics")]
    pub(super) fn first_name(&self) -> &str {
        self.names.first().map_or("", String::as_str)
    }

    /// Returns when the certificate expires, since 1970-01-01.
    #[cfg(feature = "metrics")]
    pub(super) fn not_after(&self) -> Duration {
        self.not_after
    }

    /// Returns whether the certificate is for this name.
    pub(super) fn is_for(&self, name: &str) -> bool {
        self.names.iter().any(|own| matches(own, name))
    }
}

/// Returns whether a name of a certificate is for `name`. A wildcard stands for one label (RFC 9525,
/// 6.3).
fn matches(own: &str, name: &str) -> bool {
    match own.strip_prefix("*.") {
        Some(domain) => name
            .split_once('.')
            .is_some_and(|(label, rest)| !label.is_empty() && rest.eq_ignore_ascii_case(domain)),
        None => own.eq_ignore_ascii_case(name),
    }
}

/// Returns a certificate as PEM text.
pub(super) fn pem(certificate: &CertificateDer<'_>) -> String {
    encode_string("CERTIFICATE", LineEnding::LF, certificate).unwrap_or_default()
}

/// Returns the subject of a certificate (RFC 4514).
pub(super) fn subject(certificate: &CertificateDer<'_>) -> Option<String> {
    let certificate = x509_cert::Certificate::from_der(certificate).ok()?;
    Some(certificate.tbs_certificate().subject().to_string())
}

fn names(certificate: &x509_cert::Certificate) -> Vec<String> {
    let names = certificate
        .tbs_certificate()
        .get_extension::<SubjectAltName>();
    let Ok(Some((_, SubjectAltName(names)))) = names else {
        return Vec::new();
    };
    let text = |name: &GeneralName| match name {
        GeneralName::DnsName(name) => Some(name.as_str().to_ascii_lowercase()),
        GeneralName::IpAddress(octets) => {
            let octets = octets.as_bytes();
            let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
            let address = v4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from));
            Some(address.ok()?.to_string())
        }
        _ => None,
    };
    names.iter().filter_map(text).collect()
}

fn check_validity(path: &Path, certificate: &x509_cert::Certificate) -> Result<(), TlsError> {
    let validity = certificate.tbs_certificate().validity();
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let (begin, end) = (validity.not_before, validity.not_after);
    if end.to_unix_duration() < now {
        return Err(TlsError::Expired(path.into(), end.to_string()));
    }
    if begin.to_unix_duration() > now {
        return Err(TlsError::NotYetValid(path.into(), begin.to_string()));
    }
    if end.to_unix_duration() < now + SOON {
        tracing::warn!(
            "the certificate in {} expires at {end}; renew it",
            path.display()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_stands_for_one_label() {
        assert!(matches("example.org", "EXAMPLE.org"));
        assert!(matches("*.example.org", "www.example.org"));
        for name in [
            "example.org",
            "a.b.example.org",
            ".example.org",
            "www.example.com",
        ] {
            assert!(!matches("*.example.org", name), "{name}");
        }
    }
}
