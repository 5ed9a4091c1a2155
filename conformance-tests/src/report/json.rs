//! A report as JSON.

use serde::Serialize;

use super::Report;
use crate::check::Verdict;

#[derive(Serialize)]
struct Document<'a> {
    subject: &'a str,
    protocol: &'static str,
    failed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    gap: Option<&'a str>,
    findings: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    rule: &'static str,
    role: String,
    level: String,
    sentence: &'static str,
    document: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    standards: Vec<String>,
    check: &'static str,
    does: &'static str,
    must: &'static str,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    seen: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    transcript: Vec<String>,
}

/// Returns the document of a report. The text ends with a line feed.
pub(crate) fn text(document: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(document).expect("texts and lists of texts");
    text.push('\n');
    text
}

/// Returns the name of a verdict, and what was seen or why the check was not run.
pub(crate) fn verdict(verdict: &Verdict) -> (&'static str, Option<&str>) {
    match verdict {
        Verdict::Passed => ("passed", None),
        Verdict::Failed(failure) => ("failed", Some(&failure.seen)),
        Verdict::NotApplicable(why) => ("not applicable", Some(why)),
        Verdict::NotDemanded(why) => ("not demanded", Some(why)),
    }
}

pub(super) fn write(report: &Report) -> String {
    let document = Document {
        subject: &report.subject,
        protocol: callgate::VERSION,
        failed: report.has_failed(),
        gap: report.gap.as_deref(),
        findings: report
            .findings
            .iter()
            .map(|finding| {
                let check = &finding.check;
                let (verdict, seen) = verdict(&finding.verdict);
                let transcript = match &finding.verdict {
                    Verdict::Failed(failure) => Some(&failure.transcript),
                    _ => None,
                };
                Row {
                    rule: check.rule.id,
                    role: check.rule.role.to_string(),
                    level: finding.level().to_string(),
                    sentence: check.rule.sentence,
                    document: check.rule.document(),
                    standards: finding.standards.iter().map(ToString::to_string).collect(),
                    check: check.name,
                    does: check.does,
                    must: check.must,
                    verdict,
                    seen,
                    transcript: transcript
                        .into_iter()
                        .flat_map(callgate::transcript::Transcript::entries)
                        .map(ToString::to_string)
                        .collect(),
                }
            })
            .collect(),
    };
    text(&document)
}
