//! The settings of a server behind a proxy.

use super::kind::{Choice, One, Parsed, Shape};
use super::setting::settings;
use super::values::SWITCH;
use crate::proxy::{InvalidTrustedPeers, ProxyHeaderFamily, ProxyProtocol, REMEDY, TrustedPeers};

settings! {
    /// What a proxy in front of the server does.
    proxy: Proxy {
        /// Take the client, the scheme, the host and the root path from the header fields of trusted
        /// proxies.
        ///
        /// The fields that are not believed are removed: those of other peers, those of the other family,
        /// and malformed ones. With `false`, all fields are passed on, and none has an effect.
        proxy_headers => headers: (bool) = "true" as SWITCH;

        /// The header fields that trusted proxies set: x-forwarded or forwarded.
        ///
        /// `x-forwarded` stands for X-Forwarded-For, -Proto, -Host, -Port and -Prefix; `forwarded` for
        /// Forwarded (RFC 7239).
        proxy_header_family => header_family: (ProxyHeaderFamily) = "x-forwarded" as FAMILY;

        /// The peers that are trusted proxies: addresses, networks, `unix` or `*`, separated by commas.
        ///
        /// `unix` stands for the peers of Unix sockets, `*` for all peers. With `*`, any client that
        /// reaches the server chooses its own address. The setting holds for the PROXY protocol too.
        forwarded_allow_ips => forwarded_allow_ips: (TrustedPeers) = "127.0.0.1,::1" as TRUSTED_PEERS;

        /// Whether each connection begins with a header of the PROXY protocol, version 1 or 2: off or
        /// required.
        ///
        /// With `required`, a connection without a valid header, or of a peer that is not trusted, is
        /// closed without a response.
        proxy_protocol => protocol: (ProxyProtocol) = "off" as PROTOCOL;

        /// The path under which a proxy has mounted the application, such as /api.
        ///
        /// The server puts the path in front of the path of every request, and passes it as `root_path`.
        root_path => root_path: (String) = "/" as ROOT_PATH;
    }
}

const FAMILY: Choice<ProxyHeaderFamily> = Choice {
    name: "FAMILY",
    words: &[
        ("x-forwarded", ProxyHeaderFamily::XForwarded),
        ("forwarded", ProxyHeaderFamily::Forwarded),
    ],
    remedy: "give x-forwarded or forwarded",
};

const TRUSTED_PEERS: One<TrustedPeers> = One {
    name: "PEERS",
    shape: Shape::Text,
    parse: |text| text.parse().map_err(|InvalidTrustedPeers| REMEDY),
    show: TrustedPeers::to_string,
};

const PROTOCOL: Choice<ProxyProtocol> = Choice {
    name: "MODE",
    words: &[
        ("off", ProxyProtocol::Off),
        ("required", ProxyProtocol::Required),
    ],
    remedy: "give off or required",
};

const ROOT_PATH: One<String> = One {
    name: "PATH",
    shape: Shape::Text,
    parse: root_path,
    show: |path| {
        if path.is_empty() {
            "/".into()
        } else {
            path.clone()
        }
    },
};

/// Reads a root path. The application's `root_path` does not end with `/`.
fn root_path(text: &str) -> Parsed<String> {
    let path = text.trim_end_matches('/');
    if !path.is_empty() && !path.starts_with('/') {
        Err("give a path that begins with `/`, such as /api")
    } else if path.contains(['?', '#']) {
        Err("give a path without `?` and `#`, such as /api")
    } else if path.contains(char::is_control) {
        Err("give a path without control characters, such as /api")
    } else {
        Ok(path.to_owned())
    }
}
