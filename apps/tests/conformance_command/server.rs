//! The checks of servers.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use callgate::rule::{self};
use callgate_conformance::server_checks;

use crate::support::{PROGRAM, a_checked_rule, assert_complains, conformance, json};

#[test]
fn a_rule_of_applications_is_refused_for_a_server() {
    let rule = rule::all()
        .find(|rule| server_checks().all(|check| check.rule != *rule))
        .unwrap();
    let line = format!(
        "`server` has no check of {}, a rule for the {} (--list shows what is checked)",
        rule.id, rule.role
    );
    assert_complains(&["server", "--only", rule.id], 2, &line);
}

#[test]
fn a_server_that_does_not_start_is_one_line_and_status_3() {
    let command = "sh -c 'echo no more; exit 7' # {port}";
    let line = format!(
        "cannot check `{command}`: the server did not start: the server ended with status 7; the last line of its log: no more"
    );
    assert_complains(&["server", "--command", command], 3, &line);
}

#[test]
fn a_server_that_does_not_serve_the_probe_is_one_line_and_status_3() {
    let callgate = env!("CARGO_BIN_EXE_callgate");
    let command = format!("'{callgate}' run hello --log-level off --port {{port}}");
    let line = format!(
        "cannot check `{command}`: waited 1s for a call of the application, which did not come"
    );
    let args = ["server", "--timeout", "1", "--command", &command];
    assert_complains(&args, 3, &line);
}

#[test]
fn the_reference_server_passes() {
    let done = conformance(&["server", "--unchecked"]);
    assert_eq!((done.stderr.as_str(), done.status), ("", Some(0)));
    let last = done.stdout.lines().last().unwrap();
    assert!(last.starts_with("the reference server: "), "{last}");
    assert!(!done.stdout.contains('\x1b'), "this is no terminal");
    let checks = done.stdout.lines().filter(|line| line.starts_with("  "));
    assert_eq!(checks.clone().count(), server_checks().count());
    for check in checks {
        // The suite does not speak TLS here. The server offers every feature of a WebSocket, and
        // `http.shutdown` on each exchange, so that checks of features that are not offered cannot be made.
        let applies = !["  TLS-0", "  EXT-02", "  EXT-18"]
            .iter()
            .any(|rule| check.starts_with(rule));
        let mark = check.split_whitespace().nth(2).unwrap();
        assert!(mark == "passed" || mark == "-" && !applies, "{check}");
    }
}

#[test]
fn every_run_gives_the_same_report() {
    let apps = callgate_apps::all().iter().map(|app| vec!["app", app.name]);
    for subject in apps.chain([vec!["server"]]) {
        let args = [&subject[..], &["--format", "json"]].concat();
        let first = conformance(&args);
        for _ in 0..2 {
            let again = conformance(&args);
            assert_eq!(again.stdout, first.stdout, "{subject:?}");
        }
    }
}

#[test]
fn one_rule_is_checked_when_one_is_asked_for() {
    let rule = a_checked_rule();
    let report = json(&["server", "--format", "json", "--only", rule.id]);
    assert_eq!(report["subject"], "the reference server");
    assert_eq!(report["failed"], false);
    let findings = report["findings"].as_array().unwrap();
    assert!(!findings.is_empty());
    for finding in findings {
        assert_eq!(finding["rule"], rule.id);
        assert_eq!(finding["verdict"], "passed");
    }
}

/// A process that is killed at the end of its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_running_server_is_checked_repeatedly() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let probe = free.local_addr().unwrap().to_string();
    drop(free);
    let mut server = Command::new(PROGRAM)
        // Lifespan is off because the suite, which commands the probe, has not started.
        .args(["probe", "--port", "0", "--lifespan", "off"])
        .env_clear()
        .env("CALLGATE_PROBE", &probe)
        .stderr(Stdio::piped())
        .spawn()
        .map(Running)
        .unwrap();
    let log = BufReader::new(server.0.stderr.take().unwrap());
    let line = log.lines().find_map(|line| {
        let line = line.unwrap();
        line.contains("running on").then_some(line)
    });
    let line = line.unwrap();
    let url = line
        .split_whitespace()
        .find(|word| word.starts_with("http://"));
    let rule = a_checked_rule();
    // One rule first, then all of them. Checks that need settings, or a stop, do not apply.
    for only in [&["--only", rule.id][..], &[]] {
        let args = ["server", "--url", url.unwrap(), "--probe", &probe];
        let done = conformance(&[&args, only].concat());
        assert_eq!(
            (done.stderr.as_str(), done.status),
            ("", Some(0)),
            "{}",
            done.stdout
        );
        assert!(done.stdout.contains(url.unwrap()));
    }
}

#[test]
fn an_address_of_the_probe_that_is_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let probe = taken.local_addr().unwrap().to_string();
    assert_complains(
        &["server", "--url", "http://127.0.0.1:1", "--probe", &probe],
        3,
        &format!(
            "cannot listen on {probe} for the probe: {} (choose another address with --probe)",
            TcpListener::bind(&probe).unwrap_err()
        ),
    );
}
