//! The OCSP responses that a server presents with its certificate.

use callgate_server::Config;
use rcgen::SerialNumber;

use crate::support::tls::{AnyCertificate, Authority, connect};
use crate::support::{Server, says};
use crate::tls_certificates::assert_refused;

/// The answer of `openssl ocsp` for a certificate with the serial number 7, until the year 2126.
const RESPONSE: &[u8] = include_bytes!("ocsp.der");

/// The end of its time.
const END: &[u8] = b"21261103171357Z";

/// A response whose status is `tryLater` (RFC 6960, 4.2.1).
const TRY_LATER: &[u8] = &[0x30, 3, 0x0a, 1, 3];

/// Returns the configuration of a server with a certificate of this serial number and this OCSP response.
fn config(authority: &Authority, serial: u64, response: &[u8]) -> Config {
    let pair = authority.issue_with("a.test", |params| {
        params.serial_number = Some(SerialNumber::from(serial));
    });
    let (certfile, keyfile) = authority.write("server", &pair);
    let mut config = crate::support::config();
    config.tls.certfile = vec![certfile];
    config.tls.keyfile = vec![keyfile];
    config.tls.ocspfile = vec![authority.file("server.ocsp", response)];
    config
}

/// Returns the response with another end of its time.
fn response_until(end: &[u8]) -> Vec<u8> {
    let at = RESPONSE.windows(END.len()).position(|part| part == END);
    let mut response = RESPONSE.to_vec();
    response[at.unwrap()..][..END.len()].copy_from_slice(end);
    response
}

/// Returns the OCSP response that a new connection gets; an empty one for none.
async fn presented(server: &Server, authority: &Authority) -> Vec<u8> {
    let (client, verifier) = AnyCertificate::client(authority);
    connect(server, client, "a.test").await.unwrap();
    verifier.ocsp_response()
}

#[tokio::test]
async fn a_response_is_presented_unless_it_is_out_of_date_and_is_read_again_with_the_certificates()
{
    let authority = Authority::new();
    let out_of_date = response_until(b"20061103171357Z");
    let server = Server::with(config(&authority, 7, &out_of_date), says("hello"));
    assert_eq!(presented(&server, &authority).await, b"");
    authority.file("server.ocsp", RESPONSE);
    server.reload_certificates().unwrap();
    assert_eq!(presented(&server, &authority).await, RESPONSE);
    authority.file("server.ocsp", "");
    let error = server.reload_certificates().unwrap_err().to_string();
    assert!(error.contains("no successful OCSP response"), "{error}");
    assert_eq!(presented(&server, &authority).await, RESPONSE);
    server.finish().await;
}

#[tokio::test]
async fn each_certificate_has_its_own_response() {
    let authority = Authority::new();
    let mut config = config(&authority, 7, RESPONSE);
    let pair = authority.issue_with("b.test", |params| {
        params.serial_number = Some(SerialNumber::from(7_u64));
    });
    let (certfile, keyfile) = authority.write("other", &pair);
    config.tls.certfile.insert(0, certfile);
    config.tls.keyfile.insert(0, keyfile);
    let out_of_date = response_until(b"20061103171357Z");
    let ocspfile = authority.file("other.ocsp", out_of_date);
    config.tls.ocspfile.insert(0, ocspfile);
    let server = Server::with(config, says("hello"));
    assert_eq!(presented(&server, &authority).await, RESPONSE);
    server.finish().await;
}

#[tokio::test]
async fn a_file_without_a_response_for_the_certificate_is_an_error_that_says_what_to_do() {
    let authority = Authority::new();
    let cut = &RESPONSE[..RESPONSE.len() - 1];
    // The octets before it are the heads of the response and of its status.
    let mut with_error = RESPONSE.to_vec();
    assert_eq!(with_error[4..7], [0x0a, 1, 0]);
    with_error[6] = 3;
    for response in [
        &b""[..],
        TRY_LATER,
        cut,
        &with_error,
        b"-----BEGIN OCSP RESPONSE-----",
    ] {
        let config = config(&authority, 7, response);
        assert_refused(config, "server.ocsp has no successful OCSP response as DER").await;
    }
    let config = config(&authority, 8, RESPONSE);
    assert_refused(config, "is not for the certificate in").await;
}
