//! The results, as a document.

use std::fmt::Write as _;

use super::findings::{ListedCheck, ListedRule, Outcome, Subject, Verdict};

const HEAD: &str = "\
# Results

Which servers keep which rules. `cargo xtask peers` installs the newest servers of ASGI, checks them beside the
reference server, and writes this file; it is not edited.

A server of ASGI serves [`asgi_probe.py`](asgi_probe.py), and is held to what ASGI, or the RFC that both stand on, demands
as well. Where ASGI and Callgate differ by design a server may well do something else: that is not counted, and
[stands below](#where-asgi-and-callgate-differ) with the reason. What a server has no flag for, or does not offer, is not
checked.
";

/// Writes the results of `subjects`. `rules` are all there are, in their order.
pub(crate) fn write(rules: &[ListedRule], subjects: &[Subject]) -> String {
    let rules: Vec<_> = rules
        .iter()
        .filter(|rule| rule.role == "server" && !rule.checks.is_empty())
        .collect();
    let mut text = HEAD.to_owned();
    summary(&rules, subjects, &mut text);
    failed(&rules, subjects, &mut text);
    by_rule(&rules, subjects, &mut text);
    differs(&rules, subjects, &mut text);
    not_checked(&rules, subjects, &mut text);
    text
}

fn summary(rules: &[&ListedRule], subjects: &[Subject], text: &mut String) {
    text.push_str("\n## Summary\n\nRules, each counted once however many checks it has.\n\n");
    let columns = "server, version, checked, passed, failed MUST, failed SHOULD, differs by design, not checked";
    head(columns, text);
    for subject in subjects {
        let count = |outcome, level: &str| {
            let rules = rules.iter().filter(|rule| rule.level.contains(level));
            rules
                .filter(|rule| subject.outcome(rule) == outcome)
                .count()
        };
        let passed = count(Outcome::Passed, "");
        let failed = count(Outcome::Failed, "");
        row(
            &[
                subject.name.into(),
                subject.version.clone(),
                (passed + failed).to_string(),
                passed.to_string(),
                count(Outcome::Failed, "MUST").to_string(),
                count(Outcome::Failed, "SHOULD").to_string(),
                count(Outcome::Differs, "").to_string(),
                count(Outcome::NotChecked, "").to_string(),
            ],
            text,
        );
    }
}

fn failed(rules: &[&ListedRule], subjects: &[Subject], text: &mut String) {
    text.push_str("\n## What failed\n");
    for subject in subjects {
        let rows: Vec<_> = checks(rules)
            .filter_map(|(rule, check)| match subject.verdict(rule, check)? {
                Verdict::Failed(seen) => {
                    let level = rule.level.clone();
                    Some([link(rule), level, in_words(check), shortened(seen)])
                }
                _ => None,
            })
            .collect();
        let (name, version) = (subject.name, &subject.version);
        write!(text, "\n### {name} {version}\n\n").expect("a text can be written to");
        if rows.is_empty() {
            text.push_str("Nothing.\n");
            continue;
        }
        head("rule, level, check, what was seen", text);
        for columns in rows {
            row(&columns, text);
        }
    }
}

fn by_rule(rules: &[&ListedRule], subjects: &[Subject], text: &mut String) {
    text.push_str("\n## Rule by rule\n\n");
    let names: Vec<_> = subjects.iter().map(|subject| subject.name).collect();
    head(
        &format!("rule, level, {}, what it says", names.join(", ")),
        text,
    );
    for rule in rules {
        let mut columns = vec![link(rule), rule.level.clone()];
        columns.extend(subjects.iter().map(|subject| {
            match subject.outcome(rule) {
                Outcome::Passed => "passed",
                Outcome::Failed => "**failed**",
                Outcome::Differs => "differs",
                Outcome::NotChecked => "-",
            }
            .to_owned()
        }));
        columns.push(rule.sentence.clone());
        row(&columns, text);
    }
}

fn differs(rules: &[&ListedRule], subjects: &[Subject], text: &mut String) {
    text.push_str("\n## Where ASGI and Callgate differ\n\n");
    let rows: Vec<_> = checks(rules)
        .filter_map(|(rule, check)| {
            let is_left_out = subjects.iter().any(|subject| {
                let verdict = subject.verdict(rule, check);
                verdict.is_some_and(|verdict| check.explains(verdict))
            });
            let why = check.asgi_differs.clone().filter(|_| is_left_out)?;
            Some([link(rule), in_words(check), why])
        })
        .collect();
    if rows.is_empty() {
        text.push_str("Nowhere.\n");
        return;
    }
    head("rule, check, what ASGI says", text);
    for columns in rows {
        row(&columns, text);
    }
}

fn not_checked(rules: &[&ListedRule], subjects: &[Subject], text: &mut String) {
    text.push_str("\n## What was not checked\n\n");
    let mut rows: Vec<(&str, &str, Vec<String>)> = Vec::new();
    for subject in subjects {
        for (rule, check) in checks(rules) {
            let why = match subject.verdict(rule, check) {
                Some(verdict @ Verdict::NotChecked(why)) if !check.explains(verdict) => why,
                _ => continue,
            };
            let text = format!("{}: {}", link(rule), in_words(check));
            let known = rows
                .iter_mut()
                .find(|(name, reason, _)| (*name, *reason) == (subject.name, why.as_str()));
            match known {
                Some((_, _, checks)) => checks.push(text),
                None => rows.push((subject.name, why, vec![text])),
            }
        }
    }
    if rows.is_empty() {
        text.push_str("Nothing else.\n");
        return;
    }
    head("server, why, checks", text);
    for (name, why, checks) in rows {
        row(&[name.into(), shortened(why), checks.join("; ")], text);
    }
}

/// Every check, with its rule.
fn checks<'a>(rules: &[&'a ListedRule]) -> impl Iterator<Item = (&'a ListedRule, &'a ListedCheck)> {
    rules
        .iter()
        .flat_map(|rule| rule.checks.iter().map(|check| (*rule, check)))
}

fn in_words(check: &ListedCheck) -> String {
    check.name.replace('_', " ")
}

/// The head of a table: its columns, separated by commas.
fn head(columns: &str, text: &mut String) {
    let columns: Vec<_> = columns.split(", ").map(str::to_owned).collect();
    row(&columns, text);
    row(&vec!["---".to_owned(); columns.len()], text);
}

fn row(columns: &[String], text: &mut String) {
    let columns: Vec<_> = columns
        .iter()
        .map(|column| column.replace('|', r"\|"))
        .collect();
    writeln!(text, "| {} |", columns.join(" | ")).expect("a text can be written to");
}

fn link(rule: &ListedRule) -> String {
    format!("[{}](../spec/docs/{})", rule.rule, rule.document)
}

/// What is shown of what was seen, in characters.
const SHOWN: usize = 200;

/// A text as it was, short enough for a table.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}...", &text[..end]),
    }
}
