//! Mutants of the reference server. For each rule of servers there is one that breaks this rule only.

mod core;
mod core_disconnect;
mod core_sending;
mod feature;
mod feature_deflate;
mod feature_shutdown;
mod http_backpressure;
mod http_connection;
mod http_disconnect;
mod http_expect;
mod http_failure;
mod http_fields;
mod http_request;
mod http_response;
mod http_shutdown;
mod http_smuggling;
mod lifespan;
mod scope;
mod scope_connection;
mod several_rules;
mod tls;
mod tls_behind_proxy;
mod websocket;
mod websocket_end;
mod websocket_handshake;

use std::time::Duration;

use callgate::rule::{self, Role, Rule};
use callgate::{BoxApp, Channel, SendError, SendEvent, SendProgress};
use callgate_conformance::{
    Check, ClientTls, Probe, Report, ServerOptions, check_server, server_checks,
};

use crate::connection_filter::ConnectionFilter;
use crate::in_process::InProcess;
use crate::interceptor::{Interceptor, intercepted};

/// A rule, and cases of it that a mutant fails.
type Failing = (&'static Rule, &'static [&'static str]);

/// The rule that each mutant breaks, file by file, and the cases that show it.
const MUTANTS: &[&[Failing]] = &[
    core::MUTANTS,
    core_disconnect::MUTANTS,
    core_sending::MUTANTS,
    feature::MUTANTS,
    feature_shutdown::MUTANTS,
    feature_deflate::MUTANTS,
    http_backpressure::MUTANTS,
    http_connection::MUTANTS,
    http_disconnect::MUTANTS,
    http_expect::MUTANTS,
    http_failure::MUTANTS,
    http_fields::MUTANTS,
    http_request::MUTANTS,
    http_response::MUTANTS,
    http_shutdown::MUTANTS,
    http_smuggling::MUTANTS,
    lifespan::MUTANTS,
    scope::MUTANTS,
    scope_connection::MUTANTS,
    tls::MUTANTS,
    tls_behind_proxy::MUTANTS,
    websocket::MUTANTS,
    websocket_end::MUTANTS,
    websocket_handshake::MUTANTS,
];

/// Lists each function that makes a mutant, with the rule that the mutant breaks and the cases of that
/// rule that it fails at least. Makes a test of each. A function that is not listed is unused code.
macro_rules! mutants {
    ($($mutant:ident: $rule:ident [$($case:literal),+ $(,)?],)+) => {
        pub(super) const MUTANTS: &[crate::mutants::Failing] =
            &[$((callgate::rule::$rule, &[$($case),+])),+];

        mod breaks {
            $(
                #[tokio::test]
                async fn $mutant() {
                    let failing = (callgate::rule::$rule, &[$($case),+][..]);
                    crate::mutants::assert_breaks(failing, super::$mutant()).await;
                }
            )+
        }
    };
}
use mutants;

/// Asserts that the suite reports exactly this rule for this server, for these cases at least. Over TLS, only
/// the rules of TLS are checked: the cases of the others do not depend on it.
async fn assert_breaks(failing: Failing, mutant: InProcess) {
    let mut options = options(&mutant);
    if options.tls.is_some() {
        options.only = ["TLS-01", "TLS-02", "TLS-03", "TLS-04"]
            .map(Into::into)
            .into();
    }
    let report = check_server(&mutant, &options, |_| {}).await;
    let broken: Vec<_> = report.broken_rules().iter().map(|rule| rule.id).collect();
    assert_eq!(broken, [failing.0.id], "{report}");
    assert_failed(&[failing], &report);
}

/// Asserts that this server fails these cases, and may fail others of their rules.
async fn assert_fails(failing: &[Failing], mutant: InProcess) {
    let mut options = options(&mutant);
    options.only = failing.iter().map(|(rule, _)| rule.id.into()).collect();
    let report = check_server(&mutant, &options, |_| {}).await;
    assert_failed(failing, &report);
}

fn options(mutant: &InProcess) -> ServerOptions {
    let mut options = ServerOptions::default();
    options.tls = mutant.tls.clone();
    // A mutant may never send the event that a case waits for.
    options.timeout = Duration::from_secs(2);
    options
}

fn assert_failed(failing: &[Failing], report: &Report) {
    for (rule, cases) in failing {
        for case in *cases {
            let has_failed = report
                .failed()
                .any(|finding| finding.check.rule == *rule && finding.check.name == *case);
            assert!(has_failed, "{} {case} has not failed: {report}", rule.id);
        }
    }
}

/// Returns a server whose probe is wrapped.
fn with_app(app: impl Fn(Probe) -> BoxApp + 'static) -> InProcess {
    InProcess {
        app: Some(Box::new(app)),
        ..InProcess::default()
    }
}

/// Returns this server, whose clients speak TLS.
fn over_tls(server: InProcess) -> InProcess {
    InProcess {
        tls: Some(ClientTls::with_own_certificates().unwrap()),
        ..server
    }
}

/// Returns a server with this interceptor between it and each call of the probe.
fn with_interceptor<B: Interceptor>(
    make: impl Fn() -> B + Clone + Send + Sync + 'static,
) -> InProcess {
    with_app(move |probe| intercepted(probe, make.clone()))
}

/// Sends events one after the other. Returns the progress of the last one.
fn send_all(
    server: &dyn Channel,
    events: impl IntoIterator<Item = SendEvent>,
) -> Result<SendProgress, SendError> {
    let mut progress = SendProgress::Sent;
    for event in events {
        progress = server.start_send(event)?;
    }
    Ok(progress)
}

/// Returns a server that gets each event of the probe after `change`.
fn with_changed_events(change: fn(&mut SendEvent)) -> InProcess {
    struct Changed(fn(&mut SendEvent));
    impl Interceptor for Changed {
        fn start_send(
            &self,
            server: &dyn Channel,
            mut event: SendEvent,
        ) -> Result<SendProgress, SendError> {
            (self.0)(&mut event);
            server.start_send(event)
        }
    }
    with_interceptor(move || Changed(change))
}

/// Returns a server whose sends have the results that `change` returns for their results.
fn with_changed_results(
    change: fn(Result<SendProgress, SendError>) -> Result<SendProgress, SendError>,
) -> InProcess {
    struct Changed(fn(Result<SendProgress, SendError>) -> Result<SendProgress, SendError>);
    impl Interceptor for Changed {
        fn start_send(
            &self,
            server: &dyn Channel,
            event: SendEvent,
        ) -> Result<SendProgress, SendError> {
            (self.0)(server.start_send(event))
        }
    }
    with_interceptor(move || Changed(change))
}

/// Returns a server with this filter between it and each client.
fn with_connection_filter(filter: fn() -> Box<dyn ConnectionFilter>) -> InProcess {
    InProcess {
        connection_filter: Some(filter),
        ..InProcess::default()
    }
}

/// Returns the IDs of the rules of servers for which `has` does not hold.
fn server_rules_without(has: impl Fn(&Rule) -> bool) -> Vec<&'static str> {
    let rules = rule::all().filter(|rule| rule.role == Role::Server);
    rules
        .filter(|rule| !has(rule))
        .map(|rule| rule.id)
        .collect()
}

#[test]
fn every_rule_of_a_server_has_a_check() {
    let without = server_rules_without(|rule| server_checks().any(|check| check.rule == rule));
    assert!(without.is_empty(), "{without:?}");
}

#[test]
fn every_rule_of_a_server_has_a_mutant() {
    let mutants = MUTANTS.concat();
    let without = server_rules_without(|rule| mutants.iter().any(|(broken, _)| *broken == rule));
    assert!(without.is_empty(), "{without:?}");
}

#[test]
fn every_case_of_a_server_is_failed_by_a_mutant() {
    let failing = [MUTANTS.concat(), several_rules::FAILING.concat()].concat();
    let is_failed = |check: &Check| {
        let mut of_rule = failing.iter().filter(|(rule, _)| *rule == check.rule);
        of_rule.any(|(_, cases)| cases.contains(&check.name))
    };
    let without: Vec<_> = server_checks()
        .filter(|check| !is_failed(check))
        .map(|check| format!("{} {}", check.rule.id, check.name))
        .collect();
    assert!(without.is_empty(), "{without:#?}");
}
