//! The `callgate` command where it does not serve.

use std::process::Command;

/// Runs `callgate`. Returns its standard output, its standard error and its exit status.
fn callgate(args: &[&str], environment: &[(&str, &str)]) -> (String, String, Option<i32>) {
    let output = Command::new(env!("CARGO_BIN_EXE_callgate"))
        .args(args)
        .env_clear()
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
        output.status.code(),
    )
}

/// Asserts that a command line is refused with status 2. clap's usage follows the `reason`.
fn assert_usage_error(args: &[&str], environment: &[(&str, &str)], reason: &str) {
    let (stdout, stderr, status) = callgate(args, environment);
    let expected = format!("error: {reason}\n\n");
    assert!(
        stderr.starts_with(&expected),
        "{stderr} is not about {reason}"
    );
    assert_eq!(stdout, "");
    assert_eq!(status, Some(2));
}

#[test]
fn apps_are_listed_on_a_line_each() {
    let (stdout, stderr, status) = callgate(&["apps"], &[]);
    assert_eq!((stderr.as_str(), status), ("", Some(0)));
    assert_eq!(stdout.lines().count(), callgate_apps::all().len());
    for (line, entry) in stdout.lines().zip(callgate_apps::all()) {
        assert!(line.starts_with(entry.name) && line.ends_with(entry.summary));
    }
}

#[test]
fn help_and_version_go_to_standard_output() {
    for (args, expected) in [
        (&["--help"][..], "callgate run --help"),
        (&["run", "--help"], "--timeout-graceful-shutdown <SECONDS>"),
        (&["run", "--help"], "[env: CALLGATE_PORT]"),
        (&["--version"], env!("CARGO_PKG_VERSION")),
    ] {
        let (stdout, stderr, status) = callgate(args, &[]);
        assert!(stdout.contains(expected), "{stdout}");
        assert_eq!((stderr.as_str(), status), ("", Some(0)));
    }
}

#[test]
fn an_unknown_application_is_refused_with_the_names_of_all() {
    let names: Vec<_> = callgate_apps::all()
        .iter()
        .map(|entry| entry.name)
        .collect();
    assert_usage_error(
        &["run", "nosuch"],
        &[],
        &format!(
            "invalid value 'nosuch' for '[APP]'\n  [possible values: {}]",
            names.join(", ")
        ),
    );
}

#[test]
fn flags_without_a_command_are_those_of_run() {
    assert_usage_error(
        &["--port", "many"],
        &[],
        "invalid value 'many' for '--port <PORT>': give a number from 0 to 65535; 0 picks a free port",
    );
}

#[test]
fn an_unknown_command_or_flag_gets_a_suggestion() {
    assert_usage_error(
        &["ap"],
        &[],
        "unrecognized subcommand 'ap'\n\n  tip: a similar subcommand exists: 'apps'",
    );
    assert_usage_error(
        &["run", "--theads", "1"],
        &[],
        "unexpected argument '--theads' found\n\n  tip: a similar argument exists: '--threads'",
    );
}

#[test]
fn a_wrong_variable_is_named() {
    assert_usage_error(
        &[],
        &[("CALLGATE_HTTP", "3")],
        "invalid value '3' for 'CALLGATE_HTTP': give auto, 1 or 2",
    );
    assert_usage_error(
        &["run", "hello"],
        &[("CALLGATE_ACCESS_LOG", "yes")],
        "invalid value 'yes' for 'CALLGATE_ACCESS_LOG': give true, false, 1 or 0",
    );
    assert_usage_error(
        &[],
        &[("CALLGATE_HEADER", "x-one:1\nx-two")],
        "invalid value 'x-two' for 'CALLGATE_HEADER': give NAME:VALUE, such as x-frame-options:DENY",
    );
}

