//! The suite for HTTP on the command line.

use std::net::{Ipv4Addr, TcpListener};

use callgate_conformance::http_checks;

use crate::support::{assert_complains, conformance};

#[test]
fn the_list_has_every_check_with_its_sentence() {
    let done = conformance(&["http", "--list"]);
    assert_eq!((done.stderr.as_str(), done.status), ("", Some(0)));
    assert_eq!(done.stdout.lines().count(), http_checks().count());
    for check in http_checks() {
        let line = format!("{}: {}", check.basis, check.sentence);
        assert!(done.stdout.contains(&line), "{line}");
    }
}

#[test]
fn a_port_without_a_server_is_an_error_with_status_3() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    assert_complains(
        &["http", "--url", &format!("http://{address}")],
        3,
        &format!(
            "cannot check `{address}`: the server refuses the connection: Connection refused (os error 111) (start the server first)"
        ),
    );
}

#[test]
fn an_authority_is_for_an_https_url() {
    let args = ["http", "--url", "http://127.0.0.1:1", "--ca", "ca.pem"];
    assert_complains(&args, 2, "--ca is for an https URL");
}
