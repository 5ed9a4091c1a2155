//! The settings of TLS.

use std::fmt;
use std::path::PathBuf;

use super::Listen;
use super::kind::{Choice, Many, One, Parsed, Shape};
use super::setting::settings;
use super::values::{SWITCH, path};
use crate::error::ServeError;

settings! {
    /// TLS on all listeners but those of `insecure_bind`, if there is a certificate.
    ///
    /// The files are read again at SIGHUP, and when they change. A changed file that cannot be used is
    /// reported in the log, and the server goes on with what it has.
    tls: Tls {
        /// A file with a certificate and the chain of its issuers, as PEM; may be given repeatedly.
        ///
        /// A client gets the first certificate for the name that it asks for (SNI), or the first
        /// certificate of all.
        ssl_certfile => certfile: [PathBuf] = "none" as FILES;

        /// The file with the private key of a certificate, as PEM; one for each certificate, in their
        /// order.
        ///
        /// Without this setting, the private keys are in the files of the certificates.
        ssl_keyfile => keyfile: [PathBuf] = "none" as FILES;

        /// The password of the private keys that are encrypted.
        ssl_keyfile_password => keyfile_password: (Option<Password>) = "none" as PASSWORD;

        /// A file with the OCSP response for a certificate, as DER; one for each certificate, in their order.
        ///
        /// A client that asks for the response gets it with the certificate, and need not ask the authority.
        /// A response that is out of date is reported in the log and not sent.
        ssl_ocspfile => ocspfile: [PathBuf] = "none" as FILES;

        /// The lowest version of TLS: 1.2 or 1.3.
        ssl_min_version => min_version: (TlsVersion) = "1.2" as VERSION;

        /// Whether clients have a certificate: none, optional or required.
        ///
        /// A certificate is checked in both cases, and a client whose certificate is not accepted is
        /// refused in its handshake. `optional` also admits clients without a certificate.
        ssl_cert_reqs => cert_reqs: (ClientCertificates) = "none" as CERT_REQS;

        /// The file with the certificates of the authorities that issue client certificates, as PEM.
        ssl_ca_certs => ca_certs: (Option<PathBuf>) = "none" as FILE;

        /// The file with the revocation lists of these authorities, as PEM.
        ///
        /// Each authority in the chain of a client certificate needs a list that has not expired.
        ssl_crlfile => crlfile: (Option<PathBuf>) = "none" as FILE;

        /// Use a certificate that the server makes at its start, for development.
        ///
        /// The certificate is for localhost, 127.0.0.1, ::1 and the addresses of the server. Its SHA-256
        /// fingerprint is logged.
        ssl_self_signed => self_signed: (bool) = "false" as SWITCH;

        /// Redirect the requests at the addresses of `insecure_bind` to HTTPS, by the status 308.
        ///
        /// The redirect leads to the host of the request, at the port of the first address that speaks
        /// TLS. WebSockets are refused. A request that a trusted proxy has received over HTTPS is served.
        /// Browsers make no further request in cleartext if responses have the field
        /// `strict-transport-security`, which `header` adds.
        redirect_to_https => redirect_to_https: (bool) = "false" as SWITCH;
    }
}

/// A password, which `Debug` does not show.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Password {
    fn from(password: String) -> Self {
        Self(password)
    }
}

impl From<&str> for Password {
    fn from(password: &str) -> Self {
        Self(password.into())
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    Tls12,
    /// TLS 1.3 (RFC 8446).
    Tls13,
}

/// Whether clients have a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientCertificates {
    /// Clients are not asked for a certificate.
    None,
    /// A client may have no certificate. A certificate that is not accepted ends the handshake.
    Optional,
    /// A client without a certificate that is accepted is refused.
    Required,
}

impl Tls {
    /// Returns whether the listeners speak TLS.
    pub(crate) fn is_on(&self) -> bool {
        !self.certfile.is_empty() || self.self_signed
    }

    /// Returns the paths of all files.
    #[cfg(feature = "reload")]
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let lists = [&self.certfile, &self.keyfile, &self.ocspfile];
        let single = [&self.ca_certs, &self.crlfile];
        (lists.into_iter().flatten())
            .chain(single.into_iter().flatten())
            .cloned()
            .collect()
    }

    pub(super) fn check(&self, listen: &Listen) -> Result<(), ServeError> {
        let conflict = |names, remedy| Err(ServeError::Conflict { names, remedy });
        if self.self_signed && !self.certfile.is_empty() {
            return conflict(["ssl_self_signed", "ssl_certfile"], "give one of them");
        }
        if !self.keyfile.is_empty() && self.keyfile.len() != self.certfile.len() {
            return conflict(
                ["ssl_keyfile", "ssl_certfile"],
                "give one private key for each certificate, in the same order",
            );
        }
        if !self.ocspfile.is_empty() && self.ocspfile.len() != self.certfile.len() {
            return conflict(
                ["ssl_ocspfile", "ssl_certfile"],
                "give one OCSP response for each certificate, in the same order",
            );
        }
        if self.redirect_to_https && !self.is_on() {
            return conflict(
                ["redirect_to_https", "ssl_certfile"],
                "give a certificate too",
            );
        }
        if self.redirect_to_https && listen.insecure_bind.is_empty() {
            return conflict(
                ["redirect_to_https", "insecure_bind"],
                "give an address that speaks cleartext too, such as 0.0.0.0:80",
            );
        }
        let asks = self.cert_reqs != ClientCertificates::None;
        if asks && !self.is_on() {
            return conflict(["ssl_cert_reqs", "ssl_certfile"], "give a certificate too");
        }
        if asks && self.ca_certs.is_none() {
            return conflict(
                ["ssl_cert_reqs", "ssl_ca_certs"],
                "give the authorities that issue client certificates too",
            );
        }
        if !asks && self.ca_certs.is_some() {
            return conflict(
                ["ssl_ca_certs", "ssl_cert_reqs"],
                "say whether client certificates are optional or required",
            );
        }
        if self.crlfile.is_some() && self.ca_certs.is_none() {
            return conflict(
                ["ssl_crlfile", "ssl_ca_certs"],
                "give the authorities that issue client certificates too",
            );
        }
        Ok(())
    }
}

