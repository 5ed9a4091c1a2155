//! The results, as a document.

use std::fmt::Write as _;

use super::differences;
use super::filed;
use super::findings::{
    ListedCheck, ListedRule, RuleResult, Run, Security, Subject, Unavailable, Verdict, checks,
};
use super::table::{grouped, head, in_cell, in_words, link, row, shortened};

const HEAD: &str = "\
# Results

Which servers keep which rules, in cleartext and over TLS. `cargo xtask peers` installs the newest servers of ASGI, checks
them beside the reference server, and writes this file; it is not edited.

A server of ASGI serves [`asgi_probe.py`](asgi_probe.py). A check counts against it only where a sentence of ASGI or of an
RFC demands what the check checks: [What failed](#what-failed) cites each sentence, and says whether it demands (MUST) or
recommends (SHOULD), and where it is reported: in a public issue, or [here](reports/README.md). What only Callgate demands is not counted, and [stands below](#what-only-callgate-demands) with the
reason. What a server has no flag for, or does not offer, is not checked.

Each server is checked twice: in cleartext, with HTTP/2 by prior knowledge, and over TLS, with a certificate that the suite
makes and HTTP/2 if the server negotiates it (ALPN). Where the results differ,
[In cleartext and over TLS](#in-cleartext-and-over-tls) says how.

[Servers of HTTP](#servers-of-http), which need not know Callgate or ASGI, are checked from outside.
";

/// Returns the document about `subjects`. `rules` are all rules, in their order.
pub(crate) fn write(
    rules: &[ListedRule],
    subjects: &[Subject],
    unavailable: &[Unavailable],
) -> String {
    let rules: Vec<_> = rules
        .iter()
        .filter(|rule| rule.role == "server" && !rule.checks.is_empty())
        .collect();
    let mut text = HEAD.to_owned();
    summary(&rules, subjects, &mut text);
    not_run(unavailable, &mut text);
    failed(&rules, subjects, &mut text);
    differences::write(&rules, subjects, &mut text);
    by_rule(&rules, subjects, &mut text);
    differs(&rules, subjects, &mut text);
    not_checked(&rules, subjects, &mut text);
    text
}

fn summary(rules: &[&ListedRule], subjects: &[Subject], text: &mut String) {
    text.push_str("\n## Summary\n\nRules, each counted once however many checks it has.\n\n");
    let columns = "server, version, run, checked, passed, broke a MUST, broke a SHOULD, only Callgate's, not checked";
    head(columns, text);
    for subject in subjects {
        for (security, run) in subject.runs() {
            let count = |of: &dyn Fn(&ListedRule) -> bool| {
                let rules = rules.iter().filter(|rule| of(rule));
                rules.count().to_string()
            };
            let has = |result: RuleResult| count(&|rule| run.result(rule) == result);
            let breaks = |rule: &ListedRule, level| subject.has_failed(run, rule, level);
            row(
                &[
                    subject.name.into(),
                    subject.version.clone(),
                    security.to_string(),
                    count(&|rule| {
                        matches!(run.result(rule), RuleResult::Passed | RuleResult::Failed)
                    }),
                    has(RuleResult::Passed),
                    count(&|rule| breaks(rule, "MUST")),
                    count(&|rule| breaks(rule, "SHOULD") && !breaks(rule, "MUST")),
                    has(RuleResult::Differs),
                    has(RuleResult::NotChecked),
                ],
                text,
            );
        }
    }
}

/// Writes which servers could not be run.
fn not_run(unavailable: &[Unavailable], text: &mut String) {
    if unavailable.is_empty() {
        return;
    }
    text.push_str("\nNot checked, as they do not run where this file was written:\n\n");
    head("server, version, why", text);
    for server in unavailable {
        let why = format!("`{}`", in_library(&server.why));
        row(&[server.name.into(), server.version.clone(), why], text);
    }
}

/// Returns a message without the directory in which a Python package is installed.
fn in_library(message: &str) -> String {
    let words = message
        .split(' ')
        .map(|word| match word.split_once("/site-packages/") {
            Some((_, path)) => path,
            None => word,
        });
    words.collect::<Vec<_>>().join(" ")
}

fn failed(rules: &[&ListedRule], subjects: &[Subject], text: &mut String) {
    text.push_str("\n## What failed\n");
    for subject in subjects {
        let rows: Vec<_> = checks(rules)
            .filter_map(|(rule, check)| {
                let (runs, seen) = failures(subject, rule, check)?;
                Some([
                    link(rule),
                    in_words(check),
                    demanded_by(subject, rule, check),
                    subject.broken_level(rule, check),
                    runs,
                    seen,
                    filed::at(subject.name, &check.name),
                    repeated_by(subject, check),
                ])
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
                "The checks of {name}, in the root of the repository; add `--case NAME` for one check:\n\n\
                 ```console\n$ {}\n$ {}\n```\n\n",
                subject.cleartext.command, subject.tls.command
            )
            .expect("a text can be written to");
        }
        head(
            "rule, check, demanded by, level, failed, what was seen, reported, repeat with",
            text,
        );
        for columns in rows {
            row(&columns, text);
        }
    }
}

/// Returns in which runs the server failed a check, and what was seen; none if it failed the check in none.
fn failures(subject: &Subject, rule: &ListedRule, check: &ListedCheck) -> Option<(String, String)> {
    let failures: Vec<_> = subject
        .runs()
        .into_iter()
        .filter_map(|(security, run)| match run.verdict(rule, check)? {
            Verdict::Failed(seen) => Some((security.to_string(), shortened(seen))),
            _ => None,
        })
        .collect();
    match &failures[..] {
        [] => None,
        [(run, seen)] => Some((run.clone(), seen.clone())),
        [(_, seen), (_, other)] if seen == other => Some(("in both".into(), seen.clone())),
        several => {
            let seen = several.iter().map(|(run, seen)| format!("{run}: {seen}"));
            let seen: Vec<_> = seen.collect();
            Some(("in both".into(), seen.join("; ")))
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
        true => format!("`{} --case {}`", subject.tls.command, check.name),
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
        columns.extend(subjects.iter().map(|subject| results(subject, rule)));
        columns.push(rule.sentence.clone());
        row(&columns, text);
    }
}

/// Returns the results of a rule in both runs.
fn results(subject: &Subject, rule: &ListedRule) -> String {
    let [cleartext, tls] = subject.runs().map(|(_, run)| run.result(rule));
    match (cleartext, tls) {
        _ if cleartext == tls => word(tls).to_owned(),
        (RuleResult::NotChecked, _) => format!("{} {}", word(tls), Security::Tls),
        (_, RuleResult::NotChecked) => format!("{} {}", word(cleartext), Security::Cleartext),
        _ => format!("{}; {} {}", word(cleartext), word(tls), Security::Tls),
    }
}

fn word(result: RuleResult) -> &'static str {
    match result {
        RuleResult::Passed => "passed",
        RuleResult::Failed => "**failed**",
        RuleResult::Differs => "differs",
        RuleResult::NotChecked => "-",
    }
}

fn differs(rules: &[&ListedRule], subjects: &[Subject], text: &mut String) {
    text.push_str("\n## What only Callgate demands\n\n");
    let rows: Vec<_> = checks(rules)
        .filter_map(|(rule, check)| {
            let mut runs = subjects.iter().flat_map(Subject::runs);
            let is_left_out =
                runs.any(|(_, run)| run.verdict(rule, check) == Some(&Verdict::NotDemanded));
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
    text.push_str("\n## What was not checked\n\nNeither in cleartext nor over TLS.\n\n");
    let rows = subjects.iter().flat_map(|subject| {
        let checks = checks(rules);
        checks.filter_map(|(rule, check)| {
            let why = reason_in_both(subject, rule, check)?;
            Some(([subject.name.to_owned(), why], in_cell(rule, check)))
        })
    });
    let rows = grouped(rows);
    if rows.is_empty() {
        text.push_str("Nothing else.\n");
        return;
    }
    head("server, why, checks", text);
    for ([name, why], checks) in rows {
        row(&[name, why, checks], text);
    }
}

/// Returns why a check was run neither in cleartext nor over TLS; none if it was run, or if only Callgate
/// demands it.
fn reason_in_both(subject: &Subject, rule: &ListedRule, check: &ListedCheck) -> Option<String> {
    let reason = |run: &Run| match run.verdict(rule, check)? {
        Verdict::NotChecked(why) => Some(shortened(why)),
        _ => None,
    };
    let [cleartext, tls] = [reason(&subject.cleartext)?, reason(&subject.tls)?];
    Some(match cleartext == tls {
        true => tls,
        false => format!(
            "{}: {cleartext}; {}: {tls}",
            Security::Cleartext,
            Security::Tls
        ),
    })
}
