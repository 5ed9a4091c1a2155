//! TLS, passwords, and a Redis without sharded pub/sub.

use std::path::PathBuf;

use callgate_channels::{ChannelLayer, Error, Health};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};
use tempfile::TempDir;

use crate::harness::RedisHarness;
use crate::load::{settings, wait};
use crate::server::{RedisServer, free_port};

const PASSWORD: &str = "correct-horse";

/// A Redis with a password that speaks TLS only, and the certificate of its authority.
#[derive(Debug)]
struct Secured {
    server: RedisServer,
    folder: TempDir,
    port: u16,
}

impl Secured {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a directory");
        let file = |name: &str| folder.path().join(name).display().to_string();
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("an authority");
        std::fs::write(file("ca.pem"), issuer.pem()).expect("written");
        let params = CertificateParams::new(["127.0.0.1".to_owned()]).expect("parameters");
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &issuer).expect("signed");
        std::fs::write(file("server.pem"), certificate.pem()).expect("written");
        std::fs::write(file("key.pem"), key.serialize_pem()).expect("written");
        let port = free_port();
        let tls_port = port.to_string();
        let arguments = [
            ("--tls-port", &*tls_port),
            ("--tls-cert-file", &file("server.pem")),
            ("--tls-key-file", &file("key.pem")),
            ("--tls-ca-cert-file", &file("ca.pem")),
            ("--tls-auth-clients", "no"),
        ];
        let arguments: Vec<_> = arguments.into_iter().flat_map(|(a, b)| [a, b]).collect();
        let server = RedisServer::start_on(0, PASSWORD, &arguments).await;
        Self {
            server,
            folder,
            port,
        }
    }

    fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    fn url(&self, password: &str) -> String {
        let authority = self.authority();
        format!(
            "rediss://:{password}@127.0.0.1:{}?ssl_ca_certs={}",
            self.port,
            authority.display()
        )
    }
}

async fn error(url: &str) -> String {
    let connected = ChannelLayer::connect_with(url, settings()).await;
    let error = connected.map(drop).expect_err("not connected");
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    error.to_string()
}

#[tokio::test]
async fn a_redis_over_tls_with_a_password_is_a_backend_that_tells_no_password() {
    let mut secured = Secured::start().await;
    let layer = ChannelLayer::connect_with(&secured.url(PASSWORD), settings()).await;
    let layer = layer.expect("connected");
    let group = layer.group("g");
    let mut subscription = group.subscribe().await.expect("subscribed");
    let number = group.publish("x").await.expect("published");
    let event = subscription.next().await.expect("an event");
    assert_eq!(event.sequence(), number);

    secured.server.kill();
    wait("the outage is known", || !layer.health().is_ready()).await;
    let error = group.publish("x").await.expect_err("no Redis");
    let Health::Unreachable { reason, .. } = layer.health() else {
        panic!("unreachable was expected");
    };
    let told = format!("{layer:?} {group:?} {subscription:?} {error} {error:?} {reason}");
    assert!(!told.contains(PASSWORD), "{told}");
}

#[tokio::test]
async fn ch_29_a_wrong_password_or_certificate_is_one_line_without_the_password() {
    let secured = Secured::start().await;
    let target = format!("cannot reach redis at 127.0.0.1:{}: ", secured.port);
    let message = error(&secured.url("wrong-horse")).await;
    let expected = format!("{target}WRONGPASS invalid username-password pair or user is disabled.");
    assert_eq!(message, expected);
    let without = format!("rediss://:{PASSWORD}@127.0.0.1:{}", secured.port);
    let message = error(&without).await;
    assert_eq!(
        message,
        format!("{target}invalid peer certificate: UnknownIssuer")
    );
}

#[tokio::test]
async fn the_rules_hold_without_sharded_pubsub() {
    let server = RedisServer::start_with(&["--rename-command", "SPUBLISH", ""]).await;
    callgate_channels::suite_run!(RedisHarness::at(&server.url()));
    let layer = ChannelLayer::connect_with(&server.url(), settings()).await;
    let layer = layer.expect("connected");
    let _subscription = layer.group("g").subscribe().await.expect("subscribed");
    let channels: Vec<String> = server.command(&["PUBSUB", "CHANNELS"]).await;
    assert_eq!(channels, ["{callgate:g}"]);
}
