/// The security of a connection: the `tls` feature (rules `TLS-01` to `TLS-04`).
///
/// Certificates are PEM texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct TlsInfo {
    /// The certificate that the server presented, if the certificate is known.
    pub server_cert: Option<String>,
    /// The client's certificate, followed by each issuer. Empty if the client sent no certificate.
    pub client_cert_chain: Vec<String>,
    /// The subject of the client's certificate as an RFC 4514 distinguished name.
    pub client_cert_name: Option<String>,
    /// The reason for which the client's certificate was not accepted, if the server accepted the
    /// connection nevertheless.
    pub client_cert_error: Option<String>,
    /// The TLS version as the number on the wire: `0x0303` is TLS 1.2, `0x0304` is TLS 1.3.
    pub tls_version: Option<u16>,
    /// The number of the cipher suite in the IANA registry.
    pub cipher_suite: Option<u16>,
}
