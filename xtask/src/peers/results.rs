//! The results, as a document.

use std::fmt::Write as _;

use super::findings::{ListedCheck, ListedRule, RuleResult, Subject, Verdict};

const HEAD: &str = "\
# Results

Which servers keep which rules. `cargo xtask peers` installs the newest servers of ASGI, checks them beside the
reference server, and writes this file; it is not edited.

A server of ASGI serves [`asgi_probe.py`](asgi_probe.py). A check counts against it only where a sentence of ASGI or of an
RFC demands what the check checks: [What failed](#what-failed) cites each sentence, and says whether it demands (MUST) or
recommends (SHOULD). What only Callgate demands is not counted, and [stands below](#what-only-callgate-demands) with the
reason. What a server has no flag for, or does not offer, is not checked.
";

/// Returns the document about `subjects`. `rules` are all rules, in their order.
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
    let columns = "server, version, checked, passed, broke a MUST, broke a SHOULD, only Callgate's, not checked";
    head(columns, text);
    for subject in subjects {
        let count = |of: &dyn Fn(&ListedRule) -> bool| {
            let rules = rules.iter().filter(|rule| of(rule));
            rules.count().to_string()
        };
        let has = |result: RuleResult| count(&|rule| subject.result(rule) == result);
        row(
            &[
                subject.name.into(),
                subject.version.clone(),
                count(&|rule| {
                    matches!(
                        subject.result(rule),
                        RuleResult::Passed | RuleResult::Failed
                    )
                }),
                has(RuleResult::Passed),
                count(&|rule| subject.has_failed(rule, "MUST")),
                count(&|rule| {
                    subject.has_failed(rule, "SHOULD") && !subject.has_failed(rule, "MUST")
                }),
                has(RuleResult::Differs),
                has(RuleResult::NotChecked),
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
                Verdict::Failed(seen) => Some([
                    link(rule),
                    in_words(check),
                    demanded_by(subject, rule, check),
                    subject.broken_level(rule, check),
                    shortened(seen),
                    repeated_by(subject, check),
                ]),
                _ => None,
            })
            .collect();
        let (name, version) = (subject.name, &subject.version);
        write!(text, "\n### {name} {version}\n\n").expect("a text can be written to");
        if rows.is_empty() {
            text.push_str("Nothing.\n");
            continue;
        }
        if !subject.is_of_callgate {
            write!(
                text,
                "The check of {name}, in the root of the repository; add `--case NAME` for one check:\n\n\
                 ```console\n$ {}\n```\n\n",
                subject.command
            )
            .expect("a text can be written to");
        }
        head(
            "rule, check, demanded by, level, what was seen, repeat with",
            text,
        );
        for columns in rows {
            row(&columns, text);
        }
    }
}

/// Returns the sentences that a failed check is about.
fn demanded_by(subject: &Subject, rule: &ListedRule, check: &ListedCheck) -> String {
    match subject.is_of_callgate {
        true => rule.rule.clone(),
        false => check.standards.join("; "),
    }
}

/// Returns the command that repeats one check.
fn repeated_by(subject: &Subject, check: &ListedCheck) -> String {
    match subject.is_of_callgate {
        true => format!("`{} --case {}`", subject.command, check.name),
        false => format!("`cargo xtask peers {} --case {}`", subject.name, check.name),
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
            match subject.result(rule) {
                RuleResult::Passed => "passed",
                RuleResult::Failed => "**failed**",
                RuleResult::Differs => "differs",
                RuleResult::NotChecked => "-",
            }
            .to_owned()
        }));
        columns.push(rule.sentence.clone());
        row(&columns, text);
    }
}

fn differs(rules: &[&ListedRule], subjects: &[Subject], text: &mut String) {
    text.push_str("\n## What only Callgate demands\n\n");
    let rows: Vec<_> = checks(rules)
        .filter_map(|(rule, check)| {
            let is_left_out = subjects.iter().any(|subject| {
                let verdict = subject.verdict(rule, check);
                verdict.is_some_and(|verdict| check.is_left_out(verdict))
            });
            let why = check.callgate_only.clone().filter(|_| is_left_out)?;
            Some([link(rule), in_words(check), why])
        })
        .collect();
    if rows.is_empty() {
        text.push_str("Nowhere.\n");
        return;
    }
    head("rule, check, why it is not counted", text);
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
                Some(verdict @ Verdict::NotChecked(why)) if !check.is_left_out(verdict) => why,
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

/// Returns every check, with its rule.
fn checks<'a>(rules: &[&'a ListedRule]) -> impl Iterator<Item = (&'a ListedRule, &'a ListedCheck)> {
    rules
        .iter()
        .flat_map(|rule| rule.checks.iter().map(|check| (*rule, check)))
}

fn in_words(check: &ListedCheck) -> String {
    check.name.replace('_', " ")
}

/// Writes the head of a table, whose columns are separated by commas.
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

/// The number of characters of an observation that are shown.
const SHOWN: usize = 200;

/// Returns a text that is short enough for a table.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}...", &text[..end]),
    }
}
