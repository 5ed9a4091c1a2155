//! Why the certificates of a server cannot be used.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why the certificates of a server cannot be used. Each error names the file, and says what to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum TlsError {
    /// The file cannot be read.
    Read(PathBuf, io::Error),
    /// The file has no certificate.
    NoCertificate(PathBuf),
    /// The file has no private key.
    NoKey(PathBuf),
    /// The file has no revocation list.
    NoRevocationList(PathBuf),
    /// The file has no OCSP response as DER, or its response reports an error.
    NoOcspResponse(PathBuf),
    /// The OCSP response is not for the certificate.
    OcspMismatch {
        /// The file of the OCSP response.
        ocspfile: PathBuf,
        /// The file of the certificate.
        certfile: PathBuf,
    },
    /// The private key is encrypted, and there is no password.
    EncryptedKey(PathBuf),
    /// The password does not open the private key.
    WrongPassword(PathBuf),
    /// The private key is encrypted as OpenSSL once did, which is not supported.
    LegacyEncryption(PathBuf),
    /// The private key is not the one of the certificate.
    KeyMismatch {
        /// The file of the certificate.
        certfile: PathBuf,
        /// The file of the private key.
        keyfile: PathBuf,
    },
    /// The certificate has expired.
    Expired(PathBuf, String),
    /// The certificate is not valid yet.
    NotYetValid(PathBuf, String),
    /// The content of the file cannot be used.
    Malformed(PathBuf, String),
    /// The self-signed certificate or the settings cannot be used.
    Other(String),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(path, error) => {
                let remedy = match error.kind() {
                    io::ErrorKind::NotFound => "there is no such file; check the path",
                    io::ErrorKind::PermissionDenied => {
                        "permission denied; let the user of the server read the file"
                    }
                    _ => return write!(f, "cannot read {}: {error}", path.display()),
                };
                write!(f, "cannot read {}: {remedy}", path.display())
            }
            Self::NoCertificate(path) => write!(
                f,
                "{} has no certificate; give a file with `-----BEGIN CERTIFICATE-----`",
                path.display()
            ),
            Self::NoKey(path) => write!(
                f,
                "{} has no private key; give a file with `-----BEGIN PRIVATE KEY-----`",
                path.display()
            ),
            Self::NoRevocationList(path) => write!(
                f,
                "{} has no revocation list; give a file with `-----BEGIN X509 CRL-----`",
                path.display()
            ),
            Self::NoOcspResponse(path) => write!(
                f,
                "{} has no successful OCSP response as DER; write one with `openssl ocsp -respout {0}`",
                path.display()
            ),
            Self::OcspMismatch { ocspfile, certfile } => write!(
                f,
                "the OCSP response in {} is not for the certificate in {}; give the files in the order \
                 of the certificates",
                ocspfile.display(),
                certfile.display()
            ),
            Self::EncryptedKey(path) => write!(
                f,
                "the private key in {} is encrypted; give its password too",
                path.display()
            ),
            Self::WrongPassword(path) => write!(
                f,
                "the password does not open the private key in {}; give another",
                path.display()
            ),
            Self::LegacyEncryption(path) => {
                let path = path.display();
                write!(
                    f,
                    "the private key in {path} is encrypted in an old format; convert it with \
                     `openssl pkcs8 -topk8 -in {path} -out NEW`"
                )
            }
            Self::KeyMismatch { certfile, keyfile } => write!(
                f,
                "the private key in {} does not belong to the certificate in {}; give the files of \
                 one pair",
                keyfile.display(),
                certfile.display()
            ),
            Self::Expired(path, time) => write!(
                f,
                "the certificate in {} has expired at {time}; renew it",
                path.display()
            ),
            Self::NotYetValid(path, time) => write!(
                f,
                "the certificate in {} is not valid before {time}; check the clock, or give another",
                path.display()
            ),
            Self::Malformed(path, reason) => {
                write!(f, "cannot use {}: {reason}", path.display())
            }
            Self::Other(reason) => write!(f, "cannot set up TLS: {reason}"),
        }
    }
}

impl std::error::Error for TlsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read(_, error) => Some(error),
            _ => None,
        }
    }
}