/// Returns the line of a setting in force, its blanks joined.
fn setting_in_force(key: &str, environment: &[(&str, &str)]) -> String {
    let (stdout, stderr, status) = callgate(&["config"], environment);
    assert_eq!((stderr.as_str(), status), ("", Some(0)));
    let is_key = |line: &&str| line.split(" = ").next() == Some(key);
    let line = stdout.lines().find(is_key).unwrap();
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_variable_that_is_empty_is_not_set() {
    let environment = [("CALLGATE_PORT", ""), ("RUST_LOG", "")];
    assert_eq!(
        setting_in_force("port", &environment),
        "port = 8000 # default"
    );
    assert_eq!(
        setting_in_force("level", &environment),
        "level = [\"info\"] # default"
    );
}

#[test]
fn rust_log_is_read_where_the_variable_of_the_levels_is_not_set() {
    let rust_log = ("RUST_LOG", "warn,my_app=debug");
    for environment in [&[rust_log][..], &[rust_log, ("CALLGATE_LOG_LEVEL", "")]] {
        let level = setting_in_force("level", environment);
        assert_eq!(level, "level = [\"warn\", \"my_app=debug\"] # RUST_LOG");
    }
    let own = [rust_log, ("CALLGATE_LOG_LEVEL", "error")];
    assert_eq!(
        setting_in_force("level", &own),
        "level = [\"error\"] # CALLGATE_LOG_LEVEL"
    );
    assert_usage_error(
        &["config"],
        &[("RUST_LOG", "loud")],
        "invalid value 'loud' for 'RUST_LOG': give trace, debug, info, warn, error or off, or a target's level, such \
         as my_app=debug",
    );
}

#[test]
fn a_wrong_variable_is_ignored_by_a_command_that_does_not_read_it() {
    let (_, stderr, status) = callgate(&["apps"], &[("CALLGATE_PORT", "many")]);
    assert_eq!((stderr.as_str(), status), ("", Some(0)));
}

#[test]
fn an_unknown_mode_of_the_lint_is_refused_with_the_modes() {
    assert_usage_error(
        &["run", "hello", "--lint=foo"],
        &[],
        "invalid value 'foo' for '--lint[=<MODE>]'\n  [possible values: log, strict]",
    );
}

#[test]
fn a_recording_that_cannot_be_made_ends_the_command_before_it_serves() {
    let path = "/dev/null/recording";
    let (stdout, stderr, status) = callgate(&["run", "hello", "--record", path], &[]);
    let expected = format!("error: cannot record to {path}: ");
    assert!(stderr.starts_with(&expected), "{stderr}");
    assert_eq!(stderr.lines().count(), 1);
    assert_eq!((stdout.as_str(), status), ("", Some(3)));
}

#[test]
fn a_recording_is_not_overwritten() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, "of yesterday").unwrap();
    let record = file.path().to_str().unwrap();
    let (stdout, stderr, status) = callgate(&["run", "hello", "--record", record], &[]);
    let expected = format!("error: cannot record to {record}: the file is not empty, ");
    assert!(stderr.starts_with(&expected), "{stderr}");
    assert_eq!(stderr.lines().count(), 1);
    assert_eq!((stdout.as_str(), status), ("", Some(3)));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "of yesterday");
}

#[test]
fn the_exit_status_is_the_same_when_standard_error_is_closed() {
    for (args, status) in [
        (["--port", "many"], 2),
        // An address for documentation, which no machine has (RFC 5737).
        (["--host", "203.0.113.1"], 3),
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = Command::new(env!("CARGO_BIN_EXE_callgate"));
        let ended = command.args(args).env_clear().stderr(writer).status();
        assert_eq!(ended.unwrap().code(), Some(status), "{args:?}");
    }
}

#[test]
fn a_database_that_cannot_be_used_is_one_line_without_the_password() {
    let url = "mysql://root:5ecret@db/shop";
    for (args, environment) in [
        (
            &["run", "brands", "--port=0", "--database-url", url][..],
            &[][..],
        ),
        (
            &["run", "brands-blocking", "--port=0"],
            &[("DATABASE_URL", url)],
        ),
    ] {
        let (stdout, stderr, status) = callgate(args, environment);
        assert_eq!((stdout.as_str(), status), ("", Some(3)));
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.starts_with("error: "), "{stderr}");
        assert!(
            stderr.contains("--database-url or DATABASE_URL"),
            "{stderr}"
        );
        assert!(!stderr.contains("5ecret"), "{stderr}");
    }
}

