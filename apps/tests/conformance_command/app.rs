//! The checks of applications.

use crate::support::{assert_complains, conformance, conformance_with, json};

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
