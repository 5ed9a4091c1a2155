//! The certificates that the suite makes for a server and for its clients.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::TempDir;

/// The name of the server's certificate.
pub(super) const SERVER_NAME: &str = "localhost";

type Issuer = CertifiedIssuer<'static, KeyPair>;

/// Certificates of one authority, with the files that a server reads.
#[derive(Debug)]
pub(super) struct Certificates {
    folder: TempDir,
    /// The certificate of the authority.
    pub(super) authority: CertificateDer<'static>,
    pub(super) client: ClientCertificate,
    /// A client certificate that was valid in the year 2000.
    pub(super) expired: ClientCertificate,
}

/// A client certificate with its private key.
#[derive(Debug)]
pub(super) struct ClientCertificate {
    /// The certificate, and then the certificate of its issuer, which the authority has issued.
    pub(super) chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
}

impl ClientCertificate {
    pub(super) fn key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.clone()).into()
    }
}

impl Certificates {
    /// Makes the certificates, and writes the files of the server.
    pub(super) fn make() -> Result<Self, Box<dyn Error>> {
        let authority =
            Issuer::self_signed(authority("the suite's authority"), KeyPair::generate()?)?;
        let intermediate = authority_below(&authority)?;
        let folder = TempDir::new()?;

        let mut params = CertificateParams::new([SERVER_NAME.into(), "127.0.0.1".into()])?;
        params
            .distinguished_name
            .push(DnType::CommonName, SERVER_NAME);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let server = params.signed_by(&key, &authority)?;
        let write = |name: &str, text: String| fs::write(folder.path().join(name), text);
        write(CERTFILE, server.pem())?;
        write(KEYFILE, key.serialize_pem())?;
        write(CA_CERTS, authority.pem())?;

        let client = client(&intermediate, |_| {})?;
        let expired = self::client(&intermediate, |params| {
            params.not_before = date_time_ymd(2000, 1, 1);
            params.not_after = date_time_ymd(2000, 12, 31);
        })?;
        Ok(Self {
            authority: authority.der().clone(),
            client,
            expired,
            folder,
        })
    }

    /// Returns the file of the server's certificate.
    pub(super) fn certfile(&self) -> PathBuf {
        self.path(CERTFILE)
    }

    /// Returns the file of the server's private key.
    pub(super) fn keyfile(&self) -> PathBuf {
        self.path(KEYFILE)
    }

    /// Returns the file of the authority that issues the client certificates.
    pub(super) fn ca_certs(&self) -> PathBuf {
        self.path(CA_CERTS)
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }
}

const CERTFILE: &str = "server.pem";
const KEYFILE: &str = "server.key";
const CA_CERTS: &str = "authority.pem";

/// Returns the parameters of an authority.
fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    params
}

fn authority_below(issuer: &Issuer) -> Result<Issuer, rcgen::Error> {
    Issuer::signed_by(
        authority("the authority of clients"),
        KeyPair::generate()?,
        issuer,
    )
}

fn client(
    issuer: &Issuer,
    change: impl FnOnce(&mut CertificateParams),
) -> Result<ClientCertificate, rcgen::Error> {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "a client");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    change(&mut params);
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, issuer)?;
    Ok(ClientCertificate {
        chain: vec![certificate.der().clone(), issuer.der().clone()],
        key: key.serialize_der(),
    })
}
