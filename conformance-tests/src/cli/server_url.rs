//! The URL of a server that runs.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::Path;

use http::Uri;

use super::command_error::CommandError;
use crate::server_suite::ClientTls;

/// The URL of a server that runs.
#[derive(Clone, Debug)]
pub(super) struct ServerUrl {
    pub(super) address: SocketAddr,
    /// The host, with the port if the URL has one.
    pub(super) authority: String,
    /// Path and query; `/` if the URL has none.
    pub(super) path: String,
    /// The host that the certificate of the server must be for; `None` for cleartext.
    certified_host: Option<String>,
}

impl ServerUrl {
    /// Reads a URL.
    ///
    /// # Errors
    ///
    /// Describes a valid URL, or says that the host has no address.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let hint = || {
            "give http://HOST:PORT or https://HOST:PORT, such as http://127.0.0.1:8000".to_owned()
        };
        let uri: Uri = text.parse().map_err(|_| hint())?;
        let is_https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(hint()),
        };
        let host = uri.host().ok_or_else(hint)?.trim_matches(['[', ']']);
        let port = uri.port_u16().unwrap_or(if is_https { 443 } else { 80 });
        let mut addresses = (host, port)
            .to_socket_addrs()
            .map_err(|error| format!("`{host}` has no address: {error}"))?;
        Ok(Self {
            address: addresses.next().ok_or_else(hint)?,
            authority: uri.authority().ok_or_else(hint)?.to_string(),
            path: uri
                .path_and_query()
                .map_or("/", |path| path.as_str())
                .to_owned(),
            certified_host: is_https.then(|| host.to_owned()),
        })
    }

    /// Returns the TLS of the clients; `None` for cleartext. `ca` is the file of the authority that has issued
    /// the certificate.
    pub(super) fn client_tls(&self, ca: Option<&Path>) -> Result<Option<ClientTls>, CommandError> {
        match &self.certified_host {
            Some(host) => ClientTls::of_running_server(host, ca)
                .map(Some)
                .map_err(|error| CommandError::startup(format!("cannot use --ca: {error}"))),
            None if ca.is_some() => Err(CommandError::usage("--ca is for an https URL")),
            None => Ok(None),
        }
    }
}
