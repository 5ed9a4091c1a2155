//! Servers that break the rules checked in `cases/scope.rs`, `cases/scope_fields.rs` and
//! `cases/scope_connection.rs`.

use callgate::{Extension, HttpScope, Scheme, Scope, State, WebSocketScope, rule};
use http::{HeaderValue, Method, Uri, Version};
use serde_json::{Value, json};

use super::assert_breaks;
use crate::hearsay::Hearsay;
use crate::in_process::InProcess;
use crate::tamper::{Between, Wire, between};

/// A server that says something else in the scope of an HTTP request.
fn with_scope<B: Between + Default>() -> InProcess {
    InProcess {
        app: Some(|probe| between(probe, B::default)),
        ..InProcess::default()
    }
}

/// Defines a [`Between`] that changes the scopes of HTTP requests; `both`, those of WebSockets too.
macro_rules! scope_mutant {
    ($name:ident, $change:expr) => {
        scope_mutant!($name, http: $change, websocket: |_| {});
    };
    ($name:ident, both: $change:expr) => {
        scope_mutant!($name, http: $change, websocket: $change);
    };
    ($name:ident, http: $http:expr, websocket: $websocket:expr) => {
        #[derive(Default)]
        struct $name;
        impl Between for $name {
            fn scope(&self, scope: &mut Scope) {
                let http: fn(&mut HttpScope) = $http;
                let websocket: fn(&mut WebSocketScope) = $websocket;
                match scope {
                    Scope::Http(scope) => http(scope),
                    Scope::WebSocket(scope) => websocket(scope),
                    _ => {}
                }
            }
        }
    };
}

fn with_wire(wire: fn() -> Box<dyn Wire>) -> InProcess {
    InProcess {
        wire: Some(wire),
        ..InProcess::default()
    }
}

/// Gives the scope a target, which is well-formed.
fn retarget(scope: &mut HttpScope, target: &str) {
    scope.uri = target.parse().unwrap();
}

#[tokio::test]
async fn scope_01_methods_become_upper_case() {
    scope_mutant!(UpperCase, |scope| {
        let upper = scope.method.as_str().to_ascii_uppercase();
        scope.method = Method::from_bytes(upper.as_bytes()).unwrap();
    });
    assert_breaks(rule::METHOD_AS_RECEIVED, with_scope::<UpperCase>()).await;
}

#[tokio::test]
async fn scope_02_targets_are_in_absolute_form() {
    scope_mutant!(Absolute, both: |scope| {
        if scope.raw_path().starts_with('/') {
            let mut parts = scope.uri.clone().into_parts();
            parts.scheme = Some(http::uri::Scheme::HTTP);
            parts.authority = Some("test".parse().unwrap());
            scope.uri = Uri::from_parts(parts).unwrap();
        }
    });
    assert_breaks(rule::ORIGIN_FORM, with_scope::<Absolute>()).await;
}

#[tokio::test]
async fn scope_03_the_host_of_an_absolute_target_is_ignored() {
    struct OriginForm;
    impl Wire for OriginForm {
        fn to_server(&mut self, octets: Vec<u8>) -> Vec<u8> {
            change_head(octets, |head| {
                let target = head.split(' ').nth(1)?;
                let path = target.strip_prefix("http://")?;
                let path = path.find('/').map_or("/", |slash| &path[slash..]);
                Some(head.replacen(target, path, 1))
            })
        }
    }
    assert_breaks(rule::ABSOLUTE_FORM, with_wire(|| Box::new(OriginForm))).await;
}

/// What a request of HTTP/1 in one piece becomes, if `change` wants it changed.
fn change_head(octets: Vec<u8>, change: impl FnOnce(&str) -> Option<String>) -> Vec<u8> {
    let changed = std::str::from_utf8(&octets)
        .ok()
        .filter(|head| head.contains(" HTTP/1.1\r\n"))
        .and_then(change);
    changed.map_or(octets, String::into_bytes)
}

#[tokio::test]
async fn scope_04_the_asterisk_becomes_a_slash() {
    scope_mutant!(Slash, |scope| {
        if scope.raw_path() == "*" {
            retarget(scope, "/");
        }
    });
    assert_breaks(rule::ASTERISK_FORM, with_scope::<Slash>()).await;
}

#[tokio::test]
async fn scope_05_broken_escapes_are_mended() {
    struct Mend;
    impl Wire for Mend {
        fn to_server(&mut self, octets: Vec<u8>) -> Vec<u8> {
            change_head(octets, |head| {
                let target = head.split(' ').nth(1)?;
                let path = target.split('?').next()?;
                Some(head.replacen(path, &mend(path), 1))
            })
        }
    }
    /// The path with each `%` encoded that does not begin an escape.
    fn mend(path: &str) -> String {
        let mut parts = path.split('%');
        let mut mended = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let is_escape =
                part.len() >= 2 && part.as_bytes()[..2].iter().all(u8::is_ascii_hexdigit);
            mended.push_str(if is_escape { "%" } else { "%25" });
            mended.push_str(part);
        }
        mended
    }
    assert_breaks(rule::BAD_PERCENT_ENCODING, with_wire(|| Box::new(Mend))).await;
}

