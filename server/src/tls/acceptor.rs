//! The certificates that new connections get, and their reload.

use std::collections::HashMap;
#[cfg(feature = "reload")]
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
#[cfg(feature = "metrics")]
use std::time::Duration;

use arc_swap::ArcSwap;
use callgate::TlsInfo;
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::{ClientHello, ServerConnection};
use rustls::sign::SingleCertAndKey;
use rustls::{ServerConfig, version};

use super::certificate::{self, Certificate};
use super::client_auth;
use super::error::TlsError;
use super::self_signed;
use crate::config::{BindAddress, Config, HttpVersions, Password, Tls, TlsVersion};

/// Gives each new connection the certificates that have been loaded last.
#[derive(Debug)]
pub(crate) struct Acceptor {
    settings: Tls,
    versions: HttpVersions,
    /// The hosts of a self-signed certificate.
    hosts: Vec<String>,
    current: ArcSwap<Identity>,
    /// The number of reloads that have succeeded, and of those that have failed.
    loaded: AtomicU64,
    failed: AtomicU64,
}

/// What one load of the files has given.
#[derive(Debug)]
pub(super) struct Identity {
    /// The certificates in the order of the settings, each with the configuration that presents it.
    certificates: Vec<(Certificate, Arc<ServerConfig>)>,
    /// The information of connections without a client certificate, which they share.
    infos: Mutex<HashMap<(usize, u16, u16), Arc<TlsInfo>>>,
}

impl Acceptor {
    /// Loads the files of a configuration. Returns `None` for a configuration without TLS.
    pub(crate) fn load(config: &Config) -> Result<Option<Self>, TlsError> {
        let settings = &config.tls;
        if !settings.is_on() {
            return Ok(None);
        }
        let host = |address| match address {
            BindAddress::Tcp(host, _) => Some(host),
            BindAddress::Unix(_) | BindAddress::Fd(_) => None,
        };
        let hosts: Vec<_> = (config.listen.addresses().into_iter())
            .filter_map(host)
            .collect();
        let identity = Identity::load(settings, config.http.versions, &hosts)?;
        Ok(Some(Self {
            settings: settings.clone(),
            versions: config.http.versions,
            hosts,
            current: ArcSwap::from_pointee(identity),
            loaded: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }))
    }

    /// Loads the files again. Connections that are open keep what they have. New connections get what
    /// is loaded; after an error, what they got before.
    pub(crate) fn reload(&self) -> Result<(), TlsError> {
        if self.settings.self_signed {
            return Ok(());
        }
        let identity = Identity::load(&self.settings, self.versions, &self.hosts)
            .inspect_err(|_| _ = self.failed.fetch_add(1, Ordering::Relaxed))?;
        self.current.store(Arc::new(identity));
        self.loaded.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Returns the number of reloads by their result.
    #[cfg(feature = "metrics")]
    pub(crate) fn reloads(&self) -> [(&'static str, u64); 2] {
        let counts = [("loaded", &self.loaded), ("failed", &self.failed)];
        counts.map(|(result, count)| (result, count.load(Ordering::Relaxed)))
    }

    /// Returns the first name of each certificate, and when the certificate expires, since 1970-01-01.
    #[cfg(feature = "metrics")]
    pub(crate) fn expiries(&self) -> Vec<(String, Duration)> {
        let identity = self.current();
        let certificates = identity.certificates.iter();
        certificates
            .map(|(certificate, _)| (certificate.first_name().to_owned(), certificate.not_after()))
            .collect()
    }

    /// Loads the files again, and logs the result.
    pub(crate) fn reload_and_log(&self) {
        match self.reload() {
            Ok(()) => tracing::info!("the certificates have been loaded again"),
            Err(error) => tracing::error!("the certificates stay as they are: {error}"),
        }
    }

    /// Returns the paths of all files.
    #[cfg(feature = "reload")]
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        self.settings.files()
    }

    pub(super) fn current(&self) -> Arc<Identity> {
        self.current.load_full()
    }
}

impl Identity {
    fn load(settings: &Tls, http: HttpVersions, hosts: &[String]) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let certificates = match settings.self_signed {
            true => vec![self_signed::make(hosts, &provider)?],
            false => read_certificates(settings, &provider)?,
        };
        let verifier = client_auth::verifier(settings, &provider)?;
        let versions: &[_] = match settings.min_version {
            TlsVersion::Tls12 => &[&version::TLS12, &version::TLS13],
            TlsVersion::Tls13 => &[&version::TLS13],
        };
        let other = |error: rustls::Error| TlsError::Other(error.to_string());
        let builder = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .map_err(other)?
            .with_client_cert_verifier(verifier);
        let first = Arc::new(SingleCertAndKey::from(certificates[0].key.clone()));
        let mut config = builder.with_cert_resolver(first);
        // A ticket holds the client certificate of its session, which a resumption does not check
        // again. So each load has keys of its own, and the tickets of the load before end with it.
        config.ticketer = ring::Ticketer::new().map_err(other)?;
        config.alpn_protocols = match http {
            #[cfg(feature = "http2")]
            HttpVersions::Auto => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            #[cfg(not(feature = "http2"))]
            HttpVersions::Auto => vec![b"http/1.1".to_vec()],
            HttpVersions::Http1 => vec![b"http/1.1".to_vec()],
            #[cfg(feature = "http2")]
            HttpVersions::Http2 => vec![b"h2".to_vec()],
        };
        let configs = certificates.into_iter().map(|certificate| {
            let mut config = config.clone();
            config.cert_resolver = Arc::new(SingleCertAndKey::from(certificate.key.clone()));
            (certificate, Arc::new(config))
        });
        Ok(Self {
            certificates: configs.collect(),
            infos: Mutex::default(),
        })
    }

