//! The list of rules and checks.

use std::collections::BTreeSet;
use std::path::Path;

use callgate::rule::{self};
use callgate_conformance::server_checks;
use serde_json::Value;

use crate::support::{CRATE, a_checked_rule, conformance, json};

fn spec(file: &str) -> String {
    let path = Path::new(CRATE).join("../spec/docs").join(file);
    std::fs::read_to_string(path).unwrap()
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
