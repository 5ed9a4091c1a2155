//! The lists and reports of the suite, as far as the results need them.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A rule, as `callgate-conformance --list` prints it.
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
    /// The reason for which a server of ASGI need not pass the check.
    pub(crate) callgate_only: Option<String>,
    /// The sentences of standards that demand the same of a server of ASGI.
    #[serde(default)]
    pub(crate) standards: Vec<String>,
    /// The level of these sentences: `MUST` or `SHOULD`.
    pub(crate) standards_level: Option<String>,
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
/// The text is not of the form that this program reads.
pub(crate) fn read<T: DeserializeOwned>(json: &str) -> Result<T, String> {
    serde_json::from_str(json)
        .map_err(|error| format!("xtask does not understand the output of the suite: {error}"))
}

/// The security of the connections of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Security {
    Cleartext,
    Tls,
}

impl fmt::Display for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cleartext => "in cleartext",
            Self::Tls => "over TLS",
        })
    }
}

/// A server that was checked, in cleartext and over TLS.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    pub(crate) version: String,
    /// Whether the server speaks Callgate, so that every check counts.
    pub(crate) is_of_callgate: bool,
    pub(crate) cleartext: Run,
    pub(crate) tls: Run,
}

/// A server that could not be run, and so was not checked.
#[derive(Debug)]
pub(crate) struct Unavailable {
    pub(crate) name: &'static str,
    /// Empty if no version could be installed.
    pub(crate) version: String,
    pub(crate) why: String,
}

/// A run of the suite.
#[derive(Debug)]
pub(crate) struct Run {
    /// The command that repeats the run.
    pub(crate) command: String,
    /// The verdicts, by rule and check.
    verdicts: BTreeMap<(String, String), Verdict>,
}

/// The verdict of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Passed,
    /// The check failed, with this observation.
    Failed(String),
    /// The check was not run, for this reason.
    NotChecked(String),
    /// The check was not run, because only Callgate demands the behaviour.
    NotDemanded,
}

/// The result of all checks of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RuleResult {
    Passed,
    Failed,
    /// Only Callgate demands the behaviour that the checks of the rule check, so nothing is
    /// counted.
    Differs,
    NotChecked,
}

impl Subject {
    pub(crate) fn runs(&self) -> [(Security, &Run); 2] {
        [
            (Security::Cleartext, &self.cleartext),
            (Security::Tls, &self.tls),
        ]
    }

    /// Returns the level of the sentences that the server broke by failing a check. A server of
    /// Callgate has broken the rule itself.
    pub(crate) fn broken_level(&self, rule: &ListedRule, check: &ListedCheck) -> String {
        match (&check.standards_level, self.is_of_callgate) {
            (Some(level), false) => level.clone(),
            _ => rule.level.clone(),
        }
    }

    /// Returns whether the server failed, in this run, a check of a rule that breaks a sentence of this
    /// level.
    pub(crate) fn has_failed(&self, run: &Run, rule: &ListedRule, level: &str) -> bool {
        rule.checks.iter().any(|check| {
            matches!(run.verdict(rule, check), Some(Verdict::Failed(_)))
                && self.broken_level(rule, check) == level
        })
    }
}

impl Run {
    pub(crate) fn new(command: String, report: &Report) -> Self {
        let verdicts = report.findings.iter().map(|finding| {
            let seen = clean(finding.seen.as_deref().unwrap_or_default());
            let verdict = match finding.verdict.as_str() {
                "passed" => Verdict::Passed,
                "failed" => Verdict::Failed(seen),
                "not demanded" => Verdict::NotDemanded,
                _ => Verdict::NotChecked(seen),
            };
            ((finding.rule.clone(), finding.check.clone()), verdict)
        });
        Self {
            command,
            verdicts: verdicts.collect(),
        }
    }

    /// Returns the verdict of a check; none if the report does not have it.
    pub(crate) fn verdict(&self, rule: &ListedRule, check: &ListedCheck) -> Option<&Verdict> {
        self.verdicts.get(&(rule.rule.clone(), check.name.clone()))
    }

    /// Returns the result of all checks of a rule: failed if one failed, passed if none failed and one
    /// passed.
    pub(crate) fn result(&self, rule: &ListedRule) -> RuleResult {
        let verdicts = || {
            let checks = rule.checks.iter();
            checks.filter_map(|check| Some((check, self.verdict(rule, check)?)))
        };
        let any = |of: fn(&ListedCheck, &Verdict) -> bool| {
            verdicts().any(|(check, verdict)| of(check, verdict))
        };
        if any(|_, verdict| matches!(verdict, Verdict::Failed(_))) {
            RuleResult::Failed
        } else if any(|_, verdict| *verdict == Verdict::Passed) {
            RuleResult::Passed
        } else if any(|_, verdict| *verdict == Verdict::NotDemanded) {
            RuleResult::Differs
        } else {
            RuleResult::NotChecked
        }
    }
}

/// Returns every check, with its rule.
pub(super) fn checks<'a>(
    rules: &[&'a ListedRule],
) -> impl Iterator<Item = (&'a ListedRule, &'a ListedCheck)> {
    rules
        .iter()
        .flat_map(|rule| rule.checks.iter().map(|check| (*rule, check)))
}

/// Returns the first line of an observation, without the parts that differ from one run to the
/// next: ports, addresses in memory, the time, temporary files.
pub(super) fn clean(seen: &str) -> String {
    let mut text = seen.lines().next().unwrap_or_default().to_owned();
    let is_digit = |c: char| c.is_ascii_digit();
    text = replace_after(&text, "127.0.0.1:", is_digit, "PORT");
    text = replace_after(&text, "\"127.0.0.1\",", is_digit, "PORT");
    text = replace_after(&text, "127.0.0.1\", ", is_digit, "PORT");
    text = replace_after(&text, "/tmp/.tmp", |c| c.is_ascii_alphanumeric(), "...");
    text = replace_after(&text, " 0x", |c| c.is_ascii_hexdigit(), "...");
    text = replace_after(&text, "\"date\": \"", |c| c != '"', "...");
    replace_after(&text, "date: ", |c| c != '\\' && c != '"', "...")
}

/// Replaces the characters after each `mark` that `are_such` by `with`.
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
    fn parts_that_differ_between_runs_are_left_out() {
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
            (
                "no flag for /tmp/.tmpFJp9S8/ca.pem",
                "no flag for /tmp/.tmp.../ca.pem",
            ),
            (
                r#"401 {"date": "Sat, 28 Nov", "x-why": "login"}"#,
                r#"401 {"date": "...", "x-why": "login"}"#,
            ),
            ("one\ntwo", "one"),
            ("received 65536 bytes", "received 65536 bytes"),
        ] {
            assert_eq!(clean(seen), cleaned);
        }
    }
}