#[tokio::test]
async fn scope_06_escaped_slashes_are_decoded() {
    scope_mutant!(Slashes, |scope| {
        let path = scope.raw_path();
        let decoded = path.replace("%2f", "/").replace("%2F", "/");
        let target = scope.uri.to_string().replacen(path, &decoded, 1);
        retarget(scope, &target);
    });
    assert_breaks(rule::RAW_PATH, with_scope::<Slashes>()).await;
}

#[tokio::test]
async fn scope_06_null_is_not_decoded() {
    struct NullEscaped;
    impl Hearsay for NullEscaped {
        fn told(&mut self, told: &mut Value) {
            if let Some(Value::String(path)) = told.pointer_mut("/scope/path") {
                *path = path.replace("\0", "%00");
            }
        }
    }
    let mutant = InProcess {
        hearsay: Some(|| Box::new(NullEscaped)),
        ..InProcess::default()
    };
    assert_breaks(rule::RAW_PATH, mutant).await;
}

#[tokio::test]
async fn scope_07_queries_are_decoded() {
    scope_mutant!(Decoded, |scope| {
        let query = scope.query().replace("%41", "A");
        let target = format!("{}?{query}", scope.raw_path());
        if !scope.query().is_empty() {
            retarget(scope, &target);
        }
    });
    assert_breaks(rule::RAW_QUERY, with_scope::<Decoded>()).await;
}

#[tokio::test]
async fn scope_08_repeated_fields_are_joined() {
    scope_mutant!(Joined, both: |scope| {
        let names: Vec<_> = scope.headers.keys().cloned().collect();
        for name in names {
            let values: Vec<_> = scope.headers.get_all(&name).iter().collect();
            let values: Vec<_> = values.into_iter().map(HeaderValue::as_bytes).collect();
            let joined = HeaderValue::from_bytes(&values.join(&b", "[..])).unwrap();
            scope.headers.insert(name, joined);
        }
    });
    assert_breaks(rule::HEADERS_AS_RECEIVED, with_scope::<Joined>()).await;
}

#[tokio::test]
async fn scope_09_cookie_crumbs_stay_apart() {
    scope_mutant!(Crumbs, |scope| {
        if scope.version == Version::HTTP_2
            && let Some(cookie) = scope.headers.remove("cookie")
        {
            for crumb in cookie.to_str().unwrap().split("; ") {
                scope.headers.append("cookie", crumb.parse().unwrap());
            }
        }
    });
    assert_breaks(rule::COOKIE_CRUMBS, with_scope::<Crumbs>()).await;
}

#[tokio::test]
async fn scope_10_the_authority_is_lost() {
    scope_mutant!(NoHost, |scope| {
        if scope.version == Version::HTTP_2 {
            scope.headers.remove("host");
        }
    });
    assert_breaks(rule::AUTHORITY_IS_HOST, with_scope::<NoHost>()).await;
}

#[tokio::test]
async fn scope_11_pseudo_fields_are_passed() {
    struct Pseudo;
    impl Hearsay for Pseudo {
        fn told(&mut self, told: &mut Value) {
            if told.pointer("/scope/http_version") == Some(&json!("2"))
                && let Some(Value::Array(fields)) = told.pointer_mut("/scope/headers")
            {
                fields.push(json!([":path", "/"]));
            }
        }
    }
    let mutant = InProcess {
        hearsay: Some(|| Box::new(Pseudo)),
        ..InProcess::default()
    };
    assert_breaks(rule::NO_PSEUDO_HEADERS, mutant).await;
}

#[tokio::test]
async fn scope_11_a_pseudo_field_loses_its_colon() {
    scope_mutant!(Bare, |scope| {
        if scope.version == Version::HTTP_2 {
            let scheme = HeaderValue::from_static("http");
            scope.headers.insert("scheme", scheme);
        }
    });
    assert_breaks(rule::NO_PSEUDO_HEADERS, with_scope::<Bare>()).await;
}

#[tokio::test]
async fn scope_12_http_1_0_is_taken_for_1_1() {
    scope_mutant!(Newer, |scope| {
        if scope.version == Version::HTTP_10 {
            scope.version = Version::HTTP_11;
        }
    });
    assert_breaks(rule::VERSION, with_scope::<Newer>()).await;
}

#[tokio::test]
async fn scope_12_http_2_is_taken_for_1_1() {
    scope_mutant!(Older, |scope| {
        if scope.version == Version::HTTP_2 {
            scope.version = Version::HTTP_11;
        }
    });
    assert_breaks(rule::VERSION, with_scope::<Older>()).await;
}

