//! TLS, passwords, and a Redis without sharded pub/sub.

use callgate_channels::{ChannelLayer, Error, Health};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};
use tempfile::TempDir;

use crate::harness::RedisHarness;
use crate::load::{settings, wait};
use crate::server::{RedisServer, free_port};

const PASSWORD: &str = "correct-horse";

/// A Redis with a password that speaks TLS only.
#[derive(Debug)]
struct Secured {
    server: RedisServer,
    certificates: Certificates,
    port: u16,
}

/// The files of an authority, and of a certificate of the loopback interface.
#[derive(Debug)]
struct Certificates {
    folder: TempDir,
}

impl Certificates {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a directory");
        let file = |name: &str| folder.path().join(name);
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
        Self { folder }
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Starts a Redis that speaks TLS on a port, and listens on no other.
    async fn start(&self, port: u16, more: &[&str]) -> RedisServer {
        let files = ["server.pem", "key.pem", "ca.pem"].map(|name| self.file(name));
        let port = port.to_string();
        let arguments = [
            ["--tls-port", &port],
            ["--tls-cert-file", &files[0]],
            ["--tls-key-file", &files[1]],
            ["--tls-ca-cert-file", &files[2]],
            ["--tls-auth-clients", "no"],
        ];
        let arguments = [more, arguments.as_flattened()].concat();
        RedisServer::start_on(0, PASSWORD, &arguments).await
    }
}

impl Secured {
    async fn start() -> Self {
        Self::start_with(&[]).await
    }

    async fn start_with(arguments: &[&str]) -> Self {
        let (certificates, port) = (Certificates::new(), free_port());
        let server = certificates.start(port, arguments).await;
        Self {
            server,
            certificates,
            port,
        }
    }

    fn url(&self, password: &str) -> String {
        let authority = self.certificates.file("ca.pem");
        let port = self.port;
        format!("rediss://:{password}@127.0.0.1:{port}?ssl_ca_certs={authority}")
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

async fn publish(url: &str) {
    let layer = ChannelLayer::connect_with(url, settings()).await;
    let group = layer.expect("connected").group("g");
    let mut subscription = group.subscribe().await.expect("subscribed");
    let number = group.publish("x").await.expect("published");
    let event = subscription.next().await.expect("an event");
    assert_eq!(event.sequence(), number);
}

#[tokio::test]
async fn a_cluster_over_tls_is_a_backend() {
    let bus = free_port().to_string();
    let arguments = [
        ["--cluster-enabled", "yes"],
        ["--cluster-port", &bus],
        ["--tls-cluster", "yes"],
    ];
    let secured = Secured::start_with(arguments.as_flattened()).await;
    let words = ["CLUSTER", "ADDSLOTSRANGE", "0", "16383"];
    secured.server.command::<()>(&words).await;
    crate::sentinel::wait("the cluster serves", async || {
        let info: String = secured.server.command(&["CLUSTER", "INFO"]).await;
        info.contains("cluster_state:ok")
    })
    .await;
    let url = secured.url(PASSWORD);
    publish(&url.replace("rediss://", "rediss+cluster://")).await;
}

#[tokio::test]
async fn a_master_of_sentinels_over_tls_is_a_backend() {
    let master = Secured::start().await;
    let file = master.certificates.file("sentinel.conf");
    let configuration = format!(
        "sentinel monitor main 127.0.0.1 {} 1\nsentinel auth-pass main {PASSWORD}\n",
        master.port
    );
    std::fs::write(&file, configuration).expect("written");
    let port = free_port();
    let arguments = [&*file, "--sentinel", "--tls-replication", "yes"];
    let _sentinel = master.certificates.start(port, &arguments).await;
    let authority = master.certificates.file("ca.pem");
    let url = format!(
        "rediss+sentinel://:{PASSWORD}@127.0.0.1:{port}/main\
         ?ssl_ca_certs={authority}&sentinel_password={PASSWORD}"
    );
    publish(&url).await;
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
