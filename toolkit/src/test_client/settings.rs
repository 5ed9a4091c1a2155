//! The settings of a test client: the fields of each scope, and the limits.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use callgate::{ByteString, Feature, Features, Scheme, State};
use http::{HeaderMap, Version};

use super::jar::Jar;

/// The fields of each scope, and the limits of the client.
#[derive(Debug)]
pub(super) struct Settings {
    /// Fields for requests that do not set them.
    pub(super) headers: HeaderMap,
    pub(super) jar: Jar,
    pub(super) keeps_cookies: bool,
    pub(super) follows_redirects: bool,
    pub(super) allows_violations: bool,
    pub(super) root_path: ByteString,
    pub(super) client: Option<SocketAddr>,
    pub(super) server: Option<SocketAddr>,
    pub(super) scheme: Scheme,
    pub(super) version: Version,
    pub(super) features: Features,
    pub(super) state: State,
    pub(super) timeout: Duration,
    pub(super) grace_period: Duration,
    pub(super) queue_capacity: usize,
}

impl Default for Settings {
    fn default() -> Self {
        let features: Features = Feature::ALL.into_iter().collect();
        Self {
            headers: HeaderMap::new(),
            jar: Jar::default(),
            keeps_cookies: true,
            follows_redirects: false,
            allows_violations: false,
            root_path: ByteString::new(),
            client: Some((Ipv4Addr::LOCALHOST, 50_000).into()),
            server: Some((Ipv4Addr::LOCALHOST, 80).into()),
            scheme: Scheme::Http,
            version: Version::HTTP_11,
            features: features.without(Feature::Tls),
            state: State::new(),
            timeout: Duration::from_secs(10),
            grace_period: Duration::from_secs(30),
            queue_capacity: 64,
        }
    }
}

impl Settings {
    /// Adds the fields that a request does not set itself.
    pub(super) fn add_headers(&self, headers: &mut HeaderMap) {
        for name in self.headers.keys() {
            if !headers.contains_key(name) {
                for value in self.headers.get_all(name) {
                    headers.append(name, value.clone());
                }
            }
        }
    }
}
