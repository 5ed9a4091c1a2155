//! What the suite says, as far as the results need it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A rule, as `callgate-conformance --list` tells it.
#[derive(Debug, Deserialize)]
pub(crate) struct ListedRule {
    pub(crate) rule: String,
    pub(crate) role: String,
    pub(crate) level: String,
    pub(crate) document: String,
    pub(crate) sentence: String,
    pub(crate) checks: Vec<ListedCheck>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ListedCheck {
    pub(crate) name: String,
    /// Why a server of ASGI need not pass it.
    pub(crate) asgi_differs: Option<String>,
}

/// A report, as `callgate-conformance server` writes it.
#[derive(Debug, Deserialize)]
pub(crate) struct Report {
    findings: Vec<Finding>,
}

#[derive(Debug, Deserialize)]
struct Finding {
    rule: String,
    check: String,
    verdict: String,
    seen: Option<String>,
}

/// Reads JSON.
///
/// # Errors
///
/// It is not what this program knows.
pub(crate) fn read<T: DeserializeOwned>(json: &str) -> Result<T, String> {
    serde_json::from_str(json)
        .map_err(|error| format!("the suite said what xtask does not understand: {error}"))
}

/// A server that was checked.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    pub(crate) version: String,
    /// By rule and check.
    verdicts: BTreeMap<(String, String), Verdict>,
}

/// What a check came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Passed,
    /// This was seen.
    Failed(String),
    /// It was not checked: why.
    NotChecked(String),
}

/// What came of all checks of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed,
    Failed,
    /// ASGI and Callgate differ by design: it is not counted.
    Differs,
    NotChecked,
}

impl Subject {
    pub(crate) fn new(name: &'static str, version: String, report: &Report) -> Self {
        let verdicts = report.findings.iter().map(|finding| {
            let seen = clean(finding.seen.as_deref().unwrap_or_default());
            let verdict = match finding.verdict.as_str() {
                "passed" => Verdict::Passed,
                "failed" => Verdict::Failed(seen),
                _ => Verdict::NotChecked(seen),
            };
            ((finding.rule.clone(), finding.check.clone()), verdict)
        });
        Self {
            name,
            version,
            verdicts: verdicts.collect(),
        }
    }

    /// What a check came to; none if it was not run.
    pub(crate) fn verdict(&self, rule: &ListedRule, check: &ListedCheck) -> Option<&Verdict> {
        self.verdicts.get(&(rule.rule.clone(), check.name.clone()))
    }

    /// What came of all checks of a rule: failed if one has, passed if none has and one passed.
    pub(crate) fn outcome(&self, rule: &ListedRule) -> Outcome {
        let verdicts = || {
            let checks = rule.checks.iter();
            checks.filter_map(|check| Some((check, self.verdict(rule, check)?)))
        };
        let any = |of: fn(&ListedCheck, &Verdict) -> bool| {
            verdicts().any(|(check, verdict)| of(check, verdict))
        };
        if any(|_, verdict| matches!(verdict, Verdict::Failed(_))) {
            Outcome::Failed
        } else if any(|_, verdict| *verdict == Verdict::Passed) {
            Outcome::Passed
        } else if any(ListedCheck::explains) {
            Outcome::Differs
        } else {
            Outcome::NotChecked
        }
    }
}

impl ListedCheck {
    /// Whether the check was left out because ASGI differs.
    pub(crate) fn explains(&self, verdict: &Verdict) -> bool {
        match (verdict, &self.asgi_differs) {
            (Verdict::NotChecked(why), Some(differs)) => *why == clean(differs),
            _ => false,
        }
    }
}

/// The first line of what was seen, without what differs from one run to the next: ports, the
/// places of objects in memory, the time.
fn clean(seen: &str) -> String {
    let mut text = seen.lines().next().unwrap_or_default().to_owned();
    let is_digit = |c: char| c.is_ascii_digit();
    text = replace_after(&text, "127.0.0.1:", is_digit, "PORT");
    text = replace_after(&text, "\"127.0.0.1\",", is_digit, "PORT");
    text = replace_after(&text, "127.0.0.1\", ", is_digit, "PORT");
    text = replace_after(&text, " 0x", |c| c.is_ascii_hexdigit(), "...");
    replace_after(&text, "date: ", |c| c != '\\' && c != '"', "...")
}

/// Puts `with` in place of the characters that `are_such` after each `mark`.
fn replace_after(text: &str, mark: &str, are_such: fn(char) -> bool, with: &str) -> String {
    let mut parts = text.split(mark);
    let mut replaced = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(are_such);
        replaced.push_str(mark);
        if rest.len() < part.len() {
            replaced.push_str(with);
        }
        replaced.push_str(rest);
    }
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_from_one_run_to_the_next_is_left_out() {
        for (seen, cleaned) in [
            (
                "`client` is 127.0.0.1:40112, not",
                "`client` is 127.0.0.1:PORT, not",
            ),
            ("<Task at 0x7f03a1> failed", "<Task at 0x...> failed"),
            (
                r"200\r\ndate: Sat, 21 Nov\r\nserver: x",
                r"200\r\ndate: ...\r\nserver: x",
            ),
            ("one\ntwo", "one"),
            ("received 65536 bytes", "received 65536 bytes"),
        ] {
            assert_eq!(clean(seen), cleaned);
        }
    }
}
