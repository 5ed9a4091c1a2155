//! The `callgate-conformance` command from end to end.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use callgate::rule::{self, Level, Rule};
use callgate_conformance::server_checks;
use quick_junit::{Report as Junit, TestCase, TestCaseStatus};
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_callgate-conformance");
const CRATE: &str = env!("CARGO_MANIFEST_DIR");

/// The output and the exit status of the command.
struct Done {
    stdout: String,
    stderr: String,
    status: Option<i32>,
}

fn conformance(args: &[&str]) -> Done {
    conformance_with(args, &[])
}

/// Runs the command with these environment variables.
fn conformance_with(args: &[&str], variables: &[(&str, &str)]) -> Done {
    let output = Command::new(PROGRAM)
        .args(args)
        .env_clear()
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    Done {
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
        status: output.status.code(),
    }
}

fn json(args: &[&str]) -> Value {
    let done = conformance(args);
    serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{error}: {}", done.stderr))
}

fn assert_complains(args: &[&str], status: i32, line: &str) {
    let done = conformance(args);
    assert_eq!(done.stderr, format!("error: {line}\n"));
    assert_eq!((done.stdout.as_str(), done.status), ("", Some(status)));
}

fn spec(file: &str) -> String {
    let path = Path::new(CRATE).join("../spec/docs").join(file);
    std::fs::read_to_string(path).unwrap()
}

/// Returns any rule that the server suite checks.
fn a_checked_rule() -> &'static Rule {
    server_checks().next().unwrap().rule
}

#[test]
fn the_list_and_the_documents_agree() {
    let list = json(&["--list", "--format", "json"]);
    let list = list.as_array().unwrap();
    let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
    for row in list {
        let line = format!(
            "**{}** ({}, {}) {}",
            text(row, "rule"),
            text(row, "role"),
            text(row, "level"),
            text(row, "sentence")
        );
        assert!(spec(&text(row, "document")).contains(&line), "{line}");
    }
    let listed: BTreeSet<_> = list.iter().map(|row| text(row, "rule")).collect();
    let documented = std::fs::read_dir(Path::new(CRATE).join("../spec/docs"))
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
        .flat_map(|document| ids(&document))
        .collect();
    assert_eq!(listed, documented);
    for row in list {
        let checks = row["checks"].as_array().unwrap();
        assert!(!checks.is_empty(), "{} is not checked", row["rule"]);
    }
}

/// Returns the rules that a document defines: `**ID** (role, level) sentence`.
fn ids(document: &str) -> Vec<String> {
    document
        .split("**")
        .zip(document.split("**").skip(1))
        .filter(|(_, after)| {
            after.starts_with(" (application, ") || after.starts_with(" (server, ")
        })
        .map(|(id, _)| id.to_owned())
        .collect()
}

#[test]
fn the_list_has_a_line_a_rule_with_the_number_of_its_checks() {
    let done = conformance(&["--list"]);
    assert_eq!((done.stderr.as_str(), done.status), ("", Some(0)));
    assert_eq!(done.stdout.lines().count(), 1 + rule::all().count());
    for (line, rule) in done.stdout.lines().skip(1).zip(rule::all()) {
        assert!(line.starts_with(rule.id) && line.ends_with(rule.sentence));
    }
    let rule = a_checked_rule();
    let number = server_checks().filter(|check| check.rule == rule).count();
    let done = conformance(&["--list", "--only", &rule.id.to_lowercase()]);
    let line = done.stdout.lines().nth(1).unwrap();
    let words: Vec<_> = line.split_whitespace().collect();
    assert_eq!(words[0], rule.id);
    assert_eq!(words[3], number.to_string());
}

#[test]
fn help_and_version_go_to_standard_output() {
    for (args, expected) in [
        (&["--help"][..], "Exit status: 0"),
        (&["server", "--help"], "--command <COMMAND>"),
        (&["--version"], env!("CARGO_PKG_VERSION")),
    ] {
        let done = conformance(args);
        assert!(done.stdout.contains(expected), "{}", done.stdout);
        assert!(!done.stdout.contains("probe ["), "the probe is hidden");
        assert_eq!((done.stderr.as_str(), done.status), ("", Some(0)));
    }
}

