//! A report for people.

use std::fmt;

use super::{Finding, Report};
use crate::Verdict;

pub(super) fn write(report: &Report, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let width = report
        .findings
        .iter()
        .map(|finding| finding.check.rule.id.len())
        .max()
        .unwrap_or_default();
    for Finding { check, verdict } in &report.findings {
        let (mark, why) = match verdict {
            Verdict::Passed => ("passed", None),
            Verdict::Failed(failure) => ("FAILED", Some(failure.seen.as_str())),
            Verdict::NotApplicable(why) => ("-", Some(&**why)),
        };
        write!(
            f,
            "{:width$}  {:11}  {:6}  {:6}  {}",
            check.rule.id,
            check.rule.role,
            check.rule.level,
            mark,
            check.name.replace('_', " ")
        )?;
        match why {
            Some(why) => writeln!(f, ": {}", why.lines().next().unwrap_or_default())?,
            None => writeln!(f)?,
        }
    }
    for Finding { check, verdict } in report.failed() {
        let Verdict::Failed(failure) = verdict else {
            continue;
        };
        let rule = check.rule;
        writeln!(f, "\n{} ({}, {})", rule.id, rule.role, rule.level)?;
        writeln!(f, "  rule:      {}", rule.sentence)?;
        writeln!(f, "  stands in: spec/docs/{}", rule.document())?;
        writeln!(f, "  check:     {}", check.does)?;
        writeln!(f, "  must:      {}", check.must)?;
        writeln!(f, "  seen:      {}", failure.seen)?;
        for line in failure.transcript.to_string().lines() {
            writeln!(f, "    {line}")?;
        }
    }
    let failed = report.failed().count();
    let passed = count(report, |verdict| matches!(verdict, Verdict::Passed));
    let skipped = report.findings.len() - failed - passed;
    writeln!(
        f,
        "\n{}: {passed} passed, {failed} failed, {skipped} not applicable",
        report.subject
    )
}

fn count(report: &Report, of: impl Fn(&Verdict) -> bool) -> usize {
    report
        .findings
        .iter()
        .filter(|finding| of(&finding.verdict))
        .count()
}
