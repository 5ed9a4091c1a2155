//! The server suite: the reference server passes it, and each mutant fails what it breaks and
//! nothing else.

mod connection_filter;
mod in_process;
mod interceptor;
mod message_filter;
mod mutants;
mod proxy;

use std::collections::HashSet;
use std::time::Duration;

use callgate::{Channel, Scope, SendError, SendEvent, SendProgress, rule};
use callgate_conformance::{
    Basis, ClientTls, Report, ServerOptions, Verdict, basis_of, check_server, server_checks,
};
use callgate_server::config::HttpVersions;
use http::Version;
use serde_json::Value;
use tokio::sync::Notify;

use connection_filter::{ConnectionFilter, find, is_handshake, replace};
use in_process::InProcess;
use interceptor::{Interceptor, intercepted};
use message_filter::MessageFilter;

#[tokio::test]
async fn the_reference_server_keeps_every_rule() {
    let report = check_server(&InProcess::default(), &ServerOptions::default(), |_| {}).await;
    let broken: Vec<_> = report.failed().collect();
    assert!(broken.is_empty(), "{report}");
}

#[tokio::test]
async fn the_reference_server_keeps_every_rule_over_tls() {
    let mut options = ServerOptions::default();
    options.tls = Some(ClientTls::with_own_certificates().unwrap());
    let report = check_server(&InProcess::default(), &options, |_| {}).await;
    let broken: Vec<_> = report.failed().collect();
    assert!(broken.is_empty(), "{report}");
    let passed = report
        .findings
        .iter()
        .filter(|finding| matches!(finding.verdict, Verdict::Passed));
    let passed: HashSet<_> = passed.map(|finding| finding.check.rule.id).collect();
    for rule in ["TLS-01", "TLS-02", "TLS-03", "TLS-04"] {
        assert!(passed.contains(rule), "{rule}: {report}");
    }
}

