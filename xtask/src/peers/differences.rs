//! The differences between the results in cleartext and over TLS.

use super::findings::{ListedCheck, ListedRule, Subject, Verdict, checks};
use super::table::{grouped, head, in_cell, row, shortened};

/// The document whose checks are for cleartext only, or for TLS only.
const DOCUMENT_OF_TLS: &str = "tls.md";

/// Writes the section about the differences.
pub(super) fn write(rules: &[&ListedRule], subjects: &[Subject], text: &mut String) {
    text.push_str(
        "\n## In cleartext and over TLS\n\n\
         The checks whose results differ. Those of [tls.md](../spec/docs/tls.md) are left out: most of them are for one of \
         the two only.\n\n",
    );
    let rows = subjects.iter().flat_map(|subject| {
        let checks = checks(rules);
        checks.filter_map(|(rule, check)| {
            let [cleartext, tls] = different_outcomes(subject, rule, check)?;
            let group = [subject.name.to_owned(), cleartext, tls];
            Some((group, in_cell(rule, check)))
        })
    });
    let rows = grouped(rows);
    let without: Vec<_> = subjects
        .iter()
        .map(|subject| subject.name)
        .filter(|name| rows.iter().all(|([other, ..], _)| other != name))
        .collect();
    if !rows.is_empty() {
        head("server, in cleartext, over TLS, checks", text);
        for ([name, cleartext, tls], checks) in rows {
            row(&[name, cleartext, tls, checks], text);
        }
    }
    if !without.is_empty() {
        let names = without.join(", ");
        text.push_str(&format!("\nThe same in both: {names}.\n"));
    }
}

/// Returns the outcomes of a check in cleartext and over TLS, if they differ.
fn different_outcomes(
    subject: &Subject,
    rule: &ListedRule,
    check: &ListedCheck,
) -> Option<[String; 2]> {
    let cleartext = subject.cleartext.verdict(rule, check)?;
    let tls = subject.tls.verdict(rule, check)?;
    let is_same = match (cleartext, tls) {
        // The reasons, and what was seen, may differ.
        (Verdict::NotChecked(_), Verdict::NotChecked(_)) => true,
        (Verdict::Failed(_), Verdict::Failed(_)) => true,
        _ => cleartext == tls,
    };
    let differs = rule.document != DOCUMENT_OF_TLS && !is_same;
    differs.then(|| [outcome(cleartext), outcome(tls)])
}

fn outcome(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Passed => "passed".into(),
        Verdict::Failed(seen) => format!("**failed**: {}", shortened(seen)),
        Verdict::NotChecked(why) => format!("not checked: {}", shortened(why)),
        Verdict::NotDemanded => "not demanded".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::findings::{Run, read};
    use super::*;

    fn run(verdicts: &str) -> Run {
        Run::new(String::new(), &read(verdicts).unwrap())
    }

    #[test]
    fn a_check_that_fails_over_tls_only_is_a_difference_and_one_that_fails_in_both_is_none() {
        let rule = r#"{"rule": "SCOPE-13", "role": "server", "level": "MUST", "document": "overview.md",
            "sentence": "", "checks": [{"name": "the_scheme"}, {"name": "the_host"}]}"#;
        let rule: ListedRule = read(rule).unwrap();
        let finding = |check: &str, verdict: &str| {
            format!(
                r#"{{"rule": "SCOPE-13", "check": "{check}", "verdict": "{verdict}", "seen": "`http`"}}"#
            )
        };
        let report = |scheme: &str| {
            let [scheme, host] = [finding("the_scheme", scheme), finding("the_host", "failed")];
            run(&format!(r#"{{"findings": [{scheme}, {host}]}}"#))
        };
        let subject = Subject {
            name: "peer",
            version: String::new(),
            is_of_callgate: false,
            cleartext: report("passed"),
            tls: report("failed"),
        };
        let mut text = String::new();
        write(&[&rule], &[subject], &mut text);
        let row = "| peer | passed | **failed**: `http` | [SCOPE-13](../spec/docs/overview.md): the scheme |";
        assert!(text.contains(row), "{text}");
        assert!(!text.contains("the host"), "{text}");
    }
}
