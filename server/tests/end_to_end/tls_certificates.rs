//! The certificates of a server: their files, and their reload.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;

#[cfg(feature = "cli")]
use callgate::{AppError, Receiver, Scope, Sender};
use callgate_server::ServeError;
#[cfg(feature = "cli")]
use rustix::process::Signal;
#[cfg(feature = "cli")]
use tokio::net::TcpStream;

#[cfg(feature = "cli")]
use crate::support::process::{Process, is_server, serve};
#[cfg(feature = "cli")]
use crate::support::tls::connect_over;
use crate::support::tls::{AnyCertificate, Authority, Pair, client_trusting, connect};
#[cfg(feature = "cli")]
use crate::support::whole;
use crate::support::{Client, Server, get, says, within};

/// Returns the certificate that a new connection gets.
async fn presented(server: &Server, authority: &Authority) -> Vec<u8> {
    let client = connect(server, authority.client(), "a.test").await.unwrap();
    client.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

#[tokio::test]
async fn changed_certificates_are_taken_without_a_drop_and_bad_pairs_are_refused() {
    let authority = Authority::new();
    let server = Server::with(authority.config("a.test"), says("hello"));
    let first = presented(&server, &authority).await;
    let open = connect(&server, authority.client(), "a.test")
        .await
        .unwrap();
    let next = authority.issue("a.test");
    // Over the files of the first, as a whole.
    authority.replace("server.pem", &next.pem);
    let error = server.reload_certificates().unwrap_err().to_string();
    assert!(error.contains("does not belong"), "{error}");
    assert_eq!(presented(&server, &authority).await, first);
    authority.replace("server.key", &next.key.serialize_pem());
    // The files are watched.
    within(async {
        while presented(&server, &authority).await != next.certificate.to_vec() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let mut open = Client::over(open);
    open.send(get("/")).await;
    assert_eq!(open.response().await.body, "hello");
    drop(open);
    server.finish().await;
}

/// Writes the files of a pair as Kubernetes mounts a secret: into a folder of their own, which the
/// symbolic link `..data` leads to.
fn mount(authority: &Authority, folder: &str, pair: &Pair) {
    let root = authority.folder();
    fs::create_dir(root.join(folder)).unwrap();
    authority.write(&format!("{folder}/tls"), pair);
    symlink(folder, root.join("..data_tmp")).unwrap();
    fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
}

#[tokio::test]
async fn a_secret_that_is_mounted_anew_is_noticed() {
    let authority = Authority::new();
    mount(&authority, "..1", &authority.issue("a.test"));
    let mut config = crate::support::config();
    for (name, files) in [
        ("tls.pem", &mut config.tls.certfile),
        ("tls.key", &mut config.tls.keyfile),
    ] {
        let path = authority.folder().join(name);
        symlink(format!("..data/{name}"), &path).unwrap();
        files.push(path);
    }
    let server = Server::with(config, says("hello"));
    presented(&server, &authority).await;
    let next = authority.issue("a.test");
    mount(&authority, "..2", &next);
    within(async {
        while presented(&server, &authority).await != next.certificate.to_vec() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_handle_reloads_certificates() {
    let authority = Authority::new();
    let server = Server::with(authority.config("a.test"), says("hello"));
    presented(&server, &authority).await;
    let next = authority.issue("a.test");
    authority.write("server", &next);
    server.reload_certificates().unwrap();
    assert_eq!(
        presented(&server, &authority).await,
        next.certificate.to_vec()
    );
}

#[tokio::test]
async fn files_that_cannot_be_used_are_errors_that_name_them_and_say_what_to_do() {
    let authority = Authority::new();
    let pair = authority.issue("a.test");
    let expired = authority.issue_with("a.test", |params| {
        params.not_after = rcgen::date_time_ymd(2001, 1, 1);
    });
    let early = authority.issue_with("a.test", |params| {
        params.not_before = rcgen::date_time_ymd(3000, 1, 1);
    });
    let key = pair.key.serialize_pem();
    let other_key = early.key.serialize_pem();
    let legacy = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n";
    for (certificate, key, reason) in [
        ("", key.as_str(), "server.pem has no certificate"),
        (&pair.pem, "", "server.key has no private key"),
        (
            &pair.pem,
            &other_key,
            "server.key does not belong to the certificate in",
        ),
        (&pair.pem, legacy, "openssl pkcs8 -topk8 -in"),
        (
            &expired.pem,
            &expired.key.serialize_pem(),
            "has expired at 2001-01-01",
        ),
        (&early.pem, &other_key, "is not valid before 3000-01-01"),
    ] {
        let mut config = crate::support::config();
        config.tls.certfile = vec![authority.file("server.pem", certificate)];
        config.tls.keyfile = vec![authority.file("server.key", key)];
        assert_refused(config, reason).await;
    }
    let mut config = crate::support::config();
    config.tls.certfile = vec!["/nowhere/server.pem".into()];
    assert_refused(config, "/nowhere/server.pem: there is no such file").await;
}

/// Checks that a server with this configuration does not start, for this reason.
pub(crate) async fn assert_refused(config: callgate_server::Config, reason: &str) {
    let mut server = Server::with(config, says("hello"));
    let error = server.ended().await.unwrap_err();
    assert!(matches!(error, ServeError::Tls(_)), "{error}");
    let line = error.to_string();
    assert!(line.contains(reason), "{line}");
    assert!(!line.contains('\n'), "{line}");
}

/// Made by `openssl genpkey -algorithm ed25519 -aes256 -pass pass:secret`.
const ENCRYPTED_KEY: &str = include_str!("encrypted.key");

#[tokio::test]
async fn an_encrypted_key_needs_its_password() {
    let authority = Authority::new();
    let pair = authority.issue("a.test");
    let with = |password: Option<&str>| {
        let mut config = crate::support::config();
        config.tls.certfile = vec![authority.file("server.pem", &pair.pem)];
        config.tls.keyfile = vec![authority.file("server.key", ENCRYPTED_KEY)];
        config.tls.keyfile_password = password.map(Into::into);
        config
    };
    assert_refused(with(None), "is encrypted; give its password").await;
    assert_refused(with(Some("wrong")), "the password does not open").await;
    // The key is read, and is not the one of this certificate.
    assert_refused(with(Some("secret")), "does not belong").await;
}

#[tokio::test]
async fn a_self_signed_certificate_is_for_this_machine() {
    let authority = Authority::new();
    let mut config = crate::support::config();
    config.tls.self_signed = true;
    let server = Server::with(config, says("hello"));
    let (client, _) = AnyCertificate::client(&authority);
    let client = connect(&server, client, "localhost").await.unwrap();
    let certificate = client.get_ref().1.peer_certificates().unwrap()[0].clone();
    // A client that trusts the certificate checks its names.
    let client = Arc::new(client_trusting(certificate.into_owned()));
    for name in ["localhost", "127.0.0.1", "::1"] {
        connect(&server, client.clone(), name).await.unwrap();
    }
    connect(&server, client, "a.test").await.unwrap_err();
}

#[cfg(feature = "cli")]
async fn serves(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
    scope.into_http()?;
    whole(&sender, "served").await
}

#[cfg(feature = "cli")]
#[tokio::test]
async fn each_address_is_logged_with_its_scheme_and_certificates_are_loaded_again_at_sighup() {
    if is_server() {
        serve(serves);
    }
    let authority = Authority::new();
    let (certfile, keyfile) = authority.write("server", &authority.issue("a.test"));
    let mut process = Process::start(
        "tls_certificates::each_address_is_logged_with_its_scheme_and_certificates_are_loaded_again_at_sighup",
        &[
            ("CALLGATE_SSL_CERTFILE", certfile.to_str().unwrap()),
            ("CALLGATE_SSL_KEYFILE", keyfile.to_str().unwrap()),
            ("CALLGATE_INSECURE_BIND", "127.0.0.1:0"),
            ("CALLGATE_REDIRECT_TO_HTTPS", "true"),
        ],
    );
    let secured = process.line_with("running on https://").await;
    let (_, rest) = secured.split_once("https://").unwrap();
    let (address, _) = rest.split_once(' ').unwrap();
    let (_, port) = address.rsplit_once(':').unwrap();
    let mut client = Client::over(process.request().await);
    let expected = format!("https://test:{port}/");
    let response = client.response().await;
    assert_eq!(response.field("location"), Some(expected.as_str()));
    drop(client);
    // The files are the same, so that nothing but the signal has them read.
    process.signal(Signal::HUP);
    process.line_with("have been loaded again").await;
    let next = authority.issue("a.test");
    authority.write("server", &next);
    process.signal(Signal::HUP);
    process.line_with("have been loaded again").await;
    let stream = within(TcpStream::connect(address)).await.unwrap();
    let client = connect_over(stream, authority.client(), "a.test")
        .await
        .unwrap();
    let presented = &client.get_ref().1.peer_certificates().unwrap()[0];
    assert_eq!(*presented, next.certificate);
    drop(client);
    process.signal(Signal::TERM);
    assert_eq!(process.ended().await.0, Some(0));
}
