//! The checks of a server of ASGI, and the reports of a broken rule.

use callgate::rule::{self, Level, Rule};
use quick_junit::{Report as Junit, TestCase, TestCaseStatus};
use serde_json::Value;

use crate::support::{CRATE, Done, conformance};

/// Returns a command that serves an application in Python with uvicorn.
fn uvicorn(app: &str) -> String {
    let python = std::env::var("CALLGATE_PYTHON")
        .expect("CALLGATE_PYTHON is not set: run cargo xtask test, which installs it");
    format!(
        "env PYTHONDONTWRITEBYTECODE=1 PYTHONPATH='{CRATE}/tests:{CRATE}/../conformance-tests' '{python}' -m uvicorn {app} --port {{port}}"
    )
}

/// A rule that is also a rule of ASGI, and that uvicorn keeps.
const SHARED: &Rule = rule::EMPTY_REQUEST_BODY;

#[test]
fn a_server_of_asgi_is_checked_by_the_probe_in_python() {
    let command = uvicorn("asgi_probe:app");
    let done = conformance(&[
        "server",
        "--asgi",
        "--timeout",
        "5",
        "--command",
        &command,
        "--only",
        SHARED.id,
        "--only",
        rule::DISCONNECT_IS_TOLD.id,
    ]);
    assert_eq!(
        (done.stderr.as_str(), done.status),
        ("", Some(0)),
        "{}",
        done.stdout
    );
}

/// Checks the rule that the broken server breaks.
fn check_the_broken_server(format: &str) -> Done {
    let command = uvicorn("broken_probe:app");
    let rule = rule::DISCONNECT_IS_TOLD;
    assert_eq!(rule.level, Level::Must);
    let args = ["server", "--asgi", "--timeout", "10", "--command", &command];
    let done = conformance(&[&args, &["--only", rule.id, "--format", format][..]].concat());
    assert_eq!((done.stderr.as_str(), done.status), ("", Some(1)));
    done
}

#[test]
fn a_broken_rule_is_shown_in_full_and_status_1() {
    let table = check_the_broken_server("table").stdout;
    let rule = rule::DISCONNECT_IS_TOLD;
    let header = format!("{} FAILED (server, MUST): ", rule.id);
    let (_, in_full) = table.split_once(&header).unwrap();
    for line in [
        format!("  rule      {}\n", rule.sentence),
        format!("  document  {}\n", rule.document_url()),
        "    client >  \"GET / HTTP/1.1\\r\\n".into(),
        "    received  http.request".into(),
    ] {
        assert!(in_full.contains(&line), "{line} is not in {table}");
    }
    assert!(table.ends_with(&format!("broken rules: {} (MUST)\n", rule.id)));
}

#[test]
fn the_reports_in_json_and_junit_can_be_parsed() {
    let rule = rule::DISCONNECT_IS_TOLD;
    let json: Value = serde_json::from_str(&check_the_broken_server("json").stdout).unwrap();
    assert_eq!(json["failed"], true);
    let finding = &json["findings"][0];
    assert_eq!(
        (&finding["rule"], &finding["verdict"]),
        (&rule.id.into(), &"failed".into())
    );
    assert!(!finding["transcript"].as_array().unwrap().is_empty());

    let junit = check_the_broken_server("junit").stdout;
    let junit = Junit::deserialize_from_str(&junit).unwrap();
    let cases = &junit.test_suites[0].test_cases;
    let is_failed = |case: &&TestCase| matches!(case.status, TestCaseStatus::NonSuccess { .. });
    let failed: Vec<_> = cases.iter().filter(is_failed).collect();
    assert_eq!(junit.failures, failed.len());
    assert!(!failed.is_empty());
    for case in cases {
        assert_eq!(case.classname.as_ref().unwrap().as_str(), rule.id);
    }
}
