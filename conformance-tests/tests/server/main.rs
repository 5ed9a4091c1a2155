//! The server suite: the reference server passes it, and each mutant fails what it breaks and
//! nothing else.

mod hearsay;
mod in_process;
mod mutants;
mod tamper;

use std::time::Duration;

use callgate::{Scope, rule};
use callgate_conformance::{ServerOptions, Verdict, check_server};
use http::Version;
use serde_json::Value;

use hearsay::Hearsay;
use in_process::InProcess;
use tamper::{Between, Wire, between, find, replace};

#[tokio::test]
async fn the_reference_server_keeps_every_rule() {
    let report = check_server(&InProcess::default(), &ServerOptions::default(), |_| {}).await;
    let broken: Vec<_> = report.failed().collect();
    assert!(broken.is_empty(), "{report}");
}

#[tokio::test]
async fn what_a_server_breaks_beside_the_point_of_a_case_is_found_by_the_model() {
    /// Takes requests with a query for those of another version.
    struct Newer;
    impl Between for Newer {
        fn scope(&self, scope: &mut Scope) {
            if let Scope::Http(scope) = scope
                && scope.uri.query().is_some()
            {
                scope.version = Version::HTTP_3;
            }
        }
    }
    let server = InProcess {
        app: Some(Box::new(|probe| between(probe, || Newer))),
        ..InProcess::default()
    };
    let mut options = ServerOptions::default();
    options.only = vec![rule::RAW_QUERY.id.into(), rule::VERSION.id.into()];
    let report = check_server(&server, &options, |_| {}).await;
    let failed: Vec<_> = report
        .failed()
        .map(|finding| (finding.check.rule, finding.check.name))
        .collect();
    assert_eq!(failed, [(rule::VERSION, "the_query")], "{report}");
    // What ASGI and Callgate share is up to the cases.
    options.asgi = true;
    let report = check_server(&server, &options, |_| {}).await;
    assert_eq!(report.failed().count(), 0, "{report}");
}

#[tokio::test]
async fn a_server_of_asgi_is_not_blamed_for_what_the_rfcs_leave_open() {
    /// Skips the lines in front of the first field that begin with a space, and answers 413 where a
    /// length is too large for it.
    #[derive(Default)]
    struct Lenient {
        is_too_large: bool,
    }
    impl Wire for Lenient {
        fn to_server(&mut self, octets: Vec<u8>) -> Vec<u8> {
            self.is_too_large |= find(&octets, "content-length: 99999999999999999999").is_some();
            replace(&octets, " x: a\r\nhost: ", "host: ")
        }

        fn to_client(&mut self, octets: Vec<u8>) -> Vec<u8> {
            match self.is_too_large {
                true => replace(&octets, "400 Bad Request", "413 Content Too Large"),
                false => octets,
            }
        }
    }
    let server = InProcess {
        wire: Some(|| Box::new(Lenient::default())),
        ..InProcess::default()
    };
    let mut options = ServerOptions::default();
    options.only = vec![rule::MALFORMED_REQUEST.id.into()];
    // A call that is not expected is waited out.
    options.patience = Duration::from_secs(2);
    options.asgi = true;
    let report = check_server(&server, &options, |_| {}).await;
    assert_eq!(report.failed().count(), 0, "{report}");
    // Callgate leaves neither open.
    options.asgi = false;
    let report = check_server(&server, &options, |_| {}).await;
    let failed: Vec<_> = report.failed().map(|finding| finding.check.name).collect();
    let expected = ["a_space_before_the_first_field", "a_length_beyond_64_bits"];
    assert_eq!(failed, expected, "{report}");
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
            // What is wrong comes first: the scope is long.
            Verdict::Failed(failure) => {
                let wrong = "the scope is malformed: unknown HTTP version `1`";
                assert!(failure.seen.starts_with(wrong), "{report}");
            }
            _ => panic!("{report}"),
        }
    }
}
