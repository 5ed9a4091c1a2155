//! The server's side: what can be judged from a scope alone.

use callgate::rule::{self, Rule};
use callgate::{ByteString, Feature, Features, Scheme, Scope, TlsInfo, Violation};
use http::header::{
    CONTENT_LENGTH, COOKIE, HOST, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, TE,
    TRANSFER_ENCODING,
};
use http::{HeaderMap, HeaderName, Method, Uri, Version};

/// The rules of the server that this scope breaks: in what it says, or because a request like this
/// must not reach an application.
///
/// ```
/// use callgate::{HttpScope, rule};
/// use callgate_conformance::scope_violations;
/// use http::{Method, Uri};
///
/// let scope = HttpScope::new(Method::GET, Uri::from_static("http://example.com/"));
/// let broken = scope_violations(&scope.into());
/// assert!(broken.iter().any(|violation| violation.rule == rule::ORIGIN_FORM));
/// ```
#[must_use]
pub fn violations(scope: &Scope) -> Vec<Violation> {
    let mut found = Found(Vec::new());
    match scope {
        Scope::Http(scope) => {
            found.http(&scope.method, &scope.headers, scope.version);
            Common {
                is_asterisk_allowed: scope.method == Method::OPTIONS,
                is_websocket: false,
                uri: &scope.uri,
                version: scope.version,
                headers: &scope.headers,
                scheme: scope.scheme,
                root_path: &scope.root_path,
                path: &scope.path(),
                features: scope.features,
                tls: scope.tls.as_deref(),
            }
            .judge(&mut found);
        }
        Scope::WebSocket(scope) => {
            found.websocket(&scope.headers, &scope.subprotocols);
            Common {
                is_asterisk_allowed: false,
                is_websocket: true,
                uri: &scope.uri,
                version: scope.version,
                headers: &scope.headers,
                scheme: scope.scheme,
                root_path: &scope.root_path,
                path: &scope.path(),
                features: scope.features,
                tls: scope.tls.as_deref(),
            }
            .judge(&mut found);
        }
        _ => {}
    }
    found.0
}

struct Found(Vec<Violation>);

impl Found {
    fn add(&mut self, rule: &'static Rule, detail: impl Into<String>) {
        self.0.push(Violation::new(rule, detail.into()));
    }

    fn http(&mut self, method: &Method, headers: &HeaderMap, version: Version) {
        if method == Method::CONNECT {
            self.add(rule::CONNECT_REFUSED, "the method is CONNECT");
        }
        let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
        if let Some(first) = lengths.next()
            && lengths.any(|other| other != first)
        {
            self.add(rule::CONFLICTING_LENGTHS, "there are several lengths");
        }
        if let Some(last) = headers.get_all(TRANSFER_ENCODING).iter().next_back() {
            let coding = last.as_bytes().rsplit(|byte| *byte == b',').next();
            let is_chunked =
                coding.is_some_and(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"chunked"));
            if version == Version::HTTP_10 || !is_chunked {
                self.add(
                    rule::BAD_TRANSFER_ENCODING,
                    format!("`transfer-encoding` is {last:?} in {version:?}"),
                );
            }
        }
    }

    fn websocket(&mut self, headers: &HeaderMap, subprotocols: &[ByteString]) {
        if let Some(version) = headers.get(SEC_WEBSOCKET_VERSION)
            && version != "13"
        {
            self.add(
                rule::UNSUPPORTED_WEBSOCKET_VERSION,
                format!("`sec-websocket-version` is {version:?}"),
            );
        }
        // A test client may offer subprotocols without the field.
        if headers.contains_key(SEC_WEBSOCKET_PROTOCOL)
            && !tokens(headers, &SEC_WEBSOCKET_PROTOCOL).eq(subprotocols.iter().map(|it| &**it))
        {
            self.add(
                rule::SUBPROTOCOLS_OFFERED,
                format!("`sec-websocket-protocol` offers others than {subprotocols:?}"),
            );
        }
    }
}

/// The fields that scopes have in common.
struct Common<'a> {
    is_asterisk_allowed: bool,
    is_websocket: bool,
    uri: &'a Uri,
    version: Version,
    headers: &'a HeaderMap,
    scheme: Scheme,
    root_path: &'a str,
    path: &'a str,
    features: Features,
    tls: Option<&'a TlsInfo>,
}

