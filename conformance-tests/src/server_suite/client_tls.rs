//! TLS at the clients of the suite.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::certificates::{Certificates, ClientCertificate, SERVER_NAME};

/// TLS between the clients of the suite and the server.
#[derive(Clone, Debug)]
pub struct ClientTls {
    server_name: ServerName<'static>,
    verifier: Arc<dyn ServerCertVerifier>,
    /// The certificates of a server that the suite starts.
    pub(super) certificates: Option<Arc<Certificates>>,
}

/// The certificate that clients present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientCertificateKind {
    None,
    Valid,
    Expired,
}

/// The parameters that a TLS handshake has negotiated, by the numbers used on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Negotiated {
    pub(super) version: u16,
    pub(super) cipher_suite: u16,
}

impl Negotiated {
    /// Returns the parameters of a connection after its handshake.
    pub(super) fn of(stream: &TlsStream<TcpStream>) -> Option<Self> {
        let session = stream.get_ref().1;
        Some(Self {
            version: session.protocol_version()?.into(),
            cipher_suite: session.negotiated_cipher_suite()?.suite().into(),
        })
    }
}

impl ClientTls {
    /// Creates the TLS for a server that the suite starts. The suite makes the certificates of the server and
    /// of the clients.
    ///
    /// # Errors
    ///
    /// The certificates cannot be made, or their files cannot be written.
    pub fn with_own_certificates() -> Result<Self, Box<dyn Error>> {
        let certificates = Certificates::make()?;
        Ok(Self {
            server_name: ServerName::try_from(SERVER_NAME)?,
            verifier: verifier([certificates.authority.clone()])?,
            certificates: Some(Arc::new(certificates)),
        })
    }

    /// Creates the TLS for a server that is running. `host` is the name in the certificate of the server.
    /// The file `ca` has the certificate of the authority that has issued this certificate, as PEM. Without
    /// `ca`, any certificate is accepted, so that a self-signed one can be used.
    ///
    /// # Errors
    ///
    /// The host is not a name or an address, or the file cannot be read as certificates.
    pub fn of_running_server(host: &str, ca: Option<&Path>) -> Result<Self, Box<dyn Error>> {
        let verifier = match ca {
            Some(path) => {
                let authorities: Vec<_> =
                    CertificateDer::pem_file_iter(path)?.collect::<Result<_, _>>()?;
                if authorities.is_empty() {
                    return Err(format!("{} has no certificate", path.display()).into());
                }
                verifier(authorities)?
            }
            None => Arc::new(AnyCertificate(ring::default_provider())),
        };
        Ok(Self {
            server_name: ServerName::try_from(host.to_owned())?,
            verifier,
            certificates: None,
        })
    }

    /// Returns the files of the certificate and the private key of a server that the suite starts.
    pub(super) fn server_files(&self) -> Option<[PathBuf; 2]> {
        let certificates = self.certificates.as_ref()?;
        Some([certificates.certfile(), certificates.keyfile()])
    }

    /// Makes the handshake on a connection, for one version of HTTP.
    pub(crate) async fn connect(
        &self,
        stream: TcpStream,
        protocol: &[u8],
        certificate: ClientCertificateKind,
    ) -> io::Result<TlsStream<TcpStream>> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .dangerous()
            .with_custom_certificate_verifier(self.verifier.clone());
        let mut config = match self.client_certificate(certificate) {
            None => builder.with_no_client_auth(),
            Some(certificate) => builder
                .with_client_auth_cert(certificate.chain.clone(), certificate.key())
                .map_err(io::Error::other)?,
        };
        config.alpn_protocols = vec![protocol.into()];
        let connector = TlsConnector::from(Arc::new(config));
        connector.connect(self.server_name.clone(), stream).await
    }

    fn client_certificate(&self, kind: ClientCertificateKind) -> Option<&ClientCertificate> {
        let certificates = self.certificates.as_deref()?;
        match kind {
            ClientCertificateKind::None => None,
            ClientCertificateKind::Valid => Some(&certificates.client),
            ClientCertificateKind::Expired => Some(&certificates.expired),
        }
    }
}

fn verifier(
    authorities: impl IntoIterator<Item = CertificateDer<'static>>,
) -> Result<Arc<dyn ServerCertVerifier>, Box<dyn Error>> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority)?;
    }
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
    Ok(verifier.build()?)
}

/// Accepts any certificate whose private key the server has.
#[derive(Debug)]
struct AnyCertificate(CryptoProvider);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
