//! A report as a table.

use std::cmp::Reverse;
use std::fmt;

use anstyle::{AnsiColor, Style};
use callgate::rule::Level;

use super::TableOptions;
use super::line::Line;
use crate::check::{Failure, Verdict};

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

    fn failed(&self, level: Level) -> Style {
        match level {
            Level::Must => self.must_failed,
            Level::Should => self.should_failed,
        }
    }
}

/// Writes the lines of a report about `subject`.
pub(crate) fn write(
    subject: &str,
    lines: &[Line<'_>],
    gap: Option<&str>,
    options: TableOptions,
    f: &mut impl fmt::Write,
) -> fmt::Result {
    let styles = match options.colour {
        true => Styles::coloured(),
        false => Styles::plain(),
    };
    let columns = Columns::of(lines);
    let mut chapter = "";
    for line in lines {
        if !options.unchecked && line.reason_not_checked().is_some() {
            continue;
        }
        if line.chapter != chapter {
            chapter = &line.chapter;
            let heading = styles.heading;
            writeln!(f, "{heading}{chapter}{heading:#}")?;
        }
        columns.row(line, &styles, f)?;
    }
    for line in lines {
        if let Verdict::Failed(failure) = line.verdict {
            writeln!(f)?;
            write_failure(line, failure, &styles, f)?;
        }
    }
    if !lines.is_empty() {
        writeln!(f)?;
    }
    if !options.unchecked {
        reasons(lines, &styles, f)?;
    }
    summary(subject, lines, gap, &styles, f)
}

/// Writes for each reason how many checks were not run.
fn reasons(lines: &[Line<'_>], styles: &Styles, f: &mut impl fmt::Write) -> fmt::Result {
    let mut reasons: Vec<(&str, usize)> = Vec::new();
    for reason in lines.iter().filter_map(Line::reason_not_checked) {
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, number)) => *number += 1,
            None => reasons.push((reason, 1)),
        }
    }
    if reasons.is_empty() {
        return Ok(());
    }
    reasons.sort_by_key(|(_, number)| Reverse(*number));
    writeln!(f, "not checked (--unchecked lists each check):")?;
    for (reason, number) in reasons {
        let faint = styles.faint;
        writeln!(f, "  {number:>4}  {faint}{reason}{faint:#}")?;
    }
    writeln!(f)
}

/// The widths of the columns whose width varies.
struct Columns {
    rule: usize,
    level: usize,
}

impl Columns {
    fn of(lines: &[Line<'_>]) -> Self {
        let rule = lines.iter().map(|line| line.rule.len()).max();
        let level = lines.iter().map(|line| line.level.to_string().len()).max();
        Self {
            rule: rule.unwrap_or_default(),
            level: level.unwrap_or_default(),
        }
    }

    fn row(&self, line: &Line<'_>, styles: &Styles, f: &mut impl fmt::Write) -> fmt::Result {
        let (mark, style, why) = match line.verdict {
            Verdict::Passed => ("passed", styles.passed, None),
            Verdict::Failed(failure) => {
                let style = styles.failed(line.level);
                ("FAILED", style, Some(failure.seen.as_str()))
            }
            Verdict::NotApplicable(why) => ("-", styles.faint, Some(&**why)),
            Verdict::NotDemanded(why) => ("-", styles.faint, Some(*why)),
        };
        let (rule, level) = (self.rule, self.level);
        write!(
            f,
            "  {:rule$}  {:level$}  {style}{mark:6}{style:#}  {}",
            line.rule,
            line.level,
            display_name(line)
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
    line: &Line<'_>,
    failure: &Failure,
    styles: &Styles,
    f: &mut impl fmt::Write,
) -> fmt::Result {
    let style = styles.failed(line.level);
    write!(f, "{style}{} FAILED{style:#} (", line.full_rule())?;
    if let Some(role) = line.role {
        write!(f, "{role}, ")?;
    }
    writeln!(f, "{}): {}", line.level, display_name(line))?;
    writeln!(f, "  rule      {}", line.sentence)?;
    writeln!(f, "  document  {}", line.document)?;
    for sentence in line.standards {
        writeln!(f, "  standard  {sentence}")?;
    }
    writeln!(f, "  check     {}", line.does)?;
    writeln!(f, "  must      {}", line.must)?;
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

fn summary(
    subject: &str,
    lines: &[Line<'_>],
    gap: Option<&str>,
    styles: &Styles,
    f: &mut impl fmt::Write,
) -> fmt::Result {
    let count = |of: fn(&Verdict) -> bool| lines.iter().filter(|line| of(line.verdict)).count();
    let passed = count(|verdict| matches!(verdict, Verdict::Passed));
    let failed = count(Verdict::is_failed);
    let not_checked = lines.len() - passed - failed;
    let heading = styles.heading;
    writeln!(
        f,
        "{heading}{subject}{heading:#}: {passed} passed, {failed} failed, {not_checked} not checked"
    )?;
    let mut broken: Vec<_> = lines
        .iter()
        .filter(|line| line.verdict.is_failed())
        .map(|line| (line.full_rule(), line.level))
        .collect();
    broken.dedup();
    for (index, (rule, level)) in broken.iter().enumerate() {
        let style = styles.failed(*level);
        let before = if index == 0 { "broken rules: " } else { ", " };
        write!(f, "{before}{style}{rule}{style:#} ({level})")?;
    }
    if !broken.is_empty() {
        writeln!(f)?;
    }
    match gap {
        Some(gap) => {
            let style = styles.should_failed;
            writeln!(f, "{style}this says little{style:#}, because {gap}")
        }
        None => Ok(()),
    }
}

fn display_name(line: &Line<'_>) -> String {
    line.name.replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIFFERS: &str = "ASGI permits it";
    const NO_FLAG: &str = "the server has no flag for it";

    fn table(options: TableOptions) -> String {
        let verdicts = [
            Verdict::Passed,
            Verdict::NotApplicable(NO_FLAG.into()),
            Verdict::NotDemanded(DIFFERS),
            Verdict::NotDemanded("ASGI does not say"),
        ];
        let lines: Vec<_> = verdicts
            .iter()
            .zip(["the_first", "the_second", "the_third", "the_fourth"])
            .map(|(verdict, name)| Line {
                chapter: "a chapter".into(),
                rule: "RULE-01".into(),
                role: None,
                level: Level::Must,
                sentence: "",
                document: "".into(),
                standards: &[],
                name,
                does: "",
                must: "",
                verdict,
            })
            .collect();
        let mut text = String::new();
        write("a server", &lines, None, options, &mut text).unwrap();
        text
    }

    #[test]
    fn checks_that_were_not_run_are_counted_by_reason() {
        assert_eq!(
            table(TableOptions::default()),
            "a chapter
  RULE-01  MUST  passed  the first

not checked (--unchecked lists each check):
     2  only Callgate demands what is checked
     1  the server has no flag for it

a server: 1 passed, 0 failed, 3 not checked
"
        );
    }

    #[test]
    fn checks_that_were_not_run_are_listed_when_asked_for() {
        let options = TableOptions {
            unchecked: true,
            ..TableOptions::default()
        };
        let text = table(options);
        for line in [
            "RULE-01  MUST  -       the second: the server has no flag for it\n",
            "RULE-01  MUST  -       the third: ASGI permits it\n",
        ] {
            assert!(text.contains(line), "{text}");
        }
        assert!(!text.contains("--unchecked"), "{text}");
    }
}
