//! The header fields of trusted proxies: a conclusion has a valid host and a path, and the fields that are
//! written from a conclusion lead to the same conclusion.
//!
//! The first octet chooses the family. Each line behind it is a field line: the first octet of the line
//! chooses its name.

#![no_main]

#[allow(dead_code, unused_imports)]
#[path = "../../src/proxy/mod.rs"]
mod proxy;

use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use libfuzzer_sys::fuzz_target;
use proxy::{
    Conclusion, ProxyHeaderFamily, TrustedPeers, conclude, is_proxy_field, remove_proxy_fields,
};

const NAMES: [&str; 6] = [
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "forwarded",
];

fuzz_target!(|input: &[u8]| {
    let Some((first, lines)) = input.split_first() else {
        return;
    };
    let family = match first % 2 {
        0 => ProxyHeaderFamily::XForwarded,
        _ => ProxyHeaderFamily::Forwarded,
    };
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("test.example"));
    for line in lines.split(|octet| *octet == b'\n') {
        let Some((name, value)) = line.split_first() else {
            continue;
        };
        let name = HeaderName::from_static(NAMES[usize::from(*name) % NAMES.len()]);
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(name, value);
        }
    }
    let trusted = TrustedPeers::default();
    let conclusion = conclude(&headers, family, &trusted);
    if let Ok(conclusion) = conclusion {
        check(&conclusion);
        let written = write(&conclusion);
        let again = conclude(&written, ProxyHeaderFamily::XForwarded, &trusted);
        assert_eq!(again.as_ref(), Ok(&conclusion), "{written:?}");
        let everyone: TrustedPeers = "*".parse().unwrap();
        let _ = conclude(&headers, family, &everyone);
    }
    for kept in [None, Some(family)] {
        let mut left = headers.clone();
        remove_proxy_fields(&mut left, kept);
        let is_forwarded = |name: &HeaderName| name == http::header::FORWARDED;
        assert!(
            left.keys()
                .filter(|name| is_proxy_field(name))
                .all(|name| match kept {
                    None => false,
                    Some(ProxyHeaderFamily::XForwarded) => !is_forwarded(name),
                    Some(ProxyHeaderFamily::Forwarded) => is_forwarded(name),
                })
        );
        assert!(left.contains_key("host"));
    }
});

fn check(conclusion: &Conclusion) {
    if let Some(host) = &conclusion.host {
        let uri: Uri = format!("http://{}/", host.to_str().unwrap())
            .parse()
            .unwrap();
        assert_eq!(uri.authority().unwrap().as_str(), host.to_str().unwrap());
    }
    if let Some(prefix) = &conclusion.prefix {
        let path = format!("{}/", prefix.raw);
        let uri: Uri = path.parse().unwrap();
        assert_eq!(uri.path(), path);
        assert!(!path.contains("//") && !prefix.decoded.contains("//"));
        assert!(!prefix.decoded.contains(char::is_control));
    }
}

/// Writes a conclusion as the fields of a proxy.
fn write(conclusion: &Conclusion) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut set = |name: &'static str, value: &str| {
        headers.insert(name, HeaderValue::try_from(value).unwrap());
    };
    match conclusion.client {
        Some(Some(client)) => set("x-forwarded-for", &client.to_string()),
        Some(None) => set("x-forwarded-for", "unknown"),
        None => {}
    }
    if let Some(scheme) = conclusion.scheme {
        set("x-forwarded-proto", scheme.as_str());
    }
    if let Some(host) = &conclusion.host {
        set("x-forwarded-host", host.to_str().unwrap());
    }
    if let Some(prefix) = &conclusion.prefix {
        set("x-forwarded-prefix", &format!("{}/", prefix.raw));
    }
    headers
}
