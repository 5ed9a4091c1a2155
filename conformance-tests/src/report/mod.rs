//! What the checks of one subject found, for people and for programs.

mod json;
mod junit;
mod table;

use std::fmt;

use callgate::rule::{Level, Rule};

use crate::{Check, Verdict};

/// What the checks of one application or one server found.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was checked, as its user names it.
    pub subject: String,
    /// What each check found, in the order of the rules.
    pub findings: Vec<Finding>,
}

/// What one check found.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The check.
    pub check: Check,
    /// What it found.
    pub verdict: Verdict,
}

/// How a report is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// A line a check, and the failures in full: for people.
    #[default]
    Table,
    /// One object: for programs.
    Json,
    /// JUnit's XML: for what shows the results of tests.
    Junit,
}

impl Report {
    /// Whether a rule of level MUST was broken.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.failed()
            .any(|finding| finding.check.rule.level == Level::Must)
    }

    /// The findings that say that a rule was broken.
    pub fn failed(&self) -> impl Iterator<Item = &Finding> {
        self.findings
            .iter()
            .filter(|finding| finding.verdict.is_failed())
    }

    /// The rules that were broken, each once, in order.
    #[must_use]
    pub fn broken_rules(&self) -> Vec<&'static Rule> {
        let mut rules: Vec<_> = self.failed().map(|finding| finding.check.rule).collect();
        rules.dedup();
        rules
    }

    /// The report as a table in colours, for a terminal.
    #[must_use]
    pub fn in_colour(&self) -> String {
        let mut text = String::new();
        table::write(self, true, &mut text).expect("a text can be written to");
        text
    }

    /// The report in this format. It ends with a line feed.
    #[must_use]
    pub fn in_format(&self, format: Format) -> String {
        match format {
            Format::Table => self.to_string(),
            Format::Json => json::write(self),
            Format::Junit => junit::write(self),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        table::write(self, false, f)
    }
}
