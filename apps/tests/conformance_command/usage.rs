//! The command line itself: help, version and wrong arguments.

use crate::support::{assert_complains, conformance};

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
            "invalid value '127.0.0.1:1' for '--url <URL>': give http://HOST:PORT or https://HOST:PORT, such as http://127.0.0.1:8000",
        ),
        (
            &[
                "server",
                "--command",
                "x {port}",
                "--flag",
                "lifespam=--off",
            ],
            "invalid value 'lifespam=--off' for '--flag <SETTING=FLAG>': there is no setting `lifespam`; one of: root-path, lifespan, ws-max-size, ws-ping-interval, ws-ping-timeout, timeout-graceful-shutdown, timeout-disconnect, ssl-certfile, ssl-keyfile, ssl-ca-certs, ssl-cert-reqs",
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