#[tokio::test]
async fn the_model_finds_rules_that_a_case_does_not_check() {
    /// Takes requests with a query for those of another version.
    struct Newer;
    impl Interceptor for Newer {
        fn scope(&self, scope: &mut Scope) {
            if let Scope::Http(scope) = scope
                && scope.uri.query().is_some()
            {
                scope.version = Version::HTTP_3;
            }
        }
    }
    let server = InProcess {
        app: Some(Box::new(|probe| intercepted(probe, || Newer))),
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
    // The model is not asked about a server of ASGI.
    options.asgi = true;
    let report = check_server(&server, &options, |_| {}).await;
    assert_eq!(report.failed().count(), 0, "{report}");
}

#[tokio::test]
async fn a_server_of_asgi_is_not_blamed_where_the_rfcs_leave_a_choice() {
    /// Skips the lines in front of the first field that begin with a space, and answers 413 where a
    /// length is too large for it.
    #[derive(Default)]
    struct Lenient {
        is_too_large: bool,
    }
    impl ConnectionFilter for Lenient {
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
        connection_filter: Some(|| Box::new(Lenient::default())),
        ..InProcess::default()
    };
    let mut options = ServerOptions::default();
    options.only = vec![rule::MALFORMED_REQUEST.id.into()];
    // Cases wait this long for an unexpected call.
    options.timeout = Duration::from_secs(2);
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

/// Returns a server whose scopes have a version of HTTP that there is not.
fn with_malformed_version() -> InProcess {
    struct NoSuchVersion;
    impl MessageFilter for NoSuchVersion {
        fn message(&mut self, message: &mut Value) {
            if let Some(version) = message.pointer_mut("/scope/http_version") {
                *version = "1".into();
            }
        }
    }
    InProcess {
        message_filter: Some(|| Box::new(NoSuchVersion)),
        ..InProcess::default()
    }
}

#[tokio::test]
async fn a_scope_that_is_malformed_fails_as_that() {
    let server = with_malformed_version();
    let mut options = ServerOptions::default();
    options.only = vec!["SCOPE-12".into()];
    let report = check_server(&server, &options, |_| {}).await;
    assert!(!report.findings.is_empty());
    for finding in &report.findings {
        match &finding.verdict {
            // The error comes before the scope, which is long.
            Verdict::Failed(failure) => {
                let wrong = "the scope is malformed: unknown HTTP version `1`";
                assert!(failure.seen.starts_with(wrong), "{report}");
            }
            _ => panic!("{report}"),
        }
    }
}

#[tokio::test]
async fn an_event_that_is_malformed_fails_as_that() {
    /// Gives WebSockets that the client closes no code.
    struct NoCode;
    impl MessageFilter for NoCode {
        fn message(&mut self, message: &mut Value) {
            if let Some(code) = message.pointer_mut("/event/code") {
                *code = Value::Null;
            }
        }
    }
    let server = InProcess {
        message_filter: Some(|| Box::new(NoCode)),
        ..InProcess::default()
    };
    let mut options = ServerOptions::default();
    options.cases = vec!["the_client_closes_without_a_code".into()];
    let report = check_server(&server, &options, |_| {}).await;
    let failed: Vec<_> = report.failed().collect();
    assert_eq!(failed.len(), 1, "{report}");
    let Verdict::Failed(failure) = &failed[0].verdict else {
        panic!("{report}");
    };
    let wrong = "the event is malformed: ";
    assert!(failure.seen.starts_with(wrong), "{report}");
    let event = r#"{"code":null,"reason":"","type":"websocket.disconnect"}"#;
    assert!(failure.seen.ends_with(event), "{report}");
}

#[tokio::test]
async fn a_send_of_a_close_may_wait_for_the_end_of_the_client() {
    static CLIENT_ENDED: Notify = Notify::const_new();

    struct ClosesSlowly;
    impl Interceptor for ClosesSlowly {
        fn start_send(
            &self,
            server: &dyn Channel,
            event: SendEvent,
        ) -> Result<SendProgress, SendError> {
            let is_close = matches!(event, SendEvent::WebSocketClose(_));
            let sent = server.start_send(event)?;
            Ok(match is_close {
                true => SendProgress::Pending(Box::pin(async {
                    CLIENT_ENDED.notified().await;
                    Ok(())
                })),
                false => sent,
            })
        }
    }

    #[derive(Default)]
    struct SeesTheEnd {
        is_websocket: bool,
    }
    impl ConnectionFilter for SeesTheEnd {
        fn to_server(&mut self, octets: Vec<u8>) -> Vec<u8> {
            self.is_websocket |= is_handshake(&octets);
            octets
        }

        fn passes_end(&mut self) -> bool {
            if self.is_websocket {
                CLIENT_ENDED.notify_one();
            }
            true
        }
    }

    let server = InProcess {
        app: Some(Box::new(|probe| intercepted(probe, || ClosesSlowly))),
        connection_filter: Some(|| Box::new(SeesTheEnd::default())),
        ..InProcess::default()
    };
    let mut options = ServerOptions::default();
    options.cases = vec!["the_application_closes".into()];
    let report = check_server(&server, &options, |_| {}).await;
    let verdicts = report.findings.iter().map(|finding| &finding.verdict);
    let verdicts: Vec<_> = verdicts.collect();
    assert!(matches!(verdicts[..], [Verdict::Passed]), "{report}");
}

#[test]
fn every_check_has_a_name_of_its_own() {
    let mut names: Vec<_> = server_checks().map(|check| check.name).collect();
    names.sort_unstable();
    let repeated: Vec<_> = names.windows(2).filter(|pair| pair[0] == pair[1]).collect();
    assert!(repeated.is_empty(), "{repeated:?}");
}

#[test]
fn every_check_cites_a_standard_or_gives_a_reason() {
    for check in server_checks() {
        let is_explained = match basis_of(check) {
            Some(Basis::Standard(cited)) => !cited.is_empty(),
            Some(Basis::CallgateOnly(why)) => !why.is_empty(),
            None => false,
        };
        assert!(is_explained, "{}", check.name);
    }
}

/// Returns the report of the reference server on these rules, as if it were a server of ASGI.
async fn asgi_report(rules: &[&rule::Rule], server: InProcess) -> Report {
    let mut options = ServerOptions::default();
    options.only = rules.iter().map(|rule| rule.id.into()).collect();
    options.asgi = true;
    check_server(&server, &options, |_| {}).await
}

#[tokio::test]
async fn a_server_of_asgi_may_send_the_start_before_the_first_body_event() {
    let report = asgi_report(&[rule::START_IS_HELD], InProcess::default()).await;
    assert!(!report.findings.is_empty());
    for finding in &report.findings {
        assert!(
            matches!(finding.verdict, Verdict::NotDemanded(_)),
            "{report}"
        );
    }
}

#[tokio::test]
async fn a_malformed_scope_counts_once_against_a_server_of_asgi() {
    let server = with_malformed_version();
    let report = asgi_report(&[rule::ONE_CALL, rule::VERSION], server).await;
    let broken: Vec<_> = report.broken_rules();
    assert_eq!(broken, [rule::VERSION], "{report}");
}

#[tokio::test]
async fn fields_of_an_accept_are_not_checked_of_a_server_of_an_earlier_version() {
    struct Version20;
    impl MessageFilter for Version20 {
        fn message(&mut self, message: &mut Value) {
            if message["message"] == "called" {
                message["spec_version"] = "2.0".into();
            }
        }
    }
    let server = InProcess {
        message_filter: Some(|| Box::new(Version20)),
        ..InProcess::default()
    };
    let report = asgi_report(&[rule::ACCEPT_HEADERS_KEPT], server).await;
    for finding in &report.findings {
        assert!(
            matches!(finding.verdict, Verdict::NotApplicable(_)),
            "{report}"
        );
    }
    let report = asgi_report(&[rule::ACCEPT_HEADERS_KEPT], InProcess::default()).await;
    for finding in &report.findings {
        assert!(matches!(finding.verdict, Verdict::Passed), "{report}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_negotiate_http2_has_refused_no_certificate() {
    let server = InProcess {
        config: Some(|config| config.http.versions = HttpVersions::Http1),
        ..InProcess::default()
    };
    let mut options = ServerOptions::default();
    options.only = vec![rule::TLS_CLIENT_ERROR.id.into()];
    options.tls = Some(ClientTls::with_own_certificates().unwrap());
    let report = check_server(&server, &options, |_| {}).await;
    let verdict = |name| {
        let finding = report.findings.iter().find(|it| it.check.name == name);
        &finding.unwrap().verdict
    };
    let over_http1 = verdict("an_expired_client_certificate");
    assert!(matches!(over_http1, Verdict::Passed), "{report}");
    let over_http2 = verdict("an_expired_client_certificate_over_http2");
    assert!(matches!(over_http2, Verdict::NotApplicable(_)), "{report}");
}

#[tokio::test]
async fn only_the_named_cases_are_run() {
    let mut options = ServerOptions::default();
    options.cases = vec!["a_date_by_default".into()];
    let report = check_server(&InProcess::default(), &options, |_| {}).await;
    let names: Vec<_> = report
        .findings
        .iter()
        .map(|finding| finding.check.name)
        .collect();
    assert_eq!(names, ["a_date_by_default"]);
}
