/// How a connection is secured: the `tls` feature (rules `TLS-01` to `TLS-04`).
///
/// Certificates are PEM texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct TlsInfo {
    /// The certificate that the server presented, if it is known.
    pub server_cert: Option<String>,
    /// The client's certificate first, then each issuer. Empty when the client sent none.
    pub client_cert_chain: Vec<String>,
    /// The subject of the client's certificate as an RFC 4514 distinguished name.
    pub client_cert_name: Option<String>,
    /// Why the client's certificate was not accepted, when the connection was let in all the same.
    pub client_cert_error: Option<String>,
    /// The version on the wire: `0x0303` is TLS 1.2, `0x0304` is TLS 1.3.
    pub tls_version: Option<u16>,
    /// The cipher suite's number in the IANA registry.
    pub cipher_suite: Option<u16>,
}
