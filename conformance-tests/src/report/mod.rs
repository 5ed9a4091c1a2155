//! The findings of all checks of one subject, as text for people and for programs.

pub(crate) mod json;
#[cfg(feature = "junit")]
pub(crate) mod junit;
mod line;
pub(crate) mod table;

use std::fmt;

use callgate::rule::{Level, Rule};

use crate::basis::Citation;
use crate::check::{Check, Verdict};
pub(crate) use line::Line;

/// The findings of the checks of one application or one server.
#[derive(Clone, Debug)]
pub struct Report {
    /// The name of the application or the server.
    pub subject: String,
    /// The findings, in the order of the rules.
    pub findings: Vec<Finding>,
    /// Why the findings say little about the subject, if they do: each request was answered with an error, for example.
    pub gap: Option<String>,
}

/// A check and its verdict.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The check.
    pub check: Check,
    /// The verdict.
    pub verdict: Verdict,
    /// The sentences of standards by which the check counts for a server or an application of ASGI; empty for one of
    /// Callgate.
    pub standards: &'static [Citation],
}

impl Finding {
    /// Returns how binding the check is: the level of the rule, or of the weakest of the
    /// [standards](Self::standards).
    #[must_use]
    pub fn level(&self) -> Level {
        match self.standards {
            [] => self.check.rule.level,
            sentences => Citation::level_of(sentences),
        }
    }
}

/// The format of a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// A line for each check that was run, then the failures in full, and then how many checks were not run,
    /// by reason: for people.
    #[default]
    Table,
    /// One JSON object: for programs.
    Json,
    /// JUnit's XML: for programs that show the results of tests. Needs the feature `junit`.
    #[cfg(feature = "junit")]
    Junit,
}

/// The form of a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableOptions {
    /// In colours, for a terminal. Default unset.
    pub colour: bool,
    /// With a line for each check that was not run, in place of the number of such checks for each reason.
    /// Default unset.
    pub unchecked: bool,
}

impl Report {
    /// Returns whether a rule of [level](Finding::level) MUST was broken.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.failed().any(|finding| finding.level() == Level::Must)
    }

    /// Returns the findings of broken rules.
    pub fn failed(&self) -> impl Iterator<Item = &Finding> {
        self.findings
            .iter()
            .filter(|finding| finding.verdict.is_failed())
    }

    /// Returns the broken rules, each once, in order.
    #[must_use]
    pub fn broken_rules(&self) -> Vec<&'static Rule> {
        let mut rules: Vec<_> = self.failed().map(|finding| finding.check.rule).collect();
        rules.dedup();
        rules
    }

    /// Returns the report as a table.
    #[must_use]
    pub fn table(&self, options: TableOptions) -> String {
        let mut text = String::new();
        self.write_table(options, &mut text)
            .expect("a text can be written to");
        text
    }

    fn write_table(&self, options: TableOptions, f: &mut impl fmt::Write) -> fmt::Result {
        table::write(
            &self.subject,
            &self.lines(),
            self.gap.as_deref(),
            options,
            f,
        )
    }

    fn lines(&self) -> Vec<Line<'_>> {
        self.findings.iter().map(Line::of).collect()
    }

    /// Returns the report in this format. The text ends with a line feed.
    #[must_use]
    pub fn in_format(&self, format: Format) -> String {
        match format {
            Format::Table => self.to_string(),
            Format::Json => json::write(self),
            #[cfg(feature = "junit")]
            Format::Junit => junit::write(&self.subject, &self.lines(), self.gap.as_deref()),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_table(TableOptions::default(), f)
    }
}
