//! A report as a table.

use std::fmt::{self, Write as _};

use anstyle::{AnsiColor, Style};
use callgate::rule::{Level, Rule};

use super::{Finding, Report};
use crate::check::{Check, Failure, Verdict};

/// The styles of the parts of a report.
struct Styles {
    heading: Style,
    passed: Style,
    must_failed: Style,
    should_failed: Style,
    faint: Style,
}

impl Styles {
    const fn plain() -> Self {
        Self {
            heading: Style::new(),
            passed: Style::new(),
            must_failed: Style::new(),
            should_failed: Style::new(),
            faint: Style::new(),
        }
    }

    const fn coloured() -> Self {
        Self {
            heading: Style::new().bold(),
            passed: AnsiColor::Green.on_default(),
            must_failed: AnsiColor::Red.on_default().bold(),
            should_failed: AnsiColor::Yellow.on_default().bold(),
            faint: Style::new().dimmed(),
        }
    }

    fn failed(&self, rule: &Rule) -> Style {
        match rule.level {
            Level::Must => self.must_failed,
            Level::Should => self.should_failed,
        }
    }
}

pub(super) fn write(report: &Report, is_coloured: bool, f: &mut impl fmt::Write) -> fmt::Result {
    let styles = match is_coloured {
        true => Styles::coloured(),
        false => Styles::plain(),
    };
    let columns = Columns::of(report);
    let mut document = "";
    for finding in &report.findings {
        if finding.check.rule.document() != document {
            document = finding.check.rule.document();
            let heading = styles.heading;
            writeln!(f, "{heading}spec/docs/{document}{heading:#}")?;
        }
        columns.row(finding, &styles, f)?;
    }
    for Finding { check, verdict } in report.failed() {
        if let Verdict::Failed(failure) = verdict {
            writeln!(f)?;
            write_failure(check, failure, &styles, f)?;
        }
    }
    if !report.findings.is_empty() {
        writeln!(f)?;
    }
    summary(report, &styles, f)
}

/// The widths of the columns whose width varies.
struct Columns {
    rule: usize,
    level: usize,
}

impl Columns {
    fn of(report: &Report) -> Self {
        let rules = || report.findings.iter().map(|finding| finding.check.rule);
        let rule = rules().map(|rule| rule.id.len()).max();
        let level = rules().map(|rule| rule.level.to_string().len()).max();
        Self {
            rule: rule.unwrap_or_default(),
            level: level.unwrap_or_default(),
        }
    }

    fn row(&self, finding: &Finding, styles: &Styles, f: &mut impl fmt::Write) -> fmt::Result {
        let Finding { check, verdict } = finding;
        let (mark, style, why) = match verdict {
            Verdict::Passed => ("passed", styles.passed, None),
            Verdict::Failed(failure) => {
                let style = styles.failed(check.rule);
                ("FAILED", style, Some(failure.seen.as_str()))
            }
            Verdict::NotApplicable(why) => ("-", styles.faint, Some(&**why)),
        };
        let (rule, level) = (self.rule, self.level);
        write!(
            f,
            "  {:rule$}  {:level$}  {style}{mark:6}{style:#}  {}",
            check.rule.id,
            check.rule.level,
            display_name(check)
        )?;
        match why.and_then(|why| why.lines().next()) {
            Some(why) => writeln!(f, "{}: {why}{:#}", styles.faint, styles.faint),
            None => writeln!(f),
        }
    }
}

/// Writes a failure in full: the rule, the check, the observation, and the messages up to the
/// violation.
fn write_failure(
    check: &Check,
    failure: &Failure,
    styles: &Styles,
    f: &mut impl fmt::Write,
) -> fmt::Result {
    let (rule, style) = (check.rule, styles.failed(check.rule));
    writeln!(
        f,
        "{style}{} FAILED{style:#} ({}, {}): {}",
        rule.id,
        rule.role,
        rule.level,
        display_name(check)
    )?;
    writeln!(f, "  rule      {}", rule.sentence)?;
    writeln!(f, "  document  spec/docs/{}", rule.document())?;
    writeln!(f, "  check     {}", check.does)?;
    writeln!(f, "  must      {}", check.must)?;
    let seen = failure.seen.replace('\n', "\n            ");
    writeln!(f, "  {style}seen{style:#}      {seen}")?;
    if !failure.transcript.is_empty() {
        writeln!(f, "  messages")?;
        for line in failure.transcript.to_string().lines() {
            writeln!(f, "    {}{line}{:#}", styles.faint, styles.faint)?;
        }
    }
    Ok(())
}

fn summary(report: &Report, styles: &Styles, f: &mut impl fmt::Write) -> fmt::Result {
    let count = |of: fn(&Verdict) -> bool| {
        let verdicts = report.findings.iter().map(|finding| &finding.verdict);
        verdicts.filter(|verdict| of(verdict)).count()
    };
    let passed = count(|verdict| matches!(verdict, Verdict::Passed));
    let failed = count(Verdict::is_failed);
    let not_applicable = report.findings.len() - passed - failed;
    let heading = styles.heading;
    writeln!(
        f,
        "{heading}{}{heading:#}: {passed} passed, {failed} failed, {not_applicable} not applicable",
        report.subject
    )?;
    let mut broken = String::new();
    for rule in report.broken_rules() {
        let style = styles.failed(rule);
        write!(broken, " {style}{}{style:#} ({})", rule.id, rule.level)?;
    }
    if !broken.is_empty() {
        writeln!(f, "broken rules:{broken}")?;
    }
    match &report.gap {
        Some(gap) => {
            let style = styles.should_failed;
            writeln!(f, "{style}this says little{style:#}, because {gap}")
        }
        None => Ok(()),
    }
}

fn display_name(check: &Check) -> String {
    check.name.replace('_', " ")
}
