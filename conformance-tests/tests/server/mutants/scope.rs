//! Servers that break the rules checked in `cases/scope.rs` and `cases/scope_fields.rs`.

use callgate::HttpScope;
use http::{HeaderValue, Method, Uri, Version};
use serde_json::{Value, json};

use super::{mutants, with_connection_filter, with_interceptor};
use crate::connection_filter::ConnectionFilter;
use crate::in_process::InProcess;
use crate::message_filter::MessageFilter;

mutants! {
    scope_01_methods_become_upper_case: METHOD_AS_RECEIVED ["methods", "methods_over_http2"],
    scope_02_targets_are_in_absolute_form: ORIGIN_FORM [
        "the_target_is_in_origin_form",
        "a_target_in_absolute_form",
        "the_target_is_in_origin_form_over_http2",
        "the_target_of_a_websocket_is_in_origin_form",
    ],
    scope_03_the_host_of_an_absolute_target_is_ignored: ABSOLUTE_FORM [
        "an_absolute_target_has_the_host",
    ],
    scope_04_the_asterisk_becomes_a_slash: ASTERISK_FORM [
        "the_asterisk",
        "the_asterisk_over_http2",
    ],
    scope_05_broken_escapes_are_mended: BAD_PERCENT_ENCODING ["broken_escapes"],
    scope_06_escaped_slashes_are_decoded: RAW_PATH ["the_path", "the_path_over_http2"],
    scope_06_null_is_not_decoded: RAW_PATH ["the_path", "the_path_over_http2"],
    scope_07_queries_are_decoded: RAW_QUERY [
        "the_query",
        "the_query_over_http2",
        "broken_escapes_in_the_query",
        "broken_escapes_in_the_query_over_http2",
    ],
    scope_08_repeated_fields_are_joined: HEADERS_AS_RECEIVED [
        "the_fields",
        "the_fields_over_http2",
        "the_fields_of_a_websocket",
    ],
    scope_08_names_are_in_upper_case: HEADERS_AS_RECEIVED ["names_in_lower_case"],
    scope_09_cookie_crumbs_stay_apart: COOKIE_CRUMBS ["cookies_over_http2"],
    scope_10_the_authority_is_lost: AUTHORITY_IS_HOST ["the_authority_over_http2"],
    scope_11_pseudo_fields_are_passed: NO_PSEUDO_HEADERS ["pseudo_fields_over_http2"],
    scope_11_a_pseudo_field_loses_its_colon: NO_PSEUDO_HEADERS ["pseudo_fields_over_http2"],
    scope_15_the_root_path_is_not_in_the_path: ROOT_PATH [
        "the_root_path",
        "the_root_path_over_http2",
        "the_root_path_of_a_websocket",
    ],
    scope_20_a_request_may_have_no_host: HOST_REQUIRED ["requests_without_one_host"],
    scope_21_connect_is_served: CONNECT_REFUSED ["connect"],
}

/// Defines a [`Interceptor`](crate::interceptor::Interceptor) that changes the scopes of HTTP requests; `both`, those of WebSockets too.
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
        impl crate::interceptor::Interceptor for $name {
            fn scope(&self, scope: &mut callgate::Scope) {
                let http: fn(&mut callgate::HttpScope) = $http;
                let websocket: fn(&mut callgate::WebSocketScope) = $websocket;
                match scope {
                    callgate::Scope::Http(scope) => http(scope),
                    callgate::Scope::WebSocket(scope) => websocket(scope),
                    _ => {}
                }
            }
        }
    };
}
pub(super) use scope_mutant;

/// Gives the scope a target, which is well-formed.
fn retarget(scope: &mut HttpScope, target: &str) {
    scope.uri = target.parse().unwrap();
}

fn scope_01_methods_become_upper_case() -> InProcess {
    scope_mutant!(UpperCase, |scope| {
        let upper = scope.method.as_str().to_ascii_uppercase();
        scope.method = Method::from_bytes(upper.as_bytes()).unwrap();
    });
    with_interceptor(UpperCase::default)
}

fn scope_02_targets_are_in_absolute_form() -> InProcess {
    scope_mutant!(Absolute, both: |scope| {
        if scope.raw_path().starts_with('/') {
            let mut parts = scope.uri.clone().into_parts();
            parts.scheme = Some(http::uri::Scheme::HTTP);
            parts.authority = Some("test".parse().unwrap());
            scope.uri = Uri::from_parts(parts).unwrap();
        }
    });
    with_interceptor(Absolute::default)
}

fn scope_03_the_host_of_an_absolute_target_is_ignored() -> InProcess {
    struct OriginForm;
    impl ConnectionFilter for OriginForm {
        fn to_server(&mut self, octets: Vec<u8>) -> Vec<u8> {
            change_head(octets, |head| {
                let target = head.split(' ').nth(1)?;
                let path = target.strip_prefix("http://")?;
                let path = path.find('/').map_or("/", |slash| &path[slash..]);
                Some(head.replacen(target, path, 1))
            })
        }
    }
    with_connection_filter(|| Box::new(OriginForm))
}

/// Returns an HTTP/1.1 request with the head that `change` makes of its head.
fn change_head(octets: Vec<u8>, change: impl FnOnce(&str) -> Option<String>) -> Vec<u8> {
    let changed = std::str::from_utf8(&octets)
        .ok()
        .filter(|head| head.contains(" HTTP/1.1\r\n"))
        .and_then(change);
    changed.map_or(octets, String::into_bytes)
}

fn scope_04_the_asterisk_becomes_a_slash() -> InProcess {
    scope_mutant!(Slash, |scope| {
        if scope.raw_path() == "*" {
            retarget(scope, "/");
        }
    });
    with_interceptor(Slash::default)
}

