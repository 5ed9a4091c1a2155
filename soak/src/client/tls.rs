//! An authority, certificates that it issues, and connections that trust it.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// An authority with the files of one certificate, which can be issued anew.
#[derive(Debug)]
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

/// The clients of an authority.
#[derive(Clone, Debug)]
pub(crate) struct Clients {
    address: SocketAddr,
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
}

impl Authority {
    pub(crate) fn new() -> io::Result<Self> {
        let mut params = CertificateParams::new(Vec::new()).map_err(io::Error::other)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let issuer = CertifiedIssuer::self_signed(params, key).map_err(io::Error::other)?;
        let folder = tempfile::tempdir()?;
        Ok(Self { issuer, folder })
    }

    /// Issues a certificate, replaces the files by it, and returns it.
    pub(crate) fn issue(&self) -> io::Result<CertificateDer<'static>> {
        let params = CertificateParams::new(["localhost".to_owned()]).map_err(io::Error::other)?;
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let certificate = params.signed_by(&key, &self.issuer);
        let certificate = certificate.map_err(io::Error::other)?;
        // One file with both, so that the server never sees the certificate of one and the key of another.
        let text = format!("{}{}", certificate.pem(), key.serialize_pem());
        let next = self.folder.path().join("next");
        fs::write(&next, text)?;
        fs::rename(next, self.path())?;
        Ok(certificate.der().clone())
    }

    fn path(&self) -> PathBuf {
        Path::join(self.folder.path(), "server.pem")
    }

    /// Returns the flags of a server with the certificate.
    pub(crate) fn flags(&self) -> Vec<String> {
        let path = self.path().display().to_string();
        vec![
            "--ssl-certfile".to_owned(),
            path.clone(),
            "--ssl-keyfile".to_owned(),
            path,
        ]
    }

    /// Returns clients of a server at this address.
    pub(crate) fn clients(&self, address: SocketAddr) -> io::Result<Clients> {
        let config = |protocol: &[u8]| {
            let mut roots = RootCertStore::empty();
            let added = roots.add(self.issuer.der().clone());
            added.map_err(io::Error::other)?;
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let mut config = ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .map_err(io::Error::other)?
                .with_root_certificates(roots)
                .with_no_client_auth();
            config.alpn_protocols = vec![protocol.to_vec()];
            // Each connection sees the certificate that is in force.
            config.resumption = rustls::client::Resumption::disabled();
            io::Result::Ok(Arc::new(config))
        };
        Ok(Clients {
            address,
            http1: config(b"http/1.1")?,
            http2: config(b"h2")?,
        })
    }
}

impl Clients {
    /// Opens a connection for HTTP/1.1.
    pub(crate) async fn open_http1(&self) -> io::Result<TlsStream<TcpStream>> {
        self.open(&self.http1).await
    }

    /// Opens a connection for HTTP/2.
    pub(crate) async fn open_http2(&self) -> io::Result<TlsStream<TcpStream>> {
        self.open(&self.http2).await
    }

    async fn open(&self, config: &Arc<ClientConfig>) -> io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        TlsConnector::from(config.clone())
            .connect(name, stream)
            .await
    }

    /// Returns the certificate that a new connection gets.
    pub(crate) async fn certificate(&self) -> io::Result<CertificateDer<'static>> {
        let stream = self.open_http1().await?;
        let certificates = stream.get_ref().1.peer_certificates();
        let first = certificates.and_then(|it| it.first());
        let first = first.ok_or_else(|| io::Error::other("no certificate"))?;
        Ok(first.clone().into_owned())
    }
}