impl Common<'_> {
    fn judge(&self, found: &mut Found) {
        self.target(found);
        self.fields(found);
        self.features(found);
        self.tls(found);
    }

    fn target(&self, found: &mut Found) {
        let uri = self.uri;
        if uri.scheme().is_some() || uri.authority().is_some() {
            found.add(rule::ORIGIN_FORM, format!("the target is `{uri}`"));
        } else if uri.path() == "*" {
            if !self.is_asterisk_allowed {
                found.add(rule::ASTERISK_FORM, "the target is `*`");
            }
            return;
        }
        let octets = uri.path().as_bytes();
        let is_broken = octets.iter().enumerate().any(|(index, octet)| {
            let digits = octets.get(index + 1..index + 3);
            *octet == b'%' && !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
        });
        if is_broken {
            found.add(rule::BAD_PERCENT_ENCODING, format!("the target is `{uri}`"));
        }
        let root = self.root_path.trim_end_matches('/');
        let is_below = self
            .path
            .strip_prefix(root)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let is_rooted = root.is_empty() || root.starts_with('/');
        if !is_below || !is_rooted {
            found.add(
                rule::ROOT_PATH,
                format!("the path `{}` is not below `{}`", self.path, self.root_path),
            );
        }
    }

    fn fields(&self, found: &mut Found) {
        let known = [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2];
        if !known.contains(&self.version) {
            found.add(rule::VERSION, format!("the version is {:?}", self.version));
        }
        let count = |name| self.headers.get_all(name).iter().count();
        if self.version == Version::HTTP_2 && count(COOKIE) > 1 {
            found.add(
                rule::COOKIE_CRUMBS,
                format!("there are {} `cookie` fields", count(COOKIE)),
            );
        }
        if self.version == Version::HTTP_11 && count(HOST) != 1 {
            found.add(
                rule::HOST_REQUIRED,
                format!("there are {} `host` fields", count(HOST)),
            );
        }
        // `HeaderMap` keeps most of them out by itself.
        if self
            .headers
            .keys()
            .any(|name| name.as_str().starts_with(':'))
        {
            found.add(rule::NO_PSEUDO_HEADERS, "a field's name begins with `:`");
        }
    }

    fn features(&self, found: &mut Found) {
        for feature in self.features.iter() {
            let belongs = match feature {
                Feature::DenialResponse => self.is_websocket,
                Feature::Tls => true,
                _ => !self.is_websocket,
            };
            if !belongs {
                found.add(
                    rule::FEATURES_OFFERED,
                    format!("`{}` is of another kind of scope", feature.name()),
                );
            }
        }
        let has_trailers = match self.version {
            Version::HTTP_10 => false,
            Version::HTTP_11 => tokens(self.headers, &TE).any(|token| {
                token
                    .split(';')
                    .next()
                    .unwrap_or_default()
                    .trim_end()
                    .eq_ignore_ascii_case("trailers")
            }),
            _ => true,
        };
        if self.features.contains(Feature::ResponseTrailers) && !has_trailers {
            found.add(
                rule::TRAILERS_OFFERED,
                format!(
                    "trailer fields are offered in {:?} to a client that did not ask",
                    self.version
                ),
            );
        }
    }

    fn tls(&self, found: &mut Found) {
        let is_offered = self.features.contains(Feature::Tls);
        if is_offered && self.scheme == Scheme::Http {
            found.add(rule::TLS_ONLY_WHEN_SECURED, "`tls` is offered in the clear");
        }
        if is_offered != self.tls.is_some() {
            found.add(
                rule::FEATURES_OFFERED,
                "`tls` is listed and missing, or there and not listed",
            );
        }
        let Some(tls) = self.tls else { return };
        // SSL 3.0 to TLS 1.3; DTLS counts downwards from 0xfeff.
        if let Some(version) = tls.tls_version
            && !matches!(version, 0x0300..=0x0304 | 0xfefc..=0xfeff)
        {
            found.add(rule::TLS_VERSION, format!("the version is {version:#06x}"));
        }
        let is_pem = |text: &String| text.trim_start().starts_with("-----BEGIN CERTIFICATE-----");
        if !tls.client_cert_chain.iter().all(is_pem) {
            found.add(rule::TLS_CLIENT_CHAIN, "a certificate is not a PEM text");
        }
    }
}

/// The members of a field that is a list.
fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|token| !token.is_empty())
}
