//! Certificates made for a test, and clients that speak TLS.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use callgate_server::Config;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    SupportedProtocolVersion,
};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Server, config, within};

/// An authority, and a folder for the files of certificates.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

/// A certificate and its private key.
pub(crate) struct Pair {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) pem: String,
    pub(crate) key: KeyPair,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params
            .distinguished_name
            .push(DnType::CommonName, "the authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        Self {
            issuer: CertifiedIssuer::self_signed(params, key).unwrap(),
            folder: TempDir::new().unwrap(),
        }
    }

    /// Issues a certificate for a name.
    pub(crate) fn issue(&self, name: &str) -> Pair {
        self.issue_with(name, |_| {})
    }

    pub(crate) fn issue_with(
        &self,
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Pair {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Pair {
            pem: certificate.pem(),
            certificate: certificate.der().clone(),
            key,
        }
    }

    /// Returns a revocation list with this serial number.
    pub(crate) fn revoke(&self, serial: u64) -> String {
        let revoked = RevokedCertParams {
            serial_number: SerialNumber::from(serial),
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(4000, 1, 1),
            crl_number: SerialNumber::from(1u64),
            issuing_distribution_point: None,
            revoked_certs: vec![revoked],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
    }

    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Returns the folder of the files.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file, and returns its path.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// Writes the files of a pair: `NAME.pem` and `NAME.key`.
    pub(crate) fn write(&self, name: &str, pair: &Pair) -> (PathBuf, PathBuf) {
        (
            self.file(&format!("{name}.pem"), &pair.pem),
            self.file(&format!("{name}.key"), pair.key.serialize_pem()),
        )
    }

    /// Returns the configuration of a server with a certificate for this name.
    pub(crate) fn config(&self, name: &str) -> Config {
        let (certfile, keyfile) = self.write("server", &self.issue(name));
        let mut config = config();
        config.tls.certfile = vec![certfile];
        config.tls.keyfile = vec![keyfile];
        config
    }

    /// Replaces a file by a rename.
    pub(crate) fn replace(&self, name: &str, content: &str) {
        let next = self.file("next", content);
        fs::rename(next, self.folder.path().join(name)).unwrap();
    }

    /// Returns a client that speaks this version only.
    pub(crate) fn client_of(&self, version: &'static SupportedProtocolVersion) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    }

    /// Returns a client that trusts the authority, and has no certificate.
    pub(crate) fn client(&self) -> ClientConfig {
        self.client_with(None)
    }

    pub(crate) fn client_with(&self, pair: Option<&Pair>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        match pair {
            None => builder.with_no_client_auth(),
            Some(pair) => builder
                .with_client_auth_cert(
                    vec![pair.certificate.clone()],
                    PrivatePkcs8KeyDer::from(pair.key.serialize_der()).into(),
                )
                .unwrap(),
        }
    }
}

/// Returns a client that trusts this certificate.
pub(crate) fn client_trusting(certificate: CertificateDer<'static>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// Opens a connection, and makes the handshake.
pub(crate) async fn connect(
    server: &Server,
    client: impl Into<Arc<ClientConfig>>,
    name: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = within(TcpStream::connect(server.address)).await.unwrap();
    connect_over(stream, client, name).await
}

/// Makes the handshake.
pub(crate) async fn connect_over(
    stream: TcpStream,
    client: impl Into<Arc<ClientConfig>>,
    name: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    within(TlsConnector::from(client.into()).connect(name, stream)).await
}

/// Accepts every certificate, and keeps the OCSP response of the last handshake.
#[derive(Debug, Default)]
pub(crate) struct AnyCertificate(Mutex<Vec<u8>>);

impl AnyCertificate {
    /// Returns a client that accepts every certificate, and its verifier.
    pub(crate) fn client(authority: &Authority) -> (ClientConfig, Arc<Self>) {
        let verifier = Arc::new(Self::default());
        let mut client = authority.client();
        client
            .dangerous()
            .set_certificate_verifier(verifier.clone());
        (client, verifier)
    }

    pub(crate) fn ocsp_response(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }
}

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp_response: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        *self.0.lock().unwrap() = ocsp_response.to_vec();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
