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

/// Returns the report in JSON.
fn report(app: &str, more: &[&str]) -> Value {
    let done = check(app, &[&["--format", "json"], more].concat());
    serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{error}: {}", done.stderr))
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

/// Django's `Content-Type` is such a name. What follows is checked all the same.
#[test]
fn a_field_name_in_upper_case_is_reported_once() {
    let report = report("broken:header_in_upper_case", &[]);
    assert_eq!(findings(&report, "failed"), [("CORE-06", "http")]);
    let passed = findings(&report, "passed");
    assert!(passed.contains(&("CORE-20", "interleaved")), "{passed:?}");
}

#[test]
fn frameworks_pass() {
    let requests = |name: &str| format!("{CRATE}/tests/asgi_apps/{name}.http");
    let used = ["EXT-07", "EXT-10", "EXT-12", "EXT-13"];
    for (app, file, used) in [
        ("starlette_app:app", "starlette", &used[..]),
        ("starlette_app:with_middleware", "starlette", &used[..]),
        ("fastapi_app:app", "fastapi", &[]),
    ] {
        let done = check(app, &["--requests", &requests(file), "--format", "json"]);
        assert_eq!(
            (done.stderr.as_str(), done.status),
            ("", Some(0)),
            "{}",
            done.stdout
        );
        let report: Value = serde_json::from_str(&done.stdout).unwrap();
        assert_eq!(findings(&report, "failed"), [], "{app}");
        assert_eq!(report["gap"], Value::Null, "{app}");
        let passed = findings(&report, "passed");
        for rule in used {
            assert!(passed.iter().any(|(id, _)| id == rule), "{app}: {rule}");
        }
        let skipped = findings(&report, "not applicable");
        assert!(
            skipped.iter().all(|(rule, _)| rule.starts_with("EXT-")),
            "{app}: {skipped:?}"
        );
    }
}

#[test]
fn a_rule_that_asgi_recommends_is_no_failure() {
    let done = check("broken:answers_every_kind", &[]);
    let last = done.stdout.lines().last();
    assert_eq!(
        (last, done.status),
        (Some("broken rules: CORE-02 (SHOULD)"), Some(0))
    );
    let sentence = "  standard  ASGI Specification 3.0, \"Protocol Specifications\"\n";
    assert!(done.stdout.contains(sentence), "{}", done.stdout);
}

#[test]
fn an_application_that_watches_for_the_end_of_its_client_passes() {
    let report = report("good:watching", &[]);
    assert_eq!(findings(&report, "failed"), []);
    let passed = findings(&report, "passed");
    assert!(passed.contains(&("CORE-20", "interleaved")), "{passed:?}");
}

/// A call that keeps the interpreter busy hears of no end. Nothing of it is left.
#[test]
fn a_process_that_does_not_end_is_killed() {
    let done = check(
        "broken:regex_without_end",
        &["--timeout", "1", "--only", "CORE-13"],
    );
    let last = done.stdout.lines().last();
    assert_eq!(
        (last, done.status),
        (Some("broken rules: CORE-13 (SHOULD)"), Some(0))
    );
    let processes: Vec<_> = done
        .stderr
        .lines()
        .filter_map(|line| line.strip_prefix("process "))
        .collect();
    assert!(!processes.is_empty(), "{}", done.stderr);
    for process in processes {
        let is_there = std::fs::exists(format!("/proc/{process}")).unwrap();
        assert!(!is_there, "{process} still runs");
    }
}

#[test]
fn what_only_callgate_demands_is_listed_with_its_reason() {
    let done = check("good:app", &["--only", "EXT-20", "--unchecked"]);
    let line = "EXT-20  SHOULD  -       shutdown ends response: ASGI has no `http.shutdown`\n";
    assert!(done.stdout.contains(line), "{}", done.stdout);
}

/// The applications with one mistake each, and the rules that are reported for them.
const MISTAKES: &[(&str, &[&str])] = &[
    ("body_before_start", &["HTTP-14"]),
    ("two_starts", &["HTTP-15"]),
    ("no_start", &["HTTP-30"]),
    ("no_last_body", &["HTTP-31"]),
    ("wrong_length", &["HTTP-20"]),
    ("interim_status", &["HTTP-17"]),
    ("content_with_204", &["HTTP-22"]),
    ("header_as_str", &["CORE-06"]),
    ("header_in_upper_case", &["CORE-06"]),
    ("header_with_line_feed", &["CORE-06"]),
    ("body_as_str", &["CORE-06"]),
    ("no_status", &["CORE-06"]),
    ("event_without_type", &["CORE-06"]),
    ("unknown_event", &["CORE-06"]),
    ("event_of_websocket", &["CORE-06"]),
    ("push", &["EXT-01"]),
    // What it announces without the extension it does not send with it.
    ("trailers_that_are_not_offered", &["EXT-01", "EXT-03"]),
    ("relative_path", &["EXT-07"]),
    ("first_event_only", &["HTTP-48"]),
    ("one_buffer", &["CORE-20"]),
    ("keeps_running", &["CORE-13"]),
    ("endless_loop", &["CORE-13"]),
    ("exits", &["CORE-19"]),
    ("dies", &["CORE-19"]),
    // A response to everything is no event of a lifespan.
    ("rejects_nothing", &["CORE-06"]),
    ("answers_every_kind", &["CORE-02"]),
    ("send_before_accept", &["WS-03"]),
    ("accept_twice", &["WS-04"]),
    ("no_answer", &["WS-08"]),
    ("subprotocol_of_its_own", &["WS-06"]),
    ("subprotocol_as_header", &["WS-07"]),
    ("close_with_1006", &["WS-11"]),
    ("long_reason", &["WS-12"]),
    ("text_and_bytes", &["CORE-06"]),
    ("denial_that_is_not_offered", &["EXT-01"]),
    ("startup_without_answer", &["LIFE-04"]),
    ("startup_without_end", &["LIFE-04"]),
    ("shutdown_without_answer", &["LIFE-09"]),
    ("shutdown_too_early", &["LIFE-12"]),
    ("leaves_after_startup", &["LIFE-14"]),
];

#[test]
fn each_mistake_is_reported_with_the_rule_that_it_breaks() {
    // Most of the time passes with waiting for applications that do nothing.
    std::thread::scope(|scope| {
        for part in MISTAKES.chunks(MISTAKES.len().div_ceil(4)) {
            scope.spawn(move || part.iter().for_each(check_mistake));
        }
    });
}

fn check_mistake((name, rules): &(&str, &[&str])) {
    let report = report(&format!("broken:{name}"), &["--timeout", "1"]);
    let mut broken: Vec<_> = findings(&report, "failed")
        .into_iter()
        .map(|(rule, _)| rule)
        .collect();
    broken.dedup();
    assert_eq!(broken, *rules, "{name}");
}

/// Returns what was seen in place of what a rule demands.
fn seen(app: &str, rule: &str) -> String {
    let report = report(app, &["--timeout", "1", "--only", rule]);
    let findings = report["findings"].as_array().unwrap();
    let failed = findings
        .iter()
        .find(|finding| finding["verdict"] == "failed");
    failed.unwrap()["seen"].as_str().unwrap().to_owned()
}

#[test]
fn a_report_says_what_is_wrong_with_an_event_and_how_a_process_ended() {
    for (app, rule, expected) in [
        (
            "broken:header_as_str",
            "CORE-06",
            "the name of a field in `headers` of `http.response.start` is not bytes but str: 'content-type'",
        ),
        (
            "broken:exits",
            "CORE-19",
            "the application ended its process by SystemExit: 7 (broken.py, line 184, in exits)",
        ),
        (
            "broken:dies",
            "CORE-19",
            "the application ended its process with status 9",
        ),
        (
            "broken:endless_loop",
            "CORE-13",
            "the application blocks its thread, so that it cannot receive a disconnect",
        ),
    ] {
        assert_eq!(seen(app, rule), expected);
    }
}

#[test]
fn what_asgi_leaves_to_the_server_is_no_mistake() {
    for app in ["sends_after_the_end", "sends_after_the_close"] {
        let report = report(&format!("broken:{app}"), &[]);
        assert_eq!(findings(&report, "failed"), []);
        assert_eq!(report["gap"], Value::Null, "{app}");
    }
}

#[test]
fn what_an_application_prints_is_not_in_the_report() {
    for args in [&["broken:prints"][..], &["broken:make", "--factory"]] {
        let done = check(args[0], &[&args[1..], &["--format", "json"]].concat());
        assert!(serde_json::from_str::<Value>(&done.stdout).is_ok());
        assert_eq!(done.status, Some(0));
        assert!(done.stderr.contains("a line from the application\n"));
    }
}

#[test]
fn an_exception_at_start_up_declines_the_lifespan_and_is_mentioned() {
    let done = check("broken:raises_at_startup", &[]);
    assert_eq!(done.status, Some(0), "{}", done.stdout);
    let note = "note: the start-up of `broken:raises_at_startup` raised an exception, by which ASGI takes it to have no \
                lifespan: RuntimeError: no database (broken.py, line ";
    assert!(done.stderr.starts_with(note), "{}", done.stderr);
    assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
}

#[test]
fn an_application_that_always_raises_is_a_gap() {
    let report = report("broken:raises", &[]);
    let gap = report["gap"].as_str().unwrap();
    let asked = "it refused all that the suite asked for: `GET /` with the error `KeyError: 'article' (broken.py, line ";
    assert!(gap.starts_with(asked), "{gap}");
    let passed = findings(&report, "passed");
    assert!(
        passed.iter().all(|(rule, _)| !rule.starts_with("HTTP-")),
        "{passed:?}"
    );
}

#[test]
fn an_application_that_cannot_be_called_is_one_line_and_status_3() {
    let directory = format!("{CRATE}/tests/asgi_apps");
    for (app, reason) in [
        (
            "brokn:app",
            format!("there is no module `brokn` in {directory} (--app-dir names another directory)"),
        ),
        ("broken:app", "`broken` has no `app`".into()),
        (
            "broken:number",
            "`broken:number` is not callable but of the type `int`".into(),
        ),
        (
            "broken:make",
            "`broken:make` does not take (scope, receive, send), as applications of ASGI 3 do (--factory, if it is called for the application)".into(),
        ),
        (
            "broken:Legacy",
            "`broken:Legacy` does not take (scope, receive, send), as applications of ASGI 3 do (--factory, if it is called for the application)".into(),
        ),
        (
            "imports.missing:app",
            "importing `imports.missing` raised ModuleNotFoundError: No module named 'callgate_has_no_such_module' (missing.py, line 1, in <module>)".into(),
        ),
        (
            "imports.wrong:app",
            "importing `imports.wrong` raised SyntaxError: invalid syntax (wrong.py, line 1)".into(),
        ),
        (
            "imports.exits:app",
            "importing `imports.exits` raised SystemExit: 3 (exits.py, line 3, in <module>)".into(),
        ),
        (
            "imports.dies:app",
            "the import ended the process with status 4".into(),
        ),
        ("broken:fails_to_start", "its start-up failed: no database".into()),
    ] {
        let done = check(app, &[]);
        assert_eq!(done.stderr, format!("error: cannot check `{app}`: {reason}\n"));
        assert_eq!((done.stdout.as_str(), done.status), ("", Some(3)));
    }
    let done = check("good:app", &["--python", "/nowhere/python"]);
    let line = "error: cannot check `good:app`: cannot start `/nowhere/python`: No such file or directory (os error 2) (--python names another interpreter)\n";
    assert_eq!((done.stderr.as_str(), done.status), (line, Some(3)));
}

#[test]
fn every_run_gives_the_same_report() {
    let args = ["--format", "json"];
    let first = check("good:app", &args).stdout;
    for _ in 0..3 {
        assert_eq!(check("good:app", &args).stdout, first);
    }
}
