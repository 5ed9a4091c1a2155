//! For each rule an application that breaks this rule and no other.

mod core;
mod others;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use callgate::{AppError, BoxApp, HttpResponseBody, HttpResponseStart, Receiver, Scope, Sender};
use callgate_conformance::{app_checks, app_rules, check_app};

use crate::support::{http, ids, options};

type Mutant = (
    &'static str,
    &'static str,
    Box<dyn Fn() -> BoxApp + Send + Sync>,
);

macro_rules! mutants {
    ($($id:literal $name:ident: $app:expr;)+) => {
        pub(super) fn all() -> Vec<crate::mutants::Mutant> {
            vec![$(($id, stringify!($name), Box::new(|| BoxApp::new($app)))),+]
        }
    };
}

use mutants;

/// Makes an application from the body of an `async` block.
macro_rules! app {
    (|$scope:ident, $receiver:ident, $sender:ident| $body:expr) => {
        |$scope: Scope, #[allow(unused_mut)] mut $receiver: Receiver, $sender: Sender| async move {
            let _ = (&$scope, &$receiver, &$sender);
            #[allow(unreachable_code)]
            {
                $body;
                Ok::<(), AppError>(())
            }
        }
    };
}
use app;

pub(crate) async fn start_twice(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
    http(scope)?;
    sender.send(HttpResponseStart::ok()).await?;
    sender.send(HttpResponseStart::ok()).await?;
    sender.send(HttpResponseBody::end()).await?;
    Ok(())
}

fn all() -> Vec<Mutant> {
    core::all().into_iter().chain(others::all()).collect()
}

#[test]
fn each_check_is_failed_by_a_mutant_that_is_reported_for_its_rule_and_no_other() {
    // Most mutants wait for a time-out, so several are checked at once.
    const AT_ONCE: usize = 8;
    let wrong = Mutex::new(Vec::new());
    // The mutants of this check are in `tests/memory.rs`, because nothing may run beside them.
    let failed = Mutex::new(HashSet::from([("CORE-22", "any_call")]));
    let mutants = Mutex::new(all().into_iter());
    let next = || mutants.lock().unwrap().next();
    let check = || {
        while let Some((id, name, make)) = next() {
            let report = check_app(
                move || Arc::new(make()),
                options().name(name).mounts_probe_at("/probe"),
            );
            if ids(&report) != [id] {
                let text = format!("{name} breaks {id}; reported: {report}");
                wrong.lock().unwrap().push(text);
            }
            let findings = report.failed();
            let checks = findings.map(|finding| (finding.check.rule.id, finding.check.name));
            failed.lock().unwrap().extend(checks);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(check);
        }
    });
    let (wrong, failed) = (wrong.into_inner().unwrap(), failed.into_inner().unwrap());
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    let unfailed: Vec<_> = app_checks()
        .map(|check| (check.rule.id, check.name))
        .filter(|check| !failed.contains(check))
        .collect();
    assert!(unfailed.is_empty(), "no mutant fails {unfailed:?}");
}

#[test]
fn each_rule_of_applications_has_a_mutant() {
    let broken: HashSet<_> = all().into_iter().map(|(id, ..)| id).collect();
    let rules: HashSet<_> = app_rules().map(|rule| rule.id).collect();
    assert_eq!(broken, rules);
}
