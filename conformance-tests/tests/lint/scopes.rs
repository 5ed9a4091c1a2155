//! Scopes that break a rule.

use std::sync::Arc;

use callgate::{AppError, Feature, Features, HttpScope, Receiver, Scheme, Scope, Sender, TlsInfo};
use http::{HeaderValue, Method, Version};

use crate::support::{Server, get, reported_rules, websocket};

/// Returns scopes that break one rule each.
fn scopes() -> Vec<(&'static str, Scope)> {
    let with = |change: &dyn Fn(&mut HttpScope)| {
        let mut scope = get();
        change(&mut scope);
        Scope::from(scope)
    };
    let value = HeaderValue::from_static;
    let secured = |tls: TlsInfo| {
        with(&|scope| {
            scope.scheme = Scheme::Https;
            scope.features = Features::NONE.with(Feature::Tls);
            scope.tls = Some(Arc::new(tls.clone()));
        })
    };
    let mut old_tls = TlsInfo::default();
    old_tls.tls_version = Some(13);
    let mut chain = TlsInfo::default();
    chain.client_cert_chain = vec!["MIIB".to_owned()];
    let mut subprotocols = websocket();
    subprotocols
        .headers
        .insert("sec-websocket-protocol", value("a, b"));
    subprotocols.subprotocols = vec!["b".into(), "a".into()];
    let mut version = websocket();
    version.headers.insert("sec-websocket-version", value("8"));
    let mut trailers = websocket();
    trailers.features = Features::NONE.with(Feature::ResponseTrailers);
    trailers.version = Version::HTTP_2;
    vec![
        (
            "SCOPE-02",
            with(&|scope| scope.uri = "http://localhost/".parse().unwrap()),
        ),
        ("SCOPE-04", with(&|scope| scope.uri = "*".parse().unwrap())),
        (
            "SCOPE-05",
            with(&|scope| scope.uri = "/%zz".parse().unwrap()),
        ),
        (
            "SCOPE-09",
            with(&|scope| {
                scope.version = Version::HTTP_2;
                scope.headers.append("cookie", value("a=1"));
                scope.headers.append("cookie", value("b=2"));
            }),
        ),
        ("SCOPE-12", with(&|scope| scope.version = Version::HTTP_09)),
        ("SCOPE-15", with(&|scope| scope.root_path = "/api".into())),
        ("SCOPE-19", trailers.into()),
        (
            "SCOPE-19",
            with(&|scope| {
                scope.scheme = Scheme::Https;
                scope.features = Features::NONE.with(Feature::Tls);
            }),
        ),
        (
            "SCOPE-20",
            with(&|scope| drop(scope.headers.remove("host"))),
        ),
        ("SCOPE-21", with(&|scope| scope.method = Method::CONNECT)),
        ("SCOPE-22", subprotocols.into()),
        (
            "HTTP-43",
            with(&|scope| {
                scope.headers.append("content-length", value("0"));
                scope.headers.append("content-length", value("1"));
            }),
        ),
        (
            "HTTP-45",
            with(&|scope| drop(scope.headers.insert("transfer-encoding", value("gzip")))),
        ),
        ("WS-28", version.into()),
        (
            "EXT-15",
            with(&|scope| {
                scope.features = Features::NONE.with(Feature::ResponseTrailers);
            }),
        ),
        (
            "TLS-01",
            with(&|scope| {
                scope.features = Features::NONE.with(Feature::Tls);
                scope.tls = Some(Arc::default());
            }),
        ),
        ("TLS-02", secured(old_tls)),
        ("TLS-03", secured(chain)),
    ]
}

#[tokio::test]
async fn a_scope_that_breaks_a_rule_is_reported_for_it_and_no_other() {
    for (id, scope) in scopes() {
        let decline = |_: Scope, _: Receiver, _: Sender| async { Err(AppError::Unsupported) };
        let (found, _) = reported_rules(decline, scope.clone(), Server::default()).await;
        assert_eq!(found, [id], "{scope:?}");
    }
}
