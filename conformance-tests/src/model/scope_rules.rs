//! The server's side of an exchange: the rules that a scope can break by itself.

use callgate::rule::{self, Rule};
use callgate::{ByteString, Feature, HttpScope, RequestScope, Scheme, Scope, Violation};
use http::header::{
    CONTENT_LENGTH, COOKIE, HOST, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, TE, TRANSFER_ENCODING,
};
use http::{HeaderMap, HeaderName, Method, Version};

/// Returns the rules that the server breaks with this scope: a field of the scope is wrong, or a
/// request like this must not reach an application.
///
/// ```
/// use callgate::{HttpScope, rule};
/// use callgate_conformance::scope_violations;
/// use http::{Method, Uri};
///
/// let scope = HttpScope::new(Method::GET, Uri::from_static("http://example.com/"));
/// let violations = scope_violations(&scope.into());
/// assert!(violations.iter().any(|violation| violation.rule == rule::ORIGIN_FORM));
/// ```
#[must_use]
pub fn scope_violations(scope: &Scope) -> Vec<Violation> {
    let mut violations = Violations(Vec::new());
    match scope {
        Scope::Http(scope) => {
            violations.http(scope);
            let check = RequestCheck {
                is_asterisk_allowed: scope.method == Method::OPTIONS,
                is_websocket: false,
                scope: &scope.request,
            };
            check.run(&mut violations);
        }
        Scope::WebSocket(scope) => {
            violations.websocket(&scope.headers, &scope.subprotocols);
            let check = RequestCheck {
                is_asterisk_allowed: false,
                is_websocket: true,
                scope: &scope.request,
            };
            check.run(&mut violations);
        }
        _ => {}
    }
    violations.0
}

struct Violations(Vec<Violation>);

impl Violations {
    fn add(&mut self, rule: &'static Rule, detail: impl Into<String>) {
        self.0.push(Violation::new(rule, detail.into()));
    }

    fn http(&mut self, scope: &HttpScope) {
        let (headers, version) = (&scope.headers, scope.version);
        if scope.method == Method::CONNECT {
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
        // A test client may offer subprotocols without the header field.
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

/// Checks the common fields of the scopes of HTTP and of WebSockets.
struct RequestCheck<'a> {
    is_asterisk_allowed: bool,
    is_websocket: bool,
    scope: &'a RequestScope,
}

impl RequestCheck<'_> {
    fn run(&self, violations: &mut Violations) {
        self.target(violations);
        self.fields(violations);
        self.features(violations);
        self.tls(violations);
    }

    fn target(&self, violations: &mut Violations) {
        let uri = &self.scope.uri;
        if uri.scheme().is_some() || uri.authority().is_some() {
            violations.add(rule::ORIGIN_FORM, format!("the target is `{uri}`"));
        } else if uri.path() == "*" {
            if !self.is_asterisk_allowed {
                violations.add(rule::ASTERISK_FORM, "the target is `*`");
            }
            return;
        }
        let octets = uri.path().as_bytes();
        let is_broken = octets.iter().enumerate().any(|(index, octet)| {
            let digits = octets.get(index + 1..index + 3);
            *octet == b'%' && !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
        });
        if is_broken {
            violations.add(rule::BAD_PERCENT_ENCODING, format!("the target is `{uri}`"));
        }
        let root = self.scope.root_path.trim_end_matches('/');
        let path = self.scope.path();
        let is_below = path
            .strip_prefix(root)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let is_rooted = root.is_empty() || root.starts_with('/');
        if !is_below || !is_rooted {
            violations.add(
                rule::ROOT_PATH,
                format!(
                    "the path `{}` is not below `{}`",
                    path, self.scope.root_path
                ),
            );
        }
    }

    fn fields(&self, violations: &mut Violations) {
        let known = [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2];
        if !known.contains(&self.scope.version) {
            violations.add(
                rule::VERSION,
                format!("the version is {:?}", self.scope.version),
            );
        }
        let count = |name| self.scope.headers.get_all(name).iter().count();
        if self.scope.version == Version::HTTP_2 && count(COOKIE) > 1 {
            violations.add(
                rule::COOKIE_CRUMBS,
                format!("there are {} `cookie` fields", count(COOKIE)),
            );
        }
        if self.scope.version == Version::HTTP_11 && count(HOST) != 1 {
            violations.add(
                rule::HOST_REQUIRED,
                format!("there are {} `host` fields", count(HOST)),
            );
        }
        // `HeaderMap` refuses most of these names.
        if self
            .scope
            .headers
            .keys()
            .any(|name| name.as_str().starts_with(':'))
        {
            violations.add(rule::NO_PSEUDO_HEADERS, "a field's name begins with `:`");
        }
    }

    fn features(&self, violations: &mut Violations) {
        for feature in self.scope.features.iter() {
            let belongs = match feature {
                Feature::DenialResponse | Feature::PerMessageDeflate => self.is_websocket,
                Feature::Tls => true,
                _ => !self.is_websocket,
            };
            if !belongs {
                violations.add(
                    rule::FEATURES_OFFERED,
                    format!("`{}` is of another kind of scope", feature.name()),
                );
            }
        }
        let offers_deflate = tokens(&self.scope.headers, &SEC_WEBSOCKET_EXTENSIONS)
            .any(|offer| offer.split(';').next().map(str::trim) == Some("permessage-deflate"));
        if self.scope.features.contains(Feature::PerMessageDeflate) && !offers_deflate {
            violations.add(
                rule::DEFLATE_OFFERED,
                "compression is offered although the client has not offered it",
            );
        }
        let has_trailers = match self.scope.version {
            Version::HTTP_10 => false,
            Version::HTTP_11 => tokens(&self.scope.headers, &TE).any(|token| {
                token
                    .split(';')
                    .next()
                    .unwrap_or_default()
                    .trim_end()
                    .eq_ignore_ascii_case("trailers")
            }),
            _ => true,
        };
        if self.scope.features.contains(Feature::ResponseTrailers) && !has_trailers {
            violations.add(
                rule::TRAILERS_OFFERED,
                format!(
                    "trailer fields are offered in {:?} to a client that did not ask for them",
                    self.scope.version
                ),
            );
        }
    }

    fn tls(&self, violations: &mut Violations) {
        let is_offered = self.scope.features.contains(Feature::Tls);
        if is_offered && self.scope.scheme == Scheme::Http {
            violations.add(
                rule::TLS_ONLY_WHEN_SECURED,
                "`tls` is offered on a connection without TLS",
            );
        }
        if is_offered != self.scope.tls.is_some() {
            violations.add(
                rule::FEATURES_OFFERED,
                "`tls` is listed without a value, or has a value and is not listed",
            );
        }
        let Some(tls) = self.scope.tls.as_deref() else {
            return;
        };
        // SSL 3.0 to TLS 1.3; DTLS counts downwards from 0xfeff.
        if let Some(version) = tls.tls_version
            && !matches!(version, 0x0300..=0x0304 | 0xfefc..=0xfeff)
        {
            violations.add(rule::TLS_VERSION, format!("the version is {version:#06x}"));
        }
        let is_pem = |text: &String| text.trim_start().starts_with("-----BEGIN CERTIFICATE-----");
        if !tls.client_cert_chain.iter().all(is_pem) {
            violations.add(rule::TLS_CLIENT_CHAIN, "a certificate is not a PEM text");
        }
    }
}

/// Returns the members of a header field whose value is a list.
fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|token| !token.is_empty())
}
