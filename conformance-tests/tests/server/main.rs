//! The server suite: the reference server passes it, and each mutant fails what it breaks and
//! nothing else.

mod hearsay;
mod in_process;
mod mutants;
mod tamper;

use callgate_conformance::{ServerOptions, Verdict, check_server};
use serde_json::Value;

use hearsay::Hearsay;
use in_process::InProcess;

#[tokio::test]
async fn the_reference_server_keeps_every_rule() {
    let report = check_server(&InProcess::default(), &ServerOptions::default(), |_| {}).await;
    let broken: Vec<_> = report.failed().collect();
    assert!(broken.is_empty(), "{report}");
}

#[tokio::test]
async fn a_scope_that_is_malformed_fails_as_that() {
    struct NoSuchVersion;
    impl Hearsay for NoSuchVersion {
        fn told(&mut self, told: &mut Value) {
            if let Some(version) = told.pointer_mut("/scope/http_version") {
                *version = "1".into();
            }
        }
    }
    let server = InProcess {
        hearsay: Some(|| Box::new(NoSuchVersion)),
        ..InProcess::default()
    };
    let mut options = ServerOptions::default();
    options.only = vec!["SCOPE-12".into()];
    let report = check_server(&server, &options, |_| {}).await;
    assert!(!report.findings.is_empty());
    for finding in &report.findings {
        match &finding.verdict {
            Verdict::Failed(failure) => assert!(failure.seen.contains("is malformed"), "{report}"),
            _ => panic!("{report}"),
        }
    }
}
