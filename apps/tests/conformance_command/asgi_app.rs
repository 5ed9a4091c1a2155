//! The checks of applications of ASGI, in Python.

use serde_json::Value;

use crate::support::{CRATE, Done, conformance_with};

/// Checks an application of `tests/asgi_apps`.
fn check(app: &str, more: &[&str]) -> Done {
    let python = std::env::var("CALLGATE_PYTHON")
        .expect("CALLGATE_PYTHON is not set: run cargo xtask test, which installs it");
    let directory = format!("{CRATE}/tests/asgi_apps");
    let args = ["app", "--asgi", app, "--app-dir", &directory];
    let variables = [
        ("CALLGATE_PYTHON", &*python),
        ("PYTHONDONTWRITEBYTECODE", "1"),
    ];
    conformance_with(&[&args, more].concat(), &variables)
}

/// Returns the findings of a report with this verdict, each as the ID of its rule and the name of its check.
fn findings<'a>(report: &'a Value, verdict: &str) -> Vec<(&'a str, &'a str)> {
    let findings = report["findings"].as_array().unwrap().iter();
    findings
        .filter(|finding| finding["verdict"] == verdict)
        .map(|finding| {
            let text = |key: &str| finding[key].as_str().unwrap();
            (text("rule"), text("check"))
        })
        .collect()
}

#[test]
fn an_application_that_keeps_the_rules_passes_all_that_asgi_shares() {
    let done = check("good:app", &["--format", "json"]);
    assert_eq!((done.stderr.as_str(), done.status), ("", Some(0)));
    let report: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(report["subject"], "good:app");
    assert_eq!(report["gap"], Value::Null);
    // It does not use the extensions of ASGI.
    let skipped = findings(&report, "not applicable");
    assert!(
        skipped.iter().all(|(rule, _)| rule.starts_with("EXT-")),
        "{skipped:?}"
    );
    let not_demanded = findings(&report, "not demanded");
    for rule in ["CORE-18", "CORE-22", "SCOPE-16", "HTTP-16", "EXT-20"] {
        assert!(not_demanded.iter().any(|(id, _)| *id == rule), "{rule}");
    }
}

#[test]
fn what_only_callgate_demands_is_listed_with_its_reason() {
    let done = check("good:app", &["--only", "EXT-20", "--unchecked"]);
    let line = "EXT-20  SHOULD  -       shutdown ends response: ASGI has no `http.shutdown`\n";
    assert!(done.stdout.contains(line), "{}", done.stdout);
}

#[test]
fn every_run_gives_the_same_report() {
    let args = ["--format", "json"];
    let first = check("good:app", &args).stdout;
    for _ in 0..3 {
        assert_eq!(check("good:app", &args).stdout, first);
    }
}