fn scope_05_broken_escapes_are_mended() -> InProcess {
    struct Mend;
    impl ConnectionFilter for Mend {
        fn to_server(&mut self, octets: Vec<u8>) -> Vec<u8> {
            change_head(octets, |head| {
                let target = head.split(' ').nth(1)?;
                let path = target.split('?').next()?;
                Some(head.replacen(path, &mend(path), 1))
            })
        }
    }
    /// Returns the path with each `%` encoded that does not begin an escape.
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
    with_connection_filter(|| Box::new(Mend))
}

fn scope_06_escaped_slashes_are_decoded() -> InProcess {
    scope_mutant!(Slashes, |scope| {
        let path = scope.raw_path();
        let decoded = path.replace("%2f", "/").replace("%2F", "/");
        let target = scope.uri.to_string().replacen(path, &decoded, 1);
        retarget(scope, &target);
    });
    with_interceptor(Slashes::default)
}

fn scope_06_null_is_not_decoded() -> InProcess {
    struct NullEscaped;
    impl MessageFilter for NullEscaped {
        fn message(&mut self, message: &mut Value) {
            if let Some(Value::String(path)) = message.pointer_mut("/scope/path") {
                *path = path.replace("\0", "%00");
            }
        }
    }
    InProcess {
        message_filter: Some(|| Box::new(NullEscaped)),
        ..InProcess::default()
    }
}

fn scope_07_queries_are_decoded() -> InProcess {
    scope_mutant!(Decoded, |scope| {
        let query = scope.query().replace("%41", "A").replace("%zz", "zz");
        let target = format!("{}?{query}", scope.raw_path());
        if !scope.query().is_empty() {
            retarget(scope, &target);
        }
    });
    with_interceptor(Decoded::default)
}

fn scope_08_repeated_fields_are_joined() -> InProcess {
    scope_mutant!(Joined, both: |scope| {
        let names: Vec<_> = scope.headers.keys().cloned().collect();
        for name in names {
            let values: Vec<_> = scope.headers.get_all(&name).iter().collect();
            let values: Vec<_> = values.into_iter().map(HeaderValue::as_bytes).collect();
            let joined = HeaderValue::from_bytes(&values.join(&b", "[..])).unwrap();
            scope.headers.insert(name, joined);
        }
    });
    with_interceptor(Joined::default)
}

fn scope_08_names_are_in_upper_case() -> InProcess {
    struct UpperCaseNames;
    impl MessageFilter for UpperCaseNames {
        fn message(&mut self, message: &mut Value) {
            if let Some(Value::Array(fields)) = message.pointer_mut("/scope/headers") {
                for field in fields {
                    if let Value::String(name) = &mut field[0] {
                        *name = name.to_ascii_uppercase();
                    }
                }
            }
        }
    }
    InProcess {
        message_filter: Some(|| Box::new(UpperCaseNames)),
        ..InProcess::default()
    }
}

fn scope_09_cookie_crumbs_stay_apart() -> InProcess {
    scope_mutant!(Crumbs, |scope| {
        if scope.version == Version::HTTP_2
            && let Some(cookie) = scope.headers.remove("cookie")
        {
            for crumb in cookie.to_str().unwrap().split("; ") {
                scope.headers.append("cookie", crumb.parse().unwrap());
            }
        }
    });
    with_interceptor(Crumbs::default)
}

fn scope_10_the_authority_is_lost() -> InProcess {
    scope_mutant!(NoHost, |scope| {
        if scope.version == Version::HTTP_2 {
            scope.headers.remove("host");
        }
    });
    with_interceptor(NoHost::default)
}

fn scope_11_pseudo_fields_are_passed() -> InProcess {
    struct Pseudo;
    impl MessageFilter for Pseudo {
        fn message(&mut self, message: &mut Value) {
            if message.pointer("/scope/http_version") == Some(&json!("2"))
                && let Some(Value::Array(fields)) = message.pointer_mut("/scope/headers")
            {
                fields.push(json!([":path", "/"]));
            }
        }
    }
    InProcess {
        message_filter: Some(|| Box::new(Pseudo)),
        ..InProcess::default()
    }
}

fn scope_11_a_pseudo_field_loses_its_colon() -> InProcess {
    scope_mutant!(Bare, |scope| {
        if scope.version == Version::HTTP_2 {
            let scheme = HeaderValue::from_static("http");
            scope.headers.insert("scheme", scheme);
        }
    });
    with_interceptor(Bare::default)
}

fn scope_15_the_root_path_is_not_in_the_path() -> InProcess {
    scope_mutant!(Below, both: |scope| {
        let target = scope.uri.to_string();
        if !scope.root_path.is_empty()
            && let Some(below) = target.strip_prefix("/the%25api")
        {
            scope.uri = below.parse().unwrap();
        }
    });
    with_interceptor(Below::default)
}

fn scope_20_a_request_may_have_no_host() -> InProcess {
    struct AnyHost;
    impl ConnectionFilter for AnyHost {
        fn to_server(&mut self, octets: Vec<u8>) -> Vec<u8> {
            change_head(octets, |head| {
                let has_host = head.to_ascii_lowercase().contains("\r\nhost:");
                (!has_host).then(|| head.replacen("\r\n", "\r\nhost: any\r\n", 1))
            })
        }
    }
    with_connection_filter(|| Box::new(AnyHost))
}

fn scope_21_connect_is_served() -> InProcess {
    struct Served;
    impl ConnectionFilter for Served {
        fn to_server(&mut self, octets: Vec<u8>) -> Vec<u8> {
            change_head(octets, |head| {
                head.starts_with("CONNECT ")
                    .then(|| head.replacen("CONNECT test:80", "GET /", 1))
            })
        }
    }
    with_connection_filter(|| Box::new(Served))
}
