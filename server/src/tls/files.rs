//! Reads the files of certificates, private keys and revocation lists.

use std::fs;
use std::path::Path;

use pkcs8::EncryptedPrivateKeyInfoRef;
use pkcs8::der::pem::decode_vec;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer, PrivatePkcs8KeyDer,
};

use super::error::TlsError;

const ENCRYPTED_BEGIN: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
const ENCRYPTED_END: &str = "-----END ENCRYPTED PRIVATE KEY-----";

/// The line of a key that OpenSSL has encrypted in its own format (RFC 1421).
const LEGACY_ENCRYPTION: &str = "Proc-Type: 4,ENCRYPTED";

pub(super) fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|error| TlsError::Read(path.into(), error))
}

/// Reads all objects of a kind.
fn objects<T: PemObject>(path: &Path) -> Result<Vec<T>, TlsError> {
    T::pem_slice_iter(&read(path)?)
        .collect::<Result<_, _>>()
        .map_err(|error| malformed(path, &error))
}

fn malformed(path: &Path, error: &PemError) -> TlsError {
    TlsError::Malformed(path.into(), format!("the file is no valid PEM ({error})"))
}

/// Reads a certificate and those behind it; at least one.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    match objects(path)? {
        none if none.is_empty() => Err(TlsError::NoCertificate(path.into())),
        certificates => Ok(certificates),
    }
}

/// Reads revocation lists; at least one.
pub(super) fn revocation_lists(
    path: &Path,
) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    match objects(path)? {
        none if none.is_empty() => Err(TlsError::NoRevocationList(path.into())),
        lists => Ok(lists),
    }
}

/// Reads the first private key, which the password decrypts if it is encrypted.
pub(super) fn private_key(
    path: &Path,
    password: Option<&str>,
) -> Result<PrivateKeyDer<'static>, TlsError> {
    let content = read(path)?;
    let text = String::from_utf8_lossy(&content);
    if text.contains(LEGACY_ENCRYPTION) {
        return Err(TlsError::LegacyEncryption(path.into()));
    }
    if let Some(begin) = text.find(ENCRYPTED_BEGIN) {
        let password = password.ok_or_else(|| TlsError::EncryptedKey(path.into()))?;
        let end = text[begin..]
            .find(ENCRYPTED_END)
            .map_or(text.len(), |end| begin + end + ENCRYPTED_END.len());
        return decrypt(path, &text[begin..end], password);
    }
    PrivateKeyDer::from_pem_slice(&content).map_err(|error| match error {
        PemError::NoItemsFound => TlsError::NoKey(path.into()),
        error => malformed(path, &error),
    })
}

fn decrypt(path: &Path, pem: &str, password: &str) -> Result<PrivateKeyDer<'static>, TlsError> {
    let unusable = |reason: String| TlsError::Malformed(path.into(), reason);
    let (_, encrypted) = decode_vec(pem.as_bytes())
        .map_err(|error| unusable(format!("the private key is no valid PEM ({error})")))?;
    let encrypted = EncryptedPrivateKeyInfoRef::try_from(encrypted.as_slice()).map_err(|_| {
        unusable(
            "the encryption of the private key is not supported; encrypt it with `openssl pkcs8 \
             -topk8 -v2 aes-256-cbc`"
                .into(),
        )
    })?;
    let key = encrypted
        .decrypt(password)
        .map_err(|_| TlsError::WrongPassword(path.into()))?;
    Ok(PrivatePkcs8KeyDer::from(key.as_bytes().to_vec()).into())
}