/// Asserts that an application without its channel layer ends with one line that has the reason, and not the password.
fn assert_no_channel_layer(app: &str, url: &str, reason: &str) {
    for (args, environment) in [
        (&["run", app, "--port=0", "--channels", url][..], &[][..]),
        (&["run", app, "--port=0"], &[("CALLGATE_CHANNELS", url)]),
    ] {
        let (stdout, stderr, status) = callgate(args, environment);
        assert_eq!((stdout.as_str(), status), ("", Some(3)), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        let reason = format!("error: the application failed to start: {reason}");
        assert!(stderr.starts_with(&reason), "{stderr}");
        assert!(
            stderr.contains("--channels or CALLGATE_CHANNELS"),
            "{stderr}"
        );
        assert!(!stderr.contains("5ecret"), "{stderr}");
    }
}

#[test]
fn a_channel_layer_that_does_not_exist_is_one_line_without_the_password() {
    let reason = "there is no such channel layer (choose memory";
    assert_no_channel_layer("chat", "kafka://5ecret", reason);
}

#[cfg(feature = "redis")]
#[test]
fn a_redis_that_cannot_be_opened_is_one_line_without_the_password() {
    // Nothing listens on port 1.
    let unreachable = "redis://:5ecret@127.0.0.1:1";
    for app in ["gallery", "counter"] {
        assert_no_channel_layer(app, unreachable, "cannot reach redis at 127.0.0.1:1: ");
    }
    let reason = "the URL of Redis is not understood: ";
    assert_no_channel_layer("chat", "redis://:5ecret@", reason);
}

#[cfg(not(feature = "redis"))]
#[test]
fn a_redis_is_refused_with_the_name_of_its_feature() {
    let reason = "there is no such channel layer (choose memory; this program was built without Redis, the feature `redis`)";
    for app in ["gallery", "counter", "chat"] {
        assert_no_channel_layer(app, "redis://:5ecret@127.0.0.1:1", reason);
    }
}

#[cfg(not(feature = "postgres"))]
#[test]
fn a_postgresql_is_refused_with_the_name_of_its_feature() {
    let url = "postgres://me:5ecret@127.0.0.1:1/products";
    for app in ["brands", "brands-blocking"] {
        let (stdout, stderr, status) =
            callgate(&["run", app, "--port=0"], &[("DATABASE_URL", url)]);
        assert_eq!((stdout.as_str(), status), ("", Some(3)), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(
            stderr.contains("build it with `--features postgres`"),
            "{stderr}"
        );
        assert!(!stderr.contains("5ecret"), "{stderr}");
    }
}

/// The flags that take a URL, and their environment variables.
const URLS: [(&str, &str); 5] = [
    ("--channels", "CALLGATE_CHANNELS"),
    ("--database-url", "DATABASE_URL"),
    ("--upstream-url", "UPSTREAM_URL"),
    ("--autumn-url", "AUTUMN_URL"),
    ("--connect-url", "CONNECT_URL"),
];

#[test]
fn no_url_of_the_environment_is_in_the_help() {
    let environment = URLS.map(|(_, variable)| (variable, "https://5ecret.test/5ecret"));
    let (stdout, _, status) = callgate(&["run", "--help"], &environment);
    assert_eq!(status, Some(0));
    for (flag, variable) in URLS {
        assert!(stdout.contains(&format!("{flag} <URL>")), "{stdout}");
        assert!(stdout.contains(&format!("[env: {variable}]")), "{stdout}");
    }
    assert!(!stdout.contains("5ecret"), "{stdout}");
}

#[test]
fn a_url_that_is_refused_is_shown_without_its_secrets() {
    const NO_URL: &str = "give an http or https URL, such as http://127.0.0.1:9000/api";
    const CREDENTIALS: &str = "give a URL without a user name and a password";
    for (flag, variable) in &URLS[2..] {
        for (url, shown, remedy) in [
            ("http://me:5ecret@db/", "...@db/", CREDENTIALS),
            ("http://me:5ecret@x@db:1/", "...@db:1/", CREDENTIALS),
            ("http://5ecret@db/", "...@db/", CREDENTIALS),
            ("htp://me:5ecret@db/", "...@db/", NO_URL),
            ("http://me:5ecret/x@db", "...@db", NO_URL),
            ("http://db/?key=5ecret", "http://db/?...", NO_URL),
            ("http://me:5e?cret@db/#5ecret", "...@db/?...", NO_URL),
            ("127.0.0.1:9000", "127.0.0.1:9000", NO_URL),
        ] {
            let arg = format!("{flag}={url}");
            let reason = format!("invalid value '{shown}' for '{flag} <URL>': {remedy}");
            assert_usage_error(&["run", "hello", &arg], &[], &reason);
            let reason = format!("invalid value '***' for '{variable}': {remedy}");
            assert_usage_error(&["run", "hello"], &[(variable, url)], &reason);
        }
    }
}

#[cfg(unix)]
#[test]
fn a_recording_that_other_users_can_read_is_refused_before_the_server_starts() {
    use std::os::unix::fs::PermissionsExt as _;

    let file = tempfile::NamedTempFile::new().unwrap();
    let permissions = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(file.path(), permissions).unwrap();
    let path = file.path().to_str().unwrap();
    let (stdout, stderr, status) = callgate(&["run", "hello", "--record", path], &[]);
    let expected = format!(
        "error: cannot record to {path}: other users can access the file: its mode is 644, not 600 (choose another file)\n"
    );
    assert_eq!((stdout.as_str(), stderr, status), ("", expected, Some(3)));
}

#[test]
fn credentials_are_recorded_only_with_a_recording() {
    let (_, stderr, status) = callgate(&["run", "hello", "--record-credentials"], &[]);
    assert_eq!(status, Some(2), "{stderr}");
    assert!(stderr.contains("--record <FILE>"), "{stderr}");
}

#[cfg(not(feature = "clients"))]
#[test]
fn a_service_that_needs_a_client_of_http_is_one_line_that_names_the_feature() {
    for (app, environment) in [
        ("dashboard", ("UPSTREAM_URL", "http://127.0.0.1:9/")),
        ("customers", ("AUTUMN_TOKEN", "5ecret")),
        ("chart", ("CONNECT_URL", "http://127.0.0.1:9/")),
        ("events", ("CONNECT_URL", "http://127.0.0.1:9/")),
    ] {
        let (stdout, stderr, status) = callgate(&["run", app, "--port=0"], &[environment]);
        assert_eq!((stdout.as_str(), status), ("", Some(3)), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(
            stderr.starts_with("error: the application failed to start: cannot call "),
            "{stderr}"
        );
        assert!(
            stderr.contains("build it with `--features clients`"),
            "{stderr}"
        );
    }
}
