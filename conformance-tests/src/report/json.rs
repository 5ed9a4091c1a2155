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
    check: &'static str,
    does: &'static str,
    must: &'static str,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    seen: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    transcript: Vec<String>,
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
                let (verdict, seen, transcript) = match &finding.verdict {
                    Verdict::Passed => ("passed", None, None),
                    Verdict::NotApplicable(why) => ("not applicable", Some(&**why), None),
                    Verdict::NotDemanded(why) => ("not demanded", Some(*why), None),
                    Verdict::Failed(failure) => (
                        "failed",
                        Some(failure.seen.as_str()),
                        Some(&failure.transcript),
                    ),
                };
                Row {
                    rule: check.rule.id,
                    role: check.rule.role.to_string(),
                    level: check.rule.level.to_string(),
                    sentence: check.rule.sentence,
                    document: check.rule.document(),
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
    let mut text = serde_json::to_string_pretty(&document).expect("texts and lists of texts");
    text.push('\n');
    text
}