    /// Returns the certificate for a client: the first for the name that it asks for whose key it
    /// can check, or the first of all.
    pub(super) fn choose(&self, hello: &ClientHello<'_>) -> (usize, Arc<ServerConfig>) {
        let name = hello.server_name();
        let fits = |certificate: &Certificate| {
            name.is_some_and(|name| certificate.is_for(name))
                && (certificate.key.key)
                    .choose_scheme(hello.signature_schemes())
                    .is_some()
        };
        let chosen = (self.certificates.iter()).position(|(certificate, _)| fits(certificate));
        let index = chosen.unwrap_or(0);
        (index, self.certificates[index].1.clone())
    }

    /// Returns the information on a connection after its handshake with a certificate.
    pub(super) fn info(&self, index: usize, session: &ServerConnection) -> Arc<TlsInfo> {
        let version = session.protocol_version().map(u16::from);
        let suite = session
            .negotiated_cipher_suite()
            .map(|suite| u16::from(suite.suite()));
        let make = || {
            let mut info = TlsInfo::default();
            info.server_cert = Some(self.certificates[index].0.pem.clone());
            info.tls_version = version;
            info.cipher_suite = suite;
            info
        };
        let chain = session.peer_certificates().unwrap_or_default();
        if let Some(client) = chain.first() {
            let mut info = make();
            info.client_cert_chain = chain.iter().map(certificate::pem).collect();
            info.client_cert_name = certificate::subject(client);
            return Arc::new(info);
        }
        let key = (index, version.unwrap_or(0), suite.unwrap_or(0));
        let mut infos = self.infos.lock().unwrap_or_else(PoisonError::into_inner);
        let info = infos.entry(key).or_insert_with(|| Arc::new(make()));
        info.clone()
    }
}

fn read_certificates(
    settings: &Tls,
    provider: &CryptoProvider,
) -> Result<Vec<Certificate>, TlsError> {
    let password = settings.keyfile_password.as_ref().map(Password::as_str);
    (settings.certfile.iter().enumerate())
        .map(|(index, certfile)| {
            let keyfile = settings.keyfile.get(index).unwrap_or(certfile);
            let mut certificate = Certificate::read(certfile, keyfile, password, provider)?;
            if let Some(ocspfile) = settings.ocspfile.get(index) {
                certificate.staple(ocspfile, certfile)?;
            }
            Ok(certificate)
        })
        .collect()
}