const FILES: Many<PathBuf> = Many {
    name: "FILE",
    separator: ',',
    parse: file,
    show: |path| path.display().to_string(),
};

const FILE: One<Option<PathBuf>> = path("FILE");

const PASSWORD: One<Option<Password>> = One {
    name: "PASSWORD",
    shape: Shape::Secret,
    parse: |text| Ok((text != "none").then(|| text.into())),
    show: |password| {
        password
            .as_ref()
            .map_or("none", Password::as_str)
            .to_owned()
    },
};

const VERSION: Choice<TlsVersion> = Choice {
    name: "VERSION",
    words: &[("1.2", TlsVersion::Tls12), ("1.3", TlsVersion::Tls13)],
    remedy: "give 1.2 or 1.3",
};

// The last three words are uvicorn's.
const CERT_REQS: Choice<ClientCertificates> = Choice {
    name: "WHETHER",
    words: &[
        ("none", ClientCertificates::None),
        ("optional", ClientCertificates::Optional),
        ("required", ClientCertificates::Required),
        ("0", ClientCertificates::None),
        ("1", ClientCertificates::Optional),
        ("2", ClientCertificates::Required),
    ],
    remedy: "give none, optional or required",
};

fn file(text: &str) -> Parsed<PathBuf> {
    match text {
        "" => Err("give the path of a file"),
        _ => Ok(text.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown_by_debug() {
        let tls = Tls {
            keyfile_password: Some("secret".into()),
            ..Tls::default()
        };
        assert!(!format!("{tls:?}").contains("secret"));
    }

    #[cfg(feature = "reload")]
    #[test]
    fn every_file_is_watched() {
        let path = |name: &str| PathBuf::from(name);
        let tls = Tls {
            certfile: vec![path("a.pem"), path("b.pem")],
            keyfile: vec![path("a.key"), path("b.key")],
            ocspfile: vec![path("a.ocsp")],
            ca_certs: Some(path("ca.pem")),
            crlfile: Some(path("crl.pem")),
            ..Tls::default()
        };
        let files = tls.files();
        let expected = [
            "a.pem", "b.pem", "a.key", "b.key", "a.ocsp", "ca.pem", "crl.pem",
        ];
        assert_eq!(files, expected.map(path));
    }

    #[test]
    fn settings_that_do_not_fit_together_are_refused_with_both_names() {
        let with = |change: fn(&mut Tls)| {
            let mut tls = Tls::default();
            change(&mut tls);
            tls.check(&Listen::default())
                .map_err(|error| error.to_string())
        };
        for (result, names) in [
            (
                with(|tls| {
                    tls.self_signed = true;
                    tls.certfile = vec!["a.pem".into()];
                }),
                "`ssl_self_signed` and `ssl_certfile`",
            ),
            (
                with(|tls| tls.keyfile = vec!["a.key".into()]),
                "`ssl_keyfile` and `ssl_certfile`",
            ),
            (
                with(|tls| tls.ocspfile = vec!["a.der".into()]),
                "`ssl_ocspfile` and `ssl_certfile`",
            ),
            (
                with(|tls| tls.redirect_to_https = true),
                "`redirect_to_https` and `ssl_certfile`",
            ),
            (
                with(|tls| {
                    tls.self_signed = true;
                    tls.redirect_to_https = true;
                }),
                "`redirect_to_https` and `insecure_bind`",
            ),
            (
                with(|tls| tls.cert_reqs = ClientCertificates::Required),
                "`ssl_cert_reqs` and `ssl_certfile`",
            ),
            (
                with(|tls| {
                    tls.self_signed = true;
                    tls.cert_reqs = ClientCertificates::Optional;
                }),
                "`ssl_cert_reqs` and `ssl_ca_certs`",
            ),
            (
                with(|tls| tls.ca_certs = Some("ca.pem".into())),
                "`ssl_ca_certs` and `ssl_cert_reqs`",
            ),
            (
                with(|tls| tls.crlfile = Some("crl.pem".into())),
                "`ssl_crlfile` and `ssl_ca_certs`",
            ),
        ] {
            let error = result.unwrap_err();
            assert!(error.contains(names), "{error}");
        }
        assert_eq!(with(|tls| tls.certfile = vec!["a.pem".into()]), Ok(()));
    }
}