#[test]
fn a_wrong_command_line_is_refused_with_status_2() {
    for (args, reason) in [
        (
            &["sever"][..],
            "unrecognized subcommand 'sever'\n\n  tip: a similar subcommand exists: 'server'",
        ),
        (
            &["server", "--only", "HTTP-999"],
            "invalid value 'HTTP-999' for '--only <RULE>': give the ID of a rule, such as HTTP-12; --list shows them all",
        ),
        (
            &["server", "--format", "xml"],
            "invalid value 'xml' for '--format <FORMAT>'\n  [possible values: table, json, junit]",
        ),
        (
            &["server", "--command", "my-server"],
            "invalid value 'my-server' for '--command <COMMAND>': say with {port} where the port goes, as in `my-server --port {port}`",
        ),
        (
            &["server", "--url", "http://127.0.0.1:1"],
            "the following required arguments were not provided:\n  --probe <ADDRESS>",
        ),
        (
            &["server", "--url", "127.0.0.1:1", "--probe", "127.0.0.1:2"],
            "invalid value '127.0.0.1:1' for '--url <URL>': give http://HOST:PORT, such as http://127.0.0.1:8000",
        ),
        (
            &[
                "server",
                "--command",
                "x {port}",
                "--flag",
                "lifespam=--off",
            ],
            "invalid value 'lifespam=--off' for '--flag <SETTING=FLAG>': there is no setting `lifespam`; one of: root-path, lifespan, ws-max-size, ws-ping-interval, ws-ping-timeout, timeout-graceful-shutdown, timeout-disconnect",
        ),
    ] {
        let done = conformance(args);
        let expected = format!("error: {reason}\n\n");
        assert!(done.stderr.starts_with(&expected), "{}", done.stderr);
        assert_eq!((done.stdout.as_str(), done.status), ("", Some(2)));
    }
    for (args, line) in [
        (
            &["--list", "--format", "junit"][..],
            "a list has no form in junit (use --format table or json)",
        ),
        (
            &["probe"],
            "CALLGATE_PROBE is not set: the suite sets it to its address",
        ),
    ] {
        assert_complains(args, 2, line);
    }
}

#[test]
fn without_a_command_the_help_is_shown_with_status_2() {
    let done = conformance(&[]);
    assert!(
        done.stderr.contains("Usage: callgate-conformance"),
        "{}",
        done.stderr
    );
    assert_eq!((done.stdout.as_str(), done.status), ("", Some(2)));
}

#[test]
fn every_example_application_passes() {
    for entry in callgate_apps::all() {
        let done = conformance(&["app", entry.name]);
        assert_eq!(
            (done.stderr.as_str(), done.status),
            ("", Some(0)),
            "{}",
            done.stdout
        );
    }
}

#[test]
fn requests_are_made_as_the_flags_say() {
    // The path is that of an application in the gallery, which echoes the content.
    let row = |path: &str| {
        let args = ["app", "gallery", "--path", path, "--format", "json"];
        let report = json(&[&args, &["--only", "HTTP-48"][..]].concat());
        report["findings"][0]["verdict"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(row("/echo/"), "passed");
    let names: Vec<_> = callgate_apps::all()
        .iter()
        .map(|entry| entry.name)
        .collect();
    let names = names.join(", ");
    assert_complains(
        &["app", "nobody"],
        2,
        &format!("there is no application `nobody` (choose from: {names})"),
    );
}

#[test]
fn several_contents_are_sent_at_once_if_one_does_not_suffice() {
    let event = |size: &str| {
        format!(
            r#"{{"event_type": "asset_purchase_request_validation",
                "data": {{"status": "draft", "asset": {{"params": [{{"value": "{size}"}}]}}}}}}"#
        )
    };
    let (one, other) = (event("m"), event("l"));
    let args = "app events --path /events --method POST --header content-type:application/json";
    let args: Vec<_> = args.split(' ').collect();
    let verdict = |bodies: &[&str]| {
        let more = ["--only", "CORE-20", "--format", "json"];
        let report = json(&[&args, bodies, &more].concat());
        report["findings"][0]["verdict"].clone()
    };
    assert_eq!(verdict(&["--body", &one]), "not applicable");
    assert_eq!(verdict(&["--body", &one, "--body", &other]), "passed");
}

