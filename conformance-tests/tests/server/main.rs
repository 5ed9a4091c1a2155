//! The server suite: the reference server passes it, and each mutant fails what it breaks and
//! nothing else.

mod hearsay;
mod in_process;
mod mutants;
mod tamper;

use callgate_conformance::{ServerOptions, check_server};

use in_process::InProcess;

#[tokio::test]
async fn the_reference_server_keeps_every_rule() {
    let report = check_server(&InProcess::default(), &ServerOptions::default(), |_| {}).await;
    let broken: Vec<_> = report.failed().collect();
    assert!(broken.is_empty(), "{report}");
}