#[tokio::test]
async fn scope_13_every_connection_is_secured() {
    scope_mutant!(Secured, both: |scope| scope.scheme = Scheme::Https);
    assert_breaks(rule::SCHEME, with_scope::<Secured>()).await;
}

#[tokio::test]
async fn scope_14_the_client_has_no_address() {
    scope_mutant!(Nobody, both: |scope| scope.client = None);
    assert_breaks(rule::ADDRESSES, with_scope::<Nobody>()).await;
}

#[tokio::test]
async fn scope_14_the_addresses_are_exchanged() {
    scope_mutant!(Exchanged, |scope| {
        std::mem::swap(&mut scope.client, &mut scope.server);
    });
    assert_breaks(rule::ADDRESSES, with_scope::<Exchanged>()).await;
}

#[tokio::test]
async fn scope_15_the_root_path_is_not_in_the_path() {
    scope_mutant!(Below, both: |scope| {
        let target = scope.uri.to_string();
        if !scope.root_path.is_empty()
            && let Some(below) = target.strip_prefix("/the%25api")
        {
            scope.uri = below.parse().unwrap();
        }
    });
    assert_breaks(rule::ROOT_PATH, with_scope::<Below>()).await;
}

#[tokio::test]
async fn scope_17_a_websocket_has_no_state() {
    scope_mutant!(NoState, http: |_| {}, websocket: |scope| scope.state = State::new());
    assert_breaks(rule::STATE_IS_SHARED, with_scope::<NoState>()).await;
}

#[tokio::test]
async fn scope_18_what_one_puts_in_all_see() {
    #[derive(Default)]
    struct OneState {
        /// The calls for lifespan, whose state is every scope's anyhow.
        lifespans: Vec<Value>,
        /// What has been put into the state of any other scope.
        put: Vec<Value>,
        /// The steps that ask for a state.
        asked: Vec<Value>,
    }
    impl Hearsay for OneState {
        fn commanded(&mut self, command: &Value) {
            match &command["do"] {
                _ if self.lifespans.contains(&command["call"]) => {}
                Value::Object(step) => self.put.extend(step.get("put_state").cloned()),
                step if *step == json!("tell_state") => self.asked.push(command["step"].clone()),
                _ => {}
            }
        }

        fn told(&mut self, told: &mut Value) {
            if told["told"] == "called" && told["scope"]["type"] == "lifespan" {
                self.lifespans.push(told["call"].clone());
            }
            if told["told"] == "done"
                && self.asked.contains(&told["step"])
                && let Value::Array(texts) = &mut told["texts"]
            {
                texts.extend(self.put.iter().cloned());
            }
        }
    }
    let mutant = InProcess {
        hearsay: Some(|| Box::<OneState>::default()),
        ..InProcess::default()
    };
    assert_breaks(rule::STATE_IS_ISOLATED, mutant).await;
}

#[tokio::test]
async fn scope_19_an_extension_is_listed_and_not_offered() {
    scope_mutant!(Listed, |scope| {
        scope.extensions = scope.extensions.with(Extension::Debug);
    });
    assert_breaks(rule::EXTENSIONS_OFFERED, with_scope::<Listed>()).await;
}

#[tokio::test]
async fn scope_19_an_extension_is_offered_and_not_listed() {
    scope_mutant!(Unlisted, |scope| {
        let listed = scope.extensions.iter();
        scope.extensions = listed
            .filter(|extension| *extension != Extension::PathSend)
            .collect();
    });
    assert_breaks(rule::EXTENSIONS_OFFERED, with_scope::<Unlisted>()).await;
}

#[tokio::test]
async fn scope_20_a_request_may_have_no_host() {
    struct AnyHost;
    impl Wire for AnyHost {
        fn to_server(&mut self, octets: Vec<u8>) -> Vec<u8> {
            change_head(octets, |head| {
                let has_host = head.to_ascii_lowercase().contains("\r\nhost:");
                (!has_host).then(|| head.replacen("\r\n", "\r\nhost: any\r\n", 1))
            })
        }
    }
    assert_breaks(rule::HOST_REQUIRED, with_wire(|| Box::new(AnyHost))).await;
}

#[tokio::test]
async fn scope_21_connect_is_served() {
    struct Served;
    impl Wire for Served {
        fn to_server(&mut self, octets: Vec<u8>) -> Vec<u8> {
            change_head(octets, |head| {
                head.starts_with("CONNECT ")
                    .then(|| head.replacen("CONNECT test:80", "GET /", 1))
            })
        }
    }
    assert_breaks(rule::CONNECT_REFUSED, with_wire(|| Box::new(Served))).await;
}

#[tokio::test]
async fn scope_22_subprotocols_are_sorted() {
    scope_mutant!(Sorted, http: |_| {}, websocket: |scope| {
        if scope.version == Version::HTTP_11 {
            scope.subprotocols.sort();
        }
    });
    assert_breaks(rule::SUBPROTOCOLS_OFFERED, with_scope::<Sorted>()).await;
}