#[test]
fn an_application_whose_start_up_fails_is_one_line_and_status_3() {
    // The directory does not exist, so it has no socket.
    let directory =
        std::env::temp_dir().join(format!("callgate-no-database-{}", std::process::id()));
    let url = format!("postgres:///x?host={}", directory.display());
    let variables = [("DATABASE_URL", &*url)];
    let done = conformance_with(&["app", "brands"], &variables);
    let line = "error: cannot check `brands`: its start-up failed: ";
    assert!(done.stderr.starts_with(line), "{}", done.stderr);
    assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
    assert_eq!((done.stdout.as_str(), done.status), ("", Some(3)));
    // The rules of lifespan are checked nevertheless.
    let done = conformance_with(&["app", "brands", "--only", "LIFE-04"], &variables);
    assert_eq!((done.stderr.as_str(), done.status), ("", Some(0)));
}

#[test]
fn a_replay_shows_where_the_responses_differ() {
    let file = std::env::temp_dir().join(format!("callgate-replay-{}", std::process::id()));
    let recording = r#"
{"exchange":1,"called":{"type":"http","http_version":"1.1","method":"GET","scheme":"http","raw_path":"/"}}
{"exchange":1,"sent":{"type":"http.response.start","status":200,"headers":[["content-type","text/plain; charset=utf-8"]]}}
{"exchange":1,"sent":{"type":"http.response.body","body":"Hello, world!\n"}}
{"exchange":1,"ended":"returned"}
"#;
    std::fs::write(&file, recording).unwrap();
    let path = file.to_str().unwrap();
    let same = conformance(&["replay", path, "--app", "hello"]);
    assert_eq!((same.stderr.as_str(), same.status), ("", Some(0)));
    assert_eq!(same.stdout, "1 exchanges, 0 answered differently\n");
    std::fs::write(&file, recording.replace("world", "World")).unwrap();
    let other = conformance(&["replay", path, "--app", "hello"]);
    assert_eq!((other.stderr.as_str(), other.status), ("", Some(1)));
    assert!(
        other.stdout.starts_with(
            "exchange 1: different content\n  recorded: \"Hello, World!\\n\" (14 bytes)\n"
        ),
        "{}",
        other.stdout
    );
    std::fs::remove_file(&file).unwrap();
    let missing = conformance(&["replay", path, "--app", "hello"]);
    assert!(
        missing
            .stderr
            .starts_with(&format!("error: cannot read {path}: ")),
        "{}",
        missing.stderr
    );
    assert_eq!(missing.status, Some(3));
}

#[test]
fn a_replay_sends_the_credentials_of_the_flags_and_mentions_masked_ones() {
    let file = std::env::temp_dir().join(format!("callgate-masked-{}", std::process::id()));
    let recording = r#"
{"exchange":1,"called":{"type":"http","http_version":"1.1","method":"GET","scheme":"http","raw_path":"/","headers":[["cookie","<masked>"]]}}
{"exchange":1,"sent":{"type":"http.response.start","status":200,"headers":[["content-type","text/plain; charset=utf-8"]]}}
{"exchange":1,"sent":{"type":"http.response.body","body":"Hello, world!\n"}}
{"exchange":1,"ended":"returned"}
"#;
    std::fs::write(&file, recording).unwrap();
    let args = ["replay", file.to_str().unwrap(), "--app", "hello"];
    let masked = conformance(&args);
    assert_eq!(
        masked.stdout,
        "1 requests were sent with `<masked>` credentials\n1 exchanges, 0 answered differently\n"
    );
    let given = conformance(&[&args[..], &["--credential", "cookie: session=7"]].concat());
    assert_eq!(given.stdout, "1 exchanges, 0 answered differently\n");
    let wrong = conformance(&[&args[..], &["--credential", "cookie"]].concat());
    let reason = "error: invalid value 'cookie' for '--credential <FIELD:VALUE>': a credential is FIELD:VALUE, such as cookie:session=7\n";
    assert!(wrong.stderr.starts_with(reason), "{}", wrong.stderr);
    assert_eq!(wrong.status, Some(2));
    std::fs::remove_file(&file).unwrap();
}

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
    let done = conformance(&["server"]);
    assert_eq!((done.stderr.as_str(), done.status), ("", Some(0)));
    let last = done.stdout.lines().last().unwrap();
    assert!(last.starts_with("the reference server: "), "{last}");
    assert!(!done.stdout.contains('\x1b'), "this is no terminal");
    let checks = done.stdout.lines().filter(|line| line.starts_with("  "));
    assert_eq!(checks.clone().count(), server_checks().count());
    for check in checks {
        // It has no TLS so far, and offers every extension that a WebSocket can have.
        let applies = !["  TLS-02", "  TLS-03", "  TLS-04", "  EXT-02"]
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
        format!("  document  spec/docs/{}\n", rule.document()),
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
